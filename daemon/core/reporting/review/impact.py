"""The impact of an incident in words: how much, how it was worked out, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from daemon.core.incident.impact import LONGEST_GAP, ImpactTally
from daemon.core.measurement.problem import Problem
from daemon.core.reporting.review.document import Block, Bullets, Grid, Paragraph, Section
from daemon.core.reporting.review.durations import duration_text
from daemon.core.reporting.review.model import Review
from daemon.core.values.units import format_duration, percent, quantity


def impact_section(review: Review) -> Section:
    """What it did to users, from its own measurements."""
    incident = review.incident
    problem, tally = incident.confirmed, incident.impact
    if problem is None or tally.began is None:
        text = "Not known: no measurement confirmed a problem."
        return Section("Impact", (Paragraph(text),))
    return Section("Impact", tuple(_told(review, tally.began, problem)))


def _told(review: Review, began: datetime, problem: Problem) -> Iterator[Block]:
    tally = review.incident.impact
    counts = problem.kind == "counts"
    rows = [("Duration", duration_text(tally.lasted) + ("" if tally.ended else ", and not over"))]
    if counts:
        failed = "not known" if tally.failed is None else quantity(round(tally.failed))
        rows.insert(0, ("Failed requests", failed))
    if tally.worst_level is not None and tally.worst_at is not None:
        level = percent(tally.worst_level) if counts else quantity(tally.worst_level)
        loss = "" if tally.worst_loss is None else f" ({percent(tally.worst_loss)} worse)"
        rows.append(("Worst level", f"{level}{loss}, at {review.when(tally.worst_at)}"))
    yield Grid(("", ""), tuple(rows))
    yield Paragraph(
        f"Worked out from {tally.measurements} measurements of the daemon, from the onset at "
        f"{review.when(began)} on: between two of them the mean of both counts, until the "
        "first that was healthy."
        + (" All failed requests count, those that fail usually, too." if counts else "")
    )
    unknown = tuple(_unknown(tally, counts=counts))
    if unknown:
        yield Bullets(unknown)


def _unknown(tally: ImpactTally, *, counts: bool) -> Iterator[str]:
    if tally.assumed > timedelta(0):
        yield (
            f"{duration_text(tally.assumed)} before the first measurement are taken to have been "
            "as bad as that was."
        )
    if tally.unmeasured > timedelta(0):
        gap = format_duration(LONGEST_GAP)
        yield (
            f"{duration_text(tally.unmeasured)} lie between measurements more than {gap} apart; "
            "what happened in them is not known."
        )
    if counts and tally.uncounted > timedelta(0):
        text = f"{duration_text(tally.uncounted)} have no count of requests, and are not in the sum"
        yield f"{text} of failed ones."
