"""Changing who is on call: overrides, swaps, and the links of the calendars."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from functools import partial
from typing import TypeVar

from pydantic import Field, StrictBool

from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.people.oncall_requests import (
    OncallRefused,
    WantedOverride,
    check_schedule_name,
)
from daemon.core.people.rotations import instant
from daemon.core.people.schedules import LocalMoment
from daemon.core.values.units import Frozen
from daemon.notifying.oncall_desk import OncallDesk, Told
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "people"
_OVERRIDES, _SWAPS = "/api/v1/oncall/overrides", "/api/v1/oncall/swaps"
_Done = TypeVar("_Done")


class OverrideBody(Frozen):
    """`person` on call for a schedule `from` … `until`, instead of `replaces` or of everybody.

    Times without an offset are on the wall clock of the schedule's zone. `person` left out: who
    asks; `from` left out: now.
    """

    schedule: str = Field(max_length=100)
    person: str | None = Field(default=None, max_length=100)
    replaces: str = Field(default="", max_length=100)
    start: LocalMoment | None = Field(default=None, alias="from")
    until: LocalMoment
    reason: str = Field(default="", max_length=500)


class SwapBody(Frozen):
    """`asked` is asked to take the shift that who asks has at `mine`, and gives the one at
    `theirs` in return, if that is given. Times as in an override."""

    schedule: str = Field(max_length=100)
    asked: str = Field(max_length=100, alias="with")
    mine: LocalMoment
    theirs: LocalMoment | None = None
    reason: str = Field(default="", max_length=500)


class SwapReply(Frozen):
    """Yes or no; no by who asked takes it back."""

    accept: StrictBool


class OneChange(Frozen):
    """Which override or swap."""

    id: str = Field(max_length=40)


class OverrideAfter(Frozen):
    """The override, who was told of it by which way, and why others were not."""

    override: OncallOverride
    told: dict[str, str]
    untold: dict[str, str]


class SwapAfter(Frozen):
    """The swap, who was told of it by which way, and why others were not."""

    swap: ShiftSwap
    told: dict[str, str]
    untold: dict[str, str]


class CalendarLinks(Frozen):
    """What a calendar program subscribes to: a link of each schedule, and of who asks alone.
    Whoever has one can read that calendar, until the keys are rotated."""

    schedules: dict[str, str]
    own: str


class OncallOperations:
    """The rows; each wants the person's own token."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        override = {"schedule": "primary", "person": "bo", "until": "2026-12-24 18:00"}
        swap = {"schedule": "primary", "with": "bo", "mine": "2026-12-24 12:00"}
        change = partial(ApiOperation, needs="responder", tag=_TAG, errors=(409,))
        return [
            ApiOperation("GET", "/api/v1/oncall/calendars", self.calendars, "viewer", _TAG),
            change("POST", _OVERRIDES, self.override, status=201, example=override),
            change("DELETE", f"{_OVERRIDES}/{{id}}", self.remove_override),
            change("POST", _SWAPS, self.swap, status=201, example=swap),
            change("POST", f"{_SWAPS}/{{id}}", self.reply, example={"accept": True}),
        ]

    async def calendars(self, call: Call[None, None, None]) -> CalendarLinks:
        """The links of the on-call calendars, for programs that subscribe to them."""
        links = self._context.links
        names = self._context.roster().schedules
        return CalendarLinks(
            schedules={name: links.calendar("schedule", name) for name in names},
            own=links.calendar("person", call.person),
        )

    async def override(self, call: Call[None, None, OverrideBody]) -> OverrideAfter:
        """Put yourself on call instead of others for a while; leads and admins put others on.

        It holds at once, and of two that overlap the later one counts.
        """
        given = call.sent
        now = self._context.repository.clock()
        try:
            wanted = WantedOverride(
                schedule=given.schedule,
                person=given.person or call.person,
                start=now if given.start is None else self._instant(given.schedule, given.start),
                until=self._instant(given.schedule, given.until),
                replaces=given.replaces,
                reason=given.reason.strip(),
            )
        except OncallRefused as error:
            raise HttpProblem(409, "Not possible", str(error)) from None
        admin = call.who is not None and call.who.may("admin")
        desk = oncall_desk(self._context)
        override, told = await _allowed(desk.override(wanted, call.person, admin=admin))
        return OverrideAfter(override=override, **_both(told))

    async def remove_override(self, call: Call[OneChange, None, None]) -> OverrideAfter:
        """Take an override back; the schedule counts again as it is."""
        admin = call.who is not None and call.who.may("admin")
        desk = oncall_desk(self._context)
        override, told = await _allowed(desk.remove(call.at.id, call.person, admin=admin))
        return OverrideAfter(override=override, **_both(told))

    async def swap(self, call: Call[None, None, SwapBody]) -> SwapAfter:
        """Ask somebody to take a shift of yours, in return for one of theirs or as a favour."""
        given, desk = call.sent, oncall_desk(self._context)
        try:
            mine = self._instant(given.schedule, given.mine)
            theirs = None
            if given.theirs is not None:
                theirs = self._instant(given.schedule, given.theirs)
        except OncallRefused as error:
            raise HttpProblem(409, "Not possible", str(error)) from None
        asking = desk.ask(
            given.schedule, call.person, given.asked, mine, theirs, given.reason.strip()
        )
        swap, told = await _allowed(asking)
        return SwapAfter(swap=swap, **_both(told))

    async def reply(self, call: Call[OneChange, None, SwapReply]) -> SwapAfter:
        """Say yes or no to a swap that you are asked for, or take back one that you asked for."""
        desk = oncall_desk(self._context)
        answering = desk.answer(call.at.id, call.person, accept=call.sent.accept)
        swap, told = await _allowed(answering)
        return SwapAfter(swap=swap, **_both(told))

    def _instant(self, schedule: str, moment: datetime) -> datetime:
        """Raises OncallRefused if there is no such schedule, whose zone it is in."""
        roster = self._context.roster()
        check_schedule_name(roster, schedule)
        return instant(moment, roster.schedules[schedule].zone_info)


def oncall_desk(context: WebContext) -> OncallDesk:
    """What changes who is on call. Raises Problem 503 where nothing does."""
    if context.oncall is None:
        raise HttpProblem(503, "Not here", "nothing keeps overrides here; ask the daemon itself")
    return context.oncall


async def _allowed(changing: Awaitable[_Done]) -> _Done:
    try:
        return await changing
    except OncallRefused as error:
        raise HttpProblem(409, "Not possible", str(error)) from None


def _both(told: Told) -> dict[str, dict[str, str]]:
    return {"told": told.told, "untold": told.untold}
