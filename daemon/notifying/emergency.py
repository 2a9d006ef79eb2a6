"""Calls people when the store itself is in trouble, without it: nothing here touches the store.

There is no incident, no escalation and no acknowledgement then, for all of these live in the
store. So everybody of the default policy who is on call is called at once, by the first of their
ways that works; again while it lasts, but not every few seconds nor after each restart; and told
once when it is over.

Of several replicas the one with this duty calls at once, and the others only if their store is in
trouble for longer: they cannot ask it whether that one lives. So whoever has no pager that knows
one alert from another may be called by each of them, which is better than by none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.config.active import ActiveConfig, Live
from daemon.core.ports.emergency import CallMemory, EmergencyNotice
from daemon.core.ports.notification import KeepsState, Page, Pager
from daemon.core.ports.store import StoreTrouble, TroubleKind
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer
from daemon.notifying.notifier import DeliveryFailure, attempt

_log = structlog.get_logger()

_LOOK_SECONDS = 1.0
EMERGENCY_AGAIN = timedelta(minutes=15)
"""How often somebody is called about the same trouble while it lasts."""
EMERGENCY_RETRY = timedelta(minutes=1)
"""How soon after none of their ways has worked."""
EMERGENCY_CALM = timedelta(minutes=1)
"""How long all must have been well to be called over: a nearly full disk comes and goes."""
EMERGENCY_PATIENCE = timedelta(minutes=1)
"""How long a replica that has not this duty waits for the one that has, or for a database that
changes over."""
_INCIDENT = "store"
"""What a page names in place of an incident; there is none."""

_TITLES: Mapping[TroubleKind, str] = {
    "gone": "Stopgap's store is gone",
    "damaged": "Stopgap's store is damaged",
    "failing": "the disk of Stopgap's store fails",
    "full": "the disk of Stopgap's store is full",
    "unwritable": "Stopgap's store cannot be written",
    "held": "Stopgap's store is held by another program",
    "away": "Stopgap's database cannot be reached",
    "stuck": "Stopgap does not work off its inbox",
}
_MEANWHILE = (
    "New alerts are refused until this is mended; Alertmanager sends them again then. Until then "
    "nobody is called for them: watch Alertmanager yourself. No acknowledgement is needed."
)
_OVER = "Alerts are taken again, and Alertmanager sends what was refused. Nothing is left to do."


class EmergencyCalls:
    """The calls about one store. `link` is the address of the daemon's pages. `first`: whether this
    replica calls at once."""

    def __init__(
        self,
        active: Live[ActiveConfig],
        memory: CallMemory,
        clock: Callable[[], datetime],
        link: str,
        observer: Observer = QUIET,
        first: Callable[[], bool] = lambda: True,
    ) -> None:
        self._active = active
        self._first = first
        self._troubled_since: datetime | None = None
        self._memory = memory
        self._clock = clock
        self._link = link
        self._observer = observer
        self._notices: dict[tuple[TroubleKind, str], EmergencyNotice] = {}
        self._failed_at: dict[str, datetime] = {}
        self._well_since: datetime | None = None
        self._forgetful = False

    async def run(self, trouble: Callable[[], StoreTrouble | None]) -> None:
        """Look again and again, until cancelled."""
        await self.recall()
        while True:
            try:
                await self.look(trouble())
            except Exception:
                _log.exception("calling about the store crashed; trying again")
                self._observer.crashed("emergency")
            await asyncio.sleep(_LOOK_SECONDS)

    async def recall(self) -> None:
        """Remember whom an earlier run told of what."""
        try:
            remembered = await self._memory.load()
        except (Temporary, Permanent) as error:
            _log.warning("who was told of the store's trouble is not known", error=str(error))
            return
        self._notices = {(notice.kind, notice.person): notice for notice in remembered}

    async def look(self, trouble: StoreTrouble | None) -> None:
        """Call whoever is due to hear of this trouble, or that it is over."""
        now = self._clock()
        if trouble is not None:
            self._well_since = None
            self._troubled_since = self._troubled_since or now
            if self._first() or now - self._troubled_since >= EMERGENCY_PATIENCE:
                await self._call(trouble, now)
            return
        self._troubled_since = None
        self._well_since = self._well_since or now
        if self._notices and now - self._well_since >= EMERGENCY_CALM:
            await self._call_off(now)

    async def _call(self, trouble: StoreTrouble, now: datetime) -> None:
        due = [
            person
            for person in self._active.now.roster.everybody_responsible("", now)
            if not _recent(self._failed_at.get(person), now, EMERGENCY_RETRY)
            and not _recent(self._noticed_at(trouble.kind, person), now, EMERGENCY_AGAIN)
        ]
        if not due:
            return
        _log.error("calling people about the store", people=due, kind=trouble.kind)
        title, text = _TITLES[trouble.kind], f"{trouble.text}. {_MEANWHILE}"
        methods = await asyncio.gather(
            *(self._reach(self._page(trouble.kind, person, title, text, now)) for person in due)
        )
        for person, method in zip(due, methods, strict=True):
            if method:
                notice = EmergencyNotice(kind=trouble.kind, person=person, method=method, at=now)
                self._notices[trouble.kind, person] = notice
            else:
                self._failed_at[person] = now
        if not any(kind == trouble.kind for kind, _ in self._notices):
            _log.critical(
                "NOBODY can be told of the store's trouble: no way to anybody works; call the "
                "people on call by phone",
                people=due,
                why=trouble.text,
            )
        await self._remember()

    async def _call_off(self, now: datetime) -> None:
        """Say once that it is over, to each who was told, by the way that they were told."""
        notices, self._notices = list(self._notices.values()), {}
        self._failed_at.clear()
        _log.warning(
            "telling people that the store is well", people=[notice.person for notice in notices]
        )
        await asyncio.gather(*(self._send_all_clear(notice, now) for notice in notices))
        await self._remember()

    async def _send_all_clear(self, notice: EmergencyNotice, now: datetime) -> None:
        pager: object = dict(self._active.now.ways.get(notice.person, ())).get(notice.method)
        page = self._page(notice.kind, notice.person, f"over: {_TITLES[notice.kind]}", _OVER, now)
        if isinstance(pager, KeepsState):
            done = await attempt(
                pager.update_alert(page.dedup_key, "resolved"), _INCIDENT, notice.method
            )
        elif pager is not None:
            done = await self._send(page, notice.method, pager)  # type: ignore[arg-type]
        else:
            return  # the roster has no such way to them any more
        if isinstance(done, DeliveryFailure):
            _log.warning("could not say that it is over", person=notice.person, why=done.text)

    async def _reach(self, page: Page) -> str:
        """Call somebody by the first of their ways that works; returns its name, empty if none
        does."""
        ways: Sequence[tuple[str, Pager]] = self._active.now.ways.get(page.person, ())
        for method, pager in ways:
            sent = await self._send(page, method, pager)
            if not isinstance(sent, DeliveryFailure):
                self._observer.emergency_call("delivered")
                return method
            _log.warning("page failed", person=page.person, method=method, why=sent.text)
            self._observer.emergency_call("failed")
        return ""

    async def _send(self, page: Page, method: str, pager: Pager) -> str | DeliveryFailure:
        return await attempt(pager.page(page), _INCIDENT, method)

    def _page(self, kind: TroubleKind, person: str, title: str, text: str, now: datetime) -> Page:
        return Page(
            incident=_INCIDENT,
            page=f"{_INCIDENT}-{kind}",
            person=person,
            title=title,
            text=text,
            severity="sev1",
            link=self._link,
            at=now,
            # With the address: another Stopgap may page the same people.
            dedup_key=f"{_INCIDENT}-{kind} {self._link}",
        )

    def _noticed_at(self, kind: TroubleKind, person: str) -> datetime | None:
        notice = self._notices.get((kind, person))
        return notice.at if notice else None

    async def _remember(self) -> None:
        try:
            await self._memory.save(tuple(self._notices.values()))
        except (Temporary, Permanent) as error:
            if not self._forgetful:
                _log.warning("a restart will call again about the store", error=str(error))
            self._forgetful = True
        else:
            self._forgetful = False


def _recent(at: datetime | None, now: datetime, within: timedelta) -> bool:
    """Whether that was not long ago; a clock that was set back does not silence anything."""
    return at is not None and abs(now - at) < within
