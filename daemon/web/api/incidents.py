"""What can be read of incidents: the list and its search, one of them, its timeline, its review."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import Field

from daemon.core.measurement.problem import Severity
from daemon.core.ports.journal import Head, IncidentSearch, ListCursor, WithDrills
from daemon.core.reporting.review.html import html_page
from daemon.core.reporting.review.markdown import markdown
from daemon.core.reporting.review.sections import review_document
from daemon.core.values.units import Frozen
from daemon.web.api.incident_view import head_view, timeline_lines_view, timeline_view
from daemon.web.api.operation import ApiOperation, Call, IncidentPath
from daemon.web.api.request_parsing import Count, Limit, When
from daemon.web.api.schemas import IncidentRow, IncidentView, TimelineEntry, TimelineLineView
from daemon.web.context import ALONE, WebContext

_TAG = "incidents"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Wanted(Frozen):
    """Which incidents: all that is given must fit, and what is empty does not matter."""

    status: Literal["open", "closed", ""] = ""
    severity: Severity = ""
    rule: str | None = Field(
        default=None, max_length=200, description="its name; empty: those that no rule matched"
    )
    team: str = Field(default="", max_length=200)
    service: str = Field(default="", max_length=200)
    q: str = Field(
        default="",
        max_length=200,
        description="looked for in title, id, rule, team and service, whatever its capitals",
    )
    since: When | None = Field(default=None, description="opened then or later")
    until: When | None = Field(default=None, description="opened before that")
    drills: WithDrills = Field(
        default="with", description="whether drills are listed, too, or alone"
    )
    limit: Limit = 50
    cursor: str = Field(
        default="",
        pattern=r"^([0-9]{1,17}\.[0-9A-Za-z_-]{1,100})?$",
        description="`next` of the list before",
    )


class IncidentList(Frozen):
    """The incidents, the newest first. `next` is the cursor of the older ones; null at the end."""

    incidents: tuple[IncidentRow, ...]
    next: str | None


class WithTimeline(Frozen):
    """One incident and all its entries; `lines` is the timeline in short, the oldest first.
    `replica`: which one conducts it, of several that share the store; empty for none just now."""

    incident: IncidentView
    timeline: tuple[TimelineEntry, ...]
    lines: tuple[TimelineLineView, ...]
    replica: str = ""


class TimelinePart(Frozen):
    """Which part of a timeline: after that entry, of that kind."""

    after: Count = Field(
        default=0, ge=0, le=999_999_999, description="the last `seq` that is known"
    )
    kind: str = Field(default="", max_length=100, description="of the entry, such as StepStarted")
    limit: Limit = 100


class Timeline(Frozen):
    """A part of a timeline, the oldest first. `next` is what `after` must be to go on; null at
    the end. `seq` is how far the incident is."""

    timeline: tuple[TimelineEntry, ...]
    next: int | None
    seq: int


class ReviewFormat(Frozen):
    """How the review is set. `html`: one file that stands alone, with the chart in it."""

    format: Literal["markdown", "html"] = "markdown"


class IncidentReads:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        one = "/api/v1/incidents/{id}"
        return [
            ApiOperation(
                "GET",
                "/api/v1/incidents",
                self.search,
                "viewer",
                _TAG,
                example={"status": "open", "severity": "sev1"},
            ),
            ApiOperation("GET", one, self.show, "viewer", _TAG, tagged=True),
            ApiOperation(
                "GET", f"{one}/timeline", self.timeline, "viewer", _TAG, example={"after": 0}
            ),
            ApiOperation(
                "GET",
                f"{one}/review",
                self.review,
                "viewer",
                _TAG,
                media="text/markdown",
                alternatives=("text/html",),
                example={"format": "html"},
            ),
        ]

    async def search(self, call: Call[None, Wanted, None]) -> IncidentList:
        """List and search incidents, the newest first.

        A list that goes on has `next`; the header `Link` with `rel="next"` leads there, too.
        """
        query = call.query
        search = IncidentSearch(
            status=query.status,
            severity=query.severity,
            rule=query.rule,
            team=query.team,
            service=query.service,
            text=query.q,
            since=query.since,
            until=query.until,
            after=_place(query.cursor),
            drills=query.drills,
        )
        heads = await self._context.repository.journal.heads(query.limit + 1, search)
        cursor = _cursor(heads[query.limit - 1]) if len(heads) > query.limit else None
        _link_next(call, "cursor", cursor)
        rules = self._context.rules().rules
        rows = tuple(head_view(head, rules.get(head.rule)) for head in heads[: query.limit])
        return IncidentList(incidents=rows, next=cursor)

    async def show(self, call: Call[IncidentPath, None, None]) -> WithTimeline:
        """One incident as it stands, with its timeline as people read it.

        Its ETag begins with the number of its last entry. Deeds take it as `If-Match`, and then
        do nothing if more has happened meanwhile.
        """
        incident, entries = await self._context.repository.load_whole(call.at.id)
        view = self._context.view(incident)
        # Strong: the clock and who could help change without an entry. Deeds compare its number.
        content = hashlib.sha256(view.model_dump_json().encode()).hexdigest()[:12]
        call.headers["ETag"] = f'"{incident.seq}-{content}"'
        shown = [entry for entry in entries if entry.event.for_people]
        register = self._context.replicas
        return WithTimeline(
            incident=view,
            timeline=timeline_view(shown),
            lines=timeline_lines_view(entries),
            replica=await register.owner_of(incident.id) if register is not None else "",
        )

    async def timeline(self, call: Call[IncidentPath, TimelinePart, None]) -> Timeline:
        """Every entry of an incident's journal, part by part."""
        incident = await self._context.repository.load(call.at.id)
        query = call.query
        entries = [
            entry
            for entry in await self._context.repository.journal.read(incident.id, query.after)
            if query.kind in {"", entry.event.kind}
        ]
        shown = entries[: query.limit]
        after = shown[-1].seq if len(entries) > len(shown) else None
        _link_next(call, "after", after)
        return Timeline(timeline=timeline_view(shown), next=after, seq=incident.seq)

    async def review(self, call: Call[IncidentPath, ReviewFormat, None]) -> str:
        """The review document, in Markdown or as one HTML file.

        It is complete at any time, of an open incident too; what people record of the cause and
        the follow-ups is in it at once.
        """
        review = await self._context.review(call.at.id)
        if call.query.format == "markdown":
            return markdown(review)
        call.headers["Content-Type"] = "text/html"
        call.headers["Content-Security-Policy"] = ALONE
        return html_page(review_document(review), await self._context.figure(review))


def _link_next(
    call: Call[IncidentPath, TimelinePart, None] | Call[None, Wanted, None],
    name: str,
    value: object,
) -> None:
    """The header that leads to what comes next (RFC 8288)."""
    if value is not None:
        url = call.request.rel_url.update_query({name: str(value)})
        call.headers["Link"] = f'<{url}>; rel="next"'


def _cursor(head: Head) -> str:
    return f"{(head.opened_at - EPOCH) // MICROSECOND}.{head.incident}"


def _place(cursor: str) -> ListCursor | None:
    """Where a cursor stands, in a list that may have grown since."""
    if not cursor:
        return None
    at, _, incident = cursor.partition(".")
    return ListCursor(opened_at=EPOCH + int(at) * MICROSECOND, incident=incident)
