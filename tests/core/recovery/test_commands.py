"""What people do to the plan: approve, start, skip, veto, propose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.recovery.approved_content import seen_fields
from daemon.core.recovery.binding_content import content_hash
from daemon.core.recovery.commands import allowed_commands
from daemon.core.recovery.plan import content_of, plan_of
from daemon.core.response.command import NotPossible
from tests import commanding
from tests.core.build import MINUTE, confirmed, finished, make_incident, make_rule, started

RULE = make_rule()
HERE = (
    e.ResponderArrived(person="ada", via="cli"),
    e.CommanderAppointed(person="ada", reason="first responder"),
    e.ResponderArrived(person="bo", via="cli"),
)


def refusal(deed: Callable[[], Any]) -> str:
    with pytest.raises(NotPossible) as caught:
        deed()
    return str(caught.value)


def proposal(number: int = 101, person: str = "bo") -> e.StepProposed:
    return e.StepProposed(
        step=number, person=person, action="run_command", params={"argv": ["off"]}, within=MINUTE
    )


def test_only_the_commander_starts_and_skips() -> None:
    incident = make_incident(confirmed(), *HERE)
    assert commanding.start(incident, RULE, 2, "ada") == (
        e.StepApproved(
            step=2,
            person="ada",
            content=content_hash(RULE, RULE.step(2)),
            first=True,
            saw=seen_fields(RULE, RULE.step(2)),
        ),
    )
    assert commanding.skip(incident, RULE, 1, "ada", " the flag is safer ") == (
        e.StepSkipped(step=1, reason="skipped_by_person", text="the flag is safer", person="ada"),
    )
    for deed in (
        lambda: commanding.start(incident, RULE, 1, "bo"),
        lambda: commanding.skip(incident, RULE, 1, "bo", ""),
        lambda: commanding.approve(incident, RULE, 1, "bo"),
    ):
        assert "only the Commander may" in refusal(deed)


def test_a_skipped_step_can_be_started_and_a_vetoed_one_cannot() -> None:
    skipped = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
    incident = make_incident(confirmed(), *HERE, skipped)
    (begun,) = commanding.start(incident, RULE, 1, "ada")
    assert make_incident(confirmed(), *HERE, skipped, begun).step(1).status == "waiting"
    vetoed = make_incident(confirmed(), *HERE, e.StepVetoed(step=1, person="bo"))
    assert "was vetoed" in refusal(lambda: commanding.start(vetoed, RULE, 1, "ada"))


def test_a_step_is_not_started_while_another_runs_or_all_is_well() -> None:
    running = make_incident(confirmed(), *HERE, started())
    assert "step 1 is running" in refusal(lambda: commanding.start(running, RULE, 2, "ada"))
    well = make_incident(confirmed(), *HERE, e.Recovered(step=0, text="x"))
    assert "is recovered" in refusal(lambda: commanding.start(well, RULE, 2, "ada"))


def test_what_is_done_is_not_done_again_but_proposed() -> None:
    done = make_incident(confirmed(), *HERE, started(), finished())
    assert "`propose` the same" in refusal(lambda: commanding.start(done, RULE, 1, "ada"))
    assert "only a waiting step" in refusal(lambda: commanding.skip(done, RULE, 1, "ada", ""))
    assert "comes too late" in refusal(lambda: commanding.veto(done, RULE, 1, "bo"))


def test_a_veto_stops_a_step_that_has_changed_nothing_yet() -> None:
    preparing = (confirmed(), *HERE, started())
    (veto,) = commanding.veto(make_incident(*preparing), RULE, 1, "bo")
    stopping = make_incident(*preparing, veto)
    assert (stopping.step(1).status, stopping.step(1).vetoed_by) == ("running", "bo")
    assert commanding.veto(stopping, RULE, 1, "cy") == ()
    ended = make_incident(*preparing, veto, finished(result="refused", reason="vetoed"))
    assert ended.step(1).status == "vetoed"
    frozen = make_incident(*preparing, veto, finished(result="refused", reason="frozen"))
    assert (frozen.step(1).status, commanding.veto(frozen, RULE, 1, "bo")) == ("waiting", (veto,))
    acting = make_incident(*preparing, e.StepPrepared(step=1, summary="x", intent={}))
    assert "comes too late" in refusal(lambda: commanding.veto(acting, RULE, 1, "bo"))


def test_skipping_twice_is_skipping_once() -> None:
    skipped = e.StepSkipped(step=1, reason="skipped_by_person", text="x", person="ada")
    incident = make_incident(confirmed(), *HERE, skipped)
    assert commanding.skip(incident, RULE, 1, "ada", "") == ()
    assert commanding.veto(incident, RULE, 1, "bo") == (e.StepVetoed(step=1, person="bo"),)


def test_a_step_that_was_passed_over_for_want_of_evidence_can_be_skipped_for_good() -> None:
    skipped = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
    incident = make_incident(confirmed(), *HERE, skipped)
    (for_good,) = commanding.skip(incident, RULE, 1, "ada", "")
    assert (for_good.reason, for_good.person) == ("skipped_by_person", "ada")
    assert "skip" in allowed_commands(incident, RULE, 1)
    unfit = make_incident(confirmed(), *HERE, e.StepSkipped(step=1, reason="not_allowed", text="x"))
    assert "skip" not in allowed_commands(unfit, RULE, 1)


def test_a_responder_proposes_and_numbers_count_from_101() -> None:
    incident = make_incident(confirmed(), *HERE)

    def propose(now: Any, person: str) -> tuple[e.Event, ...]:
        params = {"argv": ["off"]}
        return commanding.propose(now, RULE, "run_command", params, MINUTE, " once more ", person)

    (first,) = propose(incident, "bo")
    assert first == proposal().model_copy(update={"reason": "once more"})
    (second,) = propose(make_incident(confirmed(), *HERE, first), "ada")
    assert isinstance(second, e.StepProposed)
    assert second.step == 102
    assert "acknowledge the incident first" in refusal(lambda: propose(incident, "cy"))
    many = [proposal(number) for number in range(101, 121)]
    full = make_incident(confirmed(), *HERE, *many)
    assert "20 alternatives" in refusal(lambda: propose(full, "bo"))


def test_nothing_is_proposed_where_nothing_is_measured() -> None:
    incident = make_incident(*HERE)
    text = refusal(lambda: commanding.propose(incident, None, "x", {}, MINUTE, "", "bo"))
    assert "no rule measures this incident" in text
    assert "the rule checkout is not in force any more" in refusal(
        lambda: commanding.veto(incident, None, 1, "bo")
    )


def test_a_proposal_is_part_of_the_plan_and_approved_by_its_content() -> None:
    incident = make_incident(confirmed(), *HERE, proposal())
    plan = plan_of(incident, RULE)
    assert list(plan) == [1, 2, 101]
    assert (plan[101].action, plan[101].approval) == ("run_command", "commander")
    (approval,) = commanding.approve(incident, RULE, 101, "ada")
    assert isinstance(approval, e.StepApproved)
    assert approval.content == content_of(incident, RULE, 101) != content_hash(RULE, RULE.step(1))
    other = make_incident(
        confirmed(), *HERE, proposal().model_copy(update={"params": {"argv": ["on"]}})
    )
    assert content_of(other, RULE, 101) != approval.content


def test_a_closed_incident_is_steered_no_more() -> None:
    over = make_incident(*HERE, e.IncidentClosed(reason="by_person", text="x"))
    for deed in (
        lambda: commanding.start(over, RULE, 1, "ada"),
        lambda: commanding.skip(over, RULE, 1, "ada", ""),
        lambda: commanding.propose(over, RULE, "x", {}, MINUTE, "", "ada"),
    ):
        assert "is closed" in refusal(deed)
