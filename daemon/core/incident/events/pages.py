"""What can have happened to a page: to one call to one person, and to the pager that made it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from daemon.core.incident.page_identity import Purpose, with_purpose
from daemon.core.values.units import Frozen, Moment

Asks = Literal["acknowledge", "alive", "answer", "send", ""]
"""What a page wants of its person: to respond, a sign of life, an answer to a request for a
role, to send a draft; or nothing but to read it."""


Settled = Literal["acknowledged", "resolved"]


class PageQueued(Frozen):
    """The intent to call a person. `round` and `tier` place it in the escalation policy.

    Nobody is paged twice for the same `purpose`, `about` and `occasion`. `about` says which step
    (and why it needs a person), team, role, severity, milestone, request or update is meant;
    `occasion` counts how often that came about (None: not counted when it was written). `attempt`
    counts the earlier pages of the same occasion that reached nobody.

    Entries from before purposes have a `reason` instead.
    """

    kind: Literal["PageQueued"] = "PageQueued"
    page: str
    person: str
    purpose: Purpose
    about: str = ""
    occasion: int | None = None
    text: str
    round: int = 0
    tier: int = 0
    attempt: int = 0
    asks: Asks = "acknowledge"

    @model_validator(mode="before")
    @classmethod
    def _from_reason(cls, fields: Any) -> Any:
        old = isinstance(fields, dict) and "reason" in fields and "purpose" not in fields
        return with_purpose(fields) if old else fields


class PageDelivered(Frozen):
    """A pager or channel took the page; `proof` is what it answered."""

    kind: Literal["PageDelivered"] = "PageDelivered"
    page: str
    method: str
    proof: str


class PageFailed(Frozen):
    """One way of reaching the person did not work. `last`: there is no other way left.

    `temporary`: the same way may work later.
    """

    kind: Literal["PageFailed"] = "PageFailed"
    page: str
    method: str
    error: str
    last: bool
    temporary: bool = False


class PagerSettled(Frozen):
    """A pager that goes on calling by itself was told that it need not any more.

    `alert`: the page whose own alert it is; empty for the incident's.
    """

    kind: Literal["PagerSettled"] = "PagerSettled"
    person: str
    method: str
    state: Literal["acknowledged", "resolved"]
    proof: str
    alert: str = ""


class PagerUnsettled(Frozen):
    """Telling the pager failed. `last`: it is not tried again."""

    kind: Literal["PagerUnsettled"] = "PagerUnsettled"
    person: str
    method: str
    state: Literal["acknowledged", "resolved"]
    error: str
    last: bool
    alert: str = ""


class PagerSaid(Frozen):
    """A pager or chat reports what somebody did there, and it is news.

    `person` is who that is in the roster; empty if it was automation, or nobody known (`who`
    tells). `occurred_at` is the pager's own time, by which its reports are put in order.
    """

    kind: Literal["PagerSaid"] = "PagerSaid"
    source: str
    said: Literal["acknowledged", "unacknowledged"]
    person: str
    who: str
    occurred_at: Moment
    reference: str


class EscalationJumped(Frozen):
    """A person asked for the tier to be called now, whoever is there already."""

    kind: Literal["EscalationJumped"] = "EscalationJumped"
    tier: int
    person: str


class EscalationDefect(Frozen):
    """Nobody responds and nobody is being called: the daemon's own fault, found by its auditor."""

    kind: Literal["EscalationDefect"] = "EscalationDefect"
    text: str


class TeamEngaged(Frozen):
    """An expert team is called in. `packet` is what they are told."""

    kind: Literal["TeamEngaged"] = "TeamEngaged"
    team: str
    person: str
    packet: str


class TeamAnswered(Frozen):
    """Somebody of the team that was called in is there."""

    kind: Literal["TeamAnswered"] = "TeamAnswered"
    team: str
    person: str
