"""A dossier gathers itself within its budgets, and whatever fails is told in it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.config.sections import DiagnosisSettings
from daemon.core.changes.suspects import Change
from daemon.core.diagnosis.breakdown import Breakdown
from daemon.core.diagnosis.contribution import Attribution, attribute
from daemon.core.incident import events as e
from daemon.core.incident.dossier import Dossier
from daemon.core.incident.state import Incident
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule, incident_key, load
from daemon.core.values.outcome import Temporary
from daemon.diagnosing.gather import DossierGatherer
from daemon.measuring.queries import Survey
from daemon.repository import IncidentRepository
from tests.core.build import NOW, confirmed, make_alert, make_problem, opening
from tests.fakes import MemoryJournal

RULES = """
rule: checkout-success-rate
match: ['alertname="CheckoutFails"']
group_by: [service]
team: payments
depends_on: [payments-success-rate]
problem:
  symptom: success rate
  bad: sum(increase(http_total{service="$service",code=~"5.."}[$window]))
  total: sum(increase(http_total{service="$service"}[$window]))
  windows: [1m, 5m]
  baseline: 45m
  confirm: {drop: 1%, traffic: 30/m}
  impact: {orders lost: 'sum(rate(orders_lost_total[1m]))'}
---
rule: payments-success-rate
match: ['alertname="PaymentsFail"']
group_by: [service]
team: payments
problem:
  symptom: success rate
  bad: sum(increase(pay_failed[$window]))
  total: sum(increase(pay_total[$window]))
  confirm: {drop: 1%, traffic: 30/m}
"""
ONSET = NOW - timedelta(minutes=8)
ZONES = ("eu-1a", "eu-1b", "eu-1c")


@dataclass
class Shop:
    """Prometheus, for a shop of three zones with four pods each, one zone of which fails."""

    fails: float = 0.6
    down: str = ""
    slow: float = 0.0
    latency: bool = False
    outcomes: bool = False
    other_names: bool = False
    metrics: tuple[str, ...] = ("http_total", "queue_length", "gc_seconds_sum", "http_bucket")
    customers: int = 0
    warnings: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        await self._answering(query)
        now = at.timestamp()
        if query.startswith("topk(500"):
            labels = [
                {"service": "checkout", "zone": zone, "pod": f"{zone}-{n}", "code": code}
                for zone in ZONES
                for n in range(4)
                for code in ("200", "503")
            ]
            if self.outcomes:
                for one in labels:
                    one["outcome"] = "SUCCESS" if one["code"] == "200" else "SERVER_ERROR"
            labels += [{"zone": "eu-1a", "customer": f"c{n}"} for n in range(self.customers)]
            return QueryAnswer(query, [Series(one, [(now, 9.0)]) for one in labels[:500]])
        if query.startswith("count(count by (customer)"):
            return QueryAnswer(query, [Series({}, [(now, float(self.customers))])])
        if query.startswith("count(count by"):
            return QueryAnswer(query, [Series({}, [(now, 12.0)])])
        if "ALERTS_FOR_STATE" in query:
            begun = (ONSET - timedelta(seconds=40)).timestamp()
            others = [{"alertname": "DiskFull", "node": "n7"}, {"alertname": "CheckoutFails"}]
            long_ago = Series({"alertname": "Watchdog"}, [(now, begun - 9999)])
            return QueryAnswer(query, [*(Series(o, [(now, begun)]) for o in others), long_ago])
        found = [Series({"__name__": name}, [(now, 1.0)]) for name in self.metrics]
        return QueryAnswer(query, found)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        await self._answering(query)
        by = re.search(r"by \((?:le, )?(\w+)\)", query)
        times = []
        at = start
        while at <= end:
            times.append(at)
            at += step
        if by is None:
            high = "queue_length" in query
            values = [(t.timestamp(), 90.0 if high and t > ONSET else 10.0) for t in times]
            return QueryAnswer(query, [Series({}, values)])
        label, bad = by[1], "5.." in query
        values_of = {"zone": ZONES, "pod": [f"{z}-{n}" for z in ZONES for n in range(4)]}
        names = values_of.get(label, ("503",) if bad else ("200", "503"))
        if self.other_names and label == "zone" and bad:
            names = [name.upper() for name in names]
        found = []
        for name in names:
            events = 300.0 * 3 / len(names)
            broken = self.fails if "eu-1b" in name or name == "503" else 0.0
            if self.latency:
                slow = 2.0 if broken else 0.2
                levels = [(t.timestamp(), slow if t > ONSET else 0.2) for t in times]
                found.append(Series({label: name}, levels))
                continue
            samples = [
                (
                    t.timestamp(),
                    events * (0.002 + (broken if t > ONSET else 0.0)) if bad else events,
                )
                for t in times
            ]
            found.append(Series({label: name}, samples))
        return QueryAnswer(query, found, self.warnings)

    async def _answering(self, query: str) -> None:
        self.asked.append(query)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.slow)
        self.at_once -= 1
        if self.down:
            raise Temporary(self.down)


@dataclass
class Scene:
    """An incident of checkout that was confirmed, and what gathers its dossier."""

    shop: Shop
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    settings: DiagnosisSettings = field(default_factory=DiagnosisSettings)

    def __post_init__(self) -> None:
        self.rules: list[Rule] = [rule for rule, _ in load(RULES, "rules.yaml")]
        self.repository = IncidentRepository(self.journal, lambda: NOW)
        self.gatherer = DossierGatherer(self.repository, self.settings)

    async def opens(
        self, name: str = "now", rule: int = 0, onset: datetime = ONSET, service: str = "checkout"
    ) -> None:
        labels = {"service": service}
        key = incident_key(self.rules[rule].rule, labels)
        opened = opening().model_copy(
            update={"key": key, "rule": self.rules[rule].rule, "group_labels": labels}
        )
        problem = make_problem(at=NOW, onset=onset, onset_within=timedelta(seconds=15)).model_copy(
            update={
                "baseline_from": onset - timedelta(minutes=40),
                "baseline_until": onset - timedelta(seconds=15),
            }
        )
        alert = e.AlertsReceived(alerts=(make_alert("firing"),))
        await self.repository.open(name, key, [opened, alert, confirmed(problem)])

    async def gathers(self, name: str = "now") -> Incident:
        rule = self.rules[0]
        survey = Survey(self.shop, rule.problem, {"service": "checkout"}, NOW, timedelta(minutes=2))
        await self.gatherer.gather(survey, rule, name, RuleDependencies(self.rules))
        return await self.repository.load(name)

    async def dossier(self) -> Dossier:
        found = (await self.gathers()).causes.dossier
        assert found is not None
        return found


@pytest.fixture
async def scene() -> Scene:
    made = Scene(Shop())
    await made.opens()
    return made


def texts(dossier: Dossier, kind: str) -> list[str]:
    return [found.text for found in dossier.findings if found.kind == kind]


async def test_the_zone_that_fails_is_named_with_query_numbers_and_curve(scene: Scene) -> None:
    dossier = await scene.dossier()
    best = dossier.findings[0]
    assert (best.kind, best.subject) == ("contribution", "zone=eu-1b")
    assert "33.3 % of the traffic, 100.0 % of the added failures" in best.text
    assert best.query.startswith('sum by (zone) (increase(http_total{code=~"5..",')
    assert best.curve is not None
    assert best.curve.own[0] == pytest.approx(0.998)
    assert best.curve.own[-1] == pytest.approx(0.398)
    assert best.curve.rest[-1] == pytest.approx(0.998)
    assert texts(dossier, "failure_kind") == ["the added failures are code=503 (100.0 % of them)"]


async def test_what_else_began_is_told(scene: Scene) -> None:
    dossier = await scene.dossier()
    (moved,) = texts(dossier, "moved")
    assert moved.startswith("queue_length moved at the onset: 10 → 90")
    (alert,) = texts(dossier, "alert")
    assert alert == "alert DiskFull (node=n7) became active 40s before the onset"
    assert not any("http_bucket" in query for query in scene.shop.asked)


async def test_what_it_depends_on_comes_before_other_incidents(scene: Scene) -> None:
    await scene.opens("other", 0, ONSET, "search")
    await scene.opens("up", 1, ONSET - timedelta(seconds=20), "payments")
    await scene.opens("later", 1, NOW, "stock")
    incident = await scene.gathers()
    assert incident.causes.dossier is not None
    first, second = texts(incident.causes.dossier, "concurrent")
    assert first.startswith("incident up began ")
    assert first.endswith("; this service depends on it")
    assert second.startswith("incident other began at the onset")
    supposed = [one.text for one in incident.causes.hypotheses.values()]
    assert supposed == [
        "the fault is at zone=eu-1b",
        "the change v2 caused it",
        "it came with the trouble of payments",
    ]


async def test_an_earlier_incident_alike_is_told_with_what_helped() -> None:
    scene = Scene(Shop())
    scene.repository.clock = lambda: NOW - timedelta(days=11)
    await scene.opens("before", onset=NOW - timedelta(days=11, minutes=9))
    recovered = e.Recovered(step=0, text="x")
    closed = e.IncidentClosed(reason="recovered", text="x")
    await scene.repository.record("before", lambda _: (recovered, closed))
    scene.repository.clock = lambda: NOW
    await scene.opens()
    (alike,) = texts(await scene.dossier(), "alike")
    day = NOW - timedelta(days=11, minutes=9)
    assert "the same rule and the same service and the same suspect" in alike
    assert f": {day:%d %B %Y}, v2, recovered by itself or by hand" in alike
    assert "9 minutes in all" in alike


async def test_the_budget_of_queries_is_kept_and_its_end_is_told() -> None:
    scene = Scene(Shop(), settings=DiagnosisSettings(queries=4))
    await scene.opens()
    dossier = await scene.dossier()
    assert dossier.queries == len(scene.shop.asked) == 4
    assert any("the 4 queries of a dossier are spent" in limit for limit in dossier.limits)


async def test_the_budget_of_time_is_kept_and_what_was_found_by_then_is_told() -> None:
    scene = Scene(Shop(slow=0.4), settings=DiagnosisSettings(timeout=timedelta(seconds=1)))
    await scene.opens()
    dossier = await scene.dossier()
    assert dossier.seconds < 1.5
    assert any("the time of a dossier was over" in limit for limit in dossier.limits)
    assert texts(dossier, "suspect")
    assert not any("ALERTS" in query or "__name__" in query for query in scene.shop.asked)


async def test_few_queries_are_asked_at_once(scene: Scene) -> None:
    scene.shop.slow = 0.001
    await scene.dossier()
    assert scene.shop.most_at_once == 2


async def test_a_prometheus_that_is_down_makes_a_dossier_of_the_journal_alone(scene: Scene) -> None:
    scene.shop.down = "no route to Prometheus"
    dossier = await scene.dossier()
    assert {found.kind for found in dossier.findings} == {"suspect"}
    assert any("no route to Prometheus" in limit for limit in dossier.limits)


async def test_a_defect_in_a_part_spoils_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("daemon.diagnosing.gather.attribute", broken)
    dossier = await scene.dossier()
    assert "label values: a defect of stopgap, see its log" in dossier.limits
    assert texts(dossier, "moved")


async def test_what_the_store_did_not_take_is_not_asked_for_again(scene: Scene) -> None:
    scene.journal.full = True
    with pytest.raises(Temporary):
        await scene.gathers()
    asked = len(scene.shop.asked)
    scene.journal.full = False
    incident = await scene.gathers()
    assert incident.causes.gathered == 1
    assert len(scene.shop.asked) == asked


async def test_two_at_once_write_one_dossier(scene: Scene) -> None:
    """As after a restart, or on two replicas: whoever comes second adds nothing."""
    other = DossierGatherer(scene.repository, scene.settings)
    rule, dependencies = scene.rules[0], RuleDependencies(scene.rules)
    surveys = [
        Survey(scene.shop, rule.problem, {"service": "checkout"}, NOW, timedelta(minutes=2))
        for _ in range(2)
    ]
    await asyncio.gather(
        scene.gatherer.gather(surveys[0], rule, "now", dependencies),
        other.gather(surveys[1], rule, "now", dependencies),
    )
    incident = await scene.repository.load("now")
    assert incident.causes.gathered == 1
    assert list(incident.causes.hypotheses) == ["h1", "h2"]


async def test_it_is_small_enough_for_the_journal(scene: Scene) -> None:
    assert len(e.encode(e.DossierGathered(dossier=await scene.dossier()))) < 30_000


@pytest.mark.parametrize("judged", ["confirm: {rise: 50%}", "threshold: {above: 0.5}"])
async def test_of_a_latency_the_zone_that_turned_slow_is_named(judged: str) -> None:
    scene = Scene(Shop())
    latency = """
rule: checkout-success-rate
match: ['alertname="CheckoutFails"']
group_by: [service]
team: payments
problem:
  symptom: latency
  value: histogram_quantile(0.99, sum by (le) (rate(http_bucket{service="$service"}[$window])))
  JUDGED
"""
    scene.rules = [rule for rule, _ in load(latency.replace("JUDGED", judged), "rules.yaml")]
    scene.shop.latency = True
    await scene.opens()
    best = (await scene.dossier()).findings[0]
    assert (best.kind, best.subject) == ("contribution", "zone=eu-1b")
    assert "zone=eu-1b turned worse: 0.2 → 2; the median of the others 0.2 → 0.2" in best.text
    assert best.query.startswith("histogram_quantile(0.99, sum by (le, zone) (rate(http_bucket{")


async def test_a_label_of_too_many_values_is_left_out_and_that_is_told(scene: Scene) -> None:
    scene.shop.customers = 48_000
    dossier = await scene.dossier()
    assert dossier.findings[0].subject == "zone=eu-1b"
    assert not any("sum by (customer)" in query for query in scene.shop.asked)
    assert any(limit.startswith("customer has 48,000 values") for limit in dossier.limits)


async def test_a_partial_answer_names_nobody(scene: Scene) -> None:
    scene.shop.warnings = ("a store did not answer",)
    dossier = await scene.dossier()
    assert texts(dossier, "contribution") == []
    assert any("its answer is partial: a store did not answer" in x for x in dossier.limits)


async def test_counts_that_cannot_be_parted_say_why() -> None:
    scene = Scene(Shop())
    text = RULES.replace(
        'total: sum(increase(http_total{service="$service"}[$window]))',
        'total: max(increase(http_total{service="$service"}[$window]))',
    )
    scene.rules = [rule for rule, _ in load(text, "rules.yaml")]
    await scene.opens()
    dossier = await scene.dossier()
    why = "the rule's counts cannot be parted by label: `max` is no sum, so it has no parts"
    assert why in dossier.limits


async def test_changes_elsewhere_are_told_and_those_of_what_it_depends_on_first() -> None:
    scene = Scene(Shop())
    text = RULES.replace(
        "depends_on: [payments-success-rate]",
        "depends_on: [payments-success-rate, 'service=\"stock\"']",
    )
    stock = RULES.partition("---")[2].replace("payments-success", "stock-success")
    scene.rules = [rule for rule, _ in load(f"{text}---{stock}", "rules.yaml")]
    for service, minutes in (("search", 1), ("stock", 30), ("old", 90), ("late", -5)):
        await scene.journal.saw_change(
            Change(
                subject=f"reported:ci:{service}",
                item=f"{service}-v2",
                previous=f"{service}-v1",
                at=ONSET - timedelta(minutes=minutes),
                seen_by="ci",
                labels={"service": service},
            )
        )
    await scene.opens()
    first, second = texts(await scene.dossier(), "change")
    assert first.startswith("changed elsewhere, where this service depends on it: ")
    assert "stock-v1 → stock-v2" in first
    assert first.endswith("30m before the onset")
    assert "search-v1 → search-v2" in second


async def test_an_incident_that_was_closed_meanwhile_takes_it_for_its_review(scene: Scene) -> None:
    scene.shop.slow = 0.01
    gathering = asyncio.create_task(scene.gathers())
    await asyncio.sleep(0)
    closed = e.IncidentClosed(reason="by_person", text="x")
    await scene.repository.record("now", lambda _: (closed,))
    assert (await gathering).causes.gathered == 1


async def test_a_word_for_failing_is_neither_carrier_nor_mix() -> None:
    """The label `outcome` of Spring's metrics says the same as `code`."""
    scene = Scene(Shop(outcomes=True))
    await scene.opens()
    dossier = await scene.dossier()
    assert dossier.findings[0].subject == "zone=eu-1b"
    assert not any(f.kind == "mix" or "outcome" in f.subject for f in dossier.findings[:2])
    outcome = [query for query in scene.shop.asked if "by (outcome)" in query]
    assert len(outcome) == 1
    assert "5.." in outcome[0]


async def test_failures_that_are_named_otherwise_than_the_traffic_are_not_lost_silently() -> None:
    scene = Scene(Shop(other_names=True))
    await scene.opens()
    dossier = await scene.dossier()
    (silent,) = texts(dossier, "nothing_stands_out")
    assert silent.endswith(
        "no 3 of them or fewer carry the loss; looked at 12 values of 1 label (pod)"
    )
    why = "not parted by zone: 100.0 % of the failures are at values that what counts all events"
    assert any(limit.startswith(why) for limit in dossier.limits)


async def test_a_label_that_the_rule_names_may_have_too_many_values_as_well() -> None:
    scene = Scene(Shop(customers=48_000))
    text = RULES.replace("---", "diagnosis: {labels: [customer, zone]}\n---")
    scene.rules = [rule for rule, _ in load(text, "rules.yaml")]
    await scene.opens()
    dossier = await scene.dossier()
    assert dossier.findings[0].subject == "zone=eu-1b"
    assert not any("sum by (customer)" in query for query in scene.shop.asked)
    assert any(limit.startswith("customer has 48,000 values") for limit in dossier.limits)


async def test_who_carries_the_loss_is_reckoned_beside_the_loop(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten labels with a thousand values each it takes the better part of a second."""
    ran_in: list[int] = []

    def watched(breakdowns: Sequence[Breakdown]) -> Attribution:
        ran_in.append(threading.get_ident())
        return attribute(breakdowns)

    monkeypatch.setattr("daemon.diagnosing.gather.attribute", watched)
    assert (await scene.dossier()).findings[0].subject == "zone=eu-1b"
    assert ran_in
    assert threading.get_ident() not in ran_in


async def test_the_metrics_of_the_runtime_do_not_crowd_out_those_of_the_service() -> None:
    runtime = tuple(f"go_memstats_{n:02}" for n in range(50))
    scene = Scene(Shop(metrics=(*runtime, "queue.length", "queue_length")))
    await scene.opens()
    dossier = await scene.dossier()
    assert texts(dossier, "moved")[0].startswith("queue_length moved at the onset")
    assert 'avg({__name__="queue.length",service="checkout"})' in scene.shop.asked
