"""A whole story, watched from outside: what /metrics shows of it, the dashboard and the alerts over
that, and the traces from the webhook to the action."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import promql_parser
import pytest
import yaml
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from daemon.adapters.tracing import Tracing
from daemon.core.recovery.guardrails import Freeze
from daemon.telemetry.learning import LearningGauges
from tests.fakes import START
from tests.stories.stage import Daemon, Stage, alert, healed_by
from tests.stories.test_sev2 import ROSTER as FOUR_ROLES

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(daemon: Daemon) -> Samples:
    """Every sample of a scrape."""
    text = (await daemon.telemetry.scrape()).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """One sample; of Prometheus, the one of the rules that name none."""
    if name.startswith("stopgap_prometheus_"):
        labels["server"] = ""
    return samples[(name, frozenset(labels.items()))]


async def recovers(stage: Stage, daemon: Daemon) -> None:
    """The rollback helps, ada comes, and the incident is closed."""
    healed_by(stage, "rollback")
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.receives(alert())
    await daemon.at(190)
    await daemon.acknowledges("ada")
    await daemon.at(1800)


async def test_a_recovery_in_numbers(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await recovers(stage, daemon)
        seen = await scraped(daemon)
    assert value(seen, "stopgap_deliveries_total", outcome="stored") == 1
    assert value(seen, "stopgap_deliveries_total", outcome="duplicate") == 1
    assert value(seen, "stopgap_delivery_handling_seconds_count") == 1
    assert value(seen, "stopgap_alerts_total", outcome="taken") == 1
    assert value(seen, "stopgap_incidents_total") == 1
    assert value(seen, "stopgap_incidents_closed_total", reason="recovered") == 1
    assert value(seen, "stopgap_incidents_open", severity="sev2") == 0
    confirmed = {"verdict": "confirmed", "reason": "loss_exceeds_threshold"}
    assert value(seen, "stopgap_problems_total", **confirmed) == 1
    started = {"decision": "started", "reason": "standing_approval"}
    assert value(seen, "stopgap_decisions_total", **started) == 1
    assert value(seen, "stopgap_actions_started_total", action="rollback") == 1
    done = {"action": "rollback", "result": "done", "reason": "done"}
    assert value(seen, "stopgap_actions_finished_total", **done) == 1
    assert value(seen, "stopgap_action_results_total", result="done") == 1
    assert value(seen, "stopgap_action_results_total", result="failed") == 0
    assert value(seen, "stopgap_action_duration_seconds_sum", action="rollback") >= 5
    assert value(seen, "stopgap_verifications_total", verdict="recovered") == 1
    assert value(seen, "stopgap_time_to_acknowledge_seconds_sum") == pytest.approx(10, abs=1)
    assert value(seen, "stopgap_time_to_recover_seconds_count", by="step") == 1
    assert value(seen, "stopgap_time_to_page_seconds_count") == 1
    assert value(seen, "stopgap_prometheus_query_duration_seconds_count", kind="instant") > 10
    assert value(seen, "stopgap_prometheus_query_failures_total", reason="unreachable") == 0


async def test_while_it_is_open_the_gauges_say_how_it_stands(stage: Stage) -> None:
    stage.phones["ada"].away = stage.phones["bo"].away = stage.phones["cy"].away = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await stage.journal.freeze(Freeze(scope="team:x", reason="sale", by="ada", at=START))
        await daemon.at(200)
        seen = await scraped(daemon)
        assert value(seen, "stopgap_incidents_open", severity="sev2") == 1
        assert value(seen, "stopgap_escalations") == 1
        assert value(seen, "stopgap_escalation_oldest_age_seconds") == pytest.approx(20, abs=1)
        assert value(seen, "stopgap_pages_total", method="phone", outcome="failed") >= 1
        assert value(seen, "stopgap_freezes", scope="team") == 1
        assert value(seen, "stopgap_freeze_oldest_age_seconds") == pytest.approx(200, abs=1)
        assert value(seen, "stopgap_conductor_tasks", kind="incident") == 1
        await daemon.acknowledges("ada")
        seen = await scraped(daemon)
    assert value(seen, "stopgap_escalations") == 0
    assert value(seen, "stopgap_escalation_oldest_age_seconds") == 0


async def test_a_prometheus_that_is_away_is_counted_as_such(stage: Stage) -> None:
    stage.service.down = "connection refused"
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        seen = await scraped(daemon)
    assert value(seen, "stopgap_prometheus_query_failures_total", reason="unreachable") > 0
    away = {"verdict": "no_data", "reason": "prometheus_unreachable"}
    assert value(seen, "stopgap_problems_total", **away) > 0


# ── what is deployed beside the daemon ───────────────────────────────────────────────────────


def alert_expressions() -> Iterator[str]:
    """The expression of every alert."""
    rules = yaml.safe_load((DEPLOY / "prometheus/stopgap-alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def dashboard_expressions() -> Iterator[str]:
    """Every expression of the dashboard, with Grafana's variables filled in."""
    board = json.loads((DEPLOY / "grafana/stopgap.json").read_text())
    found = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in board["annotations"]["list"]]
    for expression in found:
        for name, instead in {"rate_interval": "5m", "range": "6h", "instance": "a"}.items():
            expression = re.sub(rf"\$(__)?{name}\b", instead, expression)
        yield expression


def names_in(expression: str) -> set[str]:
    """The names of the metrics that an expression reads. Raises ValueError if it is not PromQL."""
    return set(
        re.findall(r"\b(?:stopgap|process|python)_\w+", str(promql_parser.parse(expression)))
    )


def test_every_expression_is_promql_and_every_panel_has_one() -> None:
    expressions = [*alert_expressions(), *dashboard_expressions()]
    assert len(expressions) > 50
    for expression in expressions:
        assert names_in(expression) or 'up{job="stopgap"}' in expression
        assert "$" not in expression
    board = json.loads((DEPLOY / "grafana/stopgap.json").read_text())
    for panel in board["panels"]:
        assert panel["type"] == "row" or panel["targets"], panel["title"]
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/stopgap-alerts.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}


async def test_alerts_and_dashboard_read_what_the_daemon_exports(tmp_path: Path) -> None:
    stage = Stage(tmp_path, roster_text=FOUR_ROLES)
    stage.service.fails(0.10, 60)
    async with stage.daemon() as daemon:
        await recovers(stage, daemon)
        # The web and the store on disk have no part in stories.
        daemon.telemetry.flow.request("GET", "/metrics", 200, 0.01)
        daemon.telemetry.flow.transaction("write", 0.01, ok=True)
        exported = {name for name, _ in await scraped(daemon)}
    # Nor have the figures, which are read from the whole journal.
    figures = CollectorRegistry()
    LearningGauges(figures, AsyncMock(), AsyncMock())
    exported |= {family.name for family in figures.collect()}
    read = set().union(*map(names_in, [*alert_expressions(), *dashboard_expressions()]))
    assert read - exported == set()


# ── traces ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def spans(stage: Stage) -> InMemorySpanExporter:
    """What the stage's daemon traces."""
    exporter = InMemorySpanExporter()
    stage.tracer = Tracing(SimpleSpanProcessor(exporter), 1.0, "0.0.0")
    return exporter


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """The finished spans of that name."""
    return [span for span in spans.get_finished_spans() if span.name == name]


def parent_of(spans: InMemorySpanExporter, span: ReadableSpan) -> str:
    """The name of the span that it lies in; empty if it is the first of its trace."""
    if span.parent is None:
        return ""
    (found,) = [
        other.name
        for other in spans.get_finished_spans()
        if other.context.span_id == span.parent.span_id
    ]
    return found


async def test_the_way_from_the_webhook_to_the_action_can_be_followed(
    stage: Stage, spans: InMemorySpanExporter
) -> None:
    async with stage.daemon() as daemon:
        await recovers(stage, daemon)
        incident = await daemon.incident()
    webhook, duplicate = named(spans, "webhook")
    (inbox,), (opened,) = named(spans, "inbox"), named(spans, "incident")
    assert attributes(webhook)["stopgap.outcome"] == "stored"
    assert attributes(duplicate)["stopgap.outcome"] == "duplicate"
    assert duplicate.context.trace_id != webhook.context.trace_id
    assert inbox.context.trace_id == webhook.context.trace_id
    assert parent_of(spans, inbox) == "webhook"
    assert [link.context.span_id for link in opened.links] == [webhook.context.span_id]
    assert attributes(opened)["stopgap.incident"] == incident.id

    chain = {"define": "incident", "decide": "incident", "step": "incident", "verify": "incident"}
    chain |= {"page": "incident", "preflight": "step", "run": "step"}
    for name, inside in chain.items():
        assert named(spans, name), name
        for span in named(spans, name):
            assert parent_of(spans, span) == inside
            assert span.context.trace_id == opened.context.trace_id
    asked_by = {parent_of(spans, span) for span in named(spans, "query")}
    assert asked_by >= {"foresee", "define", "verify"}
    assert "" not in asked_by, "all are in the incident's trace"
    (ran,) = named(spans, "run")
    assert attributes(ran)["stopgap.action"] == "rollback"
    assert attributes(ran)["stopgap.result"] == "done"


async def test_after_a_restart_the_action_belongs_to_the_same_trace(
    stage: Stage, spans: InMemorySpanExporter
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(183)
    (opened,) = named(spans, "incident")
    before = len(spans.get_finished_spans())
    again = InMemorySpanExporter()
    stage.tracer = Tracing(SimpleSpanProcessor(again), 1.0, "0.0.0")
    healed_by(stage, "rollback")
    async with stage.daemon() as daemon:
        await daemon.at(600)
    (step,) = named(again, "step")
    assert step.parent is not None
    assert step.parent.span_id == opened.context.span_id
    assert step.context.trace_id == opened.context.trace_id
    assert len(spans.get_finished_spans()) == before


async def test_a_failure_is_marked_by_its_type_and_its_text_stays_out(
    stage: Stage, spans: InMemorySpanExporter
) -> None:
    stage.service.down = "connection to http://user:hunter2@prometheus refused"
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
    failed = named(spans, "query")
    assert failed
    for span in failed:
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == "Temporary"
    everything = [span.to_json() for span in spans.get_finished_spans()]
    assert not [text for text in everything if "hunter2" in text]


async def test_nothing_is_kept_of_traces_that_are_not_sampled(stage: Stage) -> None:
    exporter = InMemorySpanExporter()
    stage.tracer = Tracing(SimpleSpanProcessor(exporter), 0.0, "0.0.0")
    async with stage.daemon() as daemon:
        await recovers(stage, daemon)
        assert (await daemon.incident()).closed is not None
    assert exporter.get_finished_spans() == ()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """What a span says of itself."""
    return dict(span.attributes or {})
