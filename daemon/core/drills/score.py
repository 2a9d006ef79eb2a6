"""How a drill went: what was expected of it, against what its journals say, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from daemon.core.drills.scenario import DrillScenario, scenario_of
from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillEnding, DrillMark, DrillState
from daemon.core.incident.fold import fold
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.response.milestones import Milestone, reached_at
from daemon.core.values.units import Frozen, Moment, format_duration

_Entries = Sequence[e.Entry]
_NEVER = "never"
_NOT_OPENED = "no incident opened"


class Criterion(Frozen):
    """One thing that was expected: what was wanted, and what came of it, in words."""

    name: str
    wanted: str
    got: str
    met: bool


class DrilledIncident(Frozen):
    """An incident of a drill."""

    incident: str
    title: str
    opened_at: Moment
    commander: str = ""


class DrillReport(Frozen):
    """One run of a scenario. `ending` is empty while it goes on; `ended_text` says how it ended.

    `points` of `out_of` criteria were met. `incidents` are in the order of their opening.
    """

    run: str
    drill: str
    title: str
    why: str
    by: str
    began_at: Moment
    ended_at: Moment | None
    ending: DrillEnding | None
    ended_text: str
    blue: tuple[str, ...]
    observers: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    points: int
    out_of: int
    incidents: tuple[DrilledIncident, ...]

    @property
    def percent(self) -> int:
        """The share of what was expected that was met, in percent."""
        return round(100 * self.points / self.out_of) if self.out_of else 0


def report_of(
    mark: DrillMark, journals: Sequence[_Entries], empty: DrillState | None = None
) -> DrillReport:
    """The report of the run with this mark, by the journals of its incidents. `empty`: how it ended
    if it has opened none, and so has no journal that says it."""
    scenario = scenario_of(mark)
    ordered = sorted((list(journal) for journal in journals), key=lambda entries: entries[0].at)
    played = [_Played(fold(entries), entries) for entries in ordered]
    criteria = tuple(_criteria(scenario, played))
    ended = next(
        (one.incident.drill_state for one in played if one.incident.drill_state.ending), empty
    )
    return DrillReport(
        run=mark.run,
        drill=mark.scenario,
        title=mark.title,
        why=scenario.why,
        by=mark.by,
        began_at=mark.began_at,
        ended_at=ended.ended_at if ended else None,
        ending=(ended.ending or None) if ended else None,
        ended_text=ended.text if ended else "",
        blue=mark.blue,
        observers=mark.observers,
        criteria=criteria,
        points=sum(one.met for one in criteria),
        out_of=len(criteria),
        incidents=tuple(
            DrilledIncident(
                incident=one.incident.id,
                title=one.incident.title,
                opened_at=one.incident.opened_at,
                commander=one.incident.commander,
            )
            for one in played
        ),
    )


@dataclass(frozen=True)
class _Played:
    incident: Incident
    entries: _Entries


_REACHED: tuple[tuple[str, str, Milestone], ...] = (
    ("commander", "somebody commands", "commander"),
    ("communicator", "somebody communicates", "communicator"),
    ("first_update", "the first update is out", "first_update"),
    ("decision", "how to recover is decided", "recovery_decision"),
)


def _criteria(scenario: DrillScenario, played: Sequence[_Played]) -> Iterator[Criterion]:
    expected = scenario.expect
    for name, text, milestone in _REACHED:
        within = getattr(expected, name)
        if within is not None:
            yield _within(name, text, within, _since_first(played, _at(milestone)))
    if expected.cadence is not None:
        yield _cadence(expected.cadence, played)
    if expected.takeover is not None:
        text = "command passes to somebody else"
        yield _within("takeover", text, expected.takeover, _takeover(played))
    if expected.recovery is not None:
        took = _recovery(played)
        yield _within("recovery", "service is restored", expected.recovery, took)
    if expected.roles:
        yield _roles(scenario, played)
    if expected.diagnosis:
        yield _diagnosis(expected.diagnosis, played)
    if expected.no_action:
        yield _no_action(played)
    if expected.clock:
        yield _clock(played)


def _at(milestone: Milestone) -> Callable[[Incident], datetime | None]:
    return lambda incident: reached_at(incident, milestone)


def _since_first(
    played: Sequence[_Played], reached: Callable[[Incident], datetime | None]
) -> timedelta | None:
    """How long after the first incident opened the first of them had it."""
    moments = [at for one in played if (at := reached(one.incident)) is not None]
    if not moments:
        return None
    return max(min(moments) - played[0].incident.opened_at, timedelta(0))


def _within(name: str, text: str, within: timedelta, took: timedelta | None) -> Criterion:
    return Criterion(
        name=name,
        wanted=f"{text} within {format_duration(within)}",
        got=_NEVER if took is None else f"after {_spelled(took)}",
        met=took is not None and took <= within,
    )


def _takeover(played: Sequence[_Played]) -> timedelta | None:
    """From the first Commander to the first other one; None if there was none."""
    appointed = sorted(
        (entry.at, entry.event.person)
        for one in played
        for entry in one.entries
        if isinstance(entry.event, e.CommanderAppointed)
    )
    later = (at for at, person in appointed if person != appointed[0][1])
    second = next(later, None)
    return None if second is None else second - appointed[0][0]


def _recovery(played: Sequence[_Played]) -> timedelta | None:
    """Until the last of them was measured as recovered; None if one was not."""
    moments = [one.incident.recovered_at for one in played]
    known = [at for at in moments if at is not None]
    if not known or len(known) < len(moments):
        return None
    return max(known) - played[0].incident.opened_at


def _cadence(longest: timedelta, played: Sequence[_Played]) -> Criterion:
    """The longest pause between two updates to one audience while it was not restored, and from
    the last one until then."""
    pauses: list[timedelta] = []
    for one in played:
        incident, last = one.incident, one.entries[-1].at
        over = min(at for at in (incident.recovered_at, incident.closed_at, last) if at is not None)
        audiences = {update.audience for update in incident.updates.by_name.values()}
        for audience in sorted(audiences):
            sent = [u.released_at for u in incident.updates.of(audience) if u.released_at]
            moments = [at for at in sent if at <= over]
            pauses += [after - before for before, after in pairwise([*moments, over])]
    wanted = f"no pause between updates is longer than {format_duration(longest)}"
    if not pauses:
        return Criterion(name="cadence", wanted=wanted, got="no update was sent", met=False)
    worst = max(pauses)
    got = f"the longest was {_spelled(worst)}"
    return Criterion(name="cadence", wanted=wanted, got=got, met=worst <= longest)


def _roles(scenario: DrillScenario, played: Sequence[_Played]) -> Criterion:
    wanted = scenario.expect.roles
    held = {role for one in played for role in wanted if _was_held(one, role)}
    missing = [ROLE_NAMES[role] for role in wanted if role not in held]
    return Criterion(
        name="roles",
        wanted=f"held: {', '.join(ROLE_NAMES[role] for role in wanted)}",
        got=f"vacant: {', '.join(missing)}" if missing else "all were held",
        met=not missing,
    )


def _was_held(one: _Played, role: str) -> bool:
    kind = e.CommanderAppointed if role == "commander" else e.RoleTaken
    return any(
        isinstance(entry.event, kind) and getattr(entry.event, "role", "commander") == role
        for entry in one.entries
    )


def _diagnosis(words: Sequence[str], played: Sequence[_Played]) -> Criterion:
    """Whether somebody, the daemon or a person, named the cause."""
    said = [text for one in played for text in _said(one)]
    named = [word for word in words if any(_names(text, word) for text in said)]
    return Criterion(
        name="diagnosis",
        wanted=f"the cause is named: {' or '.join(words)}",
        got=f"named: {named[0]}" if named else "it was not",
        met=bool(named),
    )


def _names(text: str, word: str) -> bool:
    """Whether a word of the text begins so: `tables` names `table`, and neither does `stable`, nor
    `v421` v42."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\d)", text, re.IGNORECASE) is not None


def _said(one: _Played) -> Iterator[str]:
    """What was found out: the suspect, and whatever people wrote."""
    suspect = one.incident.suspicion.change if one.incident.suspicion else None
    if suspect is not None:
        yield suspect.item
    for entry in one.entries:
        if entry.by.startswith(PERSON_PREFIX):
            yield entry.event.describe()


def _no_action(played: Sequence[_Played]) -> Criterion:
    acted = [s for one in played for s in one.incident.steps.values() if s.acted]
    got = ", ".join(step.action for step in acted) or "nothing was" if played else _NOT_OPENED
    met = bool(played) and not acted
    return Criterion(name="no_action", wanted="nothing is done", got=got, met=met)


def _clock(played: Sequence[_Played]) -> Criterion:
    late = sorted({item for one in played for item in one.incident.missed})
    return Criterion(
        name="clock",
        wanted="no item of the ten-minute clock is late",
        got=f"late: {', '.join(late)}" if late else "none was" if played else _NOT_OPENED,
        met=bool(played) and not late,
    )


def _spelled(took: timedelta) -> str:
    return format_duration(timedelta(seconds=round(took.total_seconds())))
