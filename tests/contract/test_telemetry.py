"""What the daemon counts about itself, read back as Prometheus reads it."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import isnan
from typing import NoReturn

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.roster import Roster
from daemon.core.ports.store import StoreTrouble
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response.milestones import MILESTONES
from daemon.core.rules.rule import Rule
from daemon.core.values.drill_key import drill_key
from daemon.core.values.outcome import Temporary
from daemon.reporting.figures import RecentFigures
from daemon.reporting.follow_ups import read_follow_ups
from daemon.repository import IncidentRepository
from daemon.telemetry import Sources, Telemetry
from daemon.telemetry.instruments import HUMAN
from tests.core.build import ROSTER, make_alert
from tests.fakes import START, MemoryJournal

CLOSED = e.IncidentClosed(reason="by_person", text="a test alert")


class Counting:
    """A repository and its telemetry; time stands still until a test moves it."""

    def __init__(self, journal: MemoryJournal | None = None, roster: Roster = ROSTER) -> None:
        self.now = START
        self.journal = journal or MemoryJournal()
        self.repository = IncidentRepository(self.journal, lambda: self.now)
        self.waiting_since: datetime | None = None
        self.freezes: list[Freeze] = []
        self.rules: dict[str, Rule] = {}
        self.store_fails = False
        self.store_trouble: StoreTrouble | None = None
        self.telemetry = Telemetry(self.repository, lambda: roster)
        self.telemetry.watch(
            Sources(
                version="1.2.3",
                clock=lambda: self.now,
                ready=lambda: True,
                rules=lambda: self.rules,
                roster=lambda: roster,
                tasks=lambda: (2, 3),
                backlog=lambda: 4,
                oldest=self._oldest,
                freezes=self._freezes,
                store_trouble=lambda: self.store_trouble,
            )
        )

    def later(self, seconds: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        return self.now

    async def opens(self, name: str = "1124-0200-abcd") -> str:
        """An incident opens for an alert that no rule knows."""
        opened = e.IncidentOpened(key=name, rule="", group_labels={}, title="Disk", team="")
        await self.repository.open(name, name, [opened, e.AlertsReceived(alerts=(make_alert(),))])
        return name

    async def happens(self, incident: str, *events: e.Event) -> None:
        """These events are recorded at once."""
        await self.repository.record(incident, lambda _: events)

    async def _oldest(self) -> datetime | None:
        if self.store_fails:
            raise Temporary("the disk is full")
        return self.waiting_since

    async def _freezes(self) -> list[Freeze]:
        if self.store_fails:
            raise Temporary("the disk is full")
        return self.freezes

    async def text(self) -> str:
        """What a scrape gets."""
        return (await self.telemetry.scrape()).decode()

    async def value(self, name: str, **labels: str) -> float:
        """One sample of a scrape; 0 if there is none."""
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                if (sample.name, sample.labels) == (name, labels):
                    return float(sample.value)
        return 0.0

    async def families(self) -> dict[str, str]:
        """Each family that a scrape has, with its type."""
        return {f.name: f.type for f in text_string_to_metric_families(await self.text())}


@pytest.fixture
def counting() -> Counting:
    return Counting()


async def test_the_families_are_there_from_the_start(counting: Counting) -> None:
    found = await counting.families()
    assert (
        found.items()
        >= {
            "stopgap_clock_seconds": "histogram",
            "stopgap_clock_late": "counter",
            "stopgap_pages": "counter",
            "stopgap_updates": "counter",
            "stopgap_escalation_defects": "counter",
            "stopgap_incidents": "counter",
            "stopgap_incidents_open": "gauge",
        }.items()
    )
    assert await counting.value("stopgap_incidents_total") == 0


async def test_incidents_are_counted_as_they_open_and_close(counting: Counting) -> None:
    first = await counting.opens("a")
    await counting.opens("b")
    assert await counting.value("stopgap_incidents_total") == 2
    assert await counting.value("stopgap_incidents_open", severity="none") == 2
    await counting.happens(first, CLOSED)
    assert await counting.value("stopgap_incidents_total") == 2
    assert await counting.value("stopgap_incidents_open", severity="none") == 1


async def test_a_drill_counts_as_nothing_but_a_drill(counting: Counting) -> None:
    before = await counting.text()
    mark = DrillMark(run="r", scenario="s", title="t", by="ada", began_at=START, blue=("ada",))
    key = drill_key("r", "x")
    opened = e.IncidentOpened(key=key, rule="", group_labels={}, title="Disk", team="", drill=mark)
    events = [opened, e.AlertsReceived(alerts=(make_alert(),))]
    await counting.repository.open("drill-r-1", key, events)
    await counting.happens("drill-r-1", e.DeadlineMissed(item="commander", text="late"))
    await counting.happens("drill-r-1", e.EscalationDefect(text="nobody"))
    counts = [line for line in (await counting.text()).splitlines() if "stopgap_" in line]
    assert counts == [line for line in before.splitlines() if "stopgap_" in line]
    await counting.happens("drill-r-1", e.DrillEnded(ending="aborted", text="x"), CLOSED)
    after = (await counting.text()).splitlines()
    changed = [line for line in after if "stopgap_" in line and line not in counts]
    assert changed == ['stopgap_drill_incidents_total{ending="aborted"} 1.0']


async def test_after_a_restart_what_is_open_is_counted_from_the_store(counting: Counting) -> None:
    await counting.opens("a")
    await counting.happens(await counting.opens("b"), CLOSED)
    again = Counting(counting.journal)
    await again.repository.load("a")
    assert await again.value("stopgap_incidents_open", severity="none") == 1
    assert await again.value("stopgap_incidents_total") == 0, "counters begin with the process"
    await again.happens("a", CLOSED)
    assert await again.value("stopgap_incidents_open", severity="none") == 0


def queued(page: str, person: str = "ada") -> e.PageQueued:
    return e.PageQueued(page=page, person=person, purpose="escalation", text="come")


def delivered(page: str, method: str) -> e.PageDelivered:
    return e.PageDelivered(page=page, method=method, proof="rang")


def failed(page: str, method: str, *, last: bool) -> e.PageFailed:
    return e.PageFailed(page=page, method=method, error="away", last=last)


async def test_pages_are_counted_by_the_kind_of_way_whatever_its_number(
    counting: Counting,
) -> None:
    incident = await counting.opens()
    await counting.happens(incident, queued("p1"), failed("p1", "grafana_oncall-1", last=False))
    await counting.happens(incident, delivered("p1", "webhook-2"))
    await counting.happens(incident, queued("p2", "bo"), delivered("p2", "webhook-1"))
    await counting.happens(incident, queued("p3", "cy"), failed("p3", "none", last=True))
    name = "stopgap_pages_total"
    assert await counting.value(name, method="webhook", outcome="delivered") == 2
    assert await counting.value(name, method="grafana_oncall", outcome="failed") == 1
    assert await counting.value(name, method="none", outcome="failed") == 1
    assert await counting.value(name, method="webhook", outcome="failed") == 0


async def test_the_trouble_of_the_store_is_there_from_the_start_and_by_its_kind(
    counting: Counting,
) -> None:
    name = "stopgap_store_trouble"
    assert (await counting.text()).count(f"\n{name}{{") == 8
    counting.store_trouble = StoreTrouble(kind="full", text="free some space")
    assert await counting.value(name, kind="full") == 1
    assert await counting.value(name, kind="damaged") == 0
    counting.store_trouble = None
    assert await counting.value(name, kind="full") == 0
    counting.telemetry.flow.emergency_call("delivered")
    calls = "stopgap_emergency_calls_total"
    assert await counting.value(calls, outcome="delivered") == 1
    assert f'{calls}{{outcome="failed"}} 0.0' in await counting.text()


async def test_updates_late_items_and_defects(counting: Counting) -> None:
    incident = await counting.opens()
    draft = e.UpdateDrafted(
        update="team.1",
        audience="team",
        revision=1,
        stage="investigating",
        text="we look",
        because="due",
        facts="",
        automatic=True,
    )
    await counting.happens(incident, draft)
    released = e.UpdateReleased(update="team.1", text="we look", person="")
    await counting.happens(incident, released)
    failure = e.UpdateFailed(update="team.1", version=1, channel="room", error="away", last=False)
    await counting.happens(incident, failure)
    published = e.UpdatePublished(
        update="team.1", version=1, channel="room", proof="posted", reference="1"
    )
    await counting.happens(incident, published)
    await counting.happens(incident, e.DeadlineMissed(item="commander", text="late"))
    await counting.happens(incident, e.EscalationDefect(text="nobody"))
    updates = "stopgap_updates_total"
    assert await counting.value(updates, channel="room", outcome="failed") == 1
    assert await counting.value(updates, channel="room", outcome="published") == 1
    assert await counting.value("stopgap_clock_late_total", item="commander") == 1
    assert await counting.value("stopgap_escalation_defects_total") == 1


class TestTheClock:
    @staticmethod
    async def seen(counting: Counting, item: str) -> tuple[float, float]:
        """How often an item was there, and after how many seconds in all."""
        name = "stopgap_clock_seconds"
        return (
            await counting.value(f"{name}_count", item=item),
            await counting.value(f"{name}_sum", item=item),
        )

    async def test_each_item_once_with_its_time_from_the_opening(self, counting: Counting) -> None:
        incident = await counting.opens()
        counting.later(20)
        await counting.happens(incident, queued("p1"), delivered("p1", "webhook-1"))
        counting.later(70)
        await counting.happens(
            incident,
            e.ResponderArrived(person="ada", via="cli"),
            e.CommanderAppointed(person="ada", reason="the first responder"),
        )
        counting.later(300)
        await counting.happens(incident, e.ResponderArrived(person="bo", via="cli"))
        await counting.happens(incident, queued("p2", "bo"), delivered("p2", "webhook-1"))
        assert await self.seen(counting, "document") == (1, 20)
        assert await self.seen(counting, "commander") == (1, 90)
        assert await self.seen(counting, "quantified") == (0, 0)

    async def test_a_command_that_was_vacated_and_taken_again_is_no_second_first(
        self, counting: Counting
    ) -> None:
        incident = await counting.opens()
        appointed = e.CommanderAppointed(person="ada", reason="the first responder")
        counting.later(30)
        await counting.happens(incident, e.ResponderArrived(person="ada", via="cli"), appointed)
        await counting.happens(incident, e.CommandVacated(person="ada", reason="left"))
        counting.later(600)
        await counting.happens(incident, appointed)
        assert await self.seen(counting, "commander") == (1, 30)

    @pytest.mark.parametrize(
        ("after", "bound", "inside"), [(60, "60.0", 1), (61, "60.0", 0), (61, "120.0", 1)]
    )
    async def test_the_buckets_hold_the_deadlines(
        self, counting: Counting, after: float, bound: str, inside: float
    ) -> None:
        incident = await counting.opens()
        counting.later(after)
        await counting.happens(incident, queued("p1"), delivered("p1", "webhook-1"))
        bucket = "stopgap_clock_seconds_bucket"
        assert await counting.value(bucket, item="document", le=bound) == inside

    def test_every_deadline_is_a_bound(self) -> None:
        assert {within.total_seconds() for _, within in MILESTONES.values()} <= set(HUMAN)


async def test_the_figures_and_what_is_to_be_done_are_gauges(counting: Counting) -> None:
    day, value = START.date(), counting.value
    counting.telemetry.watch_learning(
        RecentFigures(counting.repository), lambda: read_follow_ups(counting.repository, day)
    )
    assert isnan(await value("stopgap_figures_time_seconds", part="recover", kind="mean"))
    assert isnan(await value("stopgap_figures_saved_seconds"))
    incident = await counting.opens()
    for number, due in enumerate((day, day - timedelta(days=1), None), 1):
        added = e.FollowUpAdded(follow_up=number, title="t", owner="ada", due=due, person="ada")
        await counting.happens(incident, added)
    counting.later(60)
    arrived = e.ResponderArrived(person="ada", via="cli")
    await counting.happens(incident, arrived, e.Recovered(step=0, text="x"), CLOSED)
    assert await value("stopgap_follow_ups", state="overdue") == 1
    assert await value("stopgap_follow_ups", state="open") == 2
    assert await value("stopgap_figures_incidents") == 0, "they are kept for five minutes"
    counting.later(300)
    assert await value("stopgap_figures_incidents") == 1
    assert await value("stopgap_figures_time_seconds", part="acknowledge", kind="median") == 60
    assert await value("stopgap_figures_recovered", by="elsewhere") == 1
    assert await value("stopgap_figures_recovered", by="daemon") == 0


async def test_figures_that_cannot_be_read_keep_what_they_showed(counting: Counting) -> None:
    async def fails() -> NoReturn:
        raise Temporary("the disk is full")

    counting.telemetry.watch_learning(RecentFigures(counting.repository), fails)
    await counting.opens()
    counting.later(1)
    assert await counting.value("stopgap_figures_incidents") == 1
    assert await counting.value("stopgap_incidents_open", severity="none") == 1
