"""`stopgap show`: what somebody must know who looks at an incident for the first time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.test_cli_double import EVIL, ID, Double, listening, request, step, view

DEADLINE = "14:10:00 UTC"
TO_BO = request("communicator", "offer", "bo", "bo")
FROM_ADA = request("commander", "takeover", "bo", "ada")


@pytest.fixture
async def daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    async with listening(monkeypatch) as double:
        yield double


def everything() -> dict[str, Any]:
    due = "2026-11-23T14:05:00+00:00"
    return view(
        requests=[{**TO_BO, "why": f"ada asks {EVIL}"}, FROM_ADA],
        suggestions={"communicator": [{"person": "bo", "why": "is here"}], "commander": []},
        clock=[
            {"item": "a", "text": "quantified", "state": "met", "due_at": due, "took": "40s"},
            {"item": "b", "text": "commanded", "state": "late", "due_at": due, "took": "6m1s"},
            {"item": "c", "text": "told", "state": "late", "due_at": due, "took": None},
            {"item": "d", "text": "decided", "state": "running", "due_at": due, "took": None},
            {"item": "e", "text": "unneeded", "state": "not_needed", "due_at": due, "took": None},
        ],
        updates=[
            {"update": "internal.1", "sent": due},
            {"update": "internal.2", "sent": None},
        ],
        steps=[
            step(1, "finished", verdict="unchanged", verdict_text=f"no better {EVIL}"),
            step(2, waits_for="cooldown"),
        ],
        engaged=[
            {"team": "database", "answered_by": "cy"},
            {"team": "network", "answered_by": ""},
        ],
        document=f"https://stopgap.example/incidents/{ID}?" + "x" * 150,
    )


async def test_show_tells_what_silences_the_alerts(daemon: Double) -> None:
    daemon.incident = view(suppressed=f"silenced by ada: {EVIL}")
    lines = [" ".join(line.split()) for line in (await daemon.runs("show", ID)).out.splitlines()]
    assert any(line.startswith("alerts silenced by ada:") for line in lines)


async def test_show_tells_which_replica_conducts_it_where_there_are_several(
    daemon: Double,
) -> None:
    daemon.incident = view()
    assert "conducted by" not in (await daemon.runs("show", ID)).out
    daemon.replica = "stopgap-b"
    shown = (await daemon.runs("show", ID)).out
    assert "conducted by stopgap-b (stopgap replicas)" in " ".join(shown.split())


async def test_show_tells_who_is_asked_what_and_what_is_due(daemon: Double) -> None:
    daemon.incident = everything()
    daemon.timeline = [
        {"at": "2026-11-23T14:03:20+00:00", "by": "person:ada", "text": f"noted: {EVIL}"}
    ]
    ended = await daemon.runs("show", ID)
    assert (ended.code, ended.err) == (0, "")
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    for line in (
        "stage restoring",
        "now step 1 is running: kubernetes_rollback on shop",
        "next its effect is measured",
        "2. kubernetes_rollback: waiting (cooldown)",
        f"yours to decide: stopgap step {ID} 2 approve, start, skip, or veto",
        "Commander ada",
        "Communicator vacant; you could ask bo (is here)",
        "Fast-Recovery Owner stopgap",
        "Problem Diagnosis Owner vacant",
        f"yes or no: stopgap answer {ID} communicator.1 yes",
        "✓ quantified: after 40s",
        "✗ commanded: late, after 6m1s; it was due by 14:05:00 UTC",
        "✗ told: late, it was due by 14:05:00 UTC",
        "… decided: due by 14:05:00 UTC",
        "database is called in: cy is here",
        "network is called in: no answer yet",
        f"internal.2: stopgap update {ID} send internal.2",
        daemon.incident["document"],
        "14:03:20 ada noted: [31mred [bold]:fire:",
    ):
        assert line in lines, line
    asked = f"bo is asked to be Communicator; answer by {DEADLINE} (ada asks [31mred [bold]:fire:)"
    assert asked in lines
    assert "unneeded" not in ended.out
    assert "send internal.1" not in ended.out
    assert "\x1b" not in ended.out


async def test_show_leaves_out_what_there_is_not(daemon: Double) -> None:
    ended = await daemon.runs("show", ID)
    assert ended.code == 0
    for heading in ("asked", "ten minutes", "called in", "wait to be sent", "document"):
        assert heading not in ended.out


async def test_show_understands_a_daemon_that_is_older(daemon: Double) -> None:
    new = ("stage", "roles", "requests", "suggestions", "clock", "updates", "engaged", "document")
    daemon.incident = {key: value for key, value in view().items() if key not in new}
    ended = await daemon.runs("show", ID)
    assert (ended.code, ended.err) == (0, "")
    assert "Commander" in ended.out


async def test_show_for_machines_is_what_the_daemon_said(daemon: Double) -> None:
    daemon.incident = everything()
    ended = await daemon.runs("show", ID, "--json")
    assert json.loads(ended.out) == {"incident": everything(), "timeline": [], "replica": ""}
    assert "\x1b" not in ended.out
