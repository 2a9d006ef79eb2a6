"""Where the settings and the roster lead: sessions that go there, and a look at it at the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import aiohttp

from daemon.adapters.outgoing.sessions import outgoing_session
from daemon.config.settings import Settings
from daemon.core.people.roster import Roster
from daemon.core.values.outcome import Permanent
from daemon.core.values.outgoing import AddressRefused


def session_for(settings: Settings) -> aiohttp.ClientSession:
    """The session of everything that is asked over HTTP; needs a running loop."""
    return outgoing_session(settings.outgoing.policy)


def refuse_literally(settings: Settings, secret: Callable[[str], str]) -> None:
    """Raises AddressRefused naming the first setting whose address nothing may lead to, as far as
    that is seen without resolving its name."""
    for refusal in literal_refusals(settings, None, secret):
        raise refusal


def literal_refusals(
    settings: Settings, roster: Roster | None, secret: Callable[[str], str]
) -> Iterator[AddressRefused]:
    """What is said of each address of the settings, and of the roster if one is given, that nothing
    may lead to, as far as that is seen without resolving its name."""
    for place, url in outgoing_places(settings, roster, secret):
        try:
            settings.outgoing.policy.at(place).check_literally(url)
        except AddressRefused as refusal:
            yield refusal


def outgoing_places(
    settings: Settings, roster: Roster | None, secret: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """Each address that is connected to by default rules, and where it is named. What a secret
    holds that cannot be read is left out: `check_secrets` of doctor speaks of it."""
    for place, given in _named(settings, roster):
        try:
            url = given if "://" in given else secret(given)
        except Permanent:
            continue
        yield place, url


def _named(settings: Settings, roster: Roster | None) -> Iterator[tuple[str, str]]:
    """Places, with an address or the reference to one."""
    found = {
        "argocd.url": settings.argocd.url,
        "git.url": settings.git.url,
        "heartbeat.url": settings.heartbeat.url,
        "auth.oidc.issuer": settings.auth.oidc.issuer if settings.auth.oidc else None,
        "rooms.webhook.url": settings.rooms.webhook.url if settings.rooms.webhook else None,
    }
    tracker = settings.follow_ups.tracker
    for name in ("github", "gitlab", "jira", "webhook"):
        chosen = getattr(tracker, name, None)
        found[f"follow_ups.tracker.{name}.url"] = None if chosen is None else chosen.url
    if settings.slack.token is not None:
        found["slack.url"] = settings.slack.url
    for host in settings.http.allow:
        found[f"http.allow ({host})"] = f"{'http' if ':' in host else 'https'}://{host}"
    if roster is not None:
        found |= dict(_of_roster(settings, roster))
    yield from ((place, given) for place, given in found.items() if given)


def _of_roster(settings: Settings, roster: Roster) -> Iterator[tuple[str, str | None]]:
    for name, person in roster.people.items():
        for number, contact in enumerate(person.contact, 1):
            place = f"people.{name}.contact {number}"
            yield f"{place} (webhook)", contact.webhook
            yield f"{place} (grafana_oncall)", contact.grafana_oncall
            if contact.pagerduty is not None:
                yield "pagerduty.url", settings.pagerduty.url
            if contact.opsgenie is not None:
                yield "opsgenie.url", settings.opsgenie.url
    for name, channel in roster.channels.items():
        yield f"channels.{name} (webhook)", channel.webhook
    for name, schedule in roster.schedules.items():
        if schedule.calendar is not None:
            yield f"schedules.{name}.calendar.url", schedule.calendar.url
