"""How values look on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from daemon.core.incident.state import Incident
from daemon.core.people.calendar_report import calendar_lines
from daemon.core.values.units import percent, quantity

MINUTE, HOUR, DAY = 60, 3600, 86_400


def span_html(value: timedelta) -> str:
    """About how long, for reading at a glance: 45 s · 7 min · 2 h 5 min · 3 d 4 h."""
    seconds = max(0, round(value.total_seconds()))
    if seconds < 2 * MINUTE:
        return f"{seconds} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h {seconds % HOUR // MINUTE} min"
    return f"{seconds // DAY} d {seconds % DAY // HOUR} h"


def seconds_html(value: float) -> str:
    """Seconds for reading at a glance; fewer than none are told with a minus."""
    return (
        f"−{span_html(timedelta(seconds=-value))}"
        if value <= -0.5
        else span_html(timedelta(seconds=value))
    )


def when_html(moment: datetime | None, now: datetime) -> Markup:
    """A moment as `<time>`: the time of day, with the date if that is another day's."""
    if moment is None:
        return Markup("–")
    at = moment.astimezone(UTC)
    form = "%H:%M:%S UTC" if at.date() == now.astimezone(UTC).date() else "%Y-%m-%d %H:%M UTC"
    return Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>').format(
        at.isoformat(timespec="seconds"), at, at.strftime(form)
    )


def at(text: str | None) -> datetime | None:
    """A moment that a view wrote as text."""
    return datetime.fromisoformat(text) if text else None


def moment_html(at: datetime, now: datetime) -> Markup:
    """A moment in a narrow column: the time of day, and the day if that is another one."""
    utc = at.astimezone(UTC)
    day = "" if utc.date() == now.astimezone(UTC).date() else f"{utc:%m-%d} "
    return Markup('<time datetime="{}">{}{:%H:%M:%S}</time>').format(
        utc.isoformat(timespec="milliseconds"), day, utc
    )


def ago(moment: datetime | None, now: datetime) -> Markup:
    """How long ago, or in how long; a script keeps it true."""
    if moment is None:
        return Markup("–")
    text = f"{span_html(now - moment)} ago" if moment <= now else f"in {span_html(moment - now)}"
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds")
    return Markup('<time class="ago" datetime="{}">{}</time>').format(stamp, text)


def level(value: float | None, kind: str) -> str:
    """A level of a problem: a share for counts, the metric's own number for values."""
    if value is None:
        return "–"
    return percent(value) if kind == "counts" else quantity(value)


def words_html(text: str) -> Markup:
    """An identifier with places to break a line at."""
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


PHASES: Mapping[str, str] = {
    "defining": "being measured",
    "observing": "not confirmed so far",
    "deciding": "to be decided",
    "recovering": "being recovered",
    "verifying": "checking the effect",
    "diagnosing": "looking for the cause",
    "watching": "restored, being watched",
    "closed": "over",
}
"""What people call the phases."""


def phase_words(incident: Incident) -> str:
    """The phase of an incident in plain words. Without a rule nothing is measured, so that it does
    not say so."""
    if incident.phase == "defining" and not incident.rule:
        return "people look into it"
    return PHASES.get(incident.phase, incident.phase)


def likelihood(score: float) -> str:
    """How likely a change is to be the cause, for its score of 0 to 1."""
    return "very likely" if score >= 0.75 else "likely" if score >= 0.5 else "possible"


def local_html(moment: datetime | None, zone: str) -> Markup:
    """A moment in that zone, as `stopgap oncall` has it; a script puts it into the viewer's."""
    if moment is None:
        return Markup("–")
    there = moment.astimezone(ZoneInfo(zone))
    stamp = moment.astimezone(UTC).isoformat(timespec="seconds")
    text = f"{there:%a %Y-%m-%d %H:%M} {there.tzname()}"
    return Markup('<time class="local" datetime="{}" title="{}">{}</time>').format(
        stamp, text, text
    )


FILTERS: Mapping[str, Callable[..., Any]] = {
    "span": span_html,
    "seconds": seconds_html,
    "at": at,
    "when": when_html,
    "moment": moment_html,
    "ago": ago,
    "calendar_lines": calendar_lines,
    "local": local_html,
    "phase_words": phase_words,
    "likelihood": likelihood,
    "level": level,
    "words": words_html,
    "percent": percent,
    "quantity": quantity,
}
