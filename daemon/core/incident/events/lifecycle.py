"""What can have happened to the incident itself: from the first alert to the review."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, Literal

from daemon.core.alertmanager import Alert, Labels
from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.events.newer import WrittenByNewer
from daemon.core.incident.events.recording import SamplesRecorded
from daemon.core.incident.reasons import DiagnosisReason
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.values.drill_key import marked
from daemon.core.values.units import AnyVersion, Frozen, Moment, clock_time, printable


class _AboutProblem(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "problem"


class IncidentOpened(_AboutProblem):
    """An alert reached us that no open incident covers. `rule` is empty if no rule matched.

    `drill`: the drill that it belongs to; None in earnest. Only the runner of drills sets it.
    """

    kind: Literal["IncidentOpened"] = "IncidentOpened"
    key: str
    rule: str
    group_labels: Labels
    title: str
    team: str
    drill: DrillMark | None = None

    def describe(self) -> str:
        title = self.title if self.drill is None else marked(self.title)
        return f"incident opened: {title}" + ("" if self.rule else " (no rule matches)")


class AlertsReceived(_AboutProblem):
    """What Alertmanager says now of these alerts. `incomplete`: its message was cut short.
    `external_url`: where it says that it is reached; empty where nobody said."""

    kind: Literal["AlertsReceived"] = "AlertsReceived"
    alerts: tuple[Alert, ...]
    incomplete: bool = False
    external_url: str = ""

    def describe(self) -> str:
        firing = sum(1 for alert in self.alerts if alert.status == "firing")
        text = f"{firing} firing, {len(self.alerts) - firing} resolved"
        names = ", ".join(sorted({alert.name for alert in self.alerts})[:5])
        return f"alerts: {text} ({names})" + (" — incomplete" if self.incomplete else "")


ALERTS_AT_ONCE = 1000
"""So many alerts are one entry of the journal, which is written and read in one piece."""


def received(
    alerts: Iterable[Alert], *, incomplete: bool, external_url: str = ""
) -> tuple[AlertsReceived, ...]:
    """What Alertmanager says, in entries of a bounded size; one at least.

    What fires comes first: were the ends told before it, all would look over in between.
    """
    ordered = sorted(alerts, key=lambda alert: alert.status)
    return tuple(
        AlertsReceived(
            alerts=tuple(ordered[start : start + ALERTS_AT_ONCE]),
            incomplete=incomplete,
            external_url=external_url,
        )
        for start in range(0, len(ordered) or 1, ALERTS_AT_ONCE)
    )


class Suppression(Frozen):
    """Why Alertmanager tells nothing of some alerts (their identities) although they fire.

    `by` is who silenced them, which alert inhibits them or which time interval mutes them; `by`,
    `until` and `reason` are empty where that is not known.
    """

    how: Literal["silenced", "inhibited", "muted"]
    alerts: tuple[str, ...] = ()
    until: Moment | None = None
    by: str = ""
    reason: str = ""

    def describe(self) -> str:
        """It in a few words; what others wrote is shortened."""
        if self.how == "silenced":
            until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
            text = f"silenced{until}{f' by {self.by}' if self.by else ''}"
            text += f": {_short(self.reason)}" if self.reason else ""
        elif self.how == "inhibited":
            text = f"inhibited by {self.by or 'another alert'}"
        else:
            text = f"muted by the time interval {self.by}"
        alerts = f" ({len(self.alerts)} alerts)" if len(self.alerts) > 1 else ""
        return printable(text + alerts)


_MOST_SUPPRESSIONS = 5
_MOST_CHARACTERS = 200
"""So many suppressions are named in a sentence, and so many characters of each comment: the
buttons below them have to stay in sight."""


def suppression(suppressed: Sequence[Suppression]) -> str:
    """Why Alertmanager tells nothing of some alerts, for a sentence."""
    shown = [one.describe() for one in suppressed[:_MOST_SUPPRESSIONS]]
    more = len(suppressed) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)


def _short(comment: str) -> str:
    if len(comment) <= _MOST_CHARACTERS:
        return comment
    return f"{comment[: _MOST_CHARACTERS - 1]}…"


class AlertsSuppressed(_AboutProblem):
    """All that keeps Alertmanager from telling of the alerts, from now on; empty: nothing."""

    kind: Literal["AlertsSuppressed"] = "AlertsSuppressed"
    suppressed: tuple[Suppression, ...]

    def describe(self) -> str:
        if not self.suppressed:
            return "Alertmanager tells of all its alerts again"
        return f"Alertmanager keeps it to itself: {suppression(self.suppressed)}"


class ProblemDefined(_AboutProblem):
    """The metrics were measured, and this is what they say."""

    kind: Literal["ProblemDefined"] = "ProblemDefined"
    problem: Problem
    suspicion: Suspicion | None = None

    def describe(self) -> str:
        text = f"{self.problem.verdict}: {self.problem.text}"
        return f"{text}; {self.suspicion.text}" if self.suspicion else text


class ProblemReassessed(_AboutProblem):
    """A confirmed problem was measured again before anything was started, and that told more.

    It is no second ProblemDefined: the incident stays confirmed since the first, and what is kept
    of that (`problem` None: its baseline and onset) is not said again. `problem` is the later
    measurement where it is better founded (`reassessment.better_founded`).
    """

    kind: Literal["ProblemReassessed"] = "ProblemReassessed"
    problem: Problem | None = None
    suspicion: Suspicion

    def describe(self) -> str:
        onset = self.problem.onset if self.problem is not None else None
        when = f"; it began at {clock_time(onset)}" if onset is not None else ""
        return f"weighed again{when}: {self.suspicion.text}"


class ChangeReported(_AboutProblem):
    """A change became known while the incident was open: made at `change.at`, told at `told_at`.

    It is a report of another system, or what a watch of ours saw.
    """

    kind: Literal["ChangeReported"] = "ChangeReported"
    change: Change
    told_at: Moment

    def describe(self) -> str:
        change = self.change
        what = f"{change.target or change.subject}: {change.previous or '?'} → {change.item}"
        return printable(
            f"change told by {change.seen_by} at {clock_time(self.told_at)}: {what}, "
            f"made at {clock_time(change.at)}"
        )


class RecoveryMeasured(_AboutProblem):
    """One measurement on the way to a verdict."""

    kind: Literal["RecoveryMeasured"] = "RecoveryMeasured"
    step: int
    reading: RecoveryReading

    def describe(self) -> str:
        return f"measured: {self.reading.describe()}"


class Recovered(_AboutProblem):
    """Service is restored, by the metrics. `step` is 0 when nothing we did restored it."""

    kind: Literal["Recovered"] = "Recovered"
    step: int
    text: str

    def describe(self) -> str:
        return f"recovered: {self.text}"


class Relapsed(_AboutProblem):
    """The problem came back during the relapse watch."""

    kind: Literal["Relapsed"] = "Relapsed"
    text: str

    def describe(self) -> str:
        return f"relapsed: {self.text}"


class DiagnosisOpened(_AboutProblem):
    """Fast recovery has failed or is not possible; people look for the cause."""

    kind: Literal["DiagnosisOpened"] = "DiagnosisOpened"
    reason: Annotated[DiagnosisReason, AnyVersion]
    text: str

    def describe(self) -> str:
        return f"diagnosis opened ({self.reason}): {self.text}"


class IncidentPaused(_AboutProblem):
    """A person stopped the automation of this incident."""

    kind: Literal["IncidentPaused"] = "IncidentPaused"
    person: str
    reason: str

    def describe(self) -> str:
        return f"automation paused by {self.person}: {self.reason}"


class IncidentResumed(_AboutProblem):
    """A person let the automation go on."""

    kind: Literal["IncidentResumed"] = "IncidentResumed"
    person: str

    def describe(self) -> str:
        return f"automation resumed by {self.person}"


class Noted(_AboutProblem):
    """Something worth keeping on the timeline."""

    kind: Literal["Noted"] = "Noted"
    text: str

    def describe(self) -> str:
        return self.text


class EffectClaimed(_AboutProblem):
    """Somebody begins to carry out an effect: nobody else may, for the incident has moved on.

    `about` is the page (or the one that is amended), the update with its version and channel, or
    the step that a restart found at work. A step that starts is claimed by its StepStarted.
    """

    for_people: ClassVar[bool] = False

    kind: Literal["EffectClaimed"] = "EffectClaimed"
    effect: Literal["page", "amendment", "update", "step"]
    about: str

    def describe(self) -> str:
        return f"begins with {self.effect} {self.about}"


class IncidentClosed(_AboutProblem):
    """The incident is over; `merged`: it goes on as a part of another."""

    kind: Literal["IncidentClosed"] = "IncidentClosed"
    reason: Literal[
        "recovered", "not_confirmed", "alerts_resolved", "by_person", "drill_over", "merged"
    ]
    text: str

    def describe(self) -> str:
        return f"incident closed ({self.reason}): {self.text}"


class ReviewWritten(_AboutProblem):
    """The review document was written. `revision`: so much of what was learned afterwards is in
    it (`Learning.revision`); it is written anew when there is more."""

    kind: Literal["ReviewWritten"] = "ReviewWritten"
    path: str
    revision: int = 0

    def describe(self) -> str:
        return f"review written{' anew' if self.revision else ''}: {self.path}"


METRICS = "metrics"
"""The source of what the rule's sentiment queries say."""


class SentimentHeard(_AboutProblem):
    """What the public says. `source`: `metrics`, a person, or the system that reported it.

    `value` is the number behind it where there is one, in the source's own unit.
    """

    kind: Literal["SentimentHeard"] = "SentimentHeard"
    source: str
    text: str
    value: float | None = None

    def describe(self) -> str:
        return f"heard outside ({self.source}): {self.text}"


class DeadlineMissed(_AboutProblem):
    """Something that the first ten minutes ask for was not there in time."""

    kind: Literal["DeadlineMissed"] = "DeadlineMissed"
    item: str
    text: str

    def describe(self) -> str:
        return self.text


LifecycleEvent = (
    IncidentOpened
    | AlertsReceived
    | AlertsSuppressed
    | ProblemDefined
    | ProblemReassessed
    | ChangeReported
    | RecoveryMeasured
    | Recovered
    | Relapsed
    | DiagnosisOpened
    | IncidentPaused
    | IncidentResumed
    | Noted
    | EffectClaimed
    | IncidentClosed
    | ReviewWritten
    | SamplesRecorded
    | SentimentHeard
    | DeadlineMissed
    | WrittenByNewer
)
