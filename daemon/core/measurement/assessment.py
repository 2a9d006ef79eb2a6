"""From a measurement to a Problem: baseline, onset, loss, confidence, severity, verdict.

Confirmed only if, in every window, the loss is at least the rule's threshold and its 99 %
interval excludes zero, with enough traffic now and in the baseline. The baseline ends before
the onset and before any suspect change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import get_args

from daemon.core.changes.precedent import Precedent
from daemon.core.changes.suspects import Change
from daemon.core.measurement.baseline import (
    MINUTE,
    Baseline,
    counts_baseline,
    value_baseline,
)
from daemon.core.measurement.first_request import unless_never_well
from daemon.core.measurement.known_trouble import bins_outside, samples_outside
from daemon.core.measurement.loss import counts_loss, direction, scale
from daemon.core.measurement.onset import Onset, counts_onset, faint_onset, value_onset
from daemon.core.measurement.problem import (
    Comparison,
    Problem,
    ProblemReason,
    Severity,
)
from daemon.core.measurement.problem import ProblemVerdict as Verdict
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.value_shift import shift, shift_from
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.significance import Bin, Interval, difference
from daemon.core.values.units import clock_time, percent, quantity


def assess_counts(
    spec: ProblemSpec,
    windows: Mapping[timedelta, tuple[float, float] | None],
    history: Sequence[Bin],
    now: datetime,
    changes: Sequence[Change] = (),
    trouble: Sequence[Precedent] = (),
) -> Problem:
    """Assess a ratio of two counts.

    `windows` maps each width to (bad, total) up to `now`; `history` holds the overlapping bins
    of the shortest width over the look-back, of which `trouble` is known to be no part of what is
    normal. Raises Unmeasurable.
    """
    width = spec.windows[0]
    need_traffic(spec, {w: None if c is None else c[1] for w, c in windows.items()})
    usual = bins_outside(history, width, trouble)
    onset = counts_onset(spec, usual, now, changes)
    baseline = counts_baseline(spec, usual, width, onset, now)
    comparisons = []
    for window in spec.windows:
        bad, total = windows[window] or (0.0, 0.0)
        gap = _gap(bad, total, baseline)
        comparisons.append(
            Comparison(
                window=window,
                level=1 - bad / total,
                loss=gap.estimate,
                low=gap.low,
                high=gap.high,
                traffic=total / (window / MINUTE),
                exceeds=gap.estimate >= (spec.confirm.drop or 0.0) and _fails(spec, bad, total),
                significant=gap.low > 0,
            )
        )
    surely = all(c.exceeds and c.significant for c in comparisons)
    # What misses its target may have done so from its first request on, and then never began to.
    if onset.at is None and surely and baseline.target is None:
        onset = faint_onset(spec, usual, now, onset, baseline.noise)
    failed = (windows[width] or (0.0, 0.0))[0] / (width / MINUTE)
    never = failed == 0 and not any(b.bad for b in history)
    level = baseline.target
    if level is None:
        level = 1 - baseline.bad / baseline.total
    problem = _concluded(
        spec, comparisons, baseline, onset, now, level, failed=failed, never_failed=never
    )
    return unless_never_well(spec, problem, history, baseline, now)


def assess_value(
    spec: ProblemSpec,
    windows: Mapping[timedelta, Sequence[float]],
    traffic: Mapping[timedelta, float | None],
    history: Sequence[tuple[float, float]],
    now: datetime,
    changes: Sequence[Change] = (),
    trouble: Sequence[Precedent] = (),
) -> Problem:
    """Assess a value such as a latency.

    `windows` maps each width to its samples, `traffic` to its events a minute where the rule
    counts them; `history` is (Unix time, value) over the look-back, `trouble` as above. Raises
    Unmeasurable.
    """
    if spec.total is not None:
        need_traffic(
            spec,
            {w: None if t is None else t * (w / MINUTE) for w, t in traffic.items()},
        )
    sign = direction(spec)
    usual = samples_outside(history, spec.windows[0], trouble)
    onset = value_onset(spec, usual, sign, now, changes)
    baseline = value_baseline(spec, usual, sign, onset, now)
    level = median(baseline.samples) if baseline.target is None else baseline.target
    comparisons = []
    for window in spec.windows:
        samples = windows[window]
        if not samples:
            raise Unmeasurable("no_data", "empty_answer", f"no sample of {spec.symptom} now")
        # One odd sample does not move the shortest window; in a longer one the trouble counts
        # from its beginning, as it does in counts.
        current = median(samples) if window == spec.windows[0] else fmean(samples)
        if baseline.target is None:
            gap = shift(samples, baseline.samples, sign, current)
        else:
            gap = shift_from(samples, level, sign, current)
        unit = scale(level)
        comparisons.append(
            Comparison(
                window=window,
                level=current,
                loss=gap.estimate / unit,
                low=_bounded(gap.low / unit),
                high=_bounded(gap.high / unit),
                traffic=traffic.get(window),
                exceeds=gap.estimate / unit >= spec.confirm.loss(level),
                significant=gap.low > 0,
            )
        )
    return _concluded(spec, comparisons, baseline, onset, now, level)


def _fails(spec: ProblemSpec, bad: float, total: float) -> bool:
    """Whether so great a share fails as the rule wants, whatever is usual."""
    return spec.confirm.failing is None or bad / total >= spec.confirm.failing


def _gap(bad: float, total: float, baseline: Baseline) -> Interval:
    """How much worse the counts are than the baseline; noise makes events count for less."""
    if baseline.target is not None:
        loss = counts_loss(baseline.target, bad, total)
        return Interval(loss.estimate, loss.low or 0.0, loss.high or 0.0)
    noise = baseline.noise
    events = baseline.total / baseline.looks
    now, usual = noise.spread(total / events), noise.spread(baseline.looks)
    return difference(
        bad / now, total / now, baseline.bad / usual, baseline.total / usual, noise.quantile
    )


def unmeasured(spec: ProblemSpec, trouble: Unmeasurable, now: datetime) -> Problem:
    """The Problem that says why nothing could be measured."""
    return Problem(
        verdict=trouble.verdict,
        reason=trouble.reason,
        text=trouble.text,
        at=now,
        symptom=spec.symptom,
    )


def severity_of(spec: ProblemSpec, loss: float) -> Severity:
    """The severest level whose threshold the loss reaches; sev4 if it reaches none."""
    for name in get_args(Severity):
        threshold = spec.severity.get(name)
        if threshold is not None and loss >= threshold:
            severity: Severity = name
            return severity
    return "sev4"


def level_text(spec: ProblemSpec, level: float) -> str:
    """A level for a sentence: a share for counts, the metric's own number for values."""
    return percent(level) if spec.kind == "counts" else quantity(level)


# ── verdict and sentence ─────────────────────────────────────────────────────────────────────


def _concluded(
    spec: ProblemSpec,
    comparisons: Sequence[Comparison],
    baseline: Baseline,
    onset: Onset,
    now: datetime,
    level: float,
    *,
    failed: float | None = None,
    never_failed: bool = False,
) -> Problem:
    verdict, reason = _verdict(spec, comparisons, level, never_failed)
    confirmed = verdict == "confirmed"
    return Problem(
        verdict=verdict,
        reason=reason,
        text=_statement(spec, comparisons, onset, level, failed, reason, baseline.target),
        at=now,
        symptom=spec.symptom,
        kind="counts" if spec.value is None else "value",
        windows=tuple(comparisons),
        baseline=level,
        baseline_from=baseline.begin,
        baseline_until=baseline.until,
        baseline_traffic=baseline.traffic,
        target=baseline.target,
        onset=onset.at,
        onset_within=onset.within if onset.at else None,
        onset_quantiles=_quantiles(onset),
        failed_per_minute=failed,
        severity=severity_of(spec, comparisons[0].loss) if confirmed else "",
    )


def _quantiles(onset: Onset) -> tuple[datetime, datetime, datetime] | None:
    found = onset.interval
    if found is None:
        return None
    earliest, quartile, latest = (
        datetime.fromtimestamp(at, UTC) for at in (found.earliest, found.quartile, found.latest)
    )
    return earliest, quartile, latest


def _verdict(
    spec: ProblemSpec, comparisons: Sequence[Comparison], level: float, never_failed: bool
) -> tuple[Verdict, ProblemReason]:
    if never_failed:
        return "not_confirmed", "failures_never_seen"
    if spec.value is not None and not level and spec.confirm.by is None:
        return "not_confirmed", "baseline_zero"
    if not all(c.exceeds for c in comparisons):
        return "not_confirmed", "loss_below_threshold"
    if not all(c.significant for c in comparisons):
        return "not_confirmed", "not_significant"
    return "confirmed", "loss_exceeds_threshold"


def _statement(
    spec: ProblemSpec,
    comparisons: Sequence[Comparison],
    onset: Onset,
    level: float,
    failed: float | None,
    reason: ProblemReason,
    target: float | None,
) -> str:
    now, usual = level_text(spec, comparisons[0].level), level_text(spec, level)
    sentence = f"{spec.symptom} {usual} → {now}"
    if target is not None:
        sentence = f"{spec.symptom} {now} against the target of {usual}"
    if reason == "loss_exceeds_threshold":
        if onset.at is not None:
            sentence += f" since {clock_time(onset.at)}"
        return sentence if failed is None else f"{sentence}, {quantity(failed)} failed a minute"
    why = {
        "loss_below_threshold": _not_enough(spec, comparisons, target),
        "not_significant": "the difference may be chance",
        "failures_never_seen": "no failure in the whole look-back; if there are any, "
        "the `bad` query selects nothing",
        "baseline_zero": "the baseline is zero, so a relative rise means nothing; "
        "add `by:` to `confirm`",
    }
    return f"{sentence}: {why[reason]}"


def _not_enough(spec: ProblemSpec, comparisons: Sequence[Comparison], target: float | None) -> str:
    failing = spec.confirm.failing
    if failing is not None and any(1 - c.level < failing for c in comparisons):
        return f"less than {percent(failing)} fail, so it is not confirmed"
    baseline = "baseline" if target is None else "target"
    return f"not enough worse than the {baseline} to be confirmed"


def need_traffic(spec: ProblemSpec, totals: Mapping[timedelta, float | None]) -> None:
    """Raise Unmeasurable where there are too few events (by window) to judge by."""
    for window in spec.windows:
        total = totals[window]
        if total is None:
            raise Unmeasurable(
                "no_data", "empty_answer", f"`total` of {spec.symptom} has no series now"
            )
        rate = total / (window / MINUTE)
        if rate < spec.confirm.traffic or total == 0:
            raise Unmeasurable(
                "insufficient_traffic",
                "traffic_below_minimum",
                f"{quantity(rate)} events a minute; {quantity(spec.confirm.traffic)} "
                "are needed to judge",
            )


def _bounded(value: float) -> float | None:
    return value if math.isfinite(value) else None
