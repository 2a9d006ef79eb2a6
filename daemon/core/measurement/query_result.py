"""What an answer of Prometheus is worth: a number, a series, or a reason why neither.

Empty, several series, NaN, ±Inf, warnings: each has its own outcome, and none means healthy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

from daemon.core.measurement.problem import ProblemReason, ProblemVerdict
from daemon.core.measurement.samples import QueryAnswer, Sample
from daemon.core.values.formats import number_text
from daemon.core.values.significance import Bin


class Unmeasurable(Exception):
    """The measurement came to nothing: the verdict, its reason, and a sentence."""

    def __init__(self, verdict: ProblemVerdict, reason: ProblemReason, text: str) -> None:
        super().__init__(text)
        self.verdict: ProblemVerdict = verdict
        self.reason: ProblemReason = reason
        self.text = text


def one_number(answer: QueryAnswer) -> float | None:
    """The single finite value of an instant answer; None if it is empty.

    Raises Unmeasurable for several series, NaN or ±Inf, and for partial answers.
    """
    samples = only_series(answer)
    if not samples:
        return None
    value = samples[-1][1]
    if not math.isfinite(value):
        raise Unmeasurable(
            "query_error", "not_a_number", f"{answer.query} answered {number_text(value)}"
        )
    return value


def finite_samples(answer: QueryAnswer) -> list[Sample]:
    """The samples of a range answer; NaN and ±Inf are gaps, for they measure nothing.

    Raises Unmeasurable for several series and for partial answers.
    """
    return [sample for sample in only_series(answer) if math.isfinite(sample[1])]


def counts(bad: QueryAnswer, total: QueryAnswer) -> tuple[float, float] | None:
    """(bad, total) of one window; None if nothing was counted.

    A counter that has never failed has no series, so an empty `bad` beside a present `total`
    is zero. Raises Unmeasurable, also where the two cannot be counts of the same events.
    """
    bad_count, total_count = one_number(bad), one_number(total)
    if total_count is None:
        return None
    return _consistent(bad_count or 0.0, total_count, bad.query)


def bins(bad: QueryAnswer, total: QueryAnswer) -> list[Bin]:
    """The history of counts, oldest first, one bin for each sample of `total`.

    Where `bad` is absent nothing has failed; where it is NaN or ±Inf nobody knows: no bin. Nor
    just before it appears: a counter is born with its first failures, and these are no increase.
    An empty bin says so.
    """
    bad_at, all_of_them = dict(only_series(bad)), finite_samples(total)
    born = {
        at
        for (at, _), (after, _) in pairwise(all_of_them)
        if at not in bad_at and after in bad_at and bad_at[after] > 0
    }
    return [
        Bin(at, 0.0, 0.0, born=True)
        if at in born
        else Bin(at, *_consistent(bad_at.get(at, 0.0), count, bad.query))
        for at, count in all_of_them
        if math.isfinite(bad_at.get(at, 0.0))
    ]


def disjoint(history: Sequence[Bin], width: timedelta) -> list[Bin]:
    """The bins of overlapping windows thinned so that none share an event; the last is kept.

    `width`: of a bin that does not say when it began.
    """
    retained: list[Bin] = []
    edge = math.inf
    for current in reversed(history):
        if current.end <= edge + 1e-6:
            retained.append(current)
            begin = current.begin
            edge = current.end - width.total_seconds() if begin is None else begin
    return retained[::-1]


def newest_sample(answers: Mapping[str, QueryAnswer]) -> float | None:
    """The time of the newest raw sample among `max(timestamp(…))` answers; Unix seconds."""
    times = [one_number(answer) for answer in answers.values()]
    return max((time for time in times if time is not None), default=None)


def only_series(answer: QueryAnswer) -> Sequence[Sample]:
    """The samples of the single series of an answer, as they are; none if it is empty. Raises
    Unmeasurable for several series and for partial answers."""
    if answer.warnings:
        raise Unmeasurable(
            "query_error",
            "partial_answer",
            f"Prometheus warned that the answer is partial: {'; '.join(answer.warnings)[:300]}",
        )
    if len(answer.series) > 1:
        raise Unmeasurable(
            "query_error",
            "several_series",
            f"{answer.query} answered {len(answer.series)} series; aggregate it with sum(…)",
        )
    return answer.series[0].samples if answer.series else ()


def _consistent(bad: float, total: float, query: str) -> tuple[float, float]:
    # increase() extrapolates each series by itself, so bad may exceed total by a little.
    if bad < 0 or total < 0:
        raise Unmeasurable("query_error", "not_a_number", f"{query}: a count below zero")
    if bad > total * 1.05 + 2:
        raise Unmeasurable(
            "query_error",
            "bad_exceeds_total",
            f"{query} counted {bad:.0f} of {total:.0f} events; "
            "`bad` must count a part of what `total` counts",
        )
    return min(bad, total), total
