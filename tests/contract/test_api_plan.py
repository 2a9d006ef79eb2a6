"""Steps, proposals, freezes, reported changes and observed decisions, over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.changes.suspects import Suspicion
from daemon.core.incident import events as e
from daemon.core.rules.rule import RuleBook, load
from daemon.core.values.outcome import Outcome
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged
from tests.core.build import make_change, make_problem
from tests.fakes import START
from tests.stories.stage import RULE


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as rig:
        await rig.does("ack", ADA)
        yield rig


async def test_the_commander_starts_and_skips_and_anybody_vetoes(rig: Rig) -> None:
    assert (await rig.does("steps/2/start", BO))[0] == 409
    status, after = await rig.does("steps/2/start", ADA)
    assert status == 200
    assert [(s["step"], s["approved_by"]) for s in after["steps"]] == [(2, "ada")]
    assert after["steps"][0]["action"] == "flag_off"  # by the rule; it has not begun
    status, after = await rig.does("steps/1/skip", ADA, reason="not that")
    assert (status, after["steps"][0]["status"]) == (200, "skipped")
    assert after["doing"] == "measuring, to define the problem"
    assert after["coming"] == "nothing is touched unless the metrics confirm the problem"
    _, shown = await rig.asks("GET", rig.path, ADA)
    assert [entry["text"] for entry in shown["timeline"][-2:]] == [
        "step 2 started by ada",
        "step 1 skipped by ada (skipped_by_person): not that",
    ]
    assert (await rig.does("steps/1/veto", BO))[0] == 200


async def test_a_responder_proposes_an_alternative(rig: Rig) -> None:
    sent: dict[str, Any] = {"action": "flag_off", "with_": {"target": "shop"}, "reason": "try"}
    status, problem = await rig.does("steps", BO, **sent)
    assert (status, "acknowledge the incident first" in problem["detail"]) == (409, True)
    status, after = await rig.does("steps", ADA, **sent, within="5m")
    (step,) = after["steps"]
    assert (status, step["step"], step["action"]) == (200, 101, "flag_off")
    assert step["proposed_by"] == "ada"
    assert (await rig.does("steps/101/approve", ADA))[0] == 200


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"action": "frobnicate"}, "there is no action 'frobnicate'; known: flag_off, rollback"),
        ({"action": "flag_off"}, "target: Field required"),
        ({"action": "flag_off", "with": {"target": "*"}}, "wildcard target is never acted on"),
        ({"action": "flag_off", "with": {"target": "$env"}}, "the label env is absent"),
        ({"action": "flag_off", "with": {"target": "x"}, "within": "0s"}, "within: "),
        ({"action": "flag_off", "with": {"target": "x", "more": 1}}, "more: "),
    ],
)
async def test_a_proposal_that_cannot_run_is_refused_at_once(
    rig: Rig, sent: dict[str, Any], told: str
) -> None:
    status, problem = await rig.asks("POST", f"{rig.path}/steps", ADA, json=sent)
    assert status == 400
    assert told in problem["detail"]


async def test_the_catalogue_tells_what_each_action_needs(rig: Rig) -> None:
    _, found = await rig.asks("GET", "/api/v1/actions", BO)
    assert [row["action"] for row in found["actions"]] == ["flag_off", "rollback"]
    assert found["actions"][0]["params"]["required"] == ["target"]
    assert found["actions"][0]["text"]


async def test_freezes_have_scopes(rig: Rig) -> None:
    for scope in ("global", "team:payments", "service:shop"):
        sent = {"reason": "sale", "scope": scope}
        assert (await rig.asks("PUT", "/api/v1/freeze", ADA, json=sent))[0] == 200
    _, found = await rig.asks("GET", "/api/v1/freeze", BO)
    scopes = {freeze["scope"] for freeze in found["freezes"]}
    assert scopes == {"global", "team:payments", "service:shop"}
    assert found["ahead"] == []
    path = "/api/v1/freeze?scope=team:payments"
    assert (await rig.asks("DELETE", path, BO))[1] == {"thawed": True}
    assert (await rig.asks("DELETE", path, BO))[1] == {"thawed": False}
    assert len((await rig.asks("GET", "/api/v1/freeze", BO))[1]["freezes"]) == 2


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("team:nobody", "no team 'nobody'; the roster has database, payments"),
        ("everything", "it is global, team:NAME or service:NAME"),
        ("service:", "it is global, team:NAME or service:NAME"),
        ("", "it is global"),
    ],
)
async def test_a_freeze_of_nothing_is_refused(rig: Rig, scope: str, told: str) -> None:
    sent = {"reason": "sale", "scope": scope}
    status, problem = await rig.asks("PUT", "/api/v1/freeze", ADA, json=sent)
    assert status == 400
    assert told in problem["detail"]


async def test_ci_reports_a_change(rig: Rig) -> None:
    sent = {"item": "v2.3", "labels": {"service": "shop"}, "source": "github", "target": "shop"}
    status, told = await rig.asks("POST", "/api/v1/changes", HOOK, json=sent)
    assert status == 201
    assert told["change"]["at"] == "2026-11-23T14:00:00Z"
    (change,) = await rig.journal.reported(START - timedelta(hours=1))
    assert (change.item, change.aim, change.seen_by) == ("v2.3", "shop", "github")
    assert change.reported
    assert (await rig.incident()).concerned_by(change.labels)
    _, listed = await rig.asks("GET", "/api/v1/changes", BO)
    assert [row["item"] for row in listed["changes"]] == ["v2.3"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "item: Field required"),
        ({"item": "  "}, "item: "),
        ({"item": "v1", "at": "2026-11-23T15:00:00Z"}, "in the future"),
        ({"item": "v1", "at": "2026-11-23T15:00:00"}, "at: "),
        ({"item": "v1", "labels": "shop"}, "labels: "),
        ({"item": "v1", "colour": "red"}, "colour: "),
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(
    rig: Rig, sent: dict[str, Any], told: str
) -> None:
    status, problem = await rig.asks("POST", "/api/v1/changes", HOOK, json=sent)
    assert status == 400
    assert told in problem["detail"]


async def test_strangers_report_and_steer_nothing(rig: Rig) -> None:
    assert (await rig.asks("POST", "/api/v1/changes", ADA, json={"item": "v1"}))[0] == 401
    for method, path in (
        ("POST", f"{rig.path}/steps"),
        ("POST", f"{rig.path}/steps/1/start"),
        ("POST", f"{rig.path}/steps/1/skip"),
        ("GET", "/api/v1/actions"),
        ("GET", "/api/v1/changes"),
        ("GET", "/api/v1/observed"),
    ):
        assert (await rig.asks(method, path, HOOK, json={}))[0] == 401


async def test_what_was_observed_is_reported(rig: Rig) -> None:
    rig.rules = RuleBook(rule for rule, _ in load(RULE + "mode: observe\n", "checkout.yaml"))
    suspect = make_change("v2", START - timedelta(minutes=3), "v1", subject="shop")
    await rig.happens(
        e.ProblemDefined(
            problem=make_problem(at=START),
            suspicion=Suspicion(verdict="suspect", text="x", change=suspect),
        ),
        e.StepObserved(step=1, action="rollback", target="shop", reason="", text="all allows it"),
    )
    _, found = await rig.asks("GET", "/api/v1/observed", BO)
    assert [row["then"] for row in found["decisions"]] == ["nothing_yet"]
    rig.later(minutes=4)
    await rig.journal.saw_change(make_change("v1", rig.now, "v2", subject="shop"))
    _, found = await rig.asks("GET", "/api/v1/observed?rule=checkout-success-rate", BO)
    assert [row["then"] for row in found["decisions"]] == ["reverted_by_hand"]
    (step,) = found["steps"]
    assert (step["acted"], step["right"], step["wrong"]) == (1, 1, 0)
    (rule,) = found["rules"]
    assert (rule["incidents"], rule["right"]) == (1, 1)
    assert rule["advice"] == "right in 1 incident so far; wait for 5"
    assert (await rig.asks("GET", "/api/v1/observed?rule=other", BO))[1]["steps"] == []


async def test_a_person_trusts_a_rule_again(rig: Rig) -> None:
    path, why = "/api/v1/rules/checkout-success-rate/trust", {"reason": "the check is mended"}
    assert (await rig.asks("POST", path, ADA, json=why))[0] == 409
    assert (await rig.asks("POST", "/api/v1/rules/other/trust", ADA, json=why))[0] == 404
    await rig.happens(
        e.ProblemDefined(problem=make_problem(at=START)),
        e.StepStarted(
            step=1, action="rollback", target="shop", params={}, authority="pre-approved by ada"
        ),
        e.StepFinished(step=1, outcome=Outcome(result="done", reason="done", detail="x")),
        e.StepVerified(step=1, verdict="worse", text="50 % → 80 %"),
    )
    _, found = await rig.asks("GET", "/api/v1/rules", BO)
    lost = found["rules"][0]["autonomy"]
    assert (lost["wrong"], lost["withdrawn_at"] is None) == (1, False)
    assert "made it worse: step 1 (rollback)" in lost["withdrawn"]
    assert (await rig.asks("POST", path, ADA, json={"reason": " "}))[0] == 400
    assert (await rig.asks("POST", path, HOOK, json=why))[0] == 401
    status, found = await rig.asks("POST", path, ADA, json=why)
    assert (status, found["autonomy"]["withdrawn"]) == (200, "")
    assert found["autonomy"]["trusted_by"] == "ada"
    assert found["autonomy"]["trusted_because"] == "the check is mended"
    assert "autonomy of checkout-success-rate" in rig.notes.words
