"""Builds the ways to people and the channels to audiences that a roster names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from daemon.adapters.channels.console import ConsoleChannel
from daemon.adapters.channels.mail import MailChannel
from daemon.adapters.channels.slack import SlackChannel
from daemon.adapters.channels.webhook import WebhookChannel
from daemon.adapters.mail import PostOffice
from daemon.adapters.pagers.console import ConsolePager
from daemon.adapters.pagers.grafana_oncall import GrafanaOncallPager
from daemon.adapters.pagers.mail import MailPager
from daemon.adapters.pagers.opsgenie import OpsgeniePager
from daemon.adapters.pagers.pagerduty import PagerDutyPager
from daemon.adapters.pagers.slack import SlackPager
from daemon.adapters.pagers.webhook import RemindingWebhook, WebhookPager
from daemon.adapters.slack import slack_client
from daemon.config.settings import Settings
from daemon.core.people.contact_methods import ChannelSpec, Contact
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Channel, Channels, Pager, Ways
from daemon.core.values.outcome import Permanent
from daemon.notifying.notifier import DEADLINE_SECONDS

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient


_Spec = TypeVar("_Spec")
_Made = TypeVar("_Made")


def missing_apprise() -> str | None:
    """What to install where Apprise is missing, or None. Loads nothing: it brings much, so only its
    users have it and wait for it."""
    if find_spec("apprise") is not None:
        return None
    return "`apprise` needs a package that is not installed; pip install 'stopgap[apprise]'"


def missing_ways(roster: Roster) -> Iterator[tuple[str, str]]:
    """The places of the roster that want what is not installed, each with what to install."""
    missing = missing_apprise()
    if missing is None:
        return
    for name, person in roster.people.items():
        if any(contact.apprise is not None for contact in person.contact):
            yield f"people.{name}.contact", missing
    for name, spec in roster.channels.items():
        if spec.apprise is not None:
            yield f"channels.{name}", missing


def _require_apprise() -> None:
    missing = missing_apprise()
    if missing is not None:
        raise Permanent(missing)


def _built(place: str, build: Callable[[_Spec], _Made], spec: _Spec) -> _Made:
    """What is built of the spec. Raises Permanent with its place in the roster."""
    try:
        return build(spec)
    except Permanent as error:
        raise Permanent(f"{place}: {error}") from None


class NotifierBuilder:
    """Knows how to build each kind; `secret` reads what a reference names."""

    def __init__(
        self,
        settings: Settings,
        session: aiohttp.ClientSession,
        secret: Callable[[str], str],
    ) -> None:
        self._settings = settings
        self._session = session
        self._secret = secret
        self._policy = settings.outgoing.policy

    def ways(self, roster: Roster) -> Ways:
        """Everybody's pagers, in their order. Raises Permanent naming what is not there."""
        return {
            name: [
                (
                    f"{contact.method}-{number}",
                    _built(f"people.{name}.contact", self._pager, contact),
                )
                for number, contact in enumerate(person.contact, 1)
            ]
            for name, person in roster.people.items()
        }

    def channels(self, roster: Roster) -> Channels:
        """The channels by name. Raises Permanent."""
        return {
            name: _built(f"channels.{name}", self._channel, spec)
            for name, spec in roster.channels.items()
        }

    def _pager(self, contact: Contact) -> Pager:
        settings, session = self._settings, self._session
        if contact.pagerduty is not None:
            key, url = self._secret(contact.pagerduty), self._literal(settings.pagerduty.url)
            return PagerDutyPager(session, key, url, DEADLINE_SECONDS)
        if contact.grafana_oncall is not None:
            url = self._address(contact.grafana_oncall)
            return GrafanaOncallPager(session, url, DEADLINE_SECONDS)
        if contact.opsgenie is not None:
            key, url = self._secret(contact.opsgenie), self._literal(settings.opsgenie.url)
            return OpsgeniePager(session, key, url, DEADLINE_SECONDS)
        if contact.webhook is not None:
            signing = self._secret(contact.secret) if contact.secret else None
            made = RemindingWebhook if contact.reminders else WebhookPager
            return made(session, self._address(contact.webhook), signing, DEADLINE_SECONDS)
        if contact.slack is not None:
            return SlackPager(self._slack(), contact.slack)
        if contact.email is not None:
            return MailPager(self._post_office(), contact.email)
        if contact.apprise is not None:
            _require_apprise()
            from daemon.adapters.pagers.apprise import ApprisePager

            return ApprisePager(self._secret(contact.apprise), self._policy)
        return ConsolePager()

    def _channel(self, spec: ChannelSpec) -> Channel:
        if spec.slack is not None:
            return SlackChannel(self._slack(), spec.slack)
        if spec.webhook is not None:
            signing = self._secret(spec.secret) if spec.secret else None
            url = self._address(spec.webhook)
            return WebhookChannel(self._session, url, signing, DEADLINE_SECONDS)
        if spec.email:
            return MailChannel(self._post_office(), spec.email)
        if spec.apprise is not None:
            _require_apprise()
            from daemon.adapters.channels.apprise import AppriseChannel

            return AppriseChannel(self._secret(spec.apprise), self._policy)
        return ConsoleChannel()

    def _address(self, reference: str) -> str:
        """The secret address that a reference names."""
        return self._literal(self._secret(reference))

    def _literal(self, url: str) -> str:
        """An address that is not refused for what is seen of it. Raises AddressRefused: better
        now than at the first page."""
        self._policy.check_literally(url)
        return url

    def _slack(self) -> AsyncWebClient:
        chosen = self._settings.slack
        if chosen.token is None:
            raise Permanent("the roster uses Slack, so stopgap.yaml needs `slack.token`")
        url = self._literal(chosen.url)
        return slack_client(self._session, self._secret(chosen.token), url, DEADLINE_SECONDS)

    def _post_office(self) -> PostOffice:
        chosen = self._settings.smtp
        password = self._secret(chosen.password) if chosen.password is not None else None
        return PostOffice(
            host=chosen.host,
            port=chosen.port,
            sender=chosen.sender,
            username=chosen.username,
            password=password,
            starttls=chosen.security == "starttls",
            tls=chosen.security == "tls",
            timeout=DEADLINE_SECONDS,
            outgoing=self._policy,
        )
