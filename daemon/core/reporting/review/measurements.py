"""What the figures of a review rest on: the measurement that confirmed the problem, how the impact
was worked out and what is not known of it, the queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from daemon.core.incident.impact import LONGEST_GAP, ImpactTally
from daemon.core.measurement.problem import Comparison, Impact, Problem
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    Grid,
    Literally,
    Paragraph,
    Section,
)
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.words import (
    as_sentence,
    in_words,
    level_words,
    plural,
)
from daemon.core.values.units import format_duration, percent, quantity


def measurements_section(review: Review) -> Section | None:
    """The measurements; None where nothing was measured."""
    incident = review.incident
    problem = incident.confirmed or incident.problem
    if problem is None:
        return None
    blocks = (*_measured(problem, review), *_worked_out(review, problem), *_queries(problem))
    return Section("Measurements", tuple(blocks), folded=True)


def _measured(problem: Problem, review: Review) -> Iterator[Block]:
    confirmed = "Confirmed" if problem.verdict == "confirmed" else "Not confirmed"
    yield Paragraph(as_sentence(f"{confirmed} at {review.when(problem.at)}: {problem.text}"))
    bounds = [review.when(at) for at in problem.onset_bounds if at is not None]
    if len(bounds) == 2:
        yield Paragraph(f"By the metrics it began between {bounds[0]} and {bounds[1]}.")
    if review.incident.suspicion is not None:
        yield Paragraph(as_sentence(f"What may have caused it: {review.incident.suspicion.text}"))
    if problem.windows:
        yield _windows(problem)
    if len(problem.conditions) > 1:
        yield Paragraph("Each condition of the rule's threshold at that moment:")
        yield Bullets(tuple(one.describe() for one in problem.conditions))
    yield from _impacts("Impact by the rule's own queries:", problem.impact)
    yield from _impacts("What users said, by the rule's own queries:", problem.sentiment)


def _windows(problem: Problem) -> Grid:
    usual = "–" if problem.baseline is None else level_words(problem.baseline, problem.kind)
    threshold = problem.kind == "threshold"
    judged = ("Threshold", "Passed by") if threshold else ("Loss", "99 % interval")
    return Grid(
        ("Measured over", "Level", "Usual", *judged, "Traffic a minute"),
        tuple(
            (
                format_duration(w.window),
                level_words(w.level, problem.kind),
                usual,
                *((problem.bounds, percent(w.loss)) if threshold else _loss(w)),
                "–" if w.traffic is None else quantity(w.traffic),
            )
            for w in problem.windows
        ),
    )


def _loss(window: Comparison) -> tuple[str, str]:
    low = "−∞" if window.low is None else percent(window.low)
    high = "∞" if window.high is None else percent(window.high)
    return percent(window.loss), f"{low} to {high}"


def _impacts(heading: str, impacts: Iterable[Impact]) -> Iterator[Block]:
    items = tuple(
        f"{i.name}: {i.trouble if i.value is None else quantity(i.value)}" for i in impacts
    )
    if items:
        yield Paragraph(heading)
        yield Bullets(items)


def _worked_out(review: Review, problem: Problem) -> Iterator[Block]:
    tally = review.incident.impact
    if tally.began is None or review.incident.confirmed is None:
        return
    counts = problem.kind == "counts"
    text = (
        f"Duration{' and failed requests are' if counts else ' is'} worked out from "
        f"{plural(tally.measurements, 'measurement')}, from {review.when(tally.began)} on, until "
        "the first that was healthy"
    )
    text += "; between two of them the mean of both counts." if counts else "."
    text += " All failed requests count, those that fail usually, too." if counts else ""
    yield Paragraph(text)
    unknown = tuple(_unknown(tally, counts=counts))
    if unknown:
        yield Bullets(unknown)


def _unknown(tally: ImpactTally, *, counts: bool) -> Iterator[str]:
    if tally.assumed > timedelta(0):
        yield (
            f"The first {in_words(tally.assumed)}, before it was measured, are taken to have been "
            "as bad as the first measurement."
        )
    if tally.unmeasured > timedelta(0):
        yield (
            f"For {in_words(tally.unmeasured)} there was no measurement for more than "
            f"{in_words(LONGEST_GAP)} in a row; what happened then is not known."
        )
    if counts and tally.uncounted > timedelta(0):
        yield (
            f"For {in_words(tally.uncounted)} the number of requests is not known; they are not in "
            "the sum of those that failed."
        )


def _queries(problem: Problem) -> Iterator[Block]:
    if problem.queries:
        where = f" of the Prometheus {problem.prometheus}" if problem.prometheus else ""
        yield Paragraph(f"Queries asked{where}:")
        yield Literally(problem.queries)
