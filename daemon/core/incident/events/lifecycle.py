"""What can have happened to the incident itself: from the first alert to the review."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from daemon.core.alertmanager import Alert, Labels
from daemon.core.changes.suspects import Suspicion
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.values.units import Frozen, Moment


class IncidentOpened(Frozen):
    """An alert reached us that no open incident covers. `rule` is empty if no rule matched."""

    kind: Literal["IncidentOpened"] = "IncidentOpened"
    key: str
    rule: str
    group_labels: Labels
    title: str
    team: str


class AlertsReceived(Frozen):
    """What Alertmanager says now of these alerts. `incomplete`: its message was cut short."""

    kind: Literal["AlertsReceived"] = "AlertsReceived"
    alerts: tuple[Alert, ...]
    incomplete: bool = False


ALERTS_AT_ONCE = 1000
"""So many alerts are one entry of the journal, which is written and read in one piece."""


def received(alerts: Iterable[Alert], *, incomplete: bool) -> tuple[AlertsReceived, ...]:
    """What Alertmanager says, in entries of a bounded size; one at least.

    What fires comes first: were the ends told before it, all would look over in between.
    """
    ordered = sorted(alerts, key=lambda alert: alert.status)
    return tuple(
        AlertsReceived(alerts=tuple(ordered[start : start + ALERTS_AT_ONCE]), incomplete=incomplete)
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


class AlertsSuppressed(Frozen):
    """All that keeps Alertmanager from telling of the alerts, from now on; empty: nothing."""

    kind: Literal["AlertsSuppressed"] = "AlertsSuppressed"
    suppressed: tuple[Suppression, ...]


class ProblemDefined(Frozen):
    """The metrics were measured, and this is what they say."""

    kind: Literal["ProblemDefined"] = "ProblemDefined"
    problem: Problem
    suspicion: Suspicion | None = None


class RecoveryMeasured(Frozen):
    """One measurement on the way to a verdict."""

    kind: Literal["RecoveryMeasured"] = "RecoveryMeasured"
    step: int
    reading: RecoveryReading


class Recovered(Frozen):
    """Service is restored, by the metrics. `step` is 0 when nothing we did restored it."""

    kind: Literal["Recovered"] = "Recovered"
    step: int
    text: str


class Relapsed(Frozen):
    """The problem came back during the relapse watch."""

    kind: Literal["Relapsed"] = "Relapsed"
    text: str


class DiagnosisOpened(Frozen):
    """Fast recovery has failed or is not possible; people look for the cause."""

    kind: Literal["DiagnosisOpened"] = "DiagnosisOpened"
    reason: str
    text: str


class IncidentPaused(Frozen):
    """A person stopped the automation of this incident."""

    kind: Literal["IncidentPaused"] = "IncidentPaused"
    person: str
    reason: str


class IncidentResumed(Frozen):
    """A person let the automation go on."""

    kind: Literal["IncidentResumed"] = "IncidentResumed"
    person: str


class Noted(Frozen):
    """Something worth keeping on the timeline."""

    kind: Literal["Noted"] = "Noted"
    text: str


class EffectClaimed(Frozen):
    """Somebody begins to carry out an effect: nobody else may, for the incident has moved on.

    `about` is the page, the update with its version and channel, or the step that a restart
    found at work. A step that starts is claimed by its StepStarted.
    """

    kind: Literal["EffectClaimed"] = "EffectClaimed"
    effect: Literal["page", "update", "step"]
    about: str


class IncidentClosed(Frozen):
    """The incident is over."""

    kind: Literal["IncidentClosed"] = "IncidentClosed"
    reason: Literal["recovered", "not_confirmed", "alerts_resolved", "by_person"]
    text: str


class ReviewWritten(Frozen):
    """The review document was written."""

    kind: Literal["ReviewWritten"] = "ReviewWritten"
    path: str


class SentimentHeard(Frozen):
    """What the public says. `source`: `metrics`, a person, or the system that reported it.

    `value` is the number behind it where there is one, in the source's own unit.
    """

    kind: Literal["SentimentHeard"] = "SentimentHeard"
    source: str
    text: str
    value: float | None = None


class DeadlineMissed(Frozen):
    """Something that the first ten minutes ask for was not there in time."""

    kind: Literal["DeadlineMissed"] = "DeadlineMissed"
    item: str
    text: str
