"""What stands in the way of every action: each reason, its weight, and that nothing slips by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.recovery.guardrails import (
    ActionScope,
    Freeze,
    Guard,
    Hindered,
    Level,
    Limits,
    hindered,
    is_scope,
    is_storm,
    is_told_as_one,
    service_of,
    services_of,
    stormy,
)
from daemon.core.rules.rule import incident_key

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SCOPE = ActionScope(rule="Errors", team="payments", service="shop", domain="eu")
LIMITS = Limits(
    cooldown=30 * MINUTE,
    flap=24 * HOUR,
    budgets={"rule": 3, "team": 4, "domain": 5, "global": 6},
    budget_window=HOUR,
    storm=4,
    storm_window=5 * MINUTE,
)
SALE = Freeze(scope="global", reason="sale", by="anna", at=NOW - HOUR)
LEVELS: Sequence[Level] = ("rule", "team", "domain", "global")


def judged(guard: Guard, *, lifted: bool = False, scope: ActionScope = SCOPE) -> Hindered | None:
    return hindered(guard, LIMITS, scope, NOW, lifted=lifted)


def why(guard: Guard, *, lifted: bool = False, scope: ActionScope = SCOPE) -> str:
    found = judged(guard, lifted=lifted, scope=scope)
    return found.reason if found else ""


class TestEachReason:
    """The sentences, with their numbers."""

    def test_nothing(self) -> None:
        assert judged(Guard()) is None

    @pytest.mark.parametrize(
        ("freeze", "text"),
        [
            (SALE, "frozen by anna since 02:00:00 UTC: sale"),
            (
                SALE.model_copy(update={"until": NOW + 24 * HOUR}),
                "frozen by anna since 02:00:00 UTC until 2026-03-02 03:00:00 UTC: sale",
            ),
            (
                SALE.model_copy(update={"scope": "team:payments"}),
                "team payments is frozen by anna since 02:00:00 UTC: sale",
            ),
        ],
    )
    def test_frozen(self, freeze: Freeze, text: str) -> None:
        assert judged(Guard(freeze=freeze)) == Hindered("frozen", text, absolute=True)

    def test_locked(self) -> None:
        text = "incident inc-7 is acting on the same target"
        assert judged(Guard(locked_by="inc-7")) == Hindered("target_locked", text, absolute=True)

    def test_a_storm(self) -> None:
        assert judged(Guard(alerting=3)) is None
        assert judged(Guard(alerting=4)) == Hindered(
            "storm",
            "4 services began to alert within 5m (4 are a storm): a shared cause is likelier "
            "than that many bad deployments; a person decides",
        )

    @pytest.mark.parametrize(
        ("ago", "reason", "text"),
        [
            (-MINUTE, "cooldown", "0s ago; the cooldown is 30m"),  # a clock that stepped back
            (30 * MINUTE - timedelta(seconds=1), "cooldown", "29m59s ago; the cooldown is 30m"),
            (30 * MINUTE, "second_recovery", "30m ago; a second recovery within 1d means that"),
            (24 * HOUR - timedelta(seconds=1), "second_recovery", "23h59m59s ago; a second"),
        ],
    )
    def test_too_soon(self, ago: timedelta, reason: str, text: str) -> None:
        found = judged(Guard(last_finished=NOW - ago, last_incident="inc-7"))
        assert found is not None
        assert (found.reason, found.absolute) == (reason, False)
        assert f"incident inc-7 acted on this target {text}" in found.text
        assert found.text.endswith("; a person decides")

    def test_late_enough(self) -> None:
        assert judged(Guard(last_finished=NOW - 24 * HOUR, last_incident="inc-7")) is None

    @pytest.mark.parametrize(
        ("level", "of"),
        [
            ("rule", "of rule Errors"),
            ("team", "of team payments"),
            ("domain", "of domain eu"),
            ("global", "in all"),
        ],
    )
    def test_spent(self, level: Level, of: str) -> None:
        budget = LIMITS.budgets[level]
        assert judged(Guard(started={level: budget - 1})) is None
        assert judged(Guard(started={level: budget})) == Hindered(
            "budget_spent",
            f"{budget} actions {of} started by themselves in the last 1h; "
            f"the budget is {budget}; "
            "a person decides",
        )

    def test_no_domain_has_no_budget(self) -> None:
        spent = Guard(started={"domain": 99})
        assert why(spent) == "budget_spent"
        assert why(spent, scope=replace(SCOPE, domain="")) == ""


def test_the_weightiest_is_told() -> None:
    guard = Guard(
        freeze=SALE,
        locked_by="inc-7",
        alerting=9,
        last_finished=NOW,
        last_incident="inc-7",
        started=dict.fromkeys(LEVELS, 9),
    )
    reasons = [why(guard)]
    guard = replace(guard, freeze=None)
    reasons.append(why(guard))
    guard = replace(guard, locked_by="")
    reasons.append(why(guard))
    assert why(guard, lifted=True) == ""
    guard = replace(guard, alerting=1)
    reasons.append(why(guard))
    guard = replace(guard, last_finished=NOW - HOUR)
    reasons.append(why(guard))
    guard = replace(guard, last_finished=None)
    reasons.append(why(guard))
    assert reasons == [
        *("frozen", "target_locked", "storm"),
        *("cooldown", "second_recovery", "budget_spent"),
    ]
    found = judged(guard)
    assert found is not None
    assert found.text.startswith("9 actions of rule Errors")


NEVER = NOW - 1000 * HOUR
GUARDS = st.builds(
    Guard,
    freeze=st.sampled_from([None, SALE]),
    locked_by=st.sampled_from(["", "inc-7"]),
    last_finished=st.none() | st.integers(-60, 3000).map(lambda m: NOW - m * MINUTE),
    last_incident=st.just("inc-6"),
    started=st.dictionaries(st.sampled_from(LEVELS), st.integers(0, 9)),
    alerting=st.integers(1, 9),
)
SCOPES = st.sampled_from([SCOPE, replace(SCOPE, domain=""), ActionScope("", "", "shop")])


def with_more(one: Guard, other: Guard) -> Guard:
    """All that either history holds."""
    ends = [one.last_finished or NEVER, other.last_finished or NEVER]
    return Guard(
        freeze=one.freeze or other.freeze,
        locked_by=one.locked_by or other.locked_by,
        last_finished=None if max(ends) == NEVER else max(ends),
        last_incident="inc-6",
        started={n: one.started.get(n, 0) + other.started.get(n, 0) for n in LEVELS},
        alerting=max(one.alerting, other.alerting),
    )


@given(GUARDS, SCOPES)
def test_a_person_lifts_all_but_a_freeze_and_the_lock(guard: Guard, scope: ActionScope) -> None:
    alone, lifted = judged(guard, scope=scope), judged(guard, scope=scope, lifted=True)
    absolute = guard.freeze is not None or bool(guard.locked_by)
    assert (lifted is not None) == absolute
    if absolute:
        assert lifted == alone
    assert alone is None or alone.absolute == (alone.reason in {"frozen", "target_locked"})


@given(GUARDS, GUARDS, SCOPES, st.booleans())
def test_more_history_never_permits(
    one: Guard, other: Guard, scope: ActionScope, lifted: bool
) -> None:
    for guard in (one, other):
        if judged(guard, lifted=lifted, scope=scope) is not None:
            assert judged(with_more(one, other), lifted=lifted, scope=scope) is not None


@given(GUARDS, SCOPES, st.booleans())
def test_every_refusal_is_a_plain_sentence(guard: Guard, scope: ActionScope, lifted: bool) -> None:
    found = judged(guard, scope=scope, lifted=lifted)
    if found is not None:
        assert found.text.isprintable()
        assert found.absolute or found.text.endswith("a person decides")


class TestScopes:
    """What belongs where."""

    @pytest.mark.parametrize("text", ["global", "team:payments", "service:shop", "service:a:b"])
    def test_a_freeze_can_have_it(self, text: str) -> None:
        assert is_scope(text)

    @pytest.mark.parametrize("text", ["", "Global", "team", "team:", "team: ", "rule:x", "shop"])
    def test_a_freeze_cannot_have_it(self, text: str) -> None:
        assert not is_scope(text)

    def test_which_freezes_concern_an_action(self) -> None:
        assert SCOPE.freezes == ("global", "team:payments", "service:shop")

    @pytest.mark.parametrize(
        ("rule", "labels", "service"),
        [
            ("Errors", {"service": "shop", "region": "eu"}, "shop"),
            ("Errors", {"zone": "b", "cluster": "a"}, "a b"),
            ("Errors", {"service": "", "cluster": "a"}, "a"),
            ("Errors", {"service": ""}, "Errors"),
            ("Errors", {}, "Errors"),
            ("", {"alertname": "Disk"}, "Disk"),
            ("", {}, '["",[]]'),
        ],
    )
    def test_the_service_of_a_key(self, rule: str, labels: dict[str, str], service: str) -> None:
        key = incident_key(rule, labels)
        assert service_of(key) == (service if service[0] != "[" else key)

    def test_many_rules_of_one_service(self) -> None:
        keys = [incident_key(f"Rule {n}", {"service": "shop"}) for n in range(9)]
        assert {service_of(key) for key in keys} == {"shop"}

    @given(st.text() | st.recursive(st.text(), st.lists, max_leaves=9).map(json.dumps))
    def test_any_key_has_a_service(self, key: str) -> None:
        assert isinstance(service_of(key), str)
        assert bool(service_of(key)) == bool(key)


class _One(NamedTuple):
    key: str


def _incidents(services: int, rules: int = 1) -> list[_One]:
    pairs = ((s, r) for s in range(services) for r in range(rules))
    return [_One(incident_key(f"rule-{r}", {"service": f"s{s}"})) for s, r in pairs]


def _services(incidents: Sequence[_One]) -> int:
    return services_of(one.key for one in incidents)


@given(st.integers(0, 12))
def test_what_keeps_steps_from_starting_is_told_as_one(services: int) -> None:
    """Recovery and whoever is called ask the same: neither has a storm of its own."""
    storm = is_storm(_services(_incidents(services)), LIMITS)
    assert storm is bool(stormy(Guard(alerting=services), LIMITS))
    assert storm is is_told_as_one(_incidents(services), LIMITS)


def test_many_incidents_of_one_service_are_told_as_one_and_are_no_storm() -> None:
    incidents = _incidents(1, LIMITS.storm + 1)
    assert is_told_as_one(incidents, LIMITS)
    assert not is_told_as_one(incidents[1:], LIMITS)
    assert not is_storm(_services(incidents), LIMITS)
