"""What can have happened to the incident itself: from the first alert to the review."""

from __future__ import annotations

from typing import Literal

from daemon.core.alertmanager import Alert, Labels
from daemon.core.changes.suspects import Suspicion
from daemon.core.measurement.problem import Problem, Reading
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
    reading: Reading


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
