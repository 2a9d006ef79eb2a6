"""The ways to people in a drill: those of the blue team, some of which the script lets fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.incident.events.pages import Settled
from daemon.core.ports.notification import Amends, KeepsState, Page, Pager
from daemon.core.values.outcome import Permanent, Temporary


@dataclass(frozen=True)
class PagerSilence:
    """A span in which somebody's pagers fail."""

    begin: datetime
    end: datetime


class FailingPager:
    """A pager that gets through to nobody during these spans."""

    def __init__(
        self, pager: Pager, silences: Sequence[PagerSilence], clock: Callable[[], datetime]
    ) -> None:
        self._pager = pager
        self._silences = silences
        self._clock = clock

    async def page(self, page: Page) -> str:
        """Raises Temporary while it fails, and what the pager raises."""
        self._may_fail()
        return await self._pager.page(page)

    def _may_fail(self) -> None:
        now = self._clock()
        if any(one.begin <= now < one.end for one in self._silences):
            raise Temporary("the drill's script lets this pager fail")


class FailingAlertPager(FailingPager):
    """One that keeps the state of an alert, and may fail to tell of it."""

    def __init__(
        self, pager: KeepsState, silences: Sequence[PagerSilence], clock: Callable[[], datetime]
    ) -> None:
        super().__init__(pager, silences, clock)  # type: ignore[arg-type] # it is a pager as well
        self._keeper = pager

    async def update_alert(self, dedup_key: str, state: Settled) -> str:
        """Raises what the pager raises."""
        return await self._keeper.update_alert(dedup_key, state)

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Raises Temporary while it fails or where it cannot be amended, and what it raises."""
        self._may_fail()
        if not isinstance(self._keeper, Amends):
            raise Permanent("this pager's alerts cannot be changed")
        return await self._keeper.amend_alert(page, proof)


class Uninvolved:
    """The way to somebody who takes no part."""

    def __init__(self, person: str) -> None:
        self._person = person

    async def page(self, page: Page) -> str:
        """Raises Permanent."""
        raise Permanent(
            f"{self._person} takes no part in this drill, so nobody calls them; "
            "`roles: blue:` of the scenario names who is called"
        )


def failing(pager: Pager, silences: Sequence[PagerSilence], clock: Callable[[], datetime]) -> Pager:
    """The pager, failing during these spans; it keeps state if it did."""
    if isinstance(pager, KeepsState):
        return FailingAlertPager(pager, silences, clock)
    return FailingPager(pager, silences, clock)
