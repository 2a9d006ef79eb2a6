"""An incident in one line that lives: what is wrong now, the worst of it, since when, how it ended.

It is its title on every page and list, so it must be true whenever it is read: the measurement that
confirmed the problem is not told as the present any more once there is a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from daemon.core.measurement.problem import UNMEASURED, Problem
from daemon.core.values.units import clock_time, percent, printable, quantity

if TYPE_CHECKING:  # an incident has its headline
    from daemon.core.incident.state import Incident

RESTORED = "Restored: "
_CLOSED: Mapping[str, str] = {
    "recovered": RESTORED,
    "not_confirmed": "Not confirmed: ",
    "alerts_resolved": "Alerts over: ",
    "merged": "Merged: ",
}
"""How the line begins for each reason of a closing; `Closed: ` for all others."""


def statement_of(incident: Incident) -> str:
    """What the problem was found to be: the alert while nothing can be measured, then the sentence
    of the measurement that tells it."""
    problem = _told(incident)
    if problem is None:
        return incident.opened.title
    return _named(incident, problem.text)


def headline_of(incident: Incident) -> str:
    """The line as the incident stands."""
    return f"{_ending(incident)}{_living(incident)}"


def _told(incident: Incident) -> Problem | None:
    """The measurement to tell of; None where none tells of the service."""
    problem = incident.confirmed or incident.problem
    if problem is None or not problem.symptom or problem.verdict in UNMEASURED:
        return None
    return problem


def _named(incident: Incident, text: str) -> str:
    name = printable(" ".join(incident.group_labels.values()))
    return f"{name}: {text}" if name else text


def _ending(incident: Incident) -> str:
    if incident.recovered_at is not None:
        return RESTORED
    if incident.closed is None:
        return ""
    return _CLOSED.get(incident.closed.reason, "Closed: ")


def _living(incident: Incident) -> str:
    problem = incident.confirmed
    if problem is None or _told(incident) is None:
        return statement_of(incident)
    reading, worst = incident.reading, incident.impact.worst_level
    newer = reading is not None and reading.at > problem.at
    if not newer and incident.recovered_at is None and worst in (None, problem.level):
        return statement_of(incident)
    level, failed = problem.level, problem.failed_per_minute
    if newer and reading is not None:
        level, failed = reading.level, None
        unwell = reading.state != "healthy"  # what fails as ever is no trouble
        counts = problem.kind == "counts" and unwell
        if counts and level is not None and reading.traffic is not None:
            failed = (1 - level) * reading.traffic
    return _named(incident, f"{problem.symptom} {_numbers(incident, problem, level, failed)}")


def _numbers(
    incident: Incident, problem: Problem, level: float | None, failed: float | None
) -> str:
    """`99.8 % now, 80.1 % at worst, normally 100.0 %, 13:33:20 UTC to 13:34:18 UTC`; `at the end`
    in the place of `now` once it is closed, for nothing is measured any more."""
    now = "now" if incident.closed is None else "at the end"
    now = f"cannot be measured {now}" if level is None else f"{_level(problem, level)} {now}"
    parts = [now]
    if incident.impact.worst_level is not None:
        worst = _level(problem, incident.impact.worst_level)
        the_worst = "the worst so far" if incident.closed is None else "the worst of it"
        same = level is not None and worst == _level(problem, level)
        parts.append(the_worst if same else f"{worst} at worst")
    if problem.bounds:
        parts.append(f"a problem if {problem.bounds}")
    if problem.target is not None:
        parts.append(f"target {_level(problem, problem.target)}")
    elif problem.baseline is not None:
        parts.append(f"normally {_level(problem, problem.baseline)}")
    begun = problem.onset or problem.begun_by or incident.confirmed_at or problem.at
    parts.append(_span(begun, incident.recovered_at))
    if incident.recovered_at is None and failed is not None:
        parts.append(f"{quantity(max(failed, 0.0))} failed a minute")
    return ", ".join(parts)


def _span(begun: datetime, ended: datetime | None) -> str:
    if ended is None:
        return f"since {clock_time(begun)}"
    return f"{clock_time(begun).removesuffix(' UTC')} to {clock_time(ended)}"


def _level(problem: Problem, level: float) -> str:
    return percent(level) if problem.kind == "counts" else quantity(level)
