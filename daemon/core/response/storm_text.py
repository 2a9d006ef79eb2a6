"""What the one page of a storm says: how much, of which teams, how severe, what waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.storm import Storm
from daemon.core.values.units import clock_time, printable

NAMED = 5
"""So many incidents of one severity are named; of the others it is said how many."""
_UNMEASURED = "not measured yet"
_UNCONFIRMED = "not confirmed"
_WITHOUT_RULE = "without a rule"
_NO_SEVERITY = (_UNCONFIRMED, _UNMEASURED, _WITHOUT_RULE)
_NOTHING: Mapping[Purpose, int] = MappingProxyType({})
_WANTED: Mapping[Purpose, str] = {
    "approval": "to approve a step",
    "deputy": "to command, for who did is silent",
    "diagnosis": "to find the cause",
    "milestone": "late",
    "refired": "firing again",
    "role_request": "to take a role",
    "severity": "of a severity that you are told of",
    "sign_of_life": "to say that you are still on it",
    "update": "to send an update",
    "vacancy": "to name somebody for a role",
}


def storm_text(storm: Storm, roster: Roster, asks: Mapping[Purpose, int] = _NOTHING) -> str:
    """The first line for a lock screen; then a line for each team and severity. `asks`: what its
    incidents want of whoever is told, and how often each."""
    first = storm_headline(storm, roster)
    if asks:
        listed = ", ".join(f"{count} {_WANTED.get(kind, kind)}" for kind, count in asks.items())
        first += f"; for you: {listed}"
    return "\n".join((first, *_by_team(storm.members), *_WHAT_NOW))


def storm_headline(storm: Storm, roster: Roster) -> str:
    """The storm in one line, as it stands now: how many of all its incidents wait for somebody,
    those that are called for by themselves, too, and to how many more people must come."""
    short = len(storm.short_of_people(roster))
    counts = Counter(_severity_of(member) for member in storm.members)
    severe = ", ".join(f"{counts[severity]} {severity}" for severity in _ordered(counts))
    waits = _wait(len(storm.uncommanded), "for somebody") + _wait(short, "for more people to come")
    left = ", ".join(waits) or "somebody responds to each"
    many = f"{len(storm.members)} incident{'' if len(storm.members) == 1 else 's'}"
    return f"Storm since {clock_time(storm.began)}: {many} ({severe}); {left}"


def _wait(count: int, for_what: str) -> list[str]:
    return [f"{count} {'waits' if count == 1 else 'wait'} {for_what}"] if count else []


def _severity_of(incident: Incident) -> str:
    """Its severity, or why it has none."""
    if incident.severity:
        return incident.severity
    if not incident.rule:
        return _WITHOUT_RULE
    return _UNMEASURED if incident.problem is None else _UNCONFIRMED


_WHAT_NOW = (
    "Each stays an incident of its own. A shared cause is likely: nothing starts by itself.",
    "One answer to this page acknowledges all that are yours. List them: stopgap storm",
)


def _by_team(members: Sequence[Incident]) -> list[str]:
    teams: dict[str, dict[str, list[Incident]]] = {}
    for member in members:
        severities = teams.setdefault(member.opened.team, {})
        severities.setdefault(_severity_of(member), []).append(member)
    return [
        f"{f'{team}, ' if team else ''}{len(found[severity])} {severity}: {_names(found[severity])}"
        for team, found in sorted(teams.items())
        for severity in _ordered(found)
    ]


def _ordered(severities: Sequence[str] | Counter[str] | dict[str, list[Incident]]) -> list[str]:
    """The gravest first; `sev1` sorts before `sev2`, and what has none comes last."""
    return sorted(severities, key=lambda severity: (severity in _NO_SEVERITY, severity))


def _names(members: Sequence[Incident]) -> str:
    named = [short_name(member) for member in members[:NAMED]]
    more = len(members) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def short_name(incident: Incident) -> str:
    """What tells an incident from others of a storm: its group, else its title."""
    return printable(" ".join(incident.group_labels.values()) or incident.opened.title)[:60]
