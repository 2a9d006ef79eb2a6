"""Maintenance windows: announce one, list them, end one before its time."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, Field

from daemon.core.recovery.freeze_windows import ScopeName
from daemon.core.recovery.guardrails import GLOBAL
from daemon.core.recovery.maintenance import MaintenanceWindow, WindowState
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.api.request_parsing import Lasting
from daemon.web.api.stamp import Stamp
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "automation"


class MaintenanceBody(Frozen):
    """What is worked on, and why: from when (left out, now), and `for` how long or `until` when,
    which it cannot be without. `public_text`: for audiences of public wording; left out, these
    are told nothing."""

    reason: str = Field(pattern=r"\S", max_length=300, description="for whoever meets it tonight")
    scope: ScopeName = Field(default=GLOBAL, max_length=300)
    begins: AwareDatetime | None = Field(default=None, alias="from")
    last: Lasting | None = Field(default=None, alias="for")
    until: AwareDatetime | None = None
    public_text: str = Field(default="", max_length=300)


class OneWindow(Frozen):
    """Which window, by its id."""

    window: str = Field(max_length=100)


class WindowView(Frozen):
    """A maintenance window. `ends_at`: as announced; `over_at`: when it is over, for it may be
    ended before. `holds`: the open incidents whose calls it holds."""

    id: str
    scope: str
    reason: str
    by: str
    state: WindowState
    announced_at: Stamp
    begins_at: Stamp
    ends_at: Stamp
    over_at: Stamp
    ended_by: str | None
    public_text: str
    holds: tuple[str, ...]


class WindowAnswer(Frozen):
    """The window as it stands."""

    window: WindowView


class WindowList(Frozen):
    """Those in force and ahead, and those that ended within a day; the first to begin first."""

    windows: tuple[WindowView, ...]


class MaintenanceOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        path = "/api/v1/maintenance"
        return [
            ApiOperation("GET", path, self.windows, "viewer", _TAG),
            ApiOperation(
                "POST",
                path,
                self.announce,
                "responder",
                _TAG,
                status=201,
                example={"reason": "the database moves", "scope": "team:payments", "for": "2h"},
            ),
            ApiOperation(
                "POST",
                f"{path}/{{window}}/end",
                self.end_window,
                "responder",
                _TAG,
                errors=(404, 409),
            ),
        ]

    async def windows(self, call: Call[None, None, None]) -> WindowList:
        """List the maintenance windows in force, those ahead, and those that ended lately."""
        windows = self._context.maintenance_windows()
        return WindowList(windows=tuple(window_view(self._context, one) for one in windows))

    async def announce(self, call: Call[None, None, MaintenanceBody]) -> WindowAnswer:
        """Announce a maintenance window: what opens within it is measured, calls nobody and is
        not acted upon until its end.

        It has an end, seven days after its beginning at the latest. The audiences are told.
        """
        given = call.sent
        begins = given.begins or self._context.repository.clock()
        window = await self._context.announce_maintenance(
            given.scope,
            given.reason,
            call.person,
            begins,
            _end(given, begins),
            given.public_text,
        )
        return WindowAnswer(window=window_view(self._context, window))

    async def end_window(self, call: Call[OneWindow, None, None]) -> WindowAnswer:
        """End a maintenance window now, or call it off: calls begin at once."""
        window = await self._context.end_maintenance(call.at.window, call.person)
        return WindowAnswer(window=window_view(self._context, window))


def window_view(context: WebContext, window: MaintenanceWindow) -> WindowView:
    """A window as it stands now."""
    held = (
        one.id
        for one in context.repository.known
        if one.organization.held is not None and one.organization.held.window == window.id
    )
    return WindowView(
        **window.model_dump(exclude={"ended_at"}),
        state=window.state(context.repository.clock()),
        over_at=window.over_at,
        holds=tuple(sorted(held)),
    )


def _end(given: MaintenanceBody, begins: datetime) -> datetime:
    """When it ends. Raises Problem 400."""
    if given.last is not None and given.until is None:
        try:
            return begins + given.last
        except OverflowError:
            text = "`for` is longer than any time; write it like 2h"
            raise HttpProblem(400, "No end", text) from None
    if given.last is None and given.until is not None:
        return given.until
    text = "until when? Give one of `for`, like 2h, and `until`; no maintenance is without end"
    raise HttpProblem(400, "No end", text)
