"""One incident on one page: what is broken, what is done about it, and every way to steer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, get_args
from urllib.parse import quote, urlsplit

from aiohttp import web

from daemon.core.commands import COMMANDS
from daemon.core.incident import events as e
from daemon.core.incident.alert_words import alert_links, alert_words
from daemon.core.incident.events import Entry, suppression
from daemon.core.incident.responders import PERSON_PREFIX, Request
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import untold
from daemon.core.measurement.problem import Severity
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.recovery.guardrails import service_of
from daemon.core.recovery.proposal_examples import example_lines
from daemon.core.reporting import now_and_next
from daemon.core.reporting.chart import Curve, sketch
from daemon.core.reporting.organized import linked_incidents, organized_lines
from daemon.core.reporting.review.diagnosis import MOST_OF_OTHERS
from daemon.core.reporting.review.durations import durations
from daemon.core.reporting.timeline import GROUPS, timeline_lines
from daemon.core.response.call_answers import is_summoned
from daemon.core.response.command import NotPossible
from daemon.core.response.milestones import read_clock
from daemon.core.response.role_requests import suggestions
from daemon.core.rules.rule import Rule
from daemon.web.api.incident_view import diagnosis_view
from daemon.web.auth.identity import Identity
from daemon.web.site.chart import described, svg
from daemon.web.site.event_stream import ChangeCounter
from daemon.web.site.finding_chart import finding_in_words, finding_svg
from daemon.web.site.incident_forms import FORMS, SECTIONS
from daemon.web.site.layout import Frame, to
from daemon.web.site.together import together

_SHOWN = 60
"""So many of the newest lines of the timeline are shown unless all are asked for."""
_NEWEST = 3
"""So many lines of it are in sight before it is unfolded."""
_BEHIND_MORE = frozenset({"diagnosis", "learning"})
"""The sections that are folded until somebody asks for more."""
CHART_LASTS = 5.0
"""Seconds for which a chart is shown again before Prometheus is asked anew."""
MOST_CHARTS = 64
MOST_ALERTS = 200
"""So many are shown, those that fire first; a page of ten thousand holds everybody up."""


class IncidentPage:
    """The routes."""

    def __init__(self, frame: Frame, changes: ChangeCounter) -> None:
        self._frame = frame
        self._context = frame.context
        self._changes = changes
        self._charts: dict[tuple[str, int], tuple[float, Curve]] = {}

    @cached_property
    def _examples(self) -> dict[str, str]:
        """Action → an example of its parameters; making a schema costs as much as half a page."""
        return {
            name: example_lines(action.Params.model_json_schema(by_alias=True))
            for name, action in sorted(self._context.actions.items())
        }

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        one = "/incidents/{id}"
        return [
            web.get(one, self.show),
            web.get(f"{one}/chart.svg", self.chart),
            web.get(f"{one}/findings/{{number}}.svg", self.finding),
            web.post(f"{one}/do/{{command}}", self.do),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The page; `?show=` is a part of the timeline, `?all` the whole of it."""
        identity = await self._frame.visitor(request)
        name = request.query.get("done", "")
        done = COMMANDS[name].done if name in FORMS else ""
        if name in {"approve", "start"}:
            done = await self._let(request.match_info["id"]) or done
        if "already" in request.query:
            done = "It is open already: this is it. Nothing new was opened."
        return await self._page(request, identity, 200, done=done)

    async def _let(self, incident: str) -> str:
        """What a step waits for that was just approved or started; empty if for nothing."""
        now = await self._context.repository.load(incident)
        waits = [await self._context.held_up(now, number) for number in sorted(now.steps)]
        return next((f"It waits: {text}." for text in waits if text), "")

    async def do(self, request: web.Request) -> web.Response:
        """Do what the button says; then the page again, or what stood in the way."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        name, incident = request.match_info["command"], request.match_info["id"]
        spec = COMMANDS.get(name)
        if spec is None or "page" not in spec.surfaces:
            raise web.HTTPNotFound
        try:
            await self._context.carry_out(incident, FORMS[name](form), identity.person, "page")
        except NotPossible as error:
            text = f"Not possible: {error}."
            return await self._page(request, identity, 409, trouble=text, kept=form, tried=name)
        return to(f"/incidents/{quote(incident)}?done={name}#{SECTIONS.get(name, 'now')}")

    async def chart(self, request: web.Request) -> web.Response:
        """The symptom over time as SVG; `?narrow` for a phone."""
        await self._frame.visitor(request)
        incident, rule, entries = await self._read(request)
        if rule is None:
            raise web.HTTPNotFound
        curve = await self._curve(incident, rule, entries)
        return _drawn(svg(curve, narrow="narrow" in request.query))

    async def finding(self, request: web.Request) -> web.Response:
        """The chart of a finding of the dossier, counted from 0, as SVG."""
        await self._frame.visitor(request)
        incident = await self._context.repository.load(request.match_info["id"])
        number, dossier = request.match_info["number"], incident.causes.dossier
        found = dossier.findings if dossier is not None else ()
        if not number.isdecimal() or int(number[:4]) >= len(found):
            raise web.HTTPNotFound
        chosen = found[int(number[:4])]
        if chosen.curve is None:
            raise web.HTTPNotFound
        return _drawn(finding_svg(chosen, chosen.curve))

    async def _read(self, request: web.Request) -> tuple[Incident, Rule | None, list[Entry]]:
        incident, entries = await self._context.repository.load_whole(request.match_info["id"])
        # After the last await: the rule, its approvals and the roster are of one reload.
        return incident, self._context.config_of(incident).rules.rules.get(incident.rule), entries

    async def _curve(self, incident: Incident, rule: Rule, entries: Sequence[Entry]) -> Curve:
        """What Prometheus said a moment ago, or says now."""
        now = self._context.repository.clock()
        key = (incident.id, incident.seq)
        made = self._charts.get(key)
        if made is not None and now.timestamp() - made[0] < CHART_LASTS:
            return made[1]
        if self._context.trace is None:
            return sketch(incident, rule.problem, entries, now)
        curve = await self._context.trace(incident, rule, entries)
        if len(self._charts) >= MOST_CHARTS:
            self._charts.clear()
        self._charts[key] = (now.timestamp(), curve)
        return curve

    async def _page(
        self, request: web.Request, identity: Identity, status: int, **feedback: object
    ) -> web.Response:
        """The page; `feedback` is said beside it: `done`, or `trouble` with the rest."""
        version = self._changes.version(request.match_info["id"])
        incident, rule, entries = await self._read(request)
        context = {
            **self._facts(incident, rule, entries, identity.person),
            "timeline": _timeline(entries, request.query),
            "version": version._replace(shared=max(version.shared, incident.seq)),
            **feedback,
            "services": [service_of(incident.key)],
            "here": f"/incidents/{incident.id}",
            "taking": _taking(incident, identity.person),
            "unfolded": _unfolds(feedback.get("tried") or request.query.get("done", "")),
            "summoned": is_summoned(incident, identity.person),
        }
        return await self._frame.page(request, identity, "incident.html", context, status)

    def _facts(
        self, incident: Incident, rule: Rule | None, entries: Sequence[Entry], person: str
    ) -> dict[str, Any]:
        now, config = self._context.repository.clock(), self._context.config_of(incident)
        roster = config.roster
        veterans = self._context.veterans(incident.rule)
        vacant = [role for role in ROLE_NAMES if not incident.people.holder(role)]
        return {
            "heading": incident.title,
            "incident": incident,
            "problem": incident.confirmed or incident.problem,
            "rule": rule,
            "in_words": described(sketch(incident, rule.problem, entries, now)) if rule else "",
            "doing": now_and_next.doing(incident),
            "coming": now_and_next.coming(incident, rule, now),
            "organized": list(organized_lines(incident)),
            "linked": linked_incidents(incident),
            "others": [one for one in self._context.repository.known if one.id != incident.id],
            "severities": [name for name in get_args(Severity) if name],
            "suppressed": suppression(incident.suppressed),
            "asked": now_and_next.awaiting_approval(incident),
            "stoppable": now_and_next.stoppable(incident, rule),
            "observing": rule is not None and rule.mode == "observe",
            "commanders": {name for name, spec in COMMANDS.items() if spec.needs == "commander"},
            "plan": now_and_next.plan_lines(
                incident, rule, entries, config.approvals, now, self._context.risks
            ),
            "clock": read_clock(incident, roster, now),
            "titles": ROLE_NAMES,
            "people": sorted(name for name in roster.people if not roster.bars(name)),
            "audiences": sorted(roster.audiences),
            "wanted": roster.policy_for(incident.opened.team).acknowledgements,
            "tiers": len(roster.tiers(incident.opened.team, now)),
            "all_teams": sorted(roster.teams),
            "suggestions": {
                role: suggestions(incident, role, roster, veterans, now) for role in vacant
            }
            if incident.closed is None
            else {},
            "diagnosis": diagnosis_view(incident),
            "alert_words": alert_words(incident),
            "alert_links": alert_links(incident),
            "curves": _curves(incident),
            "left_out": _left_out(incident),
            "untold": untold(incident),
            "durations": durations(incident).shown(),
            **together(self._context, incident, rule, person),
            "actions": sorted(self._context.actions),
            "examples": self._examples,
            "alerts": sorted(incident.alerts.values(), key=lambda a: a.status)[:MOST_ALERTS],
            "causes": get_args(e.CauseCategory),
            "standards": get_args(e.StandardKind),
            "today": self._context.today(),
            "document": urlsplit(self._context.links.document(incident.id)).path,
        }


def _unfolds(command: object) -> bool:
    """Whether the page after that command shows what is behind "more" at once."""
    return SECTIONS.get(str(command), "") in _BEHIND_MORE or command in {"close", "sentiment"}


def _curves(incident: Incident) -> dict[int, str]:
    """The findings of the dossier that have a chart, by their number, with it in words."""
    dossier = incident.causes.dossier
    return {
        number: finding_in_words(found, found.curve)
        for number, found in enumerate(dossier.findings if dossier is not None else ())
        if found.curve is not None
    }


def _left_out(incident: Incident) -> range:
    """The findings, by their number, that the page leaves out: the older ones of others, if there
    are so many that the page would be slow to load on a phone."""
    known = incident.causes
    own = len(known.dossier.findings) if known.dossier is not None else 0
    return range(own, own + max(0, len(known.findings) - MOST_OF_OTHERS))


def _drawn(drawing: bytes) -> web.Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    headers = {"Cache-Control": "private, max-age=5", "Content-Security-Policy": policy}
    return web.Response(body=drawing, content_type="image/svg+xml", headers=headers)


def _taking(incident: Incident, person: str) -> Request | None:
    """The person's own question whether they may take over command, while it is open."""
    requests = (r for r in incident.people.open_requests("commander") if r.event.how == "takeover")
    return next((one for one in requests if one.event.taker == person), None)


def _timeline(entries: Sequence[Entry], query: Mapping[str, str]) -> dict[str, Any]:
    """The newest entries first, of one group or of all."""
    group = query.get("show", "")
    chosen = group if group in GROUPS else ""
    lines = [
        {"at": line.at, "by": line.by.removeprefix(PERSON_PREFIX), "text": line.text}
        for line in timeline_lines(entries, chosen or None)
    ]
    shown = lines if "all" in query else lines[:_SHOWN]
    return {
        "group": chosen,
        "groups": GROUPS,
        "lines": shown,
        "hidden": len(lines) - len(shown),
        "newest": _NEWEST,
        "unfolded": "show" in query or "all" in query,
    }
