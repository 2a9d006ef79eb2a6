"""The incidents: what is open first, then what was, found by what it was about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, get_args
from urllib.parse import urlencode

from aiohttp import web

from daemon.core.incident.outcome_facts import outcome_words
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Severity
from daemon.core.ports.journal import Head, IncidentSearch, ListCursor
from daemon.core.recovery.guardrails import service_of
from daemon.core.reporting import now_and_next
from daemon.core.response.milestones import read_clock
from daemon.web.site.event_stream import ChangeCounter
from daemon.web.site.layout import FormFields, Frame

HISTORY = 25
"""So many incidents of the past are on one page."""
OPEN_SHOWN = 50
"""So many open incidents are on the page until all are asked for, the gravest of them: a thousand
would be drawn anew for every reader at every change."""
WHOLE = 10
"""So many open incidents are shown with all that is known; further ones in short, as in a storm."""
SEARCH_FIELDS = ("q", "severity", "rule", "team", "since", "until")
"""The fields of the search."""
NO_RULE = "-"
"""Asks for incidents that no rule matched."""


class IncidentListPage:
    """The route."""

    def __init__(self, frame: Frame, changes: ChangeCounter) -> None:
        self._frame = frame
        self._context = frame.context
        self._changes = changes

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Open incidents with all that one must know at a glance, and the history."""
        identity = await self._frame.visitor(request)
        version = self._changes.version()
        repository = self._context.repository
        names = await repository.journal.open_incidents()
        await repository.load_together(names)
        incidents = _gravest_first([await repository.load(name) for name in names])
        shown = len(incidents) if request.query.get("open") == "all" else OPEN_SHOWN
        filters = FormFields((name, request.query.get(name, "").strip()) for name in SEARCH_FIELDS)
        search, trouble = _search(filters, request.query)
        past = await repository.journal.heads(HISTORY + 1, search)
        context = {
            "heading": f"{len(incidents)} open" if incidents else "Incidents",
            "cards": [
                self._card(incident, whole=number < WHOLE)
                for number, incident in enumerate(incidents[:shown])
            ],
            "open_count": len(incidents),
            "leaderless": sum(not incident.commander for incident in incidents),
            "tally": _tally(incidents),
            "past": [_row(head) for head in past[:HISTORY]],
            "older": _older(filters, past),
            "filters": filters,
            "searching": any(filters.values()),
            "severities": [name for name in get_args(Severity) if name],
            "rules": sorted(self._context.rules().rules),
            "version": version,
            "trouble": trouble,
            "services": sorted({service_of(incident.key) for incident in incidents}),
        }
        return await self._frame.page(request, identity, "incidents.html", context)

    def _card(self, incident: Incident, *, whole: bool) -> dict[str, Any]:
        """What is shown of one; with what comes next and the clock, if `whole`."""
        now, config = self._context.repository.clock(), self._context.config_of(incident)
        rule = config.rules.rules.get(incident.rule)
        card = {
            "incident": incident,
            "observing": rule is not None and rule.mode == "observe",
            "doing": now_and_next.doing(incident),
        }
        if not whole:
            return card
        readings = read_clock(incident, config.roster, now)
        return card | {
            "coming": now_and_next.coming(incident, rule, now),
            "late": [r for r in readings if r.state == "late" and r.done_at is None],
            "due": min(
                (r for r in readings if r.state == "running"), key=lambda r: r.due_at, default=None
            ),
        }


def _gravest_first(incidents: list[Incident]) -> list[Incident]:
    """What is real before any drill; of each what is not restored and nobody commands, then by
    severity, the newest of equals first."""
    newest = sorted(incidents, key=lambda incident: incident.opened_at, reverse=True)
    return sorted(
        newest,
        key=lambda i: (
            i.drill is not None,
            i.recovered_at is not None,
            bool(i.commander),
            i.severity or "sev5",
        ),
    )


def _tally(incidents: list[Incident]) -> list[tuple[str, int]]:
    """How many real ones there are of each severity, the gravest first."""
    counts = Counter(incident.severity for incident in incidents if incident.drill is None)
    return sorted(counts.items(), key=lambda item: item[0] or "sev5")


def _row(head: Head) -> dict[str, Any]:
    ended = head.closed_at or head.opened_at
    outcome = outcome_words(head.outcome, closed=head.closed_at is not None)
    return {"head": head, "lasted": ended - head.opened_at, "outcome": outcome}


def _search(filters: FormFields, query: Mapping[str, str]) -> tuple[IncidentSearch, str]:
    """What is looked for among the closed incidents, and what of it was not understood."""
    wrong = []
    moments: dict[str, datetime] = {}
    for name, days in (("since", 0), ("until", 1)):
        if filters[name]:
            try:
                day = datetime.combine(datetime.fromisoformat(filters[name]), time(), UTC)
                moments[name] = day + timedelta(days=days)
            except (ValueError, OverflowError):
                wrong.append(f"{filters[name]!r} is no day; write it like 2026-11-24")
    severity: Severity = next((s for s in get_args(Severity) if s == filters["severity"]), "")
    if severity != filters["severity"]:
        wrong.append(f"{filters['severity']!r} is no severity; there are sev1 to sev4")
    after = None
    if query.get("after"):
        at, _, incident = query["after"].partition(" ")
        try:
            after = ListCursor(opened_at=datetime.fromisoformat(at), incident=incident)
        except ValueError:
            wrong.append("the place to go on from is not readable; this is the first page")
    rule = filters["rule"]
    search = IncidentSearch(
        status="closed",
        severity=severity,
        rule=None if not rule else "" if rule == NO_RULE else rule,
        team=filters["team"],
        text=filters["q"],
        since=moments.get("since"),
        until=moments.get("until"),
        after=after,
        drills="with",
    )
    return search, "; ".join(wrong)


def _older(filters: FormFields, past: list[Head]) -> str:
    """Where the list goes on; empty if it does not."""
    if len(past) <= HISTORY:
        return ""
    last = past[HISTORY - 1]
    fields = {name: value for name, value in filters.items() if value}
    return (
        f"/?{urlencode({**fields, 'after': f'{last.opened_at.isoformat()} {last.incident}'})}#past"
    )
