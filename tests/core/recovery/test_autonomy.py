"""What a rule's own decisions came to, and when it loses its autonomy by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.autonomy import (
    DECISIONS_KEPT,
    LAST_DECISIONS,
    MOST_OVERRULED,
    UNDONE_WITHIN,
    AutomaticDecision,
    AutonomyRecord,
    Judgement,
    announcement,
    automatic_decisions,
)
from tests.core.build import (
    ACKNOWLEDGED,
    NOW,
    ROSTER,
    ago,
    confirmed,
    finished,
    make_change,
    make_incident,
    make_rule,
    started,
    step_approved,
)

RULE = make_rule()
INTENT = {"from": "v2", "to": "v1"}


def prepared(step: int = 1) -> e.StepPrepared:
    return e.StepPrepared(step=step, summary="v2 → v1", intent=INTENT)


def acted(verdict: str = "recovered", result: str = "done") -> Incident:
    """The daemon started step 1 by itself 9 minutes ago; it ended 8 minutes ago."""
    events: list[tuple[object, e.Event]] = [
        (ago(10), confirmed()),
        (ago(9), started()),
        (ago(9), prepared()),
        (ago(8), finished(result=result)),
    ]
    if verdict:
        events.append((ago(4), e.StepVerified(step=1, verdict=verdict, text="as measured")))
    return make_incident(*events)  # type: ignore[arg-type]


def came_to(incident: Incident, changes: Sequence[Change] = ()) -> list[Judgement]:
    found = automatic_decisions(incident, RULE, [1], changes)
    return [decision.judgement for decision in found]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("recovered", "right"),
        ("worse", "wrong"),
        ("self_recovered", "none"),
        ("inconclusive", "none"),
        ("partial", "none"),
        ("unchanged", "none"),
        ("", "open"),
    ],
)
def test_the_metrics_judge_what_was_done(verdict: str, expected: str) -> None:
    assert came_to(acted(verdict)) == [expected]


@pytest.mark.parametrize("result", ["failed", "unknown"])
def test_an_action_that_failed_is_no_wrong_act(result: str) -> None:
    assert came_to(acted("unchanged", result)) == ["none"]


def test_what_a_person_approved_is_no_decision_of_the_rule() -> None:
    incident = make_incident(
        confirmed(), *ACKNOWLEDGED, step_approved(RULE), started(), prepared(), finished()
    )
    assert came_to(incident) == []


@pytest.mark.parametrize("verdict", ["recovered", "self_recovered", "inconclusive", ""])
def test_what_it_took_away_and_somebody_puts_back_was_undone(verdict: str) -> None:
    back = make_change("v2", ago(3), "v1")
    assert came_to(acted(verdict), [back]) == ["undone"]


def test_only_the_same_item_on_the_same_target_in_time_undoes_it() -> None:
    late = ago(8) + UNDONE_WITHIN + timedelta(seconds=1)
    for change in (
        make_change("v3", ago(3), "v1"),
        make_change("v2", ago(9), "v1"),
        make_change("v2", late, "v1"),
        make_change("v2", ago(3), "v1", subject="release:other"),
    ):
        assert came_to(acted(), [change]) == ["right"]


def test_a_later_step_of_the_plan_is_not_somebody_elses_change() -> None:
    again = e.StepPrepared(step=2, summary="v1 → v2", intent={"from": "v1", "to": "v2"})
    later = ((ago(3), started(2)), (ago(3), again), (ago(2), finished(2)))
    before = (
        (ago(10), confirmed()),
        (ago(9), started()),
        (ago(9), prepared()),
        (ago(8), finished()),
        (ago(4), e.StepVerified(step=1, verdict="recovered", text="x")),
    )
    back = make_change("v2", ago(3), "v1")
    by_itself = make_incident(*before, *later)
    assert came_to(by_itself, [back])[0] == "right"
    approved = (*ACKNOWLEDGED, (ago(3.5), step_approved(RULE, 2)))
    [first] = automatic_decisions(make_incident(*before, *approved, *later), RULE, [1], [back])
    assert (first.judgement, first.text) == ("undone", "ada put v2 back by step 2")


VETO = e.StepVetoed(step=1, person="ada")
SKIP = e.StepSkipped(step=1, reason="skipped_by_person", text="x", person="ada")


@pytest.mark.parametrize("word", [VETO, SKIP])
def test_what_a_person_forbids_is_overruled(word: e.Event) -> None:
    assert came_to(make_incident(confirmed(), word)) == ["overruled"]
    assert came_to(make_incident(word, confirmed())) == ["overruled"]


def test_one_that_was_stopped_while_it_prepared_is_overruled() -> None:
    stopped = finished(result="refused", reason="vetoed")
    assert came_to(make_incident(confirmed(), started(), VETO, stopped)) == ["overruled"]


def asked(reason: str) -> e.ApprovalRequested:
    return e.ApprovalRequested(step=1, reason=reason, text="x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "events",
    [
        (VETO,),
        (confirmed(), asked("storm"), VETO),
        (confirmed(), e.StepVetoed(step=2, person="ada")),
        (confirmed(), e.StepSkipped(step=1, reason="no_suspect_change", text="x")),
        (confirmed(), SKIP, *ACKNOWLEDGED, step_approved(RULE), started(), finished()),
    ],
    ids=[
        "nothing confirmed",
        "it asked",
        "not its turn",
        "the plan's own skip",
        "done by a person",
    ],
)
def test_what_was_no_decision_of_its_own_is_not_overruled(events: tuple[e.Event, ...]) -> None:
    assert came_to(make_incident(*events)) == []


def test_a_veto_of_what_people_then_do_by_hand_is_not_overruled() -> None:
    back = make_change("v1", ago(1), "v2")
    incident = make_incident(confirmed(), VETO)
    assert came_to(incident, [back]) == ["none"]
    vetoed, mended = (automatic_decisions(incident, RULE, [1], c) for c in ((), [back]))
    known = AutonomyRecord().learning(vetoed)
    assert known.counts["overruled"] == 1
    by_hand = known.learning(mended)
    assert by_hand.counts["overruled"] == 0
    assert by_hand.decisions[0].text.startswith("it was vetoed by ada, and v1 was deployed by hand")
    # An append tells nothing of the targets, and so takes nothing back.
    assert by_hand.learning(vetoed) == by_hand


def test_a_veto_from_the_time_when_the_rule_observed_is_not_held_against_it_later() -> None:
    seen = e.StepObserved(step=1, action="a", target="t", reason="", text="x", rehearsed=True)
    assert came_to(make_incident(confirmed(), seen, VETO)) == []


@pytest.mark.parametrize("mode", ["observe", "approve"])
def test_a_rule_that_asks_anyway_decides_nothing(mode: str) -> None:
    incident = make_incident(confirmed(), VETO)
    assert automatic_decisions(incident, make_rule(mode=mode), [1], ()) == []
    assert automatic_decisions(incident, RULE, [], ()) == []  # nobody has approved it


# ── the record ───────────────────────────────────────────────────────────────────────────────


def decision(number: int, judgement: Judgement) -> AutomaticDecision:
    return AutomaticDecision(
        incident=f"inc-{number:03}",
        step=1,
        action="release_rollback",
        at=NOW + timedelta(minutes=number),
        judgement=judgement,
    )


def record(*judgements: Judgement) -> AutonomyRecord:
    decisions = [decision(number, judgement) for number, judgement in enumerate(judgements)]
    return AutonomyRecord().learning(decisions)


judgements = st.sampled_from(get_args(Judgement))
courses = st.lists(judgements, max_size=12)


@given(courses)
def test_it_is_lost_exactly_where_it_is_said_to_be(course: list[Judgement]) -> None:
    lost = record(*course).judged(NOW).withdrawal
    overruled = course[-LAST_DECISIONS:].count("overruled")
    bad = "wrong" in course or "undone" in course
    assert (lost is not None) == (bad or overruled >= MOST_OVERRULED)
    if lost is not None:
        assert (lost.reason == "often_overruled") == (not bad)


@given(courses)
def test_a_persons_word_brings_it_back_whatever_it_did(course: list[Judgement]) -> None:
    trusted = record(*course).judged(NOW).trusted("ada", "mended", NOW)
    assert trusted.judged(NOW).withdrawn_text == ""
    assert trusted.learning(trusted.decisions).judged(NOW) == trusted


@given(courses, st.sampled_from(["wrong", "undone"]))
def test_after_that_one_more_wrong_act_is_enough(
    course: list[Judgement], judgement: Judgement
) -> None:
    trusted = record(*course).judged(NOW).trusted("ada", "mended", NOW)
    again = trusted.learning([decision(50, judgement)]).judged(NOW)
    assert again.withdrawal is not None
    assert again.withdrawal.incident == "inc-050"


@given(courses, st.integers(0, 11))
def test_what_is_lost_stays_lost_without_a_persons_word(
    course: list[Judgement], number: int
) -> None:
    lost = record("wrong").judged(NOW)
    more = [decision(n + 1, judgement) for n, judgement in enumerate(course)]
    assert lost.learning(more).judged(NOW).withdrawal == lost.withdrawal


@given(courses)
def test_learning_the_same_twice_changes_nothing(course: list[Judgement]) -> None:
    once = record(*course)
    assert once.learning(once.decisions) == once
    assert once.learning(reversed(once.decisions)) == once
    assert AutonomyRecord.model_validate_json(once.model_dump_json()) == once


def test_what_was_undone_stays_so_and_what_was_open_is_judged() -> None:
    undone = record("undone").learning([decision(0, "right")])
    assert [d.judgement for d in undone.decisions] == ["undone"]
    assert record("open").learning([decision(0, "right")]).counts["right"] == 1


def test_a_decision_that_was_forgiven_open_still_counts_when_it_turns_out_wrong() -> None:
    trusted = record("wrong", "open").judged(NOW).trusted("ada", "mended", NOW)
    assert trusted.learning([decision(1, "wrong")]).judged(NOW).withdrawal is not None


def test_only_the_newest_are_kept() -> None:
    kept = record(*["right"] * (DECISIONS_KEPT + 5)).decisions
    assert len(kept) == DECISIONS_KEPT
    assert kept[0].incident == "inc-005"


def test_the_reason_names_the_act_and_its_numbers() -> None:
    [wrong] = automatic_decisions(acted("worse"), RULE, [1], ())
    lost = AutonomyRecord().learning([wrong]).judged(NOW).withdrawal
    assert lost is not None
    assert lost.text == (
        f"what it did by itself made it worse: step 1 (release_rollback) in {wrong.incident}, "
        "as measured"
    )


def test_it_is_announced_once_to_the_commander_and_the_lead() -> None:
    lost = record("wrong").judged(NOW).withdrawal
    assert lost is not None
    incident = make_incident(confirmed(), *ACKNOWLEDGED)
    withdrawn, *pages = announcement(incident, lost, ROSTER)
    assert isinstance(withdrawn, e.AutonomyWithdrawn)
    assert {page.person for page in pages if isinstance(page, e.PageQueued)} == {"ada", "bo"}
    assert all("`stopgap trust checkout WHY`" in str(page) for page in pages)
    assert announcement(make_incident(confirmed(), withdrawn), lost, ROSTER) == ()
    restored = e.AutonomyRestored(step=1, person="ada", reason="mended")
    again = make_incident(confirmed(), withdrawn, restored)
    assert announcement(again, lost, ROSTER) != ()
