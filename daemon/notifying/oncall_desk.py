"""Sets and removes on-call overrides, asks for swaps and takes the answers; both sides are told.

What stands is held in memory, in the very list that the rosters in force look at, so that the next
call goes by it. Whoever is concerned is told in a way that wakes nobody; that somebody cannot be
told so stops nothing, and is said in the answer.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.people.oncall_changes import (
    OncallChanges,
    OncallOverride,
    ShiftSwap,
    SwapAnswer,
)
from daemon.core.people.oncall_requests import (
    OncallRefused,
    WantedOverride,
    check_answer,
    check_override,
    check_still_theirs,
    check_swap,
    orphaned,
    shift_at,
)
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Reminder
from daemon.core.values.outcome import Permanent, Temporary
from daemon.notifying.reminders import remind_person

_log = structlog.get_logger()

_KEPT = timedelta(days=35)
"""For so long overrides that are over are still shown in the calendar."""
_PAGE = "/oncall"


@dataclass(frozen=True)
class Told:
    """Who was told, and by which way; why somebody could not be told without ringing."""

    told: dict[str, str]
    untold: dict[str, str]


class OncallDesk:
    """The only way to change who is on call while the daemon runs.

    `overrides` is the list that `Roster.knowing` is given. `changed` is called after each change.
    `root`: how people reach the daemon, without a final slash.
    """

    def __init__(
        self,
        store: OncallChanges,
        overrides: list[OncallOverride],
        active: Live[ActiveConfig],
        clock: Callable[[], datetime],
        changed: Callable[[], None],
        root: str,
    ) -> None:
        self.overrides = overrides
        self._store = store
        self._active = active
        self._clock = clock
        self._changed = changed
        self._root = root
        self._swaps: dict[str, ShiftSwap] = {}

    async def begin(self) -> None:
        """Read what the store has. Raises Temporary, Permanent."""
        self.overrides[:] = await self._store.overrides(self._clock() - _KEPT)
        self._swaps = {swap.id: swap for swap in await self._store.swaps()}

    async def hear(self, _: str) -> None:
        """Another replica has changed who is on call. Raises Temporary, Permanent."""
        await self.begin()
        self._changed()

    def open_swaps(self) -> list[ShiftSwap]:
        """The swaps that wait for an answer and can still be agreed to."""
        now = self._clock()
        return [swap for swap in self._swaps.values() if swap.lapses_at > now]

    def orphans(self) -> list[str]:
        """What overrides are laid over nothing by the roster in force, each as a sentence."""
        return orphaned(self._roster, self.overrides, self._clock())

    async def override(
        self, wanted: WantedOverride, by: str, *, admin: bool
    ) -> tuple[OncallOverride, Told]:
        """Set it, at once. Raises OncallRefused, Temporary, Permanent."""
        now, roster = self._clock(), self._roster
        check_override(roster, wanted, by, admin=admin, now=now)
        start = max(wanted.start, now)
        override = OncallOverride(id=_new_id(), by=by, at=now, **{**vars(wanted), "start": start})
        before = _on_call_within(roster, wanted.schedule, start, wanted.until)
        await self._store.add_override(override)
        self._take(override)
        displaced = [wanted.replaces] if wanted.replaces else before
        why = f": {override.reason}" if override.reason else ""
        text = f"{override.describe()} (set by {by}{why})"
        told = await self._tell(
            [wanted.person, *displaced], by, f"On call: {override.schedule}", text
        )
        return override, told

    async def remove(self, id: str, by: str, *, admin: bool) -> tuple[OncallOverride, Told]:  # noqa: A002
        """Take it back; the schedule counts again as it is. Raises OncallRefused, Temporary,
        Permanent."""
        override = next((one for one in self.overrides if one.id == id), None)
        if override is None:
            raise OncallRefused(f"no override {id!r}; `stopgap oncall` lists those that stand")
        if by not in (override.person, override.replaces, override.by) and not admin:
            raise OncallRefused(
                f"it concerns {override.person}; they, {override.by} or an admin may remove it"
            )
        if not await self._store.remove_override(id, by, self._clock()):
            raise OncallRefused(f"the override {id} was removed already")
        self.overrides.remove(override)
        self._changed()
        text = f"Removed by {by}: {override.describe()}"
        people = [override.person, override.replaces, override.by]
        return override, await self._tell(people, by, f"On call: {override.schedule}", text)

    async def ask(
        self,
        schedule: str,
        asker: str,
        asked: str,
        moment: datetime,
        in_return: datetime | None = None,
        reason: str = "",
    ) -> tuple[ShiftSwap, Told]:
        """Ask somebody to take the asker's shift at that moment, for one of theirs if
        `in_return` is a moment of it. Raises OncallRefused, Temporary, Permanent."""
        now, roster = self._clock(), self._roster
        check_swap(roster, schedule, asker, asked)
        mine = shift_at(roster, schedule, asker, moment, now)
        theirs = None
        if in_return is not None:
            theirs = shift_at(roster, schedule, asked, in_return, now)
        swap = ShiftSwap(
            id=_new_id(),
            schedule=schedule,
            asker=asker,
            asked=asked,
            start=max(mine.start, now),
            until=mine.end,
            return_start=theirs.start if theirs else None,
            return_until=theirs.end if theirs else None,
            reason=reason,
            at=now,
        )
        if swap.lapses_at <= now:
            raise OncallRefused(
                "that shift has begun, and cannot be swapped any more; whoever takes the rest of "
                f"it sets it at once: `stopgap oncall override {schedule} --person {asked}`"
            )
        await self._store.ask_swap(swap)
        self._swaps[swap.id] = swap
        self._changed()
        text = (
            f"{swap.describe()}{f': {reason}' if reason else ''}. Answer on the page, or by "
            f"`stopgap oncall accept {swap.id}` or `stopgap oncall decline {swap.id}`"
        )
        return swap, await self._tell([asked], asker, f"Swap of {schedule}?", text)

    async def answer(self, id: str, person: str, *, accept: bool) -> tuple[ShiftSwap, Told]:  # noqa: A002
        """Say yes or no to a swap, or take back one that you asked for. Raises OncallRefused,
        Temporary, Permanent."""
        swap, now = self._swaps.get(id), self._clock()
        if swap is None:
            raise OncallRefused(f"no swap {id!r} waits for an answer; `stopgap oncall` lists them")
        check_answer(swap, person, accept=accept, now=now)
        if accept:
            check_still_theirs(self._roster, swap)
        answer: SwapAnswer = "accepted" if accept else "declined"
        if person == swap.asker:
            answer = "withdrawn"
        overrides = swap.overrides((_new_id(), _new_id()), now) if accept else ()
        if not await self._store.answer_swap(id, answer, now, overrides):
            raise OncallRefused(f"the swap {id} was answered already")
        del self._swaps[id]
        for override in overrides:
            self._take(override)
        self._changed()
        after = swap.model_copy(update={"answer": answer, "answered_at": now})
        text = f"{answer.capitalize()} by {person}: {swap.describe()}"
        title = f"Swap of {swap.schedule} {answer}"
        return after, await self._tell([swap.asker, swap.asked], person, title, text)

    @property
    def _roster(self) -> Roster:
        return self._active.now.roster

    def _take(self, override: OncallOverride) -> None:
        self.overrides.append(override)
        self._changed()

    async def _tell(self, people: Sequence[str], by: str, title: str, text: str) -> Told:
        """Tell everybody concerned but whoever did it."""
        names = [name for name in dict.fromkeys(people) if name and name != by]
        ways = self._active.now.ways
        words = [Reminder("", name, title, text, f"{self._root}{_PAGE}") for name in names]
        try:
            sent = await asyncio.gather(*(remind_person(ways, one) for one in words))
        except (Temporary, Permanent) as error:
            _log.error("people were not told of a change on call", error=str(error))
            return Told({}, dict.fromkeys(names, str(error)))
        found = dict(zip(names, sent, strict=True))
        return Told(
            {name: one.method for name, one in found.items() if one.method},
            {name: one.text for name, one in found.items() if not one.method},
        )


def _on_call_within(roster: Roster, schedule: str, start: datetime, until: datetime) -> list[str]:
    shifts = roster.shifts(schedule, start, until)
    return list(dict.fromkeys(person for shift in shifts for person in shift.people))


def _new_id() -> str:
    """What people type to remove or to answer it."""
    return secrets.token_hex(4)
