"""The pages for browsers that signed links lead to: answering a page, reading the document.

A GET changes nothing, for mail programs open links by themselves; only a POST does, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.core.incident.alert_words import alert_links, alert_words
from daemon.core.incident.observation import observing_text
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.recovery.plan import plan_of
from daemon.core.reporting.now_and_next import decidable
from daemon.core.reporting.page_text import standing_lines
from daemon.core.reporting.review.document import Figure
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.step_briefing import brief
from daemon.core.response.command import NotPossible
from daemon.core.response.paging import headline
from daemon.core.response.roles import holder_text
from daemon.core.response.rooms import place_links
from daemon.core.response.storm_text import storm_headline
from daemon.core.values.outcome import Temporary
from daemon.repository import UnknownIncident
from daemon.web.body import raw_body, revision_read
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem
from daemon.web.links import answers
from daemon.web.links.review_html import document_html
from daemon.web.links.signed_links import BadLink, TokenRefusal
from daemon.web.site.layout import SITE_HEADERS
from daemon.web.site.templates import rendered

_log = structlog.get_logger()

LINK_HEADERS = {
    **SITE_HEADERS,
    "Content-Security-Policy": SITE_HEADERS["Content-Security-Policy"].replace(
        "img-src 'self'", "img-src 'self' data:"
    ),
    "Referrer-Policy": "no-referrer",
}
"""As those of the other pages; the chart stands in the document itself."""
_CHART_WITHIN = 2.0
"""Seconds that the document waits for its chart; without it there is a sketch."""
_NEWER = "Use a newer page, or the command line: `stopgap incidents` lists what is open."
GONE: Mapping[TokenRefusal, tuple[int, str]] = {
    "old": (410, f"This link is older than a day, so it is not valid any more. {_NEWER}"),
    "void": (410, f"The keys were rotated since, so this link is not valid any more. {_NEWER}"),
    "unknown": (
        403,
        "This link is not valid. Was it copied in full? Otherwise use the command line: "
        "`stopgap incidents` lists what is open.",
    ),
}
"""The status and the text for a link that is not taken."""


class Pages:
    """The routes; the token in the path is the only credential."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/a/{token}", self.show),
            web.post("/a/{token}", self.do),
            web.get("/d/{token}", self.document),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """What the page asks, and the buttons to answer it."""
        incident, page = await self._opened(request)
        try:
            offered = answers.offer(incident, page, self._context.config_of(incident).roster)
        except answers.LinkSpent as spent:
            return self._spent(request, incident, spent)
        return self._offering(request, incident, offered, 200)

    async def do(self, request: web.Request) -> web.Response:
        """Do what the button says, as the page's person, once."""
        incident, page = await self._opened(request)
        form, now = await _form(request), self._context.repository.clock()
        try:
            offered = answers.offer(incident, page, self._context.config_of(incident).roster)
            after = await self._context.carry_out(
                incident.id, answers.UseLink(page, form), offered.person, "link"
            )
        except (answers.LinkSpent, NotPossible) as error:
            return await self._refused(request, page, form, error)
        done = answers.outcome(after, offered, form, now)
        return _page("done.html", 200, heading=done, **self._facts(after))

    async def document(self, request: web.Request) -> web.Response:
        """The standard document."""
        incident = await self._context.repository.load(
            self._context.links.read_document(request.match_info["token"])
        )
        review = await self._context.review(incident.id)
        # A long timeline takes a while to set; alerts do not wait for it.
        html = await asyncio.to_thread(document_html, review, await self._figure(review))
        sent = [update for update in incident.updates.by_name.values() if update.released_at]
        told = {"heading": incident.title, "incident": incident, "review": html, "sent": sent}
        return _page("document.html", 200, **told)

    async def _figure(self, review: Review) -> Figure | None:
        """The chart, if it is there soon: the document does not wait for a Prometheus that is
        out."""
        try:
            async with asyncio.timeout(_CHART_WITHIN):
                return await self._context.figure(review)
        except TimeoutError:
            return None

    async def _opened(self, request: web.Request) -> tuple[Incident, str]:
        """The incident and the page of the link. Raises BadLink, UnknownIncident, Temporary."""
        incident, page = self._context.links.read_page(request.match_info["token"])
        return await self._context.repository.load(incident), page

    async def _refused(
        self, request: web.Request, page: str, form: answers.LinkForm, error: Exception
    ) -> web.Response:
        """It did not come to it: the page as it is now, and why. What was written is written."""
        incident, _ = await self._opened(request)
        try:
            offered = answers.offer(incident, page, self._context.config_of(incident).roster)
        except answers.LinkSpent as spent:
            return self._spent(request, incident, spent)
        written = form.text if form.button == "send" else ""
        return self._offering(request, incident, offered, 409, trouble=str(error), written=written)

    def _offering(
        self,
        request: web.Request,
        incident: Incident,
        offered: answers.LinkOffer,
        status: int,
        trouble: str = "",
        written: str = "",
    ) -> web.Response:
        role = ROLE_NAMES[offered.request.event.role] if offered.request else ""
        return _page(
            "answer.html",
            status,
            heading=self._storm(incident) if offered.storm else incident.title,
            offered=offered,
            standing=self._standing(incident),
            role=role,
            trouble=trouble,
            written=written
            if offered.update and written.split() != offered.update.text.split()
            else "",
            **self._facts(incident),
        )

    def _storm(self, incident: Incident) -> str:
        """The storm of that incident as it stands, in a line."""
        of_it = (s for s in self._context.storms() if incident.id in {m.id for m in s.members})
        storm = next(of_it, None)
        if storm is None:
            return "The storm is over"
        return storm_headline(storm, self._context.roster())

    def _standing(self, incident: Incident) -> list[str]:
        rule = self._context.config_of(incident).rules.rules.get(incident.rule)
        return standing_lines(incident, rule, self._context.repository.clock(), alert=False)

    def _spent(
        self, request: web.Request, incident: Incident, spent: answers.LinkSpent
    ) -> web.Response:
        return _page("over.html", 410, heading=str(spent), **self._facts(incident))

    def _facts(self, incident: Incident) -> dict[str, Any]:
        rule = self._context.config_of(incident).rules.rules.get(incident.rule)
        plan = plan_of(incident, rule) if rule is not None else {}
        risks = self._context.risks
        return {
            "incident": incident,
            "now": self._context.repository.clock(),
            "facts": headline(incident),
            "observing": observing_text(incident),
            "commander": holder_text(incident, "commander"),
            "places": place_links(incident),
            "document": self._context.links.document(incident.id),
            "alert_words": alert_words(incident),
            "alert_links": alert_links(incident),
            "decidable": [
                (state, allowed, brief(state, plan.get(state.number), risks))
                for state, allowed in decidable(incident, rule)
            ],
        }


async def as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever a link leads to is a page in plain words, and nothing of the link leaks out."""
    try:
        response = await handler(request)
    except BadLink as error:
        response = _trouble(*GONE[error.why])
    except (UnknownIncident, answers.NoSuchPage):
        response = _trouble(404, "The daemon does not know this page or its incident.")
    except Temporary as error:
        _log.error("a page failed for now", error=str(error))
        response = _trouble(503, "The store does not answer. Please try again shortly.")
    except HttpProblem as problem:
        response = _trouble(problem.status, problem.detail)
    except web.HTTPException as error:
        response = _trouble(error.status, error.reason)
    except Exception:
        _log.exception("a page crashed")
        response = _trouble(500, "A defect in Stopgap; its log has the details.")
    response.headers.update(LINK_HEADERS)
    return response


async def _form(request: web.Request) -> answers.LinkForm:
    """The form as browsers send it. Raises Problem 400 or 413."""
    try:
        fields = parse_qs((await raw_body(request)).decode(), max_num_fields=10)
    except ValueError:
        raise HttpProblem(
            400, "Bad form", "This form is not readable; open the link again."
        ) from None
    given = {name: values[0] for name, values in fields.items()}
    revision = revision_read(given.get("revision", ""))
    return answers.LinkForm(given.get("deed", ""), given.get("text", ""), revision)


def _trouble(status: int, text: str) -> web.Response:
    return _page("trouble.html", status, heading=text)


def _page(template: str, status: int, **context: Any) -> web.Response:
    return rendered(template, context, status)
