"""The sections of a review, each of them plain blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from daemon.core.incident.learning import FollowUp
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Impact, Problem
from daemon.core.reporting.organized import organized_lines
from daemon.core.reporting.review.alert_words import alert_sections
from daemon.core.reporting.review.course import course_section, decisions_section, people_section
from daemon.core.reporting.review.diagnosis import diagnosis_section
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    Document,
    Grid,
    Literally,
    Paragraph,
    Section,
)
from daemon.core.reporting.review.durations import PARTS, duration_text
from daemon.core.reporting.review.impact import impact_section
from daemon.core.reporting.review.model import Review
from daemon.core.values.drill_key import DRILL_MARK, marked
from daemon.core.values.units import format_duration, percent, quantity


def review_document(review: Review) -> Document:
    """The whole document."""
    incident = review.incident
    sections = (
        _summary(incident),
        _problem(review),
        *alert_sections(incident),
        impact_section(review),
        course_section(review),
        _durations(review),
        _clock(review),
        decisions_section(review),
        people_section(review),
        _missing(review),
        diagnosis_section(incident),
        _cause(incident),
        _follow_ups(incident),
        _standardization(incident),
        _timeline(review),
    )
    return Document(_heading(incident), sections)


def _heading(incident: Incident) -> str:
    """A drill's says first that it is one."""
    title = incident.statement.removeprefix(DRILL_MARK).lstrip()
    heading = f"Incident {incident.id}: {title}"
    return heading if incident.drill is None else marked(heading)


def _summary(incident: Incident) -> Section:
    closed = "open" if incident.closed is None else f"closed ({incident.closed.reason})"
    rows = (
        ("Status", f"{closed}, {incident.phase}"),
        ("Severity", incident.severity or "not established"),
        ("Rule", incident.rule or "none matched"),
        ("Team", incident.opened.team or "none"),
        ("Opened", f"{incident.opened_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Commander", incident.commander or "nobody yet"),
        ("Responders", ", ".join(incident.responders) or "nobody yet"),
        *organized_lines(incident),
    )
    return Section("", (Grid(("", ""), rows),))


def _problem(review: Review) -> Section:
    incident = review.incident
    problem = incident.confirmed or incident.problem
    if problem is None:
        return Section("Problem", (Paragraph("Nothing was measured."),))
    return Section("Problem", tuple(_measured(problem, review)))


def _measured(problem: Problem, review: Review) -> Iterator[Block]:
    incident = review.incident

    def level(value: float | None) -> str:
        if value is None:
            return "–"
        return percent(value) if problem.kind == "counts" else quantity(value)

    yield Paragraph(problem.text, strong=True)
    yield Paragraph(f"Verdict: {problem.verdict} ({problem.reason}).")
    if problem.onset and problem.onset_within is not None:
        between = " and ".join(review.when(at) for at in problem.onset_bounds if at is not None)
        onset = review.when(problem.onset)
        yield Paragraph(f"Onset: {onset}, from the metrics; between {between}.")
    if incident.suspicion is not None:
        yield Paragraph(f"Suspect: {incident.suspicion.text}")
    if problem.windows:
        against = "Baseline" if problem.target is None else "Target"
        head = ("Window", "Level", against, "Loss", "99 % interval", "Traffic a minute")
        yield Grid(
            head,
            tuple(
                (
                    format_duration(w.window),
                    level(w.level),
                    level(problem.baseline),
                    percent(w.loss),
                    f"{'−∞' if w.low is None else percent(w.low)} to "
                    f"{'∞' if w.high is None else percent(w.high)}",
                    "–" if w.traffic is None else quantity(w.traffic),
                )
                for w in problem.windows
            ),
        )
    yield from _impacts("Impact by the rule's own queries:", problem.impact)
    yield from _impacts("Sentiment:", problem.sentiment)
    if problem.queries:
        yield Paragraph("Queries asked:")
        yield Literally(problem.queries)


def _impacts(heading: str, impacts: Iterable[Impact]) -> Iterator[Block]:
    items = tuple(
        f"{i.name}: {i.trouble if i.value is None else quantity(i.value)}" for i in impacts
    )
    if items:
        yield Paragraph(heading)
        yield Bullets(items)


def _durations(review: Review) -> Section:
    shown, trend = review.durations.shown(), review.trend
    if trend is None or not trend.incidents:
        rows = tuple((f"Time to {part}", shown[part]) for part in PARTS)
        return Section("Durations", (Grid(("", "This incident"), rows),))
    head = ("", "This incident", f"Median of the team's last {trend.incidents}")
    rows3 = tuple(
        (f"Time to {part}", shown[part], duration_text(trend.medians.get(part))) for part in PARTS
    )
    return Section("Durations", (Grid(head, rows3),))


def _clock(review: Review) -> Section:
    if review.clock is None:
        late = tuple(f"{item.replace('_', ' ')}: late" for item in review.incident.missed)
        blocks: tuple[Block, ...] = (Bullets(late),) if late else (Paragraph("Nothing was late."),)
        return Section("The first ten minutes", blocks)
    rows = tuple(
        (
            reading.text,
            format_duration(reading.due_at - review.incident.opened_at),
            duration_text(reading.took),
            reading.state.replace("_", " "),
        )
        for reading in review.clock
    )
    return Section("The first ten minutes", (Grid(("", "Due after", "Took", ""), rows),))


def _missing(review: Review) -> Section:
    if not review.missing:
        return Section("What was missing", (Paragraph("Nothing that the daemon knows of."),))
    items = tuple(f"{one.text[:1].upper()}{one.text[1:]}." for one in review.missing)
    return Section("What was missing", (Bullets(items),))


def _cause(incident: Incident) -> Section:
    cause = incident.learning.cause
    if cause is None:
        text = f"Nobody has recorded the cause yet; stopgap cause {incident.id} TEXT does."
        return Section("Cause", (Paragraph(text),))
    rows = (
        ("Category", cause.category),
        ("Change", cause.change or "none"),
        ("Recorded by", cause.person),
    )
    return Section("Cause", (Paragraph(cause.text, strong=True), Grid(("", ""), rows)))


def _follow_ups(incident: Incident) -> Section:
    known = incident.learning.follow_ups.values()
    if not known:
        text = f"None yet; stopgap follow-up add {incident.id} WHAT --owner WHO --due DAY adds one."
        return Section("Follow-ups", (Paragraph(text),))
    head = ("", "What", "Owner", "Due", "State", "Issue")
    return Section("Follow-ups", (Grid(head, tuple(_follow_up(one) for one in known)),))


def _standardization(incident: Incident) -> Section:
    decided = incident.learning.standards
    if not decided:
        text = (
            f"Nothing was decided about the rules yet; stopgap apply {incident.id} shows what they "
            "could learn."
        )
        return Section("Standardization", (Paragraph(text),))
    return Section("Standardization", (Bullets(tuple(one.describe() for one in decided)),))


def _follow_up(one: FollowUp) -> tuple[str, ...]:
    state = one.status.replace("_", " ") + (f" ({one.reason})" if one.reason else "")
    due = one.due.isoformat() if one.due else "–"
    return (str(one.number), one.title, one.owner, due, state, one.url or one.key or "–")


def _timeline(review: Review) -> Section:
    rows = tuple(
        (review.when(x.at), x.by.removeprefix(PERSON_PREFIX), x.event.describe())
        for x in review.entries
        if x.event.for_people
    )
    return Section("Timeline", (Grid(("Time", "Who", "What"), rows),))
