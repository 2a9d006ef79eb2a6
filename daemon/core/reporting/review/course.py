"""How the incident went: the symptom over time, and what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from daemon.core.incident.impact import LONGEST_GAP
from daemon.core.incident.observation import would
from daemon.core.incident.step_state import StepState
from daemon.core.reporting.review.document import Bullets, CurveSketch, Section
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.words import (
    as_sentence,
    in_words,
    level_words,
    started,
    step_name,
    without_codes,
)

_TITLE = "The symptom over time"
_WIDTH = 60
"""Characters of the sketched curve."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
"""Where nothing was measured."""
_LEAD = 0.1
"""So much of the time shown lies before the trouble, at its usual level."""
_UNTAKEN: dict[str, str] = {
    "waiting": "was not taken",
    "skipped": "was passed over",
}


def course_section(review: Review) -> Section | None:
    """The symptom over time; None where nothing was measured."""
    incident = review.incident
    problem = incident.confirmed or incident.problem
    if problem is None or not review.levels:
        return None
    if len(review.levels) < 2:
        at, level = review.levels[0]
        once = f"Measured once, at {review.when(at)}: {level_words(level, problem.kind)}."
        return Section(_TITLE, (CurveSketch("", once),))
    levels = list(review.levels)
    began = incident.impact.began
    if problem.baseline is not None and began is not None:
        lead = (levels[-1][0] - began) * _LEAD
        levels = [(began - lead, problem.baseline), (began, levels[0][1]), *levels]
    known = [level for _, level in levels]
    lowest, highest = (level_words(x, problem.kind) for x in (min(known), max(known)))
    line = sketched(levels)
    caption = (
        f"{started(problem.symptom)} from {review.when(levels[0][0])} to "
        f"{review.when(levels[-1][0])}: {_BLOCKS[0]} is {lowest}, {_BLOCKS[-1]} is {highest}"
    )
    caption += f"; {_NOTHING} where nothing was measured." if _NOTHING in line else "."
    return Section(_TITLE, (CurveSketch(line, caption),))


def sketched(levels: Sequence[tuple[datetime, float]]) -> str:
    """The curve in one line of characters. A level stands until the next measurement, unless that
    is more than LONGEST_GAP later."""
    begin, end = levels[0][0], levels[-1][0]
    part = (end - begin) / _WIDTH
    low, high = min(v for _, v in levels), max(v for _, v in levels)
    cells = []
    for number in range(_WIDTH):
        at = begin + part * (number + 1)
        known = [x for x in levels if x[0] <= at + timedelta(microseconds=_WIDTH)]
        measured_at, level = known[-1]
        if at - measured_at > LONGEST_GAP and number < _WIDTH - 1:
            cells.append(_NOTHING)
            continue
        height = (level - low) / (high - low) if high > low else 1.0
        cells.append(_BLOCKS[round(height * (len(_BLOCKS) - 1))])
    return "".join(cells)


def steps_section(review: Review) -> Section | None:
    """What came of each step of the plan; None where it has none."""
    lines = tuple(_steps(review))
    return Section("What was tried", (Bullets(lines),)) if lines else None


def _steps(review: Review) -> Iterator[str]:
    for number, step in sorted(review.incident.steps.items()):
        name = f"Step {number}, {step_name(step)}" if step.action else f"Step {number}"
        yield f"{name}: {as_sentence(_fate(review, step))}"


def _fate(review: Review, step: StepState) -> str:
    if step.started_at is None or step.outcome is None:
        if step.status == "vetoed" and step.vetoed_by:
            return f"vetoed by {step.vetoed_by}"
        if step.status == "waiting" and step.observation is not None:
            return f"the rule only observes: Stopgap {without_codes(would(step.observation))}"
        if step.status == "waiting" and review.incident.recovered_at is not None:
            return "was not needed"
        why = f": {without_codes(step.refusal_text)}" if step.refusal_text else ""
        return f"{_UNTAKEN.get(step.status, step.status)}{why}"
    text = f"started at {review.when(step.started_at)} ({step.authority or 'by the plan'})"
    if step.finished_at is not None:
        text += f", ended after {in_words(step.finished_at - step.started_at)}"
    if step.outcome.result != "done":
        return f"{text}, and did not come to its end: {step.outcome.detail}"
    if step.verdict is None:
        return text
    helped = "restored service" if step.verdict == "recovered" else "did not restore service"
    return f"{text}, and {helped}: {step.verdict_text}"
