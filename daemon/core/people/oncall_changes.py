"""Who is on call instead of whom for a while: overrides that were set while the daemon runs, and
swaps of two shifts, one of which asks and the other agrees.

They are laid over a schedule of any kind: rotations, a calendar, and the overrides of the roster's
file. Of two that overlap the later one counts. Instants are aware, in UTC; a range is [start, end).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from daemon.core.values.units import Frozen, Moment

SwapAnswer = Literal["accepted", "declined", "withdrawn"]
LONGEST_OVERRIDE = timedelta(days=366)
"""What lasts longer belongs into the roster."""


class OncallOverride(Frozen):
    """`person` instead of `replaces`, while that one is on call; instead of everybody if empty.

    `by` set it, at `at`; `swap` is the swap that it came of, empty for none.
    """

    id: str
    schedule: str
    person: str
    replaces: str = ""
    start: Moment
    until: Moment
    reason: str = ""
    by: str
    at: Moment
    swap: str = ""

    def laid_over(self, people: tuple[str, ...], at: datetime) -> tuple[str, ...]:
        """Who is on call at that moment, of those who would be without it."""
        if not self.start <= at < self.until:
            return people
        if not self.replaces:
            return (self.person,)
        if self.replaces not in people:
            return people
        return tuple(dict.fromkeys(self.person if p == self.replaces else p for p in people))

    def describe(self) -> str:
        """It as a sentence without a full stop; times in UTC."""
        instead = f" instead of {self.replaces}" if self.replaces else ""
        return (
            f"{self.person} is on call for {self.schedule}{instead} "
            f"from {self.start:%Y-%m-%d %H:%M} until {self.until:%Y-%m-%d %H:%M} UTC"
        )


class ShiftSwap(Frozen):
    """`asker` asks `asked` to take a shift, [start, until), and takes one of theirs in return, if
    `return_start` names one. `answer` is empty while it is open."""

    id: str
    schedule: str
    asker: str
    asked: str
    start: Moment
    until: Moment
    return_start: Moment | None = None
    return_until: Moment | None = None
    reason: str = ""
    at: Moment
    answer: SwapAnswer | Literal[""] = ""
    answered_at: Moment | None = None

    @property
    def lapses_at(self) -> datetime:
        """When it is too late to agree: one of the shifts has begun."""
        return self.start if self.return_start is None else min(self.start, self.return_start)

    def describe(self) -> str:
        """It as a sentence without a full stop; times in UTC."""
        given = f"{self.start:%Y-%m-%d %H:%M} until {self.until:%Y-%m-%d %H:%M} UTC"
        text = f"{self.asker} asks {self.asked} to take {self.schedule} from {given}"
        if self.return_start is None or self.return_until is None:
            return text
        back = f"{self.return_start:%Y-%m-%d %H:%M} until {self.return_until:%Y-%m-%d %H:%M} UTC"
        return f"{text}, and takes {back} in return"

    def overrides(self, ids: tuple[str, str], at: datetime) -> tuple[OncallOverride, ...]:
        """What it comes to once it is accepted."""
        first = OncallOverride(
            id=ids[0],
            schedule=self.schedule,
            person=self.asked,
            replaces=self.asker,
            start=self.start,
            until=self.until,
            reason=self.reason,
            by=self.asker,
            at=at,
            swap=self.id,
        )
        if self.return_start is None or self.return_until is None:
            return (first,)
        back = {"id": ids[1], "person": self.asker, "replaces": self.asked, "by": self.asked}
        times = {"start": self.return_start, "until": self.return_until}
        return (first, first.model_copy(update={**back, **times}))


class OncallChanges(Protocol):
    """Keeps them; each change is told of in the ledger. Raises Temporary or Permanent."""

    async def overrides(self, since: datetime) -> Sequence[OncallOverride]:
        """Those that were not removed and last beyond that moment, the oldest first."""

    async def swaps(self) -> Sequence[ShiftSwap]:
        """Those that wait for an answer, the oldest first."""

    async def add_override(self, override: OncallOverride) -> None:
        """Keep it."""

    async def remove_override(self, id: str, by: str, at: datetime) -> bool:  # noqa: A002
        """Whether it was there, and not removed before."""

    async def ask_swap(self, swap: ShiftSwap) -> None:
        """Keep the question."""

    async def answer_swap(
        self,
        id: str,  # noqa: A002
        answer: SwapAnswer,
        at: datetime,
        overrides: Sequence[OncallOverride],
    ) -> bool:
        """Answer it and keep what it comes to, all or nothing; False if it was answered before."""


def overlaid(
    people: tuple[str, ...], overrides: Sequence[OncallOverride], at: datetime
) -> tuple[str, ...]:
    """Who is on call with all of these, which are in the order in which they were set."""
    for override in overrides:
        people = override.laid_over(people, at)
    return people
