"""Incidents of one moment: who acts, who waits, who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident.reasons import AWAITED
from daemon.core.recovery.concurrent import Cause, ConcurrentIncident, concurrence
from daemon.core.rules.dependencies import RuleDependencies
from tests.core.rules.test_dependencies import rules, text

NOW = datetime(2026, 11, 23, 14, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PLAN = "recover: [{action: undo}]\n"


def book(**on: str) -> RuleDependencies:
    """Rules of these names, each with what it depends on, and a plan."""
    return RuleDependencies(rules(*(text(name, it) + PLAN for name, it in on.items())))


NOBODY = book(shop="[]", pay="[]")
SHOP_ON_PAY = book(shop="[pay]", pay="[]")
EACH_OTHER = book(shop="[pay]", pay="[shop]")


def cause(
    dependencies: RuleDependencies, rule: str = "shop", suspect: str = "release:shop"
) -> Cause:
    onset = NOW - 120 * SECOND
    return Cause(
        rule, {}, onset - 4 * SECOND, onset + 4 * SECOND, suspect, 210 * SECOND, dependencies
    )


PAY = ConcurrentIncident(
    incident="inc-pay",
    rule="pay",
    group_labels={},
    phase="deciding",
    verdict="confirmed",
    onset_known=True,
    suspect="release:pay",
    opened_at=NOW - 20 * SECOND,
)


def decided(dependencies: RuleDependencies, other: ConcurrentIncident = PAY) -> tuple[str, str]:
    return concurrence(cause(dependencies), [other], NOW) or ("", "")


def test_it_waits_for_what_it_depends_on_and_says_for_which() -> None:
    assert decided(SHOP_ON_PAY) == (
        "upstream_first",
        "waits for inc-pay: pay, which this rule depends on, fails since the same moment; "
        "it is recovered first, or a person approves this step",
    )


def test_without_a_declaration_a_person_reads_both_names() -> None:
    reason, said = decided(NOBODY)
    assert reason == "shared_onset"
    assert said == (
        "this, where the change of release:shop is suspected, began at the same moment as "
        "inc-pay (pay), where release:pay is suspected: one may fail because of the other, and "
        "no rule says which (`depends_on`); a person decides"
    )
    assert decided(EACH_OTHER)[0] == "shared_onset", "each on the other is no order"


@pytest.mark.parametrize(
    ("now_is", "reason"),
    [
        ({"phase": "recovering"}, "upstream_first"),
        ({"phase": "verifying"}, "upstream_first"),
        ({"phase": "watching", "recovered_at": NOW - 200 * SECOND}, "upstream_first"),
        ({"phase": "watching", "recovered_at": NOW - 210 * SECOND}, "upstream_unresolved"),
        ({"phase": "closed", "recovered_at": NOW - 200 * SECOND}, "upstream_first"),
        ({"phase": "closed", "recovered_at": NOW - 210 * SECOND}, "upstream_unresolved"),
        ({"phase": "closed"}, "upstream_unresolved"),
        ({"phase": "diagnosing"}, "upstream_unresolved"),
        ({"rule": "gone", "phase": "deciding"}, "shared_onset"),
        ({"suspect": ""}, "upstream_first"),
        # not confirmed: waited for while its measurements are young
        ({"verdict": "", "onset_known": False, "phase": "defining"}, "upstream_first"),
        ({"verdict": "not_confirmed", "onset_known": False}, "upstream_first"),
        ({"verdict": "not_confirmed", "onset_known": False, "age": 60}, ""),
        ({"verdict": "no_data", "onset_known": False, "age": 60}, "upstream_unresolved"),
        (
            {"verdict": "insufficient_traffic", "onset_known": False, "age": 60},
            "upstream_unresolved",
        ),
        # confirmed, and nobody knows since when
        ({"onset_known": False}, "upstream_first"),
    ],
)
def test_what_comes_of_the_incident_upstream(now_is: Mapping[str, object], reason: str) -> None:
    fields = dict(now_is)
    opened_at = NOW - int(str(fields.pop("age", 20))) * SECOND
    other = replace(PAY, opened_at=opened_at, **fields)  # type: ignore[arg-type]
    found, said = decided(SHOP_ON_PAY, other)
    assert found == reason
    assert ("inc-pay" in said) == bool(reason)
    assert said.endswith("a person decides") == (reason in {"upstream_unresolved", "shared_onset"})


def test_a_rule_upstream_that_only_observes_is_not_waited_for() -> None:
    for pay in (text("pay") + "mode: observe\n" + PLAN, text("pay")):
        known = RuleDependencies(rules(text("shop", "[pay]") + PLAN, pay))
        assert decided(known)[0] == "upstream_unresolved"


def test_of_a_chain_the_first_is_named() -> None:
    known = book(shop="[cart]", cart="[pay]", pay="[]")
    cart = replace(PAY, incident="inc-cart", rule="cart")
    found = concurrence(cause(known), [cart, PAY], NOW)
    assert found is not None
    assert "inc-pay" in found[1]


def test_one_that_is_being_measured_may_still_share_the_cause() -> None:
    young = replace(PAY, phase="defining", verdict="", onset_known=False, suspect="")
    assert decided(NOBODY, young)[0] == "concurrent_unmeasured"
    assert decided(NOBODY, replace(young, opened_at=NOW - 60 * SECOND))[0] == ""
    assert concurrence(cause(NOBODY, suspect=""), [young], NOW) is None, "nothing to mistake"


def test_where_nothing_is_suspected_there_is_no_rival() -> None:
    assert decided(NOBODY, replace(PAY, suspect="")) == ("", "")
    assert concurrence(cause(NOBODY, suspect=""), [PAY], NOW) is None


def test_many_rivals_are_told_in_short() -> None:
    others = [replace(PAY, incident=f"inc-{n}", rule=f"r{n}") for n in range(9)]
    found = concurrence(cause(NOBODY), others, NOW)
    assert found is not None
    assert "inc-2" in found[1]
    assert "inc-3" not in found[1]
    assert "and 6 more" in found[1]


@given(
    edges=st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"))),
    phase=st.sampled_from(["deciding", "recovering", "verifying"]),
)
def test_of_two_with_different_suspects_at_most_one_acts_and_they_never_wait_for_each_other(
    edges: set[tuple[str, str]], phase: str
) -> None:
    known = book(
        **{a: "[" + ", ".join(sorted(b for x, b in edges if x == a != b)) + "]" for a in "abcd"}
    )
    found = {}
    for ours, theirs in (("a", "b"), ("b", "a")):
        other = replace(PAY, rule=theirs, incident=theirs, phase=phase)  # type: ignore[arg-type]
        answer = concurrence(cause(known, rule=ours), [other], NOW)
        found[ours] = answer[0] if answer else ""
    assert sorted(found.values()) in (["", "upstream_first"], ["shared_onset", "shared_onset"])
    assert not set(found.values()) - {"", "shared_onset"} - AWAITED
