"""The deeds of people over HTTP: coming and going, roles, calling for others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.measurement.problem import Problem
from tests.contract.rig import BO, URL, Rig, rigged
from tests.contract.visitor import give_access
from tests.fakes import START

CY = {"Authorization": "Bearer cy-token"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def test_whoever_leaves_leaves_command(rig: Rig) -> None:
    await rig.does("ack")
    status, after = await rig.does("leave")
    assert (status, after["commander"], after["responders"]) == (200, "", [])
    status, problem = await rig.does("leave")
    assert (status, problem["detail"]) == (409, "you are not among the responders")


async def test_without_a_plan_the_diagnosis_opens(rig: Rig) -> None:
    status, problem = await rig.does("no-plan", reason="x")
    assert (status, "only the Commander" in problem["detail"]) == (409, True)
    await rig.does("ack")
    status, after = await rig.does("no-plan", reason="the migration")
    assert (status, after["phase"], after["stage"]) == (200, "diagnosing", "middle")


async def test_a_tier_is_called_by_its_number_from_one_on(rig: Rig) -> None:
    await rig.does("ack")
    status, _ = await rig.does("escalate", tier=2)
    assert (status, (await rig.kinds())[-2:]) == (200, ["EscalationJumped", "PageQueued"])
    assert "jump-1.bo" in (await rig.incident()).pages
    status, problem = await rig.does("escalate", tier=3)
    assert (status, problem["detail"]) == (409, "there is no tier 3; the policy has 2")


async def test_a_team_is_engaged_with_what_it_must_know(rig: Rig) -> None:
    status, after = await rig.does("engage", team="database", reason="connections")
    assert status == 200
    assert after["engaged"] == [{"team": "database", "answered_by": ""}]
    packet = (await rig.incident()).people.engaged["database"].event.packet
    assert packet.startswith("ada asks for your help: connections")
    assert f"Everything: {URL}/d/" in packet
    status, problem = await rig.does("engage", team="nobody")
    assert (status, "the roster has database, payments" in problem["detail"]) == (409, True)


async def test_a_person_hears_what_the_public_says(rig: Rig) -> None:
    status, after = await rig.does("sentiment", text="40 calls")
    assert status == 200
    assert after["sentiment"] == [{"source": "ada", "text": "40 calls", "value": None}]


async def test_a_vacant_role_is_taken_and_a_held_one_is_asked_for(rig: Rig) -> None:
    status, after = await rig.does("roles/fast-recovery")
    assert (status, after["roles"]["fast_recovery"]) == (200, "ada")
    assert after["roles"]["commander"] == "ada"
    status, after = await rig.does("roles/fast_recovery", BO, person="bo")
    (asked,) = after["requests"]
    assert asked == {
        "request": "fast_recovery.1",
        "role": "fast_recovery",
        "how": "takeover",
        "taker": "bo",
        "asked": "ada",
        "by": "bo",
        "until": (START + timedelta(minutes=3)).isoformat(),
        "why": "bo asks to take over as Fast-Recovery Owner",
    }
    status, problem = await rig.does("requests/fast_recovery.1", BO, accept=True)
    assert (status, problem["detail"]) == (409, "this is asked of ada, not of bo")
    status, after = await rig.does("requests/fast_recovery.1", accept=True)
    assert (status, after["roles"]["fast_recovery"], after["requests"]) == (200, "bo", [])
    status, after = await rig.does("roles/fast_recovery", BO, "DELETE")
    assert (status, after["roles"]["fast_recovery"]) == (200, "stopgap")
    status, problem = await rig.does("roles/fast_recovery", BO, "DELETE")
    assert (status, problem["detail"]) == (
        409,
        "you are not Fast-Recovery Owner; that is stopgap",
    )


async def test_the_commander_asks_somebody_who_may_say_no(rig: Rig) -> None:
    await rig.does("ack")
    _, after = await rig.does("roles/communicator", person="bo")
    assert [r["asked"] for r in after["requests"]] == ["bo"]
    status, after = await rig.does("requests/communicator.1", BO, accept=False)
    assert (status, after["roles"]["communicator"], after["requests"]) == (200, "", [])
    status, problem = await rig.does("roles/communicator", BO, person="cy")
    assert (status, "only its holder or the Commander" in problem["detail"]) == (409, True)


async def test_whoever_may_only_look_is_asked_for_no_role(rig: Rig) -> None:
    await rig.does("ack")
    give_access(rig, bo="viewer")
    seq = rig.seq
    status, problem = await rig.does("roles/communicator", person="bo")
    assert (status, "bo has the access `viewer`" in problem["detail"]) == (409, True)
    assert rig.seq == seq


async def test_a_name_that_is_nobodys_is_told_with_those_that_are(rig: Rig) -> None:
    status, problem = await rig.does("roles/communicator", person="eve")
    assert (status, problem["detail"]) == (400, "'eve' is not in the roster; it has ada, bo, cy")
    status, problem = await rig.does("roles/emperor")
    assert status == 404
    assert problem["detail"] == (
        "'emperor' is none of commander, communicator, fast-recovery, diagnosis"
    )


@pytest.mark.parametrize(
    ("deed", "method", "body"),
    [
        ("roles/communicator", "POST", {}),
        ("roles/communicator", "POST", {"person": "bo"}),
        ("roles/commander", "DELETE", {}),
        ("requests/communicator.1", "POST", {"accept": True}),
        ("leave", "POST", {}),
        ("no-plan", "POST", {"reason": "x"}),
        ("escalate", "POST", {"tier": 1}),
        ("engage", "POST", {"team": "database"}),
        ("sentiment", "POST", {"text": "x"}),
        ("snooze", "POST", {"audience": "room", "for": "5m"}),
    ],
)
async def test_what_is_over_takes_no_more_orders(
    rig: Rig, deed: str, method: str, body: dict[str, Any]
) -> None:
    await rig.does("ack")
    await rig.does("roles/communicator", person="bo")
    await rig.does("close")
    seq = rig.seq
    status, problem = await rig.does(deed, method=method, **body)
    assert status == 409
    assert problem["detail"].startswith(f"incident {rig.id} is closed, and takes notes, ")
    assert rig.seq == seq


@pytest.mark.parametrize(
    ("deed", "body", "told"),
    [
        ("pause", {"reason": 5}, "reason"),
        ("pause", {"reason": "x", "for": "5m"}, "for"),
        ("no-plan", {"reason": "x" * 501}, "reason"),
        ("escalate", {}, "tier"),
        ("escalate", {"tier": 0}, "tier"),
        ("escalate", {"tier": "1"}, "tier"),
        ("engage", {"reason": "x"}, "team"),
        ("sentiment", {"text": "x" * 2001}, "text"),
        ("roles/communicator", {"person": ["bo"]}, "person"),
        ("requests/x", {"accept": "yes"}, "accept"),
        ("requests/x", {}, "accept"),
    ],
)
async def test_a_bad_body_is_400_naming_the_field(
    rig: Rig, deed: str, body: dict[str, Any], told: str
) -> None:
    status, problem = await rig.does(deed, **body)
    assert (status, problem["detail"].split(":")[0]) == (400, told)


async def test_an_over_large_body_is_413(rig: Rig) -> None:
    status, problem = await rig.does("notes", text="x" * 70_000)
    assert (status, "inbox.max_body_bytes" in problem["detail"]) == (413, True)


async def test_the_view_tells_who_could_what_is_due_and_what_was_heard(rig: Rig) -> None:
    measured = Problem(verdict="not_confirmed", reason="loss_below_threshold", text="?", at=START)
    rig.later(seconds=40)
    await rig.happens(
        e.ProblemDefined(problem=measured),
        e.DeadlineMissed(item="commander", text="late"),
        e.EscalationDefect(text="nobody was called"),
    )
    rig.later(minutes=6)
    _, after = await rig.does("ack", CY)
    assert after["roles"] == {
        "commander": "cy",
        "communicator": "",
        "fast_recovery": "stopgap",
        "diagnosis": "",
    }
    assert after["suggestions"]["diagnosis"] == [{"person": "ada", "why": "owns the application"}]
    assert after["suggestions"]["fast_recovery"][0] == {
        "person": "bo",
        "why": "has executed this plan before",
    }
    assert "commander" not in after["suggestions"]
    clock = {reading["item"]: (reading["state"], reading["took"]) for reading in after["clock"]}
    assert clock["quantified"] == ("met", "40s")
    assert clock["commander"] == ("late", "6m40s")
    assert clock["document"] == ("late", None)
    assert after["missed"] == {"commander": (START + timedelta(seconds=40)).isoformat()}
    assert after["defects"] == 1
    assert after["document"] == rig.links.document(rig.id)
    assert (await rig.does("close", CY))[1]["suggestions"] == {}
