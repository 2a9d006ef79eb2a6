"""What the stages tell beside the journal, and what stands at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from daemon.adapters.store import open_store
from daemon.core.incident import events as e
from daemon.core.measurement.samples import QueryAnswer
from daemon.core.recovery.guardrails import Freeze
from daemon.core.rules.rule import load
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.instrumentation import UNTRACED, Observer
from daemon.telemetry import WatchedMetrics
from daemon.telemetry.instruments import OTHER, Bounded
from tests.contract.test_telemetry import Counting
from tests.fakes import START
from tests.stories.stage import RULE


@pytest.fixture
def counting() -> Counting:
    return Counting()


class TestLabelsAreBounded:
    def test_words_pass_and_everything_else_is_other(self) -> None:
        bounded = Bounded()
        assert bounded("rolled_back") == "rolled_back"
        assert bounded("") == ""
        hostile = ['x"} 1', "Über", "a b", "a" * 51, "1124-0200-abcd", "/etc/passwd"]
        assert {bounded(value) for value in hostile} == {OTHER}

    def test_of_too_many_words_the_first_ones_stay(self) -> None:
        bounded = Bounded(most=2)
        assert [bounded(v) for v in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]

    async def test_a_strange_action_of_somebody_else_makes_no_strange_series(
        self, counting: Counting
    ) -> None:
        incident = await counting.opens()
        odd = Outcome(result="failed", reason='no "such" thing 4711', detail="")
        started = e.StepStarted(step=1, action="evil\n", target="t", params={}, authority="x")
        await counting.happens(incident, started, e.StepFinished(step=1, outcome=odd))
        labels = {"action": OTHER, "result": "failed", "reason": OTHER}
        assert await counting.value("stopgap_actions_finished_total", **labels) == 1
        assert "4711" not in await counting.text()

    async def test_unknown_methods_and_paths_are_one_series(self, counting: Counting) -> None:
        for method in ("BREW", "PROPFIND"):
            counting.telemetry.flow.request(method, "", 404, 0.1)
        labels = {"method": OTHER, "route": OTHER, "status": "404"}
        assert await counting.value("stopgap_http_requests_total", **labels) == 2

    async def test_a_stream_has_no_latency(self, counting: Counting) -> None:
        counting.telemetry.flow.request("GET", "/live", 200, None)
        labels = {"method": "GET", "route": "/live", "status": "200"}
        assert await counting.value("stopgap_http_requests_total", **labels) == 1
        name = "stopgap_http_request_duration_seconds_count"
        assert await counting.value(name, route="/live") == 0


class TestDecisions:
    @pytest.mark.parametrize(
        ("event", "decision", "reason"),
        [
            (e.StepRefused(step=1, reason="frozen", text=""), "refused", "frozen"),
            (e.ApprovalRequested(step=1, reason="second_recovery", text=""), "asked", None),
            (e.StepSkipped(step=1, reason="no_suspect", text=""), "skipped", "no_suspect"),
            (
                e.StepObserved(step=1, action="a", target="t", reason="", text=""),
                "observed",
                "",
            ),
            (e.DiagnosisOpened(reason="no_steps_left", text=""), "diagnosis", None),
        ],
    )
    async def test_each_is_counted_with_its_reason(
        self, counting: Counting, event: e.Event, decision: str, reason: str | None
    ) -> None:
        incident = await counting.opens()
        await counting.happens(incident, event)
        said = getattr(event, "reason", "") if reason is None else reason
        name = "stopgap_decisions_total"
        assert await counting.value(name, decision=decision, reason=said) == 1

    async def test_a_step_that_a_person_approved_says_so(self, counting: Counting) -> None:
        incident = await counting.opens()
        await counting.happens(
            incident,
            e.StepApproved(step=1, person="ada", content="c"),
            e.StepStarted(step=1, action="rollback", target="t", params={}, authority="x"),
        )
        name = "stopgap_decisions_total"
        assert await counting.value(name, decision="started", reason="person") == 1
        assert await counting.value("stopgap_actions_started_total", action="rollback") == 1

    async def test_an_action_is_timed_from_start_to_end(self, counting: Counting) -> None:
        incident = await counting.opens()
        started = e.StepStarted(step=1, action="rollback", target="t", params={}, authority="x")
        await counting.happens(incident, started)
        counting.later(42)
        done = Outcome(result="done", reason="done", detail="")
        await counting.happens(incident, e.StepFinished(step=1, outcome=done))
        name = "stopgap_action_duration_seconds_sum"
        assert await counting.value(name, action="rollback") == 42


class TestGauges:
    async def test_readiness_version_rules_inbox_and_tasks(self, counting: Counting) -> None:
        counting.rules = {rule.rule: rule for rule, _ in load(RULE, "r.yaml")}
        counting.waiting_since = START - timedelta(seconds=90)
        assert await counting.value("stopgap_ready") == 1
        assert await counting.value("stopgap_build_info", version="1.2.3") == 1
        assert await counting.value("stopgap_rules", mode="automatic") == 1
        assert await counting.value("stopgap_rules", mode="observe") == 0
        assert await counting.value("stopgap_inbox_pending") == 4
        assert await counting.value("stopgap_inbox_oldest_age_seconds") == 90
        assert await counting.value("stopgap_conductor_tasks", kind="incident") == 2
        assert await counting.value("stopgap_conductor_tasks", kind="effect") == 3

    async def test_freezes_by_the_kind_of_their_scope(self, counting: Counting) -> None:
        old = START - timedelta(days=2)
        counting.freezes = [
            Freeze(scope="global", reason="r", by="ada", at=START),
            Freeze(scope="service:a", reason="r", by="ada", at=old),
            Freeze(scope="service:b", reason="r", by="ada", at=START),
        ]
        assert await counting.value("stopgap_freezes", scope="global") == 1
        assert await counting.value("stopgap_freezes", scope="service") == 2
        assert await counting.value("stopgap_freeze_oldest_age_seconds") == 2 * 86400
        counting.freezes = []
        assert await counting.value("stopgap_freezes", scope="service") == 0
        assert await counting.value("stopgap_freeze_oldest_age_seconds") == 0

    async def test_a_store_that_fails_spoils_no_scrape(self, counting: Counting) -> None:
        counting.store_fails = True
        assert await counting.value("stopgap_ready") == 1

    async def test_the_outbox_and_what_in_it_fails(self, counting: Counting) -> None:
        incident = await counting.opens()
        page = e.PageQueued(page="p1", person="ada", purpose="escalation", text="come")
        await counting.happens(incident, page)
        assert await counting.value("stopgap_outbox_waiting", kind="page") == 1
        assert await counting.value("stopgap_outbox_failing", kind="page") == 0
        failed = e.PageFailed(page="p1", method="slack-1", error="away", last=False)
        await counting.happens(incident, failed)
        assert await counting.value("stopgap_outbox_failing", kind="page") == 1
        delivered = e.PageDelivered(page="p1", method="email-1", proof="250")
        await counting.happens(incident, delivered)
        assert await counting.value("stopgap_outbox_waiting", kind="page") == 0
        assert await counting.value("stopgap_outbox_failing", kind="page") == 0


class Watching(Observer):
    """Remembers what it hears of queries and transactions."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def query(self, kind: Any, took: float, trouble: Any, server: str = "") -> None:
        self.heard.append((kind, trouble))

    def transaction(self, kind: Any, took: float, ok: bool) -> None:
        self.heard.append((kind, ok))


class Failing:
    """Metrics that fail in one way."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    async def instant(self, query: str, at: Any) -> QueryAnswer:
        if self.error is not None:
            raise self.error
        return QueryAnswer(query, [])

    async def series(self, query: str, *_: Any) -> QueryAnswer:
        return await self.instant(query, None)


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (None, ""),
        (TimeoutError(), "timeout"),
        (Temporary("away"), "unreachable"),
        (Permanent("bad"), "rejected"),
    ],
)
async def test_queries_pass_through_and_are_told(error: BaseException | None, trouble: str) -> None:
    watching = Watching()
    metrics = WatchedMetrics(Failing(error), watching, UNTRACED)
    asks: list[Callable[[], Awaitable[QueryAnswer]]] = [
        lambda: metrics.instant("up", START),
        lambda: metrics.series("up", START, START, timedelta(seconds=1)),
    ]
    for ask in asks:
        if error is None:
            assert (await ask()).query == "up"
            continue
        with pytest.raises(type(error)):
            await ask()
    assert watching.heard == [("instant", trouble), ("range", trouble)]


async def test_the_store_tells_of_its_transactions_and_its_failures(tmp_path: Path) -> None:
    watching = Watching()
    async with open_store(tmp_path / "stopgap.db") as store:
        store.listeners.append(watching.transaction)
        assert await store.inbox.put("one", b"{}", START)
        assert await store.inbox.oldest() == START
        assert store.inbox.backlog() == 1
        await store.inbox.processed(["one"], {})
        assert await store.inbox.oldest() is None
        assert watching.heard == [("write", True), ("read", True), ("write", True), ("read", True)]
        watching.heard.clear()
        with pytest.raises(Permanent):
            await store.inbox._database.read(lambda c: c.execute(text("SELECT nothing")))
        assert watching.heard == [("read", False)]
