"""Builds what recognises people: the secrets that the roster names, and the authenticator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import aiohttp
from argon2 import PasswordHasher

from daemon.adapters.store import Store
from daemon.app.clock import now
from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings
from daemon.core.people.access import is_password_hash
from daemon.core.people.contact_methods import REFERENCE
from daemon.core.people.roster import Roster
from daemon.core.values.outcome import Permanent
from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.csrf import Browser
from daemon.web.auth.passwords import Passwords
from daemon.web.auth.secrets import SecretCheck, Signing
from daemon.web.auth.webhook_secrets import Hooks

Secret = Callable[[str], str]
"""Reads what a reference names. Raises Permanent."""


def secret_check_for(settings: Settings, roster: Roster, secret: Secret) -> SecretCheck:
    """The tokens and password hashes of the roster. Raises Permanent naming what is not there."""
    people = roster.people.items()
    webhook, signing = settings.auth.webhook_token, settings.auth.webhook_signing_secret
    delivers = None if webhook is None else secret(webhook)
    tokens = {name: secret(person.token) for name, person in people if person.token is not None}
    _each_their_own(tokens, delivers)
    return SecretCheck(
        tokens,
        delivers,
        {
            name: _password(name, person.password, secret)
            for name, person in people
            if person.password is not None
        },
        settings.auth.webhook_certificates,
        None
        if signing is None
        else Signing(secret(signing), settings.auth.webhook_timestamp_header),
    )


def hooks_for(settings: Settings, secret: Secret) -> Hooks:
    """The secrets of those who report to us. Raises Permanent naming what is not there."""

    def known(reference: str | None) -> str | None:
        return None if reference is None else secret(reference)

    pagerduty = known(settings.pagerduty.webhook_secret)
    return Hooks(
        pagerduty_secrets=() if pagerduty is None else (pagerduty,),
        slack_signing_secret=known(settings.slack.signing_secret),
        grafana_oncall_secret=known(settings.grafana_oncall.webhook_secret),
        opsgenie_secret=known(settings.opsgenie.webhook_secret),
    )


def authenticator_for(
    settings: Settings,
    store: Store,
    session: aiohttp.ClientSession,
    secret: Secret,
    active: Live[ActiveConfig],
    secrets: Live[SecretCheck],
) -> Authenticator:
    """The authenticator. Raises Permanent if the client secret of `auth.oidc` is not there."""
    oidc = settings.auth.oidc
    provider = None
    if oidc is not None:
        from daemon.adapters.oidc import OpenIdProvider

        client_secret = None if oidc.client_secret is None else secret(oidc.client_secret)
        provider = OpenIdProvider(
            session, oidc.issuer, oidc.client_id, client_secret, tuple(oidc.scopes)
        )
    return Authenticator(
        settings=settings.auth,
        credentials=store.credentials,
        roster=lambda: active.now.roster,
        secrets=secrets,
        browser=Browser(
            lambda: store.keys.current.secrets(now(), settings.auth.session), settings.external_url
        ),
        passwords=Passwords(PasswordHasher()),
        clock=now,
        provider=provider,
    )


def _each_their_own(tokens: Mapping[str, str], webhook: str | None) -> None:
    """Raises Permanent if a token would be two people's, or a person's and Alertmanager's."""
    owners = {} if webhook is None else {webhook: "auth.webhook_token"}
    for name, token in tokens.items():
        other = owners.setdefault(token, f"people.{name}.token")
        if other != f"people.{name}.token":
            raise Permanent(
                f"people.{name}.token is the same secret as {other}, so nobody could say who "
                "asks; give each their own"
            )


def _password(name: str, given: str, secret: Secret) -> str:
    if not REFERENCE.fullmatch(given):
        return given
    found = secret(given)
    if not is_password_hash(found):
        raise Permanent(
            f"people.{name}.password: what {given} holds is no argon2id hash; "
            "`stopgap password` makes one"
        )
    return found
