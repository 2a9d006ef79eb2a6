"""Checks of the ways to people, and the test page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from daemon import app
from daemon.app.notifiers import NotifierBuilder
from daemon.cli.doctor.context import Installation, parted
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Page, Pager
from daemon.core.values.outcome import Permanent, Temporary
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.onboarding.findings import Finding, good, warning, wrong

TEST = "doctor-test"
"""The incident that a test page names; there is none."""


async def check_people(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each person's ways can be built, and wake anybody; whether they have a token."""
    roster = installation.roster
    if roster is None:
        return  # the rules say so
    reach = NotifierBuilder(installation.settings, installation.session, installation.secret)
    called, without_token = [], []
    for name, person in roster.people.items():
        try:
            ways = _ways(reach, roster, name)
        except Permanent as error:
            yield wrong(f"person {name}", *_mended(error))
            continue
        if person.token is None:
            without_token.append(name)
        if all(contact.console for contact in person.contact):
            text = "is reached by the console alone, which wakes nobody"
            yield warning(f"person {name}", text, f"add a pager to `people.{name}.contact`")
        else:
            called.append(f"{name} ({', '.join(way for way, _ in ways)})")
    if without_token:
        text = f"{', '.join(without_token)} have no token of their own for command line and API"
        yield warning("people", text, "name one in `people.NAME.token`, if they should use those")
    if called:
        text = f"the ways to {', '.join(called)} are complete"
        yield good("people", f"{text}; `stopgap doctor --page NAME` tries them")
    try:
        reach.channels(roster)
    except Permanent as error:
        yield wrong("channels", *_mended(error))


async def send_test_page(installation: Installation, name: str) -> list[Finding]:
    """Really call somebody, by each of their ways. Raises Permanent if nobody is called so."""
    roster = installation.roster
    if roster is None:
        raise Permanent("the roster cannot be read; `stopgap check` tells why")
    if name not in roster.people:
        known = ", ".join(sorted(roster.people))
        raise Permanent(f"{name!r} is not in the roster; it has {known}")
    ways = _ways(
        NotifierBuilder(installation.settings, installation.session, installation.secret),
        roster,
        name,
    )
    return list(await asyncio.gather(*(_called(installation, name, way, p) for way, p in ways)))


async def _called(installation: Installation, name: str, way: str, pager: Pager) -> Finding:
    now = app.now()
    page = Page(
        incident=TEST,
        page=f"{TEST}.{way}",
        person=name,
        title="Stopgap: a test page",
        text=f"A test of {way} by `stopgap doctor`. There is no incident, and nothing to do.",
        severity="sev4",
        link=installation.settings.external_url,
        at=now,
        dedup_key=f"{TEST}-{now:%Y%m%d%H%M%S}",
    )
    place = f"page {name}"
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            proof = await pager.page(page)
    except TimeoutError:
        return wrong(place, f"{way}: no answer in {DEADLINE_SECONDS:.0f} s", "is it reachable?")
    except (Temporary, Permanent) as error:
        text, mend = _mended(error)
        return wrong(place, f"{way}: {text}", mend)
    return good(place, f"{way}: {proof}; did it arrive?")


def _ways(reach: NotifierBuilder, roster: Roster, name: str) -> list[tuple[str, Pager]]:
    """Their ways. Raises Permanent naming what is not there."""
    alone = roster.model_copy(update={"people": {name: roster.people[name]}})
    return list(reach.ways(alone)[name])


def _mended(error: Exception) -> tuple[str, str]:
    text, mend = parted(error)
    return text, mend or "correct roster.yaml or the secret"
