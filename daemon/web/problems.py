"""Errors as RFC 9457 problem details, written for somebody at 3 a.m."""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.casebook import UnknownIncident
from daemon.core.outcome import Temporary

log = structlog.get_logger()


class Problem(Exception):
    """An answer that is an error: HTTP status, a short title, and what to do about it."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def answer(status: int, title: str, detail: str, **more: object) -> web.Response:
    """The problem document; `more` are members beside the standard ones."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    response = web.json_response(body, status=status, content_type="application/problem+json")
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a problem document; nothing of the inside leaks out."""
    try:
        return await handler(request)
    except Problem as problem:
        return answer(problem.status, problem.title, problem.detail)
    except UnknownIncident as error:
        return answer(404, "No such incident", f"{error}; `stopgap incidents` lists them")
    except Temporary as error:
        log.error("request failed for now", path=request.path, error=str(error))
        return answer(503, "Not now", str(error))
    except web.HTTPRequestEntityTooLarge:
        raise
    except web.HTTPException as error:
        return answer(error.status, error.reason, f"{request.method} {request.path}")
    except Exception:
        log.exception("request crashed", path=request.path)
        return answer(500, "A defect in Stopgap", "the log of the daemon has the details")
