"""The open follow-ups of all incidents, what is overdue first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from daemon.core.incident.learning import FollowUp
from daemon.core.ports.journal import Head
from daemon.core.values.units import Frozen


class OpenFollowUp(Frozen):
    """One of them, with what its incident is about; `overdue`: its day is over."""

    incident: str
    title: str
    team: str
    rule: str
    follow_up: FollowUp
    overdue: bool


def open_follow_ups(
    heads: Iterable[Head], today: date, *, owner: str = "", team: str = ""
) -> list[OpenFollowUp]:
    """Those of these incidents, by their due day; what has none comes last. `owner` and `team`:
    theirs alone, if they are named."""
    found = [
        OpenFollowUp(
            incident=head.incident,
            title=head.title,
            team=head.team,
            rule=head.rule,
            follow_up=one,
            overdue=one.overdue(today),
        )
        for head in heads
        if head.outcome is not None and team in {"", head.team}
        for one in head.outcome.follow_ups
        if owner in {"", one.owner}
    ]
    return sorted(
        found, key=lambda f: (f.follow_up.due or date.max, f.incident, f.follow_up.number)
    )
