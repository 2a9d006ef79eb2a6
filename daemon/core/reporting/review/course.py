"""How the incident went: the symptom over time, what the daemon decided, what people did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident, StepState
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.reporting.chart import chart_marks
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    CurveSketch,
    Grid,
    Paragraph,
    Section,
)
from daemon.core.reporting.review.model import Review
from daemon.core.response.roles import holder_text
from daemon.core.response.rooms import place_links
from daemon.core.values.units import percent, quantity

_WIDTH = 60
"""Characters of the sketched curve."""
_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"
"""Where nothing was measured."""
_DECISIONS = (
    e.ProblemDefined,
    e.ProblemReassessed,
    e.StepRefused,
    e.ApprovalRequested,
    e.StepSkipped,
    e.StepReopened,
    e.StepObserved,
    e.StepStarted,
    e.StepVerified,
    e.DiagnosisOpened,
    e.AutonomyWithdrawn,
    e.Recovered,
    e.Relapsed,
    e.IncidentClosed,
)
"""What the daemon decides, each with why."""


def course_section(review: Review) -> Section:
    """The symptom over time."""
    incident, levels = review.incident, review.levels
    problem = incident.confirmed or incident.problem
    if problem is None:
        return Section("Course", (Paragraph("Nothing was measured."),))
    if len(levels) < 2:
        sketch = CurveSketch("", "The journal has too few measurements for a sketch.")
    else:
        show = percent if problem.kind == "counts" else quantity
        known = [level for _, level in levels]
        begin, end = review.when(levels[0][0]), review.when(levels[-1][0])
        between = f"between {show(min(known))} and {show(max(known))}"
        between += f"; {_NOTHING} where nothing was measured"
        sketch = CurveSketch(
            sketched(levels), f"{problem.symptom} from {begin} to {end}, {between}"
        )
    marks = tuple(
        f"{review.when(mark.at)} {mark.text}" for mark in chart_marks(incident, problem, None)
    )
    return Section("Course", (sketch, Bullets(marks)) if marks else (sketch,))


def sketched(levels: Sequence[tuple[datetime, float]]) -> str:
    """The curve in one line of characters, each the last level of its part of the time."""
    begin, end = levels[0][0], levels[-1][0]
    part = (end - begin) / _WIDTH
    low, high = min(v for _, v in levels), max(v for _, v in levels)
    cells = [_NOTHING] * _WIDTH
    for at, level in levels:
        cell = min(int((at - begin) / part), _WIDTH - 1) if part else 0
        height = (level - low) / (high - low) if high > low else 1.0
        cells[cell] = _BLOCKS[round(height * (len(_BLOCKS) - 1))]
    return "".join(cells)


def decisions_section(review: Review) -> Section:
    """What the daemon decided and why, and what came of each step."""
    steps = tuple(_step(s) for _, s in sorted(review.incident.steps.items()))
    blocks: list[Block] = [Bullets(steps) if steps else Paragraph("No recovery step was started.")]
    rows = tuple(_decisions(review))
    if rows:
        blocks.append(Grid(("Time", "Decision"), rows))
    return Section("What the daemon decided", tuple(blocks))


def _decisions(review: Review) -> Iterator[tuple[str, str]]:
    """Each once: what is decided again and again the same is one line."""
    last = ""
    for entry in review.entries:
        if entry.by != e.DAEMON or not isinstance(entry.event, _DECISIONS):
            continue
        told = entry.event.describe()
        if told != last:
            yield review.when(entry.at), told
        last = told


def _step(step: StepState) -> str:
    name = f"{step.number}. {step.action or 'step'}"
    if step.outcome is None:
        why = f" ({step.refusal or step.ask_reason})" if step.refusal or step.ask_reason else ""
        text = f": {step.refusal_text}" if step.refusal_text else ""
        return f"{name}: {step.status}{why}{text}"
    text = f"{name} on {step.target}: {step.outcome.result}"
    text += f" — {step.summary or step.outcome.detail} ({step.authority})"
    if step.verdict is not None:
        text += f". Verdict: {step.verdict}, {step.verdict_text}"
    return text


def people_section(review: Review) -> Section:
    """Who had which role, who was called in, and what each did."""
    incident = review.incident
    rows = tuple(
        (review.when(x.at), x.by.removeprefix(PERSON_PREFIX), x.event.describe())
        for x in review.entries
        if x.by.startswith(PERSON_PREFIX) and x.event.for_people
    )
    blocks: list[Block] = [Bullets(tuple(_roles(incident)))]
    if rows:
        blocks.append(Grid(("Time", "Who", "What"), rows))
    else:
        blocks.append(Paragraph("Nobody did anything by a command."))
    return Section("What people did", tuple(blocks))


def _roles(incident: Incident) -> Iterator[str]:
    for role, title in ROLE_NAMES.items():
        yield f"{title}: {holder_text(incident, role)}"
    for name, url in place_links(incident).items():
        yield f"{name}: {url}"
    for ticket in incident.collaboration.tickets:
        yield f"Ticket with {ticket.vendor}: {ticket.ticket}, opened by {ticket.person}"
    for team, engaged in incident.people.engaged.items():
        answer = f"{engaged.answered_by} came" if engaged.answered_by else "nobody came"
        yield f"Team {team} was called in: {answer}"
    for sentiment in incident.sentiment[-5:]:
        yield f"Heard outside ({sentiment.source}): {sentiment.text}"
