"""What reaches the daemon, and what becomes of it."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from daemon.core.values.outcome import Temporary
from tests.fakes import MemoryJournal
from tests.stories.stage import Stage, alert


async def test_a_repeated_delivery_changes_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        assert await daemon.receives(alert())
        assert not await daemon.receives(alert())
        await daemon.at(185)
        assert (await daemon.kinds()).count("AlertsReceived") == 1


async def test_a_firing_alert_that_arrives_after_its_end_opens_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(300)
        await daemon.receives(alert("resolved", started=120, ended=250))
        await daemon.at(301)
        await daemon.receives(alert("firing", started=120))
        await daemon.at(310)
        assert await stage.incidents() == []


async def test_an_alert_that_no_rule_matches_is_paged_and_never_measured(stage: Stage) -> None:
    stage.rules.clear()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(500)
        incident = await daemon.incident()
        assert incident.rule == ""
        assert "no rule matches" in stage.phones["ada"].pages[0].text
        assert len(stage.phones["bo"].pages) == 1
        assert stage.service.asked == []
        assert incident.closed is None
        await daemon.receives(alert("resolved", ended=520))
        await daemon.at(1000)
        assert (await daemon.incident()).closed is None
        await daemon.at(1500)
        closed = (await daemon.incident()).closed
    assert closed is not None
    assert closed.reason == "alerts_resolved"


async def test_a_label_that_is_too_long_costs_its_group_nothing(stage: Stage) -> None:
    basket = alert(service="basket")
    basket["labels"]["query"] = "x" * 20_000
    async with stage.daemon() as daemon:
        await daemon.at(180)
        with capture_logs() as logs:
            assert await daemon.receives(alert(), basket)
            assert not await daemon.receives(alert(), basket)
        await daemon.at(182)
        found = await stage.incidents()
        told = b"stopgap_labels_shortened_total 1.0\n" in await daemon.telemetry.scrape()
    assert sorted(i.group_labels["service"] for i in found) == ["basket", "shop"]
    (line,) = (one for one in logs if one["log_level"] == "warning")
    assert line["event"] == "labels are shortened, for their values are too long"
    assert (line["alert"], line["label"]) == ("CheckoutSuccessRateLow", "query")
    assert told, "and it is counted once"


async def test_two_services_are_two_incidents_and_one_service_is_one(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert(), alert(service="basket"))
        await daemon.at(181)
        await daemon.receives(alert(started=121))
        await daemon.at(182)
        found = await stage.incidents()
    assert sorted(i.group_labels["service"] for i in found) == ["basket", "shop"]


async def test_a_truncated_delivery_is_marked_and_does_not_look_resolved(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert(), truncated=3)
        await daemon.at(182)
        assert (await daemon.incident()).incomplete
        await daemon.receives(alert("resolved", ended=181), truncated=3)
        await daemon.at(184)
        assert not (await daemon.incident()).all_resolved


async def test_healthy_metrics_and_resolved_alerts_close_it_untouched(stage: Stage) -> None:
    stage.service.errors[:] = [(-7200.0, 0.01)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(600)
        incident = await daemon.incident()
        assert incident.phase == "observing"
        assert incident.problem is not None
        assert incident.problem.reason == "loss_below_threshold"
        await daemon.receives(alert("resolved", ended=590))
        await daemon.at(1200)
        closed = (await daemon.incident()).closed
    assert closed is not None
    assert closed.reason == "not_confirmed"
    assert not any(action.runs for action in stage.actions.values())


async def test_while_it_fires_healthy_metrics_close_nothing(stage: Stage) -> None:
    stage.service.errors[:] = [(-7200.0, 0.01)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(7200)
        assert (await daemon.incident()).closed is None


async def test_a_monitoring_outage_pages_touches_nothing_and_closes_nothing(stage: Stage) -> None:
    stage.service.down = "connection refused"
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.receives(alert("resolved", ended=189))
        await daemon.at(3600)
        incident = await daemon.incident()
        assert incident.problem is not None
        assert incident.problem.reason == "prometheus_unreachable"
        assert incident.closed is None
        assert stage.phones["ada"].pages
        assert "the monitoring is out" in stage.phones["bo"].pages[0].text
    assert not any(action.runs for action in stage.actions.values())


async def test_stale_samples_are_a_monitoring_outage_too(stage: Stage) -> None:
    stage.service.stale = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        problem = (await daemon.incident()).problem
    assert problem is not None
    assert (problem.verdict, problem.reason) == ("no_data", "samples_stale")


async def test_failures_that_nobody_scrapes_are_not_taken_for_none(stage: Stage) -> None:
    stage.service.failures_unscraped = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        problem = (await daemon.incident()).problem
    assert problem is not None
    assert (problem.verdict, problem.reason) == ("no_data", "targets_down")
    assert "job edge" in problem.text


async def test_when_the_metrics_come_back_the_problem_is_confirmed_and_acted_on(
    stage: Stage,
) -> None:
    stage.service.down = "connection refused"
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        stage.service.down = ""
        await daemon.at(600)
        assert stage.actions["rollback"].runs != []


async def test_a_store_that_fails_for_a_while_loses_nothing(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        stage.journal.failing = True
        await daemon.receives(alert())
        await daemon.at(240)
        assert stage.journal.entries == {}
        stage.journal.failing = False
        await daemon.at(250)
        assert (await daemon.incident()).phase != "closed"
        assert stage.phones["ada"].pages


class HalfDeaf(MemoryJournal):
    """Does not open an incident of the service `broken` for now."""

    async def open(self, incident: str, key: str, *rest: Any, **more: Any) -> None:
        if self.failing_for and self.failing_for in key:
            raise Temporary("the disk is slow")
        await super().open(incident, key, *rest, **more)

    failing_for = "broken"


async def test_what_cannot_be_opened_holds_up_no_other_of_its_batch(stage: Stage) -> None:
    stage.journal = journal = HalfDeaf()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=name) for name in ("a", "broken", "c")))
        await daemon.at(185)
        assert sorted(i.group_labels["service"] for i in await stage.incidents()) == ["a", "c"]
        journal.failing_for = ""
        await daemon.at(190)
        found = await stage.incidents()
        assert sorted(i.group_labels["service"] for i in found) == ["a", "broken", "c"]
        assert [len(i.alerts) for i in found] == [1, 1, 1]
    assert stage.inbox.backlog() == 0
