"""What all pages share: who looks, the frame around the page, forms, and trouble in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.core.people.access import Access
from daemon.core.values.outcome import Temporary
from daemon.repository import UnknownIncident
from daemon.web.auth.csrf import checked_form, local_path
from daemon.web.auth.identity import Identity
from daemon.web.body import form
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_log = structlog.get_logger()

SITE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
NOT_PAGES = ("/api/", "/-/", "/metrics", "/a/", "/d/", "/static/")


class FormFields(dict[str, str]):
    """The fields of a form, each once and stripped; what is not there is empty."""

    def __missing__(self, key: str) -> str:
        return ""

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> FormFields:
        """The first value of each field."""
        return cls((name, values[0].strip()) for name, values in fields.items())


class Frame:
    """Renders pages for whoever looks."""

    def __init__(self, context: WebContext) -> None:
        self.context = context

    async def visitor(self, request: web.Request, needs: Access = "viewer") -> Identity:
        """Who looks or does. Raises Problem 401, 403."""
        return await self.context.admitted(request, needs)

    async def form(self, request: web.Request, identity: Identity) -> FormFields:
        """What the form of a page says. Raises Problem 400, 403, 413."""
        return FormFields.of(await checked_form(request, identity))

    async def page(
        self,
        request: web.Request,
        identity: Identity,
        template: str,
        context: Mapping[str, Any],
        status: int = 200,
    ) -> web.Response:
        """The page, in its frame."""
        now = self.context.repository.clock()
        framed = {
            "who": identity,
            "now": now,
            "frozen": await self.context.freezes_now(),
            "maintenance": self.context.maintenance_now(),
            "warning": self.context.overview.loading().warning,
            "teams": sorted(self.context.roster().teams),
            "storms": self.context.storms(),
            "here": request.path,
            "may": identity.may("responder"),
            "trouble": "",
            "done": "",
            "kept": FormFields(),
            "tried": "",
            **context,
        }
        from daemon.web.site.templates import rendered  # as late as the pages themselves

        response = rendered(template, framed, status)
        response.headers.update(SITE_HEADERS)
        return response


def to(path: str) -> web.Response:
    """See there: after a form was carried out, or before who asks is known."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def is_page(request: web.Request) -> bool:
    """Whether a person with a browser asks, and wants a page whatever comes of it."""
    return not request.path.startswith(NOT_PAGES)


@web.middleware
async def site_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong is told on a page; whoever is not known yet is asked who they are."""
    if not is_page(request):
        return await handler(request)
    try:
        return await handler(request)
    except HttpProblem as problem:
        if problem.status == 401 and request.method == "GET":
            return to(f"/login?next={quote(request.path_qs, safe='')}")
        response = await _trouble(request, problem.status, problem.title, problem.detail)
        response.headers.update(problem.headers)
        return response
    except UnknownIncident as error:
        return await _trouble(request, 404, "No such incident", f"{error}.")
    except Temporary as error:
        _log.error("a page failed for now", path=request.path, error=str(error))
        return await _trouble(request, 503, "Not now", f"{error}. Please try again shortly.")
    except web.HTTPException as error:
        text = "There is no such page." if error.status == 404 else error.reason
        response = await _trouble(request, error.status, error.reason, text)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception:
        _log.exception("a page crashed", path=request.path)
        return await _trouble(request, 500, "A defect in Stopgap", "Its log has the details.")


async def _trouble(request: web.Request, status: int, title: str, text: str) -> web.Response:
    form = await _sent(request)
    page = request.path.partition("/do/")[0] if "/do/" in request.path else form["back"]
    context = {
        "heading": title,
        "text": text,
        "status": status,
        "kept": form,
        "back": local_path(page),
    }
    from daemon.web.site.templates import rendered  # as late as the pages themselves

    response = rendered("failed.html", context, status)
    response.headers.update(SITE_HEADERS)
    return response


async def _sent(request: web.Request) -> FormFields:
    """What a form of our own pages said, so that nobody has to write it twice."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return FormFields()
    try:
        return FormFields.of(await form(request))
    except HttpProblem:
        return FormFields()
