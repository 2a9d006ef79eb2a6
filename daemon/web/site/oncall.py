"""Who is on call: now, in a week's calendar, and as a file to subscribe to; and its changes."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from aiohttp import web
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from daemon.core.people.oncall_report import oncall_view
from daemon.core.people.oncall_requests import OncallRefused, WantedOverride
from daemon.core.people.oncall_week import monday_of, oncall_week
from daemon.core.people.roster import Roster
from daemon.core.people.rotations import instant
from daemon.core.people.schedules import LocalMoment, parse_zone
from daemon.web.api.oncall import oncall_desk
from daemon.web.auth.identity import Identity
from daemon.web.errors import HttpProblem
from daemon.web.links.pages import GONE
from daemon.web.links.signed_links import BadLink, CalendarKind
from daemon.web.site.layout import FormFields, Frame, to

_MOMENT: TypeAdapter[datetime] = TypeAdapter(LocalMoment)
DONE = {
    "override": "Set. Whoever is concerned was told.",
    "remove": "Removed; the schedule counts again.",
    "swap": "Asked. Nothing changes until they accept.",
    "answer": "Answered; the other side was told.",
}


class OncallPages:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/oncall", self.show),
            web.post("/oncall/do/override", self.override),
            web.post("/oncall/do/remove", self.remove),
            web.post("/oncall/do/swap", self.swap),
            web.post("/oncall/do/answer", self.answer),
            web.get("/oncall/people/{name}.ics", self.person_file),
            web.get("/oncall/{name}.ics", self.schedule_file),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Who is called now, who is next, the week, and where nobody would be."""
        identity = await self._frame.visitor(request)
        done = DONE.get(request.query.get("done", ""), "")
        return await self._page(request, identity, 200, done=done)

    async def override(self, request: web.Request) -> web.Response:
        """Put somebody on call for a while."""
        identity, form = await self._sent(request)
        desk = oncall_desk(self._context)
        zone = _zone(form["zone"], self._context.roster())
        now = self._context.repository.clock()

        async def change() -> None:
            wanted = WantedOverride(
                schedule=form["schedule"],
                person=form["person"] or identity.person,
                start=_moment(form, "from", zone) if form["from"] else now,
                until=_moment(form, "until", zone),
                replaces=form["replaces"],
                reason=form["reason"][:500],
            )
            await desk.override(wanted, identity.person, admin=identity.may("admin"))

        return await self._carried_out(request, identity, form, "override", change())

    async def remove(self, request: web.Request) -> web.Response:
        """Take an override back."""
        identity, form = await self._sent(request)
        desk = oncall_desk(self._context)
        removing = desk.remove(form["id"], identity.person, admin=identity.may("admin"))
        return await self._carried_out(request, identity, form, "remove", removing)

    async def swap(self, request: web.Request) -> web.Response:
        """Ask somebody to take a shift."""
        identity, form = await self._sent(request)
        desk = oncall_desk(self._context)
        zone = _zone(form["zone"], self._context.roster())

        async def change() -> None:
            theirs = _moment(form, "theirs", zone) if form["theirs"] else None
            await desk.ask(
                form["schedule"],
                identity.person,
                form["with"],
                _moment(form, "mine", zone),
                theirs,
                form["reason"][:500],
            )

        return await self._carried_out(request, identity, form, "swap", change())

    async def answer(self, request: web.Request) -> web.Response:
        """Say yes or no to a swap."""
        identity, form = await self._sent(request)
        desk = oncall_desk(self._context)
        answering = desk.answer(form["id"], identity.person, accept=form["accept"] == "yes")
        return await self._carried_out(request, identity, form, "answer", answering)

    async def schedule_file(self, request: web.Request) -> web.Response:
        """The shifts of a schedule as an iCalendar."""
        name = await self._admitted(request, "schedule")
        roster = self._context.roster()
        if name not in roster.schedules:
            known = ", ".join(roster.schedules) or "none"
            text = f"There is no schedule {name!r}; the roster has {known}."
            raise HttpProblem(404, "No such schedule", text)
        from daemon.core.people.oncall_ics import schedule_calendar  # it brings icalendar

        return _file(schedule_calendar(roster, name, self._context.repository.clock()))

    async def person_file(self, request: web.Request) -> web.Response:
        """The shifts of one person as an iCalendar."""
        name = await self._admitted(request, "person")
        roster = self._context.roster()
        if name not in roster.people:
            raise HttpProblem(404, "No such person", f"{name!r} is not in the roster.")
        from daemon.core.people.oncall_ics import person_calendar  # as above

        return _file(person_calendar(roster, name, self._context.repository.clock()))

    async def _admitted(self, request: web.Request, kind: CalendarKind) -> str:
        """The name in the path, if its signed key, or who asks, opens that calendar."""
        name, key = request.match_info["name"], request.query.get("key", "")
        if not key:
            await self._frame.visitor(request)
            return name
        try:
            opens = self._context.links.opens_calendar(key, kind, name)
        except BadLink as error:
            status, text = GONE[error.why]
            raise HttpProblem(status, "Not valid", text) from None
        if not opens:
            text = "This link is of another calendar; `stopgap oncall calendars` lists yours."
            raise HttpProblem(403, "Not valid", text)
        return name

    async def _sent(self, request: web.Request) -> tuple[Identity, FormFields]:
        identity = await self._frame.visitor(request, "responder")
        return identity, await self._frame.form(request, identity)

    async def _carried_out(
        self,
        request: web.Request,
        identity: Identity,
        form: FormFields,
        name: str,
        change: Awaitable[Any],
    ) -> web.Response:
        """Then the page again, or what stood in the way, with what was written."""
        try:
            await change
        except OncallRefused as error:
            text = f"Not possible: {error}."
            return await self._page(request, identity, 409, trouble=text, kept=form, tried=name)
        kept = {key: form[key] for key in ("zone", "week") if form[key]}
        return to(f"/oncall?{urlencode({'done': name, **kept})}")

    async def _page(
        self, request: web.Request, identity: Identity, status: int, **feedback: Any
    ) -> web.Response:
        roster, now = self._context.roster(), self._context.repository.clock()
        asked = feedback.get("kept") or request.query
        zone = _zone(asked.get("zone", ""), roster)
        monday = _week(asked.get("week", ""), now.astimezone(zone).date())
        view, desk = oncall_view(roster, now), self._context.oncall
        links = self._context.links
        context = {
            "heading": "On call",
            "called": view["teams"],
            "schedules": view["schedules"],
            "overrides": [o for name in roster.schedules for o in roster.changes_of(name)],
            "swaps": desk.open_swaps() if desk is not None else [],
            "weeks": {name: oncall_week(roster, name, monday, zone) for name in roster.schedules},
            "monday": monday,
            "before": monday - timedelta(days=7),
            "after": monday + timedelta(days=7),
            "today": now.astimezone(zone).date(),
            "zone": zone.key,
            "local": partial(_local, zone),
            "zones": sorted({zone.key, "UTC", *(s.zone for s in roster.schedules.values())}),
            "people": sorted(name for name in roster.people if not roster.bars(name)),
            "files": {name: _here(links.calendar("schedule", name)) for name in roster.schedules},
            "own_file": _here(links.calendar("person", identity.person)),
            **feedback,
        }
        return await self._frame.page(request, identity, "oncall.html", context, status)


def _zone(given: str, roster: Roster) -> ZoneInfo:
    """The zone to show: what is asked for, if there is such a one; else that of the schedules."""
    usual = next((schedule.zone for schedule in roster.schedules.values()), "UTC")
    return ZoneInfo(parse_zone(given) if given in available_timezones() else usual)


def _week(given: str, today: date) -> date:
    try:
        return monday_of(date.fromisoformat(given))
    except ValueError:
        return monday_of(today)


def _moment(form: FormFields, field: str, zone: ZoneInfo) -> datetime:
    """A moment of a form, on the wall clock of the zone it was shown in. Raises OncallRefused."""
    try:
        return instant(_MOMENT.validate_python(form[field]), zone)
    except ValidationError:
        text = f"{form[field]!r} is no time; write it like 2026-12-24 18:00"
        raise OncallRefused(text) from None


def _local(zone: ZoneInfo, moment: datetime) -> Markup:
    """A moment on the wall clock of the zone."""
    at = moment.astimezone(zone)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%a %d %b %Y %H:%M}"
    )


def _here(link: str) -> str:
    """A link of ours as a page of ours has it, by whatever name the daemon is reached."""
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def _file(content: bytes) -> web.Response:
    headers = {"Cache-Control": "private, max-age=300"}
    return web.Response(
        body=content, content_type="text/calendar", charset="utf-8", headers=headers
    )
