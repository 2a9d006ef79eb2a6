"""What is broken, how badly and since when: the values that a measurement ends in.

A measurement is not an assessment: `daemon.core.measurement.assessment` turns one into the
other. Shares are 0…1, rates per minute, `value` problems in their metric's own unit.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from daemon.core.rules.rule import ProblemKind
from daemon.core.values.units import (
    AnyVersion,
    Duration,
    Frozen,
    Moment,
    percent,
    printable,
    quantity,
)

ProblemVerdict = Literal[
    "confirmed", "not_confirmed", "insufficient_traffic", "no_data", "query_error"
]
UNMEASURED: frozenset[ProblemVerdict] = frozenset({"no_data", "query_error"})
"""The verdicts that tell of the metrics, not of the service."""
ProblemReason = Literal[
    # confirmed
    "loss_exceeds_threshold",
    "threshold_passed",
    # not_confirmed
    "loss_below_threshold",
    "not_significant",
    "failures_never_seen",
    "baseline_zero",
    "within_threshold",
    "threshold_not_held",
    # insufficient_traffic
    "traffic_below_minimum",
    "baseline_too_thin",
    # no_data
    "empty_answer",
    "no_baseline",
    "prometheus_unreachable",
    "targets_down",
    "own_targets_down",
    "samples_stale",
    # query_error
    "deadline_exceeded",
    "query_rejected",
    "several_series",
    "not_a_number",
    "partial_answer",
    "bad_exceeds_total",
    "unsafe_label",
    "window_too_short",
]
MONITORING_OUTAGE: frozenset[ProblemReason] = frozenset(
    {"prometheus_unreachable", "targets_down", "samples_stale"}
)
"""The reasons that speak of the monitoring, not of the service. What speaks of the service's own
targets (`own_targets_down`) is none of them."""
NO_PROBLEM: frozenset[ProblemReason] = frozenset(
    {"loss_below_threshold", "not_significant", "failures_never_seen", "within_threshold"}
)
"""The reasons that speak of a service that is well."""

Severity = Literal["sev1", "sev2", "sev3", "sev4", ""]
"""The greatest is sev1; empty until something was confirmed."""


class Comparison(Frozen):
    """One window against the baseline. `loss` is how much worse, with its 99 % interval.

    For counts, `level` is the success share and the loss in share points; for values the level
    is the median and the loss relative to the baseline. For a threshold the loss is how much that
    is passed, relative to it, without an interval; the level is the median, of the shortest window
    the newest number. None stands for an unbounded side.
    """

    window: Duration
    level: float
    loss: float
    low: float | None
    high: float | None
    traffic: float | None
    exceeds: bool
    significant: bool


class Impact(Frozen):
    """The answer to one of the rule's impact or sentiment queries, or why there is none."""

    name: str
    value: float | None
    trouble: str = ""


class ConditionReading(Frozen):
    """One leaf of a rule's threshold at the newest evaluation: its query as the rule has it, its
    bounds in words ("above 90"), the number (None: none, or an infinite one), and whether it holds
    (None: that cannot be told)."""

    query: str
    bounds: str
    level: float | None = None
    holds: bool | None = None

    def describe(self) -> str:
        """The leaf in a line: "max(code) 503, at least 400: holds"."""
        level = "" if self.level is None else f" {quantity(self.level)}"
        state = {True: "holds", False: "does not hold", None: "cannot be told"}[self.holds]
        return f"{printable(' '.join(self.query.split()))}{level}, {self.bounds}: {state}"


class Problem(Frozen):
    """One assessed measurement: verdict, enumerated reason, the sentence, and the numbers.

    `conditions`: the leaves of a threshold, in its order; `leading`: the index of the one whose
    numbers stand for all. `begun_by`: where a threshold's onset cannot be told, a moment at which
    it was passed already. `target`: the rule's, where the service has no past to compare with;
    `baseline` is that then. `onset` is the likeliest moment, give or take `onset_within`.
    `onset_quantiles`: it began before the first with half a percent, before the second with a
    quarter, after the third with half a percent.
    """

    verdict: ProblemVerdict
    reason: ProblemReason
    text: str
    at: Moment
    symptom: str = ""
    kind: ProblemKind = "counts"
    windows: tuple[Comparison, ...] = ()
    baseline: float | None = None
    baseline_from: Moment | None = None
    baseline_until: Moment | None = None
    baseline_traffic: float | None = None
    target: float | None = None
    onset: Moment | None = None
    onset_within: Duration | None = None
    onset_quantiles: tuple[Moment, Moment, Moment] | None = None
    begun_by: Moment | None = None
    conditions: tuple[ConditionReading, ...] = ()
    leading: int = 0
    failed_per_minute: float | None = None
    severity: Severity = ""
    impact: tuple[Impact, ...] = ()
    sentiment: tuple[Impact, ...] = ()
    queries: tuple[str, ...] = ()

    @property
    def level(self) -> float | None:
        """The level in the shortest window."""
        return self.windows[0].level if self.windows else None

    @property
    def loss(self) -> float | None:
        """The loss in the shortest window."""
        return self.windows[0].loss if self.windows else None

    @property
    def bounds(self) -> str:
        """The bounds of the leading leaf in words; empty where there is no threshold."""
        known = self.leading < len(self.conditions)
        return self.conditions[self.leading].bounds if known else ""

    @property
    def onset_bounds(self) -> tuple[datetime | None, datetime | None]:
        """Between which moments it began; None where no onset is known."""
        if self.onset is None:
            return None, None
        if self.onset_quantiles is not None:
            return self.onset_quantiles[0], self.onset_quantiles[2]
        within = self.onset_within or timedelta(0)
        return self.onset - within, self.onset + within

    @property
    def healthy(self) -> bool:
        """Measured, with traffic, and found to be no problem. Unknown is never healthy."""
        return self.verdict == "not_confirmed" and self.reason in NO_PROBLEM


RecoveryState = Literal["impaired", "degraded", "healthy", "unreadable"]
ReadingReason = Literal[
    ProblemReason,  # unreadable: why nothing could be measured
    "no_traffic",
    "traffic_below_baseline",
    "near_baseline",
    "away_from_baseline",
    "newest_samples_well",
]


class RecoveryReading(Frozen):
    """One measurement after a step.

    `healthy` is near the baseline, with enough traffic; `impaired` as bad as what confirms a
    problem, and then it has a severity; `degraded` lies between the two, or has only just ended.
    With a threshold `healthy` is passed no more, and `text` says the numbers beside its bounds.
    """

    at: Moment
    state: RecoveryState
    severity: Severity = ""
    reason: Annotated[ReadingReason, AnyVersion]
    level: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    traffic: float | None = None
    text: str = ""

    def describe(self) -> str:
        """State, reason and, where it was measured, the loss or the numbers: for a sentence."""
        if self.text:
            return f"{self.state} ({self.reason}): {self.text}"
        loss = "" if self.loss is None else f", loss {percent(self.loss)}"
        return f"{self.state} ({self.reason}){loss}"
