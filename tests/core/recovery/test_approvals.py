"""A standing approval holds for one content, until a day, and in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.recovery.approvals import Approvals, unknown_steps
from daemon.core.values.yaml_document import Mistakes, one_document
from tests.core.build import HOUR, NOW, RULE, STEPS, approved, make_rule

WANTED = make_rule()
SECOND = timedelta(seconds=1)


def test_what_nobody_approved_says_how_to() -> None:
    standing, text = Approvals().state_of(WANTED, 1, NOW)
    assert standing == "not_approved"
    assert "`stopgap approve checkout --step 1`" in text


def test_a_valid_approval_says_by_whom_and_until_when() -> None:
    standing, text = approved(WANTED, 1).state_of(WANTED, 1, NOW)
    assert (standing, text) == ("valid", "pre-approved by ada until 2026-03-01 15:10 UTC")


def test_an_approval_is_of_one_step_and_one_rule() -> None:
    assert approved(WANTED, 1).state_of(WANTED, 2, NOW)[0] == "not_approved"
    other = make_rule(rule="other")
    assert approved(WANTED, 1).state_of(other, 1, NOW)[0] == "not_approved"


def test_a_changed_step_voids_its_approval() -> None:
    changed = make_rule(recover=[{**STEPS[0], "within": "11m"}, STEPS[1]])
    standing, text = approved(WANTED, 1).state_of(changed, 1, NOW)
    assert standing == "approval_void"
    assert "changed after ada approved it" in text


def test_steps_that_change_places_void_their_approvals() -> None:
    swapped = make_rule(recover=STEPS[::-1])
    assert approved(WANTED, 1, 2).state_of(swapped, 1, NOW)[0] == "approval_void"


def test_an_approval_ends_at_its_moment() -> None:
    entries = approved(WANTED, 1, until=NOW + HOUR)
    assert entries.state_of(WANTED, 1, NOW + HOUR - SECOND)[0] == "valid"
    standing, text = entries.state_of(WANTED, 1, NOW + HOUR)
    assert standing == "approval_expired"
    assert "ended 2026-03-01 15:10 UTC" in text


def test_the_longest_of_several_approvals_of_one_content_counts() -> None:
    entries = (*approved(WANTED, 1, until=NOW).approvals, *approved(WANTED, 1).approvals)
    assert Approvals(approvals=entries[::-1]).state_of(WANTED, 1, NOW)[0] == "valid"
    old = make_rule(team="other", description="the old words")
    assert Approvals(approvals=entries).state_of(old, 1, NOW)[0] == "valid"


def test_a_new_approval_takes_the_place_of_the_old_one() -> None:
    both = approved(WANTED, 1, 2)
    later = approved(WANTED, 1, until=NOW + 2 * HOUR).approvals[0]
    assert both.with_(later).approvals == (both.approvals[1], later)


def test_the_file_reads_back_as_it_was_written() -> None:
    entries = approved(WANTED, 1, 2)
    text = entries.to_yaml()
    assert text.startswith("# Which recovery steps may run by themselves.")
    assert one_document(text, "approvals.yaml").read(Approvals) == entries
    assert one_document("", "approvals.yaml").read(Approvals) == Approvals()


def test_mistakes_in_the_file_are_told_with_their_lines() -> None:
    text = approved(WANTED, 1).to_yaml().replace("step: 1", "step: 0").replace("by: ada", "who: x")
    with pytest.raises(Mistakes) as caught:
        one_document(text, "approvals.yaml").read(Approvals)
    found = {(m.line, m.place) for m in caught.value.mistakes}
    assert (5, "approvals.0.step") in found
    assert (8, "approvals.0.who") in found
    assert any(place == "approvals.0.by" for _, place in found)


def test_entries_of_rules_and_steps_that_are_gone_are_told() -> None:
    entries = Approvals(
        approvals=(
            *approved(WANTED, 1, 2).approvals,
            *approved(make_rule(rule="gone"), 1).approvals,
        )
    )
    shorter = make_rule(recover=RULE["recover"][:1])
    assert unknown_steps(entries, [shorter]) == [
        (1, "checkout has no step 2; remove the entry"),
        (2, "there is no rule 'gone'; remove the entry"),
    ]
