"""Keeps the maintenance windows: announces them, wakes incidents at their ends, tells audiences.

All that were announced and are not long over are in memory, for every decision asks for them.
Telling is repeated until a channel took it, and noted: a crash in between may tell it twice, and
never not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.ports.maintenance import MaintenanceStore
from daemon.core.ports.notes import Notes
from daemon.core.ports.notification import Message
from daemon.core.recovery.maintenance import (
    MaintenanceWindow,
    WindowStage,
    maintenance_text,
    misplaced,
    public_maintenance_text,
)
from daemon.core.values.id_letters import derived_letters
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.notifier import DeliveryFailure, attempt
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

_NOTE = "maintenance told"
_LOOK = timedelta(seconds=30)
"""How often it looks whether something is still to be told; the ends are met exactly."""
_KEPT = timedelta(days=1)
"""For so long after its end a window is listed, and told of."""


class Misplaced(ValueError):
    """The window cannot be announced so; the text says why, and the mend."""


class MaintenanceKeeper:
    """The windows. `begin` comes before anything is decided. `tells`: whether this replica tells
    the audiences now; the incidents wake on each."""

    def __init__(
        self,
        repository: IncidentRepository,
        store: MaintenanceStore,
        notes: Notes,
        active: Live[ActiveConfig],
        observer: Observer = QUIET,
        tells: Callable[[], bool] = lambda: True,
    ) -> None:
        self._repository = repository
        self._store = store
        self._notes = notes
        self._active = active
        self._observer = observer
        self._windows: tuple[MaintenanceWindow, ...] = ()
        self._tells = tells
        self._told: set[str] = set()
        """What was told: more than is noted where the store was away just then."""
        self._noted: frozenset[str] | None = None
        """What of it is noted; None where another replica does the telling."""
        self._changed = asyncio.Event()

    @property
    def windows(self) -> Sequence[MaintenanceWindow]:
        """Those in force, those ahead, and those that ended lately; the first to begin first."""
        return self._windows

    async def begin(self) -> None:
        """Read what was announced. Raises Temporary, Permanent."""
        await self._recall()

    async def hear(self, _: str) -> None:
        """Another replica has announced or ended a window. Raises Temporary, Permanent."""
        await self._look_again()

    async def announce(
        self,
        scope: str,
        reason: str,
        by: str,
        begins_at: datetime,
        ends_at: datetime,
        public_text: str = "",
    ) -> MaintenanceWindow:
        """Announce a window. Raises Misplaced, Temporary."""
        now = self._repository.clock()
        wrong = misplaced(begins_at, ends_at, now)
        if wrong:
            raise Misplaced(wrong)
        letters = derived_letters(f"{now.isoformat()} {scope} {by} {reason} {begins_at}", 6)
        window = MaintenanceWindow(
            id=f"m-{now:%m%d}-{letters}",
            scope=scope,
            reason=reason,
            by=by,
            announced_at=now,
            begins_at=max(begins_at, now),
            ends_at=ends_at,
            public_text=public_text,
        )
        await self._store.add_window(window)
        await self._look_again()
        _log.info("maintenance announced", window=window.id, scope=scope, by=by)
        return window

    async def end(self, window: str, by: str) -> bool:
        """End a window now, or call it off: what it held is called for at once. False if there is
        no such window, or it is over. Raises Temporary."""
        ended = await self._store.end_window(window, by, self._repository.clock())
        await self._look_again()
        return ended

    async def run(self) -> None:
        """Wake the incidents at every beginning and end, and tell the audiences; until
        cancelled."""
        while True:
            try:
                await self.look()
            except (Temporary, Permanent) as error:
                _log.warning("maintenance cannot be looked after; again soon", error=str(error))
            except Exception:
                _log.exception("looking after maintenance crashed; again soon")
                self._observer.crashed("maintenance")
            await self._sleep()

    async def look(self) -> None:
        """Tell what is to be told now, and forget what is long over. Raises Temporary."""
        await self._note()
        if not self._tells():
            self._told, self._noted = set(), None
            return
        if self._noted is None:
            self._noted = frozenset(await self._notes.read(_NOTE))
            self._told |= self._noted
        now = self._repository.clock()
        for window in self._windows:
            for stage in _stages(window, now):
                await self._tell(window, stage)
        kept = {window.id for window in self._windows}
        left = {told for told in self._told if told.partition("/")[0] in kept}
        if left != self._told:
            await self._notes.write(_NOTE, sorted(left))
            self._told, self._noted = left, frozenset(left)

    async def _look_again(self) -> None:
        await self._recall()
        self._repository.ring_all()
        self._changed.set()

    async def _recall(self) -> None:
        since = self._repository.clock() - _KEPT
        self._windows = tuple(await self._store.windows_since(since))

    async def _sleep(self) -> None:
        """Until the next beginning or end, or until something is to be told again."""
        now = self._repository.clock()
        ends = [at for one in self._windows for at in (one.begins_at, one.over_at) if at > now]
        until = min([now + _LOOK, *ends])
        self._changed.clear()
        try:
            async with asyncio.timeout((until - now).total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            if until in ends:
                await self._recall_quietly()
                self._repository.ring_all()

    async def _recall_quietly(self) -> None:
        try:
            await self._recall()
        except (Temporary, Permanent) as error:
            _log.warning("maintenance windows cannot be read now", error=str(error))

    async def _note(self) -> None:
        """Note what was told, also for another replica that has taken over the telling. Raises
        Temporary, Permanent."""
        if self._told - (self._noted or frozenset()):
            self._told.update(await self._notes.read(_NOTE))
            await self._notes.write(_NOTE, sorted(self._told))
            self._noted = frozenset(self._told)

    async def _tell(self, window: MaintenanceWindow, stage: WindowStage) -> None:
        config, now = self._active.now, self._repository.clock()
        for name, audience in config.roster.audiences.items():
            public = audience.wording == "public"
            text = (public_maintenance_text if public else maintenance_text)(window, stage)
            for channel in audience.channels if text else ():
                told = f"{window.id}/{stage}/{name}/{channel}"
                if told in self._told:
                    continue
                title = text.partition("\n")[0]
                update = f"{window.id}.{stage}"
                message = Message("", update, 1, name, title, text, "", "early", "", now)
                if await self._posted(channel, message):
                    self._told.add(told)
                    await self._note()

    async def _posted(self, name: str, message: Message) -> bool:
        """Whether nothing is left to be done about it: the channel took it, or never will."""
        channel = self._active.now.channels.get(name)
        if channel is None:
            _log.error("maintenance is told in a channel that the roster has not", channel=name)
            return True
        answer = await attempt(channel.post(message), "", name)
        if isinstance(answer, DeliveryFailure):
            _log.warning("maintenance is not told", channel=name, why=answer.text)
            return not answer.temporary
        return True


def _stages(window: MaintenanceWindow, now: datetime) -> Iterator[WindowStage]:
    """What the audiences must have heard by now; what a later word overtakes is left out."""
    state = window.state(now)
    if state == "ahead" and window.begins_at > window.announced_at:
        yield "announced"
    elif state == "in_force":
        yield "begins"
    elif state in ("over", "called_off"):
        yield "ended"
