"""A standing approval holds for one content, until a day, and in words."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from daemon.core.recovery.approvals import Approval, Approvals, unknown_steps
from daemon.core.rules.rule import Rule, VerifySpec
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


def given(rule: Rule, step: int = 1) -> Approvals:
    """An approval as it is written today."""
    return Approvals(approvals=(Approval.of(rule, step, "ada", NOW, NOW + HOUR),))


def test_the_fields_that_were_changed_are_named_and_which_of_them_bind() -> None:
    verify = {**RULE["verify"], "hold": "1m"}
    standing, text = given(WANTED).state_of(make_rule(mode="observe", verify=verify), 1, NOW)
    assert standing == "approval_void"
    assert text.startswith(
        "changed since ada approved it on 2026-03-01: `verify.hold` 3m → 1m: binds; "
        "`mode` automatic → observe: does not bind; see `stopgap approve checkout"
    )


def test_another_mode_alone_is_told_and_voids_nothing() -> None:
    standing, text = given(WANTED).state_of(make_rule(mode="approve"), 1, NOW)
    assert standing == "valid"
    assert text.startswith("pre-approved by ada until ")
    assert text.endswith("`mode` automatic → approve: does not bind")


def test_words_alone_are_no_change() -> None:
    assert given(WANTED).changed_text(make_rule(description="others", team="x"), 1) == ""


def test_what_an_earlier_version_wrote_holds_while_its_content_does() -> None:
    """These digests are of rules as versions before `saw` hashed them, with the mode."""
    entry = given(WANTED).approvals[0]
    before = "490fd013d6168e29e8a34802f05132cdf83323e82ec327c2138ed7640467bd02"
    old = Approvals(approvals=(entry.model_copy(update={"content": before, "saw": {}}),))
    assert old.state_of(WANTED, 1, NOW)[0] == "valid"
    standing, text = old.state_of(make_rule(mode="approve"), 1, NOW)
    assert (standing, text.partition(";")[0]) == (
        "approval_void",
        "it was changed after ada approved it on 2026-03-01",
    )
    assert old.to_yaml().count("saw:") == 0


def test_many_changes_are_counted() -> None:
    problem = {**RULE["problem"], "windows": ["2m", "9m"], "baseline": "50m"}
    verify = {"settle": "2m", "hold": "4m", "watch": "40m"}
    _, text = given(WANTED).state_of(make_rule(problem=problem, verify=verify), 1, NOW)
    assert "and 2 more: bind; see" in text


SECRET = "hunter2"


@pytest.mark.parametrize(
    "params",
    [
        {"headers": {"X-Auth": SECRET}},
        {"api_key": SECRET},
        {"argv": ["flagctl", "--token", SECRET]},
        {"url": f"https://flags/?password={SECRET}"},
        {"url": f"https://ops:{SECRET}@flags/off"},
        {"url": f"https://flags/off?k={SECRET}"},
        {"command": ["curl", "-u", f"ops:{SECRET}", "https://flags/off"]},
        {"env": {"DB": SECRET}},
    ],
)
def test_no_secret_is_kept_and_its_change_is_noticed(params: dict[str, object]) -> None:
    """Neither in the file nor in a sentence; that it is another is told all the same."""
    rule = make_rule(recover=[{**STEPS[0], "with": params}])
    entries = given(rule)
    assert SECRET not in entries.to_yaml()
    other = json.loads(json.dumps(params).replace(SECRET, "hunter3"))
    _, text = entries.state_of(make_rule(recover=[{**STEPS[0], "with": other}]), 1, NOW)
    assert "`step.with." in text
    assert "hunter" not in text


def test_long_values_that_differ_at_their_end_are_told_apart() -> None:
    long = {**RULE["problem"], "total": f'sum(x{{a="{"y" * 200}"}}[$window])'}
    other = {**long, "total": long["total"].replace("[$window]", "[$window] offset 1s")}
    _, text = given(make_rule(problem=long)).state_of(make_rule(problem=other), 1, NOW)
    assert "`problem.total` sum(x" in text
    assert text.count("… #") == 2


def test_a_field_that_a_later_version_adds_voids_nothing_until_it_says_something() -> None:
    class LaterVerify(VerifySpec):
        patience: int = 0

    def later(**said: int) -> Rule:
        return WANTED.model_copy(update={"verify": LaterVerify(**RULE["verify"], **said)})

    assert given(WANTED).state_of(later(), 1, NOW)[0] == "valid"
    standing, text = given(WANTED).state_of(later(patience=3), 1, NOW)
    assert standing == "approval_void"
    assert "`verify.patience` (not set) → 3: binds" in text


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
    assert (6, "approvals.0.step") in found
    assert (9, "approvals.0.who") in found
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
