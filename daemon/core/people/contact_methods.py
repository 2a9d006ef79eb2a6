"""How people and audiences are reached: one value for each way, secrets by reference alone."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.core.values.units import Frozen

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_ADDRESS = re.compile(r"[^@\s:/<>,;]+@[^@\s:/<>,;]+")
_CHAT_ID = re.compile(r"[A-Z0-9]{6,}")


def _reference(value: object) -> str:
    # The message must not repeat the value: it may be the secret itself.
    if not isinstance(value, str) or not REFERENCE.fullmatch(value):
        raise ValueError("say where the secret is, env:NAME or file:PATH; never write it here")
    return value


Reference = Annotated[
    str,
    BeforeValidator(_reference),
    WithJsonSchema({"type": "string", "pattern": f"^({REFERENCE.pattern})$"}),
]
"""Where a secret is: `env:NAME` or `file:PATH`."""


def _address(value: object) -> str:
    # Not repeated either: it may be a URL with a password in it.
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or len(value) > 254:
        raise ValueError("write one mail address and nothing else, like ada@example.org")
    return value


def _chat_id(value: object) -> str:
    # Nor this: it may be a token, or a webhook's URL.
    if not isinstance(value, str) or not _CHAT_ID.fullmatch(value):
        raise ValueError("write the id that Slack shows, like U0123ABCD or C0123ABCD, not a name")
    return value


Address = Annotated[
    str,
    BeforeValidator(_address),
    WithJsonSchema({"type": "string", "pattern": f"^{_ADDRESS.pattern}$", "maxLength": 254}),
]
"""A mail address."""
ChatId = Annotated[
    str,
    BeforeValidator(_chat_id),
    WithJsonSchema({"type": "string", "pattern": f"^{_CHAT_ID.pattern}$"}),
]
"""What Slack calls a user or a channel by: U0123ABCD, C0123ABCD."""


def _exactly_one(value: Frozen, names: tuple[str, ...]) -> None:
    if sum(bool(getattr(value, name)) for name in names) != 1:
        listed = ", ".join(f"`{name}`" for name in names)
        raise ValueError(f"give exactly one of {listed}")


class Contact(Frozen):
    """One way to reach a person; exactly one besides `secret` and `reminders`.

    `pagerduty`: the routing key of an Events API v2 integration. `grafana_oncall`: the URL of a
    formatted-webhook integration. `opsgenie`: an API key, of Opsgenie or Jira Service Management.
    `webhook`: a URL that takes a POST of the page, a phone gateway's say; with `secret` it is
    signed with HMAC-SHA256, with `reminders: true` it also takes what must not ring, as a body
    whose `event` is `reminder` instead of `page`. `slack`: the person's user id. `email`: their
    address. `apprise`: an apprise URL. `console`: the daemon's own output.
    """

    pagerduty: Reference | None = None
    grafana_oncall: Reference | None = None
    opsgenie: Reference | None = None
    webhook: Reference | None = None
    secret: Reference | None = None
    reminders: bool = False
    slack: ChatId | None = None
    email: Address | None = None
    apprise: Reference | None = None
    console: bool = False

    @model_validator(mode="after")
    def _one(self) -> Contact:
        _exactly_one(self, WAYS)
        if self.secret is not None and self.webhook is None:
            raise ValueError("`secret` signs a `webhook`; there is none here")
        if self.reminders and self.webhook is None:
            raise ValueError("`reminders` is for a `webhook`; the other ways need no word for it")
        return self

    @property
    def method(self) -> str:
        """The name of this way: pagerduty, webhook, …"""
        return next(name for name in WAYS if getattr(self, name))

    @property
    def tells_quietly(self) -> bool:
        """Whether something can be told by it without ringing. A webhook may be a phone's, so it
        can only with `reminders`."""
        return self.method in QUIET_WAYS or self.reminders


WAYS = (
    "pagerduty",
    "grafana_oncall",
    "opsgenie",
    "webhook",
    "slack",
    "email",
    "apprise",
    "console",
)
QUIET_WAYS = frozenset({"slack", "email", "apprise", "console"})
"""The ways by which something can be told without ringing."""


class ChannelSpec(Frozen):
    """Where an audience reads; exactly one besides `secret`.

    `slack`: a channel id. `webhook`: a URL that takes a POST of the update, a status page's say.
    `email`: addresses. `apprise`: an apprise URL. `console`: the daemon's own output.
    """

    slack: ChatId | None = None
    webhook: Reference | None = None
    secret: Reference | None = None
    email: tuple[Address, ...] = ()
    apprise: Reference | None = None
    console: bool = False

    @model_validator(mode="after")
    def _one(self) -> ChannelSpec:
        _exactly_one(self, ("slack", "webhook", "email", "apprise", "console"))
        if self.secret is not None and self.webhook is None:
            raise ValueError("`secret` signs a `webhook`; there is none here")
        return self


class Identities(Frozen):
    """Who this person is elsewhere, so that their acknowledgement there counts as theirs.

    `pagerduty` and `slack`: user ids. `grafana_oncall`: user id, username or mail address.
    `opsgenie`: username (a mail address) or user id. `oidc`: what OpenID Connect or a trusted
    proxy calls them; left out, their name in the roster. `calendar`: the words or mail address
    by which an on-call calendar names them.
    """

    pagerduty: str | None = None
    slack: str | None = None
    grafana_oncall: str | None = None
    opsgenie: str | None = None
    oidc: str | None = Field(default=None, pattern=r"\S", max_length=200)
    calendar: tuple[str, ...] = ()
