"""Many incidents at the same moment: everybody is called, and Prometheus is not stormed too."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.core.measurement.samples import QueryAnswer
from daemon.core.recovery.guardrails import Guard
from daemon.core.response.command import CommandSituation
from daemon.core.rules.rule import load
from daemon.measuring.turns import MEASURED_AT_ONCE, REPEATED, MeasuringQueue
from daemon.web.links.answers import LinkForm, UseLink
from tests import commanding
from tests.fakes import Service, Switchboard
from tests.stories.stage import ROSTER, RULE, Daemon, Stage, alert

MANY = 40


@dataclass
class BusyService(Service):
    """Knows for how many services it was asked at the same time, at most."""

    under_way: Counter[str] = field(default_factory=Counter)
    most: int = 0

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        with_answer = super().instant(query, at)
        return await self._counted(query, with_answer)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        return await self._counted(query, super().series(query, start, end, step))

    async def _counted(self, query: str, answering: object) -> QueryAnswer:
        service = re.findall(r'service="(\w+)"', query)[0]
        self.under_way[service] += 1
        self.most = max(self.most, len(self.under_way))
        try:
            return await answering  # type: ignore[misc,no-any-return]
        finally:
            self.under_way -= Counter((service,))


async def test_everybody_is_called_at_once_and_measured_in_turn(stage: Stage) -> None:
    stage.service = prometheus = BusyService(errors=stage.service.errors)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"s{n}") for n in range(MANY)))
        await daemon.at(180.1)
        incidents = await stage.incidents()
        assert len(incidents) == MANY
        assert all(page.delivered_at for i in incidents for page in i.pages.values())
        assert sum(i.problem is not None for i in incidents) <= MEASURED_AT_ONCE
        await daemon.at(190)
        assert all(i.confirmed for i in await stage.incidents())
    assert prometheus.most == MEASURED_AT_ONCE


async def test_what_nobody_has_measured_goes_before_what_was_measured() -> None:
    turns, order = MeasuringQueue(), list[str]()
    let_go = asyncio.Event()

    async def measure(name: str, *, repeated: bool) -> None:
        async with turns.turn(repeated=repeated):
            order.append(name)
            await let_go.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(measure("again", repeated=True))
        await asyncio.sleep(1)
        assert order == ["again"] * REPEATED  # the rest of the turns is kept for the others
        for number in range(10):
            group.create_task(measure(f"first {number}", repeated=False))
        await asyncio.sleep(1)
        assert len(order) == MEASURED_AT_ONCE
        let_go.set()
    firsts = order.index("first 9")
    assert order[:firsts].count("again") < 10  # not behind all that repeat
    assert order.count("again") == 10


async def test_a_steady_stream_of_news_keeps_nobody_from_conducting(stage: Stage) -> None:
    """The store is slow to read, and more alerts come before it has answered."""
    look = stage.journal.guard

    async def slow(*asked: Any) -> Guard:
        await asyncio.sleep(2)
        return await look(*asked)

    stage.journal.guard = slow  # type: ignore[method-assign]
    async with stage.daemon() as daemon:
        stage.service.fails(0.10, 60)
        for second in range(180, 600):
            await daemon.at(second)
            news = alert(started=second)
            news["labels"]["instance"] = news["fingerprint"] = f"i{second}"
            await daemon.receives(news)
        incident = await daemon.incident()
    assert not incident.defects
    assert stage.actions["rollback"].runs
    assert [page.incident for page in stage.phones["bo"].pages] == [incident.id]


# ── one storm, one page ──────────────────────────────────────────────────────────────────────

GROUPS, APART = 200, 0.12
"""So many groups begin to fire, and so many seconds one after the other."""
FEW = 8
"""So many pages at the most for each person, with those of the first incidents."""


def unruled(number: int) -> dict[str, Any]:
    """An alert that no rule matches, of a group of its own: nothing is measured for it."""
    fired = alert(service=f"s{number}", started=180)
    fired["labels"]["alertname"] = f"Fails{number}"
    return fired


async def break_out(daemon: Daemon, numbers: Iterable[int]) -> None:
    """One group after the other begins to fire."""
    for number in numbers:
        await daemon.at(180 + APART * number)
        await daemon.receives(unruled(number))


def titles(stage: Stage, person: str) -> list[str]:
    """What this person's phone showed on its lock screen."""
    return [page.title for page in stage.phones[person].pages]


async def answers(daemon: Daemon, person: str) -> None:
    """They tap the link in the newest page that they got."""
    page = daemon.stage.phones[person].pages[-1]
    link = UseLink(page.page, LinkForm("ack"))
    await daemon.repository.record(
        page.incident,
        lambda incident: link.apply(incident, situation(daemon, person)),
        by=f"person:{person}",
    )


def situation(daemon: Daemon, person: str) -> CommandSituation:
    clock, roster = daemon.repository.clock, daemon.stage.roster
    return CommandSituation(person, "link", clock(), roster, None, "", lambda _: "")


async def test_200_groups_in_half_a_minute_are_a_few_pages_for_each_person(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await break_out(daemon, range(GROUPS))
        await daemon.at(900)
        incidents = await stage.incidents()
        assert len(incidents) == GROUPS
        assert not any(incident.defects for incident in incidents), "somebody is being called"
        first = titles(stage, "ada")
        assert first[:3] == [f"Fails{number}" for number in range(3)]
        sizes = [int(title.split(": ")[1].split()[0]) for title in first[3:]]
        assert sizes[0] == 4
        assert sizes[-1] == GROUPS
        assert sizes == sorted(sizes), "it has grown"
        assert titles(stage, "bo")[0].startswith(f"Storm since 14:03:00 UTC: {GROUPS} incidents")
        assert all(len(phone.pages) <= FEW for phone in stage.phones.values())
        await answers(daemon, "bo")
        await daemon.at(930)
        incidents = await stage.incidents()
        assert {incident.commander for incident in incidents} == {"bo"}
        told = len(stage.phones["ada"].pages)
        await daemon.at(1500)
    assert len(stage.phones["ada"].pages) == told, "somebody has taken it"


@pytest.mark.parametrize("crashes_at", [1, 5, 6, 50])
async def test_a_crash_amid_a_storm_neither_repeats_nor_skips_a_call(
    stage: Stage, crashes_at: int
) -> None:
    async with stage.daemon() as daemon:
        await break_out(daemon, range(crashes_at))
    async with stage.daemon() as daemon:
        await break_out(daemon, range(crashes_at, 100))
        await daemon.at(420)
    incidents = await stage.incidents()
    assert len(incidents) == 100
    assert not any(incident.defects for incident in incidents)
    ada = titles(stage, "ada")
    assert len(ada) == len(set(ada)) == 5
    assert stage.phones["bo"].pages == []


TWO_TEAMS = ROSTER.replace(
    "policies:",
    "  search: {owners: [cy], policy: search}\npolicies:\n  search: {tiers: [{notify: [cy]}]}",
)
SEARCH_RULE = RULE.replace("checkout-success-rate", "search-success-rate").replace(
    "CheckoutSuccessRateLow", "SearchSuccessRateLow"
)
SMALL = 8


async def breaks(daemon: Daemon, *names: str, of: str = "CheckoutSuccessRateLow") -> None:
    """These services begin to fail, a second apart."""
    for name in names:
        fired = alert(service=name, started=180)
        fired["labels"]["alertname"] = of
        fired["fingerprint"] = f"{of}-{name}"
        await daemon.receives(fired)
        await asyncio.sleep(1)


def services(count: int) -> list[str]:
    return [f"s{number}" for number in range(count)]


async def test_whoever_cannot_be_reached_is_passed_over_for_the_storm_too(stage: Stage) -> None:
    stage.phones["ada"].broken = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        for number in range(SMALL):
            await daemon.receives(unruled(number))
        await daemon.at(190)
        assert any(title.startswith("Storm since") for title in titles(stage, "bo")), "at once"
        await answers(daemon, "bo")
        await daemon.at(200)
        assert {incident.commander for incident in await stage.incidents()} == {"bo"}


async def test_each_answers_for_their_own_team_and_the_calling_goes_on_for_the_other(
    stage: Stage,
) -> None:
    stage = Stage(stage.folder, roster_text=TWO_TEAMS, service=stage.service)
    (search,) = (
        rule for rule, _ in load(SEARCH_RULE.replace("team: payments", "team: search"), "")
    )
    stage.rules.append(search)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await breaks(daemon, *services(5))
        await breaks(daemon, *services(5), of="SearchSuccessRateLow")
        await daemon.at(240)
        await answers(daemon, "ada")
        await daemon.at(250)
        by_team = {(i.opened.team, i.commander) for i in await stage.incidents()}
        assert by_team == {("payments", "ada"), ("search", "")}
        rung = len(stage.phones["cy"].pages)
        assert rung >= 1
        await daemon.at(240 + 400)
        assert len(stage.phones["cy"].pages) > rung, "the next round of her policy"
        await answers(daemon, "cy")
        await daemon.at(660)
        by_team = {(i.opened.team, i.commander) for i in await stage.incidents()}
        assert by_team == {("payments", "ada"), ("search", "cy")}


async def test_what_opens_after_an_answer_is_a_page_of_its_own_round(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        for number in range(SMALL):
            await daemon.receives(unruled(number))
        await daemon.at(184)
        await answers(daemon, "ada")
        await daemon.at(186)
        told = len(stage.phones["ada"].pages)
        for number in range(SMALL, SMALL + 3):
            await daemon.receives(unruled(number))
        await daemon.at(190)
        assert len(stage.phones["ada"].pages) == told, "not at once: more may come"
        await daemon.at(250)
        assert titles(stage, "ada")[told:] == [
            "Storm since 14:03:00 UTC: 11 incidents (11 without a rule); 3 wait for somebody"
        ]


async def test_what_opens_after_the_storm_pages_by_itself(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        for number in range(SMALL):
            await daemon.receives(unruled(number))
        await daemon.at(190)
        await answers(daemon, "ada")
        await daemon.at(180 + 400)
        await daemon.receives(unruled(99))
        await daemon.at(180 + 410)
        assert titles(stage, "ada")[-1] == "Fails99"
        late = [i for i in await stage.incidents() if i.title == "Fails99"]
        assert late[0].storm is None


async def test_an_incident_graver_than_what_was_told_pages_by_itself(stage: Stage) -> None:
    """What the storm's page told was sev2; then one of it turns sev1."""
    worse = Service(errors=[(-7200.0, 0.0), (60, 0.10), (420, 0.60)])
    stage.service.others["s6"] = worse
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await breaks(daemon, *services(7))
        await daemon.at(400)
        before = await stage.incidents()
        assert not any(i.storm and i.storm.left_at for i in before)
        await daemon.at(600)
        left = [i for i in await stage.incidents() if i.storm and i.storm.left_at]
        assert [(i.group_labels["service"], i.severity) for i in left] == [("s6", "sev1")]
        assert any("s6" in title for title in titles(stage, "ada"))
        await answers(daemon, "bo")
        await daemon.at(610)
        assert {i.commander for i in await stage.incidents()} == {"bo"}, "it was on the list"


async def test_a_storm_that_somebody_has_taken_wakes_nobody_for_each_of_its_incidents(
    stage: Stage,
) -> None:
    """Approvals, updates, roles, the clock, the ladder: each would ask ten times over."""
    more = (
        "ladder: {sev2: [cy]}\nchannels: {room: {console: true}}\n"
        "audiences: {team: {channels: [room]}}\n"
    )
    stage = Stage(stage.folder, roster_text=ROSTER + more, service=stage.service)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await breaks(daemon, *services(10))
        await daemon.at(240)
        await answers(daemon, "ada")
        await daemon.at(900)
        incidents = await stage.incidents()
    assert {incident.commander for incident in incidents} == {"ada"}
    asked = [p for i in incidents for p in i.pages.values() if p.queued.person == "ada"]
    assert len(asked) > 40
    assert all(len(phone.pages) <= FEW for phone in stage.phones.values())
    assert any("10 to approve a step" in title for title in titles(stage, "ada"))
    told = titles(stage, "cy")
    assert "7 of a severity that you are told of" in told[-1], "the first three were told alone"


async def test_a_pager_that_keeps_state_has_one_alert_of_the_storm_until_somebody_takes_it(
    stage: Stage,
) -> None:
    stage.phones["ada"] = ada = Switchboard()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        for number in range(SMALL * 3):
            await daemon.receives(unruled(number))
        await daemon.at(600)
        keys = {page.dedup_key for page in ada.pages if page.title.startswith("Storm")}
        (key,) = keys
        assert key.endswith("/storm")
        assert not any(alert == key for alert, _ in ada.told)
        await answers(daemon, "bo")
        await daemon.at(610)
        assert (key, "resolved") in ada.told, "it goes on calling no more, though she said nothing"
    assert {incident.commander for incident in await stage.incidents()} == {"bo"}


async def test_when_the_incident_that_carries_the_page_is_closed_another_goes_on(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        for number in range(SMALL):
            await daemon.receives(unruled(number))
        await daemon.at(200)
        rung = len(stage.phones["ada"].pages)
        lead = stage.phones["ada"].pages[-1].incident
        await daemon.repository.record(lead, lambda i: commanding.close(i, "cy", "a mistake"))
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert len(stage.phones["ada"].pages) == rung, "she was called, whoever carried it"
        await daemon.at(181 + 300)
        assert titles(stage, "bo")[-1].startswith("Storm since 14:03:00 UTC: 7 incidents")
        assert stage.phones["bo"].pages[-1].incident != lead
        await answers(daemon, "ada")  # by the link in the page of the closed one
        await daemon.at(500)
        open_ = [i for i in await stage.incidents() if i.closed is None]
        assert {incident.commander for incident in open_} == {"ada"}


@dataclass
class LateService(Service):
    """Answers after that many seconds."""

    late: float = 6.0

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        await asyncio.sleep(self.late)
        return await super().instant(query, at)


async def test_a_storm_whose_numbers_come_after_its_page_is_not_told_again_one_by_one(
    stage: Stage,
) -> None:
    """Each is graver than a page without numbers told; one alone is called for by itself."""
    stage.service = LateService(errors=stage.service.errors)
    stage.approved = False
    stage.page_hold = timedelta(seconds=2)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(12)))
        await daemon.at(400)
        incidents = await stage.incidents()
    assert {incident.severity for incident in incidents} == {"sev2"}
    left = [i for i in incidents if i.storm is not None and i.storm.left_at is not None]
    assert len(left) == 1
    assert len(stage.phones["ada"].pages) <= FEW


async def test_when_the_incident_that_carries_the_page_is_called_for_alone_another_goes_on(
    stage: Stage,
) -> None:
    """The oldest is as grave as the others, so it is the one that leaves; the next tier is called
    for all that the storm's page calls for, and without the auditor."""
    stage.service = LateService(errors=stage.service.errors)
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await breaks(daemon, *services(7))
        await daemon.at(240)
        lead = min(await stage.incidents(), key=lambda i: (i.opened_at, i.id))
        assert lead.storm is not None
        assert lead.storm.left_at is not None
        before = len(titles(stage, "bo"))
        await daemon.at(181 + 300 + 60)
        incidents = await stage.incidents()
    told = titles(stage, "bo")[before:]
    assert told[-1] == "Storm since 14:03:03 UTC: 7 incidents (7 sev2); 7 wait for somebody"
    assert not any(incident.defects for incident in incidents)


async def test_services_that_begin_together_ring_once_though_the_storm_comes_after_the_numbers(
    stage: Stage,
) -> None:
    """Four are measured before the fifth is told of: none of them has rung by itself by then."""
    stage.approved = False
    stage.page_hold = timedelta(seconds=2)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(2)))
        await daemon.at(181)
        assert all(incident.confirmed for incident in await stage.incidents())
        assert titles(stage, "ada") == []
        await daemon.receives(*(alert(service=name) for name in services(5)[2:]))
        await daemon.at(185)
        (rung,) = titles(stage, "ada")
        incidents = await stage.incidents()
        first, calls = incidents[0], [page for i in incidents for page in i.pages.values()]
        assert min(page.at for page in calls) == first.opened_at + stage.page_hold, "no later"
        assert rung.startswith("Storm since 14:03:01 UTC: 5 incidents (5 sev2)")
        await daemon.at(400)
        incidents = await stage.incidents()
        assert not any(incident.defects for incident in incidents)
    assert len(stage.phones["ada"].pages) <= 3


async def test_what_they_ask_for_waits_with_the_first_page_while_others_begin_beside_them(
    stage: Stage,
) -> None:
    """Without a plan a Commander is asked for as soon as the numbers are there."""
    without_plan = RULE[: RULE.index("recover:")] + RULE[RULE.index("verify:") :]
    stage = Stage(stage.folder, rule_text=without_plan, service=stage.service)
    stage.page_hold = timedelta(seconds=2)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(2)))
        await daemon.at(181)
        asked = [p for i in await stage.incidents() for p in i.pages.values() if p.pending]
        assert {page.queued.purpose for page in asked} == {"role_request"}
        assert not any(phone.pages for phone in stage.phones.values())
        await daemon.receives(*(alert(service=name) for name in services(5)[2:]))
        await daemon.at(186)
    rung = [page.title for phone in stage.phones.values() for page in phone.pages]
    assert rung
    assert all(title.startswith("Storm since") for title in rung)


async def test_as_many_as_keep_steps_from_starting_are_called_for_once(stage: Stage) -> None:
    """What is a storm for recovery is one for whoever is called, to the very service."""
    stage.page_hold = timedelta(seconds=2)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(stage.limits.storm)))
        await daemon.at(190)
        refused = [i.step(1).refusal for i in await stage.incidents()]
    assert set(refused) == {"storm"}
    (rung,) = titles(stage, "ada")
    assert rung.startswith("Storm since 14:03:00 UTC: 4 incidents")


@pytest.mark.parametrize("dies", [False, True])
async def test_what_no_storm_comes_of_rings_by_itself_when_the_hold_is_over(
    stage: Stage, dies: bool
) -> None:
    stage.page_hold = timedelta(seconds=2)
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in services(2)))
        await daemon.at(181)
        assert all(incident.confirmed for incident in await stage.incidents())
        if not dies:
            await daemon.at(185)
    if dies:
        assert titles(stage, "ada") == []
        async with stage.daemon() as daemon:
            await daemon.at(185)
    held = {
        min(page.at for page in i.pages.values()) - i.opened_at for i in await stage.incidents()
    }
    assert held == {stage.page_hold}
    assert len(titles(stage, "ada")) == 2
