"""Where two of the ways meet by which people are called or not: storms, maintenance, declines,
merges, new owners, several acknowledgements. Nobody's trouble falls between them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.incident.state import Incident
from daemon.core.response.call_answers import SnoozeCall
from daemon.core.response.command import CommandSituation, NotPossible
from daemon.core.response.organizing import Merge, Reassign
from daemon.web.links.answers import LinkForm, UseLink
from tests import commanding
from tests.fakes import START
from tests.stories.stage import ROSTER, Daemon, Stage, alert

TWO_TEAMS = ROSTER.replace(
    "policies:",
    "  search: {owners: [cy], policy: search}\npolicies:\n  search: {tiers: [{notify: [cy]}]}",
)
STORM = 7


def unruled(number: int, at: float) -> dict[str, object]:
    fired = alert(service=f"s{number}", started=at)
    fired["labels"]["alertname"] = f"Fails{number}"
    return fired


async def storm_breaks_out(daemon: Daemon, at: float, count: int = STORM, first: int = 0) -> None:
    for number in range(first, first + count):
        await daemon.at(at + number / 10)
        await daemon.receives(unruled(number, at))
    await daemon.at(at + (first + count) / 10)


async def taps(daemon: Daemon, person: str, button: str, page: int = -1) -> None:
    """They tap a button behind the link of a page that they got."""
    got = daemon.stage.phones[person].pages[page]
    link = UseLink(got.page, LinkForm(button))
    await daemon.repository.record(
        got.incident,
        lambda incident: link.apply(incident, _situation(daemon, person)),
        by=f"person:{person}",
    )


def _situation(daemon: Daemon, person: str) -> CommandSituation:
    clock, roster = daemon.repository.clock, daemon.stage.roster
    return CommandSituation(person, "link", clock(), roster, None, "", lambda _: "")


def titles(stage: Stage, person: str) -> list[str]:
    return [page.title for page in stage.phones[person].pages]


def calls(stage: Stage, person: str) -> list[str]:
    """The pages of this person that want somebody to come."""
    found = [page.page for page in stage.phones[person].pages]
    return [page for page in found if not page.startswith("storm-growth")]


async def announced(daemon: Daemon, begins: float, ends: float, scope: str) -> None:
    await daemon.maintenance.announce(
        scope,
        "the database moves",
        "ada",
        START + timedelta(seconds=begins),
        START + timedelta(seconds=ends),
    )


async def titled(stage: Stage, title: str) -> Incident:
    (found,) = [i for i in await stage.incidents() if i.opened.title == title]
    return found


# ── a storm and a maintenance window ─────────────────────────────────────────────────────────


async def test_a_storm_whose_oldest_incident_is_under_maintenance_calls_all_the_same(
    stage: Stage,
) -> None:
    """Maintenance holds the call for one; the storm's page for the others is due at once."""
    async with stage.daemon() as daemon:
        await daemon.at(170)
        await announced(daemon, 170, 2000, "service:s0")
        for number in range(STORM):
            await daemon.at(180 + number / 10)
            await daemon.receives(alert(service=f"s{number}", started=180))
        await daemon.at(190)
        first = await stage.incidents()
        assert sum(i.organization.held is not None for i in first) == 1
        assert any(title.startswith("Storm since") for title in titles(stage, "ada"))
        assert not any(i.defects for i in await stage.incidents())
        await daemon.at(600)
        assert not any(i.defects for i in await stage.incidents())
        assert any(title.startswith("Storm since") for title in titles(stage, "bo"))
        assert "s0" not in stage.phones["bo"].pages[0].text


async def test_a_storm_within_maintenance_calls_nobody_until_its_end_and_then_once(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(170)
        await announced(daemon, 170, 1200, "global")
        await storm_breaks_out(daemon, 180, 20)
        await daemon.at(1199)
        assert titles(stage, "ada") == titles(stage, "bo") == []
        await daemon.at(1210)
        assert len(titles(stage, "ada")) <= 5 + 1
        assert any(title.startswith("Storm since") for title in titles(stage, "ada"))
        await taps(daemon, "ada", "ack")
        await daemon.at(1240)
        incidents = await stage.incidents()
        assert {i.commander for i in incidents} == {"ada"}
        assert not any(i.defects for i in incidents)


# ── a storm and its answers ──────────────────────────────────────────────────────────────────


async def test_whoever_declines_a_storms_page_has_the_next_called_at_once(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        assert titles(stage, "bo") == []
        await taps(daemon, "ada", "decline")
        await daemon.at(191)
        assert len(titles(stage, "bo")) == 1
        assert titles(stage, "bo")[0].startswith("Storm since")
        before = len(titles(stage, "ada"))
        await daemon.at(460)
        assert len(titles(stage, "ada")) == before, "she has said that she cannot come"
        assert not any(i.commander or i.defects for i in await stage.incidents())


async def test_a_storms_page_that_was_put_off_comes_again_and_the_next_are_called_meanwhile(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        await taps(daemon, "ada", "snooze-5")
        before = len(titles(stage, "ada"))
        await daemon.at(485)
        assert len(titles(stage, "ada")) == before
        assert len(titles(stage, "bo")) == 1, "his turn came as ever"
        await daemon.at(500)
        assert titles(stage, "ada")[before:][0].startswith("Storm since")


async def test_an_answer_to_a_storm_does_not_take_what_is_given_to_them_later(
    stage: Stage,
) -> None:
    stage = Stage(stage.folder, roster_text=TWO_TEAMS, service=stage.service)
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        given = await titled(stage, "Fails5")
        command = Reassign("search")
        await daemon.repository.record(
            given.id, lambda i: command.apply(i, _situation(daemon, "bo")), by="person:bo"
        )
        await daemon.at(200)
        assert titles(stage, "cy")
        await taps(daemon, "cy", "ack")
        await daemon.at(210)
        assert (await titled(stage, "Fails5")).commander == "cy"
        other = await titled(stage, "Fails6")
        await daemon.repository.record(
            other.id, lambda i: command.apply(i, _situation(daemon, "bo")), by="person:bo"
        )
        rung = len(titles(stage, "cy"))
        await daemon.at(215)
        assert not (await titled(stage, "Fails6")).commander, "she has not heard of it yet"
        await daemon.at(400)
        assert len(titles(stage, "cy")) > rung


async def test_a_storm_calls_until_as_many_have_come_as_the_policy_asks_for(stage: Stage) -> None:
    both = ROSTER.replace("  payments: {tiers:", "  payments: {acknowledgements: 2, tiers:")
    stage = Stage(stage.folder, roster_text=both, service=stage.service)
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        await taps(daemon, "ada", "ack")
        await daemon.at(200)
        assert {i.commander for i in await stage.incidents()} == {"ada"}
        rung = len(calls(stage, "ada"))
        await daemon.at(600)
        assert titles(stage, "bo"), "two are asked for"
        assert len(calls(stage, "ada")) == rung, "she is there"
        await taps(daemon, "bo", "ack")
        await daemon.at(640)
        assert {i.responders for i in await stage.incidents()} == {("ada", "bo")}
        rung = len(calls(stage, "bo"))
        await daemon.at(2000)
        assert len(calls(stage, "bo")) == rung


async def test_the_end_of_the_incident_that_carries_a_storms_page_is_not_the_end_of_the_storm(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        await taps(daemon, "ada", "ack")
        await daemon.at(200)
        lead = stage.phones["ada"].pages[-1].incident
        await daemon.repository.record(
            lead,
            lambda i: commanding.close(i, "it was none", "ada"),
            by="person:ada",
        )
        await daemon.at(260)
        after = await daemon.repository.load(lead)
        assert after.closed is not None
        storm_pages = [p for p in stage.phones["ada"].pages if p.title.startswith("Storm since")]
        assert storm_pages


# ── merges, declines and snoozes ─────────────────────────────────────────────────────────────


async def test_the_storm_goes_on_when_the_incident_that_carries_its_page_is_merged(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        lead, other = await titled(stage, "Fails0"), await titled(stage, "Fails5")
        merge = Merge(other.id)
        situation = CommandSituation(
            "cy",
            "cli",
            daemon.repository.clock(),
            stage.roster,
            None,
            "",
            lambda _: "",
            others={other.id: other},
        )
        await daemon.repository.record(lead.id, lambda i: merge.apply(i, situation), by="person:cy")
        await daemon.at(500)
        assert (await titled(stage, "Fails0")).closed is not None
        assert any(title.startswith("Storm since") for title in titles(stage, "bo"))
        assert not any(i.defects for i in await stage.incidents())


async def test_who_put_their_call_off_is_not_called_again_under_maintenance_of_another(
    stage: Stage,
) -> None:
    """What was called for before a window begins goes on being called for."""
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(unruled(0, 180))
        await daemon.at(190)
        await daemon.does(lambda i: SnoozeCall().apply(i, _situation(daemon, "ada")), who="ada")
        await announced(daemon, 200, 3000, "global")
        await daemon.at(495)
        assert len(titles(stage, "ada")) == 2
        assert len(titles(stage, "bo")) == 1


async def test_a_person_who_calls_a_tier_in_the_middle_of_maintenance_gets_it(
    stage: Stage,
) -> None:
    """The window holds what the daemon would do by itself, not what people ask for."""
    async with stage.daemon() as daemon:
        await daemon.at(170)
        await announced(daemon, 170, 3000, "global")
        await daemon.receives(unruled(0, 180))
        await daemon.at(200)
        assert (await daemon.incident()).organization.held is not None
        await daemon.does(commanding.jump, stage.roster, 2, "ada", daemon.repository.clock())
        await daemon.at(210)
        assert len(titles(stage, "bo")) == 1
        assert titles(stage, "ada") == []
        await daemon.at(2000)
        assert len(titles(stage, "bo")) == 1, "the policy is held as before"


async def test_a_person_who_calls_a_tier_in_the_middle_of_a_storm_gets_it(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        one, clock = await titled(stage, "Fails6"), daemon.repository.clock()
        await daemon.repository.record(
            one.id,
            lambda i: commanding.jump(i, stage.roster, 2, "ada", clock),
            by="person:ada",
        )
        await daemon.at(200)
        assert [title for title in titles(stage, "bo") if not title.startswith("Storm")] == [
            "Fails6"
        ]


async def test_who_answers_one_incident_of_a_storm_is_led_to_the_page_that_called_them(
    stage: Stage,
) -> None:
    async with stage.daemon() as daemon:
        await storm_breaks_out(daemon, 180)
        await daemon.at(190)
        with pytest.raises(NotPossible, match="called for by the page of a storm"):
            SnoozeCall().apply(await titled(stage, "Fails6"), _situation(daemon, "ada"))
