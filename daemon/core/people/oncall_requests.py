"""Whether an override or a swap that somebody wants can be: pure, from the roster as it is."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.people.oncall_changes import LONGEST_OVERRIDE, OncallOverride, ShiftSwap
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift

_AHEAD = timedelta(days=366)
"""How far ahead a shift is looked for, and how far one is followed to its end."""
_MEANT = timedelta(days=1)
"""So long after a named moment a shift may begin and still be the one that is meant: a day's noon
for its night."""


class OncallRefused(ValueError):
    """It cannot be; the text names what is wrong and the mend."""


@dataclass(frozen=True)
class WantedOverride:
    """What somebody wants: `person` on call for a schedule in [start, until), instead of
    `replaces` or, if that is empty, of everybody."""

    schedule: str
    person: str
    start: datetime
    until: datetime
    replaces: str = ""
    reason: str = ""


def check_override(
    roster: Roster, wanted: WantedOverride, by: str, *, admin: bool, now: datetime
) -> None:
    """Raises OncallRefused unless `by` may set it now. Oneself can be put on call by everybody,
    somebody else by an admin, or by the lead of a team that the schedule is called for."""
    check_schedule_name(roster, wanted.schedule)
    for name, what in ((wanted.person, "put on call"), (wanted.replaces, "replaced")):
        if name:
            _check_person(roster, name, what)
    barred = roster.bars(wanted.person)
    if barred:
        raise OncallRefused(f"nobody can be called who may not respond: {barred}")
    if wanted.person == wanted.replaces:
        raise OncallRefused(f"{wanted.person} cannot replace themselves; name somebody else")
    if wanted.until <= wanted.start:
        raise OncallRefused(
            f"it ends before it begins: `until` {_told(wanted.until)} must be later than "
            f"`from` {_told(wanted.start)}"
        )
    if wanted.until <= now:
        raise OncallRefused(f"it is past already: it ends at {_told(wanted.until)}, now is later")
    if wanted.until - wanted.start > LONGEST_OVERRIDE:
        raise OncallRefused("it lasts longer than a year; change the schedule in the roster")
    if wanted.person != by and not admin and by not in leads_of(roster, wanted.schedule):
        who = ", ".join(leads_of(roster, wanted.schedule)) or "an admin"
        raise OncallRefused(
            f"{wanted.person} must agree: ask them by `stopgap oncall swap`, or have it set by "
            f"{who}, who may put others on call"
        )


def leads_of(roster: Roster, schedule: str) -> list[str]:
    """The leads of the teams that the schedule is called for."""
    found: dict[str, None] = {}
    for team in roster.teams.values():
        named = {name for tier in roster.policies[team.policy].tiers for name in tier.notify}
        if schedule in named:
            found.update(dict.fromkeys(team.commanders))
    return list(found)


def shift_at(roster: Roster, schedule: str, person: str, at: datetime, now: datetime) -> Shift:
    """The shift of that person that holds the moment, or begins within a day after it, or, if the
    moment is now, their next; what of it is past is not in it. Raises OncallRefused."""
    if at < now - timedelta(minutes=5):
        raise OncallRefused(f"{_told(at)} is past; name a moment within a shift to come")
    begin = max(at, now)
    whole = roster.shifts(schedule, now, begin + _AHEAD)
    for index, shift in enumerate(whole):
        if shift.end <= begin or person not in shift.people:
            continue
        if shift.start > begin + timedelta(days=31):
            break
        if begin > now and shift.start > begin + _MEANT:
            there = next((s.people for s in whole if s.start <= begin < s.end), ())
            raise OncallRefused(
                f"{person} has no shift of {schedule} at {_told(at)}: "
                f"{' and '.join(there) or 'nobody'} is on call then; their next begins at "
                f"{_told(shift.start)}, so name a moment in that, if it is meant"
            )
        return _joined(whole[index:], person)
    raise OncallRefused(
        f"{person} has no shift of {schedule} at {_told(at)}, or in the month after it; "
        "`stopgap oncall` tells who is next"
    )


def _joined(shifts: Sequence[Shift], person: str) -> Shift:
    """The shift at the front with those right after it that this person has, too."""
    first, *later = shifts
    end = first.end
    for shift in later:
        if shift.start != end or person not in shift.people:
            break
        end = shift.end
    return Shift(first.start, end, (person,))


def check_swap(roster: Roster, schedule: str, asker: str, asked: str) -> None:
    """Raises OncallRefused unless these two can swap shifts of that schedule."""
    check_schedule_name(roster, schedule)
    _check_person(roster, asked, "asked")
    for name in (asker, asked):
        barred = roster.bars(name)
        if barred:
            raise OncallRefused(f"nobody can be called who may not respond: {barred}")
    if asker == asked:
        raise OncallRefused("nobody swaps with themselves; name somebody else")


def check_answer(swap: ShiftSwap, person: str, *, accept: bool, now: datetime) -> None:
    """Raises OncallRefused unless that person may answer it so now: who is asked says yes or no,
    who asked may take it back."""
    if person not in (swap.asked, swap.asker):
        raise OncallRefused(f"{swap.asked} is asked, not you")
    if accept and person == swap.asker:
        raise OncallRefused(f"you asked; {swap.asked} must agree")
    if accept and swap.lapses_at <= now:
        raise OncallRefused(
            f"it is too late: one of the shifts began at {_told(swap.lapses_at)}; ask anew"
        )


def check_still_theirs(roster: Roster, swap: ShiftSwap) -> None:
    """Raises OncallRefused if the roster, or an override since, has made a swap void: agreeing to
    it would put nobody on call."""
    check_swap(roster, swap.schedule, swap.asker, swap.asked)
    given = [(swap.asker, swap.start, swap.until)]
    if swap.return_start is not None and swap.return_until is not None:
        given.append((swap.asked, swap.return_start, swap.return_until))
    for person, start, until in given:
        if not any(person in shift.people for shift in roster.shifts(swap.schedule, start, until)):
            raise OncallRefused(
                f"{person} is not on call for {swap.schedule} from {_told(start)} any more; "
                "`stopgap oncall` tells who is; ask anew if it is still wanted"
            )


def orphaned(roster: Roster, overrides: Sequence[OncallOverride], now: datetime) -> list[str]:
    """What overrides that are not over are laid over nothing: their schedule, or their person, is
    not in the roster any more. A sentence for each, with the mend."""
    found = []
    for override in overrides:
        mend = f"set it again, or `stopgap oncall remove {override.id}`"
        if override.until <= now:
            continue
        if override.schedule not in roster.schedules:
            found.append(
                f"the override {override.id} ({override.describe()}) is orphaned: there is no "
                f"schedule {override.schedule!r} any more{_close(override.schedule, roster)}; "
                f"{mend}"
            )
        elif roster.bars(override.person):
            found.append(
                f"the override {override.id} ({override.describe()}) does not count: "
                f"{roster.bars(override.person)}; {mend}"
            )
    return found


def check_schedule_name(roster: Roster, name: str) -> None:
    """Raises OncallRefused unless there is such a schedule."""
    if name not in roster.schedules:
        known = ", ".join(roster.schedules) or "none"
        hint = _close(name, roster) or f"; the roster has {known}"
        raise OncallRefused(f"no schedule {name!r}{hint}")


def _close(name: str, roster: Roster) -> str:
    close = difflib.get_close_matches(name, roster.schedules, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _check_person(roster: Roster, name: str, what: str) -> None:
    if name in roster.people:
        return
    close = difflib.get_close_matches(name, roster.people, 1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(roster.people))}"
    raise OncallRefused(f"{name!r} cannot be {what}: they are not in the roster; {hint}")


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
