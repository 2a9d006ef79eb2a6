"""What is counted from the journal: everything that an append says happened to an incident."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import get_args

from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillEnding
from daemon.core.incident.state import Incident
from daemon.core.people.contact_methods import WAYS
from daemon.core.people.roster import Roster
from daemon.core.response.milestones import MILESTONES, read_clock
from daemon.core.values.outcome import Result
from daemon.telemetry.instruments import HUMAN, SLOW, Bounded, Instruments


class Journaled:
    """Counters and histograms fed by every append."""

    def __init__(
        self, make: Instruments, roster: Callable[[], Roster], clock: Callable[[], datetime]
    ) -> None:
        self._roster = roster
        self._clock = clock
        self._label = Bounded()
        self._incidents(make)
        self._people(make)
        self._steps(make)

    def _incidents(self, make: Instruments) -> None:
        self._opened = make.counter("stopgap_incidents", "Incidents opened.")
        self._closed = make.counter("stopgap_incidents_closed", "Incidents closed.", "reason")
        self._drills = make.counter(
            "stopgap_drill_incidents",
            "Incidents of drills that are over; nothing else counts them.",
            "ending",
            known=get_args(DrillEnding),
        )
        self._problems = make.counter(
            "stopgap_problems", "Measurements of a problem.", "verdict", "reason"
        )
        self._to_recover = make.histogram(
            "stopgap_time_to_recover_seconds",
            "From the opening of an incident to its first measured recovery.",
            "by",
            buckets=HUMAN,
        )
        self._items = make.histogram(
            "stopgap_clock_seconds",
            "From the opening of an incident to an item of the ten-minute clock.",
            "item",
            buckets=HUMAN,
        )
        self._late = make.counter(
            "stopgap_clock_late", "Items not there in time.", "item", known=MILESTONES
        )

    def _people(self, make: Instruments) -> None:
        self._pages = make.counter("stopgap_pages", "Tries to page a person.", "method", "outcome")
        for way in WAYS:
            for outcome in ("delivered", "failed"):
                self._pages.labels(way, outcome)
        self._delivery = make.histogram(
            "stopgap_page_delivery_seconds",
            "From the decision to page a person to a pager that took it.",
            "method",
        )
        self._to_page = make.histogram(
            "stopgap_time_to_page_seconds",
            "From the opening of an incident to the first page that a pager took.",
            buckets=(0.1, 0.5, *SLOW),
        )
        self._to_acknowledge = make.histogram(
            "stopgap_time_to_acknowledge_seconds",
            "From the opening of an incident to the first person who came.",
            buckets=HUMAN,
        )
        self._updates = make.counter(
            "stopgap_updates", "Tries to bring an update to a channel.", "channel", "outcome"
        )
        self._defects = make.counter(
            "stopgap_escalation_defects", "Incidents found with nobody there and nobody called."
        )

    def _steps(self, make: Instruments) -> None:
        self._decisions = make.counter(
            "stopgap_decisions",
            "Decisions about steps of recovery plans, and why.",
            "decision",
            "reason",
        )
        self._started = make.counter("stopgap_actions_started", "Actions begun.", "action")
        self._finished = make.counter(
            "stopgap_actions_finished", "Actions ended.", "action", "result", "reason"
        )
        self._results = make.counter(
            "stopgap_action_results",
            "Actions ended, whatever they were.",
            "result",
            known=get_args(Result),
        )
        self._took = make.histogram(
            "stopgap_action_duration_seconds",
            "From the start of an action, preflight included, to its end.",
            "action",
            buckets=SLOW,
        )
        self._verdicts = make.counter(
            "stopgap_verifications",
            "Verdicts of the metrics on actions.",
            "verdict",
            known=get_args(e.Verdict),
        )

    def on_append(
        self, before: Incident | None, after: Incident, events: Sequence[e.Event]
    ) -> None:
        """An append; a listener of the repository. A drill counts nowhere but as one."""
        if after.drill is not None:
            self._drill(events)
            return
        if before is None:
            self._opened.inc()
        for event in events:
            self._count(event)
            self._count_call(event, after)
            self._count_step(event, after)
        if before is not None:
            self._measure(before, after)

    def _drill(self, events: Sequence[e.Event]) -> None:
        for event in events:
            if isinstance(event, e.DrillEnded):
                self._drills.labels(event.ending).inc()

    def _count(self, event: e.Event) -> None:
        match event:
            case e.ProblemDefined():
                self._problems.labels(event.problem.verdict, event.problem.reason).inc()
            case e.IncidentClosed():
                self._closed.labels(event.reason).inc()
            case e.DeadlineMissed():
                self._late.labels(event.item).inc()
            case e.EscalationDefect():
                self._defects.inc()
            case e.UpdatePublished():
                self._updates.labels(event.channel, "published").inc()
            case e.UpdateFailed():
                self._updates.labels(event.channel, "failed").inc()
            case _:
                pass

    def _count_call(self, event: e.Event, after: Incident) -> None:
        match event:
            case e.PageDelivered():
                method = _kind(event.method)
                self._pages.labels(method, "delivered").inc()
                page = after.pages[event.page]
                self._delivery.labels(method).observe(_seconds(page.at, self._clock()))
            case e.PageFailed():
                self._pages.labels(_kind(event.method), "failed").inc()
            case _:
                pass

    def _count_step(self, event: e.Event, after: Incident) -> None:
        decided = self._decisions.labels
        match event:
            case e.StepStarted():
                person = after.step(event.step).approved_by
                decided("started", "person" if person else "standing_approval").inc()
                self._started.labels(self._label(event.action)).inc()
            case e.StepRefused():
                decided("refused", self._label(event.reason)).inc()
            case e.ApprovalRequested():
                decided("asked", self._label(event.reason)).inc()
            case e.StepObserved():
                decided("observed", self._label(event.reason)).inc()
            case e.StepSkipped():
                decided("skipped", self._label(event.reason)).inc()
            case e.DiagnosisOpened():
                decided("diagnosis", self._label(event.reason)).inc()
            case e.StepFinished():
                step, outcome = after.step(event.step), event.outcome
                action, reason = self._label(step.action), self._label(outcome.reason)
                self._finished.labels(action, outcome.result, reason).inc()
                self._results.labels(outcome.result).inc()
                if step.started_at is not None:
                    took = _seconds(step.started_at, self._clock())
                    self._took.labels(action).observe(took)
            case e.StepVerified():
                self._verdicts.labels(event.verdict).inc()
            case _:
                pass

    def _measure(self, before: Incident, after: Incident) -> None:
        """What was reached by this append, and how long it took since the opening."""
        now, roster = self._clock(), self._roster()
        took = _seconds(after.clock_from, now)
        earlier = {r.item for r in read_clock(before, roster, now) if r.took is not None}
        for reading in read_clock(after, roster, now):
            if reading.took is not None and reading.item not in earlier:
                self._items.labels(reading.item).observe(reading.took.total_seconds())
        if before.acknowledged_at is None and after.acknowledged_at is not None:
            self._to_acknowledge.observe(took)
        if not _reached(before) and _reached(after):
            self._to_page.observe(took)
        if before.recovered_at is None and after.recovered_at is not None and not before.relapses:
            self._to_recover.labels("step" if after.recovered_by else "itself").observe(took)


def _reached(incident: Incident) -> bool:
    return any(page.delivered_at is not None for page in incident.pages.values())


def _seconds(since: datetime, now: datetime) -> float:
    """Never below zero: a clock can be set back."""
    return max(0.0, (now - since).total_seconds())


def _kind(method: str) -> str:
    """`webhook` of `webhook-2`: the ways of one person are numbered."""
    return method.rpartition("-")[0] or method
