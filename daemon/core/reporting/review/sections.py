"""The sections of a review, each of them plain blocks; one with nothing to say is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Incident
from daemon.core.reporting.review.alert_words import alert_sections
from daemon.core.reporting.review.around import around_section
from daemon.core.reporting.review.course import course_section, steps_section
from daemon.core.reporting.review.diagnosis import diagnosis_section
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    CurveSketch,
    Document,
    Grid,
    Literally,
    Paragraph,
    Section,
)
from daemon.core.reporting.review.durations import PARTS
from daemon.core.reporting.review.events import full_timeline_section, timeline_section
from daemon.core.reporting.review.measurements import measurements_section
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.summary import figures_section, review_title, summary_section
from daemon.core.reporting.review.words import after, in_words, started, without_zone

_PARTS = {
    "detect": "From the beginning until the incident was opened",
    "acknowledge": "From the opening until somebody responded",
    "decide": "From the opening until it was decided how to recover",
    "mitigate": "From the opening until the step that helped was done",
    "recover": "From the opening until service was proven to be restored",
}


def review_document(review: Review) -> Document:
    """The whole document. Its summary says that all times are UTC, so none of them does."""
    sections = [
        _section_without_zone(section) for section in _sections(review) if section is not None
    ]
    return Document(without_zone(review_title(review.incident)), tuple(sections))


def _sections(review: Review) -> Iterator[Section | None]:
    incident = review.incident
    yield summary_section(review)
    yield figures_section(review)
    yield course_section(review)
    yield _bullets("What went well", review.well)
    yield _bullets("What went badly", tuple(lapse.text for lapse in review.badly))
    yield _cause(incident)
    yield _follow_ups(incident)
    yield _bullets(
        "What the rules learned", tuple(x.describe() for x in incident.learning.standards)
    )
    yield steps_section(review)
    yield around_section(incident)
    yield from alert_sections(incident)
    yield _clock(review)
    yield _durations(review)
    yield diagnosis_section(review)
    yield timeline_section(review)
    yield measurements_section(review)
    yield full_timeline_section(review)


def _section_without_zone(section: Section) -> Section:
    return replace(section, blocks=tuple(_block_without_zone(block) for block in section.blocks))


def _block_without_zone(block: Block) -> Block:
    match block:
        case Paragraph():
            return replace(block, text=without_zone(block.text))
        case Bullets():
            return replace(block, items=tuple(map(without_zone, block.items)))
        case Grid():
            return replace(block, rows=tuple(tuple(map(without_zone, r)) for r in block.rows))
        case Literally() | CurveSketch():
            return block


def _bullets(title: str, items: tuple[str, ...]) -> Section | None:
    return Section(title, (Bullets(items),)) if items else None


def _cause(incident: Incident) -> Section:
    cause, likeliest = incident.learning.cause, incident.causes.likeliest
    if cause is not None:
        change = f", {cause.change}" if cause.change else ""
        known = "" if cause.category == "unknown" else f" as: {cause.category}{change}"
        by = f"Recorded by {cause.person}{known}."
        return Section("Cause", (Paragraph(cause.text, strong=True), Paragraph(by)))
    so_far = ""
    if likeliest is not None:
        sure = "Supported by evidence" if likeliest.state == "supported" else "Likeliest so far"
        so_far = f" {sure}: {likeliest.text.rstrip('.')}."
    text = f"Not recorded yet (on the page of the incident, or stopgap cause {incident.id})."
    return Section("Cause", (Paragraph(f"{text}{so_far}"),))


def _follow_ups(incident: Incident) -> Section:
    known = incident.learning.follow_ups.values()
    if not known:
        where = f"on the page of the incident, or stopgap follow-up add {incident.id}"
        return Section("Follow-ups", (Paragraph(f"None yet ({where})."),))
    head = ("No.", "What", "Owner", "Due", "State", "Issue")
    return Section("Follow-ups", (Grid(head, tuple(_follow_up(one) for one in known)),))


def _follow_up(one: FollowUp) -> tuple[str, ...]:
    state = one.status.replace("_", " ") + (f" ({one.reason})" if one.reason else "")
    due = one.due.isoformat() if one.due else "–"
    return (str(one.number), one.title, one.owner, due, state, one.url or one.key or "–")


def _clock(review: Review) -> Section | None:
    opened_at = review.incident.opened_at
    rows = tuple(
        (
            started(reading.text),
            f"within {in_words(reading.due_at - opened_at)}",
            "not at all" if reading.took is None else after(reading.took),
            {"met": "in time", "late": "late", "running": "still to come"}[reading.state],
        )
        for reading in review.clock or ()
        if reading.state != "not_needed"
    )
    if not rows:
        return None
    return Section("The first ten minutes", (Grid(("What", "Due", "Came", ""), rows),))


def _durations(review: Review) -> Section | None:
    took, trend = vars(review.durations), review.trend
    parts = [part for part in PARTS if took[part] is not None]
    if not parts:
        return None
    if trend is None or not trend.incidents:
        rows = tuple((_PARTS[part], in_words(took[part])) for part in parts)
        return Section("How long it took", (Grid(("", "This incident"), rows),))
    several = trend.incidents > 1
    last = f"Median of the team's last {trend.incidents}" if several else "The team's last one"
    rows3 = tuple(
        (
            _PARTS[part],
            in_words(took[part]),
            in_words(trend.medians[part]) if part in trend.medians else "–",
        )
        for part in parts
    )
    return Section("How long it took", (Grid(("", "This incident", last), rows3),))
