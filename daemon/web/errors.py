"""Errors as RFC 9457 problem details, written for somebody at 3 a.m."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import Field

from daemon.core.values.outcome import Temporary
from daemon.core.values.units import Frozen
from daemon.repository import UnknownIncident

_log = structlog.get_logger()

MEDIA = "application/problem+json"
TYPES = "/api/v1/docs#problem-"
"""Where each type of problem is explained."""
KINDS: Mapping[int, tuple[str, str]] = {
    400: (
        "bad-request",
        "Something in the request is not as it must be. `errors` names every such place: of the "
        "body by a JSON pointer, of the query by the parameter's name. Mend them and send again.",
    ),
    401: (
        "who-are-you",
        "The request does not say who asks, or the credentials are not known here. People send "
        "`Authorization: Bearer …` with their own token; Alertmanager its webhook token.",
    ),
    403: (
        "not-allowed",
        "The person is known, but their access does not go so far: viewers look, responders act, "
        "admins look after the daemon.",
    ),
    404: (
        "not-found",
        "There is nothing at this address: no such incident, update, step or path.",
    ),
    405: ("wrong-method", "The address is right, the method is not; `Allow` lists those it has."),
    409: (
        "not-possible-now",
        "The request is well formed, but does not fit how things stand: the incident is closed, "
        "the step runs already, somebody else commands. The detail says what stands in the way.",
    ),
    412: (
        "changed-meanwhile",
        "The incident is not as it was when you looked (`If-Match`), so nothing was done. `since` "
        "tells what happened; look again, and decide again.",
    ),
    413: ("too-large", "The body is larger than `inbox.max_body_bytes` in stopgap.yaml."),
    415: ("not-json", "The body must be JSON, sent as `Content-Type: application/json`."),
    429: (
        "wait-a-little",
        "It was wrong too often, or too many ask at once. `Retry-After` tells after how many "
        "seconds to try again.",
    ),
    422: (
        "broken-rules",
        "The rules on disk have mistakes; `errors` names each with its file and line. The old "
        "rules stay in force.",
    ),
    500: ("defect", "A defect in Stopgap. The daemon's log has the details; please report it."),
    503: (
        "not-now",
        "The store does not answer, too much is waiting, or the body did not come in time. Nothing "
        "was done; send it again.",
    ),
}
"""For each status, the name of the problem's type and what it means."""


class RequestMistake(Frozen):
    """One place that is wrong: of the body (`pointer`), or of the query, path or headers."""

    pointer: str | None = Field(default=None, examples=["#/for"])
    parameter: str | None = None
    detail: str


class Happened(Frozen):
    """An entry of an incident's timeline, in short."""

    seq: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    by: str
    text: str


class ProblemDetails(Frozen):
    """What went wrong, as RFC 9457 has it. `detail` says what to do about it.

    `errors` are all the places that are wrong; `seq` and `since` tell how far an incident is,
    and what has happened to it since the caller looked. `incident`: the one that is there already.
    """

    type: str = Field(json_schema_extra={"format": "uri-reference"})
    title: str
    status: int
    detail: str
    errors: tuple[RequestMistake, ...] = ()
    seq: int | None = None
    since: tuple[Happened, ...] = ()
    incident: str | None = None


class HttpProblem(Exception):
    """An answer that is an error: HTTP status, a short title, and what to do about it."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        errors: Sequence[RequestMistake] = (),
        seq: int | None = None,
        since: Sequence[Happened] = (),
        retry_after: int | None = None,
        incident: str = "",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.more: dict[str, Any] = {}
        if errors:
            self.more["errors"] = tuple(errors)
        if seq is not None:
            self.more.update(seq=seq, since=tuple(since))
        if incident:
            self.more["incident"] = incident


def problem_answer(problem: HttpProblem) -> web.Response:
    """The problem document of an error that was raised."""
    response = problem_response(problem.status, problem.title, problem.detail, problem.more)
    response.headers.update(problem.headers)
    return response


def problem_response(
    status: int, title: str, detail: str, more: Mapping[str, Any] | None = None
) -> web.Response:
    """The problem document."""
    kind = TYPES + KINDS[status][0] if status in KINDS else "about:blank"
    details = ProblemDetails(type=kind, title=title, status=status, detail=detail, **(more or {}))
    body = details.model_dump_json(exclude_unset=True, exclude_none=True)
    response = web.Response(text=body, status=status, content_type=MEDIA)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a problem document; nothing of the inside leaks out."""
    try:
        return await handler(request)
    except HttpProblem as problem:
        return problem_answer(problem)
    except UnknownIncident as error:
        return problem_response(404, "No such incident", f"{error}; `stopgap incidents` lists them")
    except Temporary as error:
        _log.error("request failed for now", path=request.path, error=str(error))
        return problem_response(503, "Not now", str(error))
    except web.HTTPRequestEntityTooLarge:
        raise
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        text = f"{request.method} {request.path}: it takes {allowed}"
        response = problem_response(405, "Wrong method", text)
        response.headers["Allow"] = allowed
        return response
    except web.HTTPException as error:
        return problem_response(error.status, error.reason, f"{request.method} {request.path}")
    except Exception:
        _log.exception("request crashed", path=request.path)
        return problem_response(500, "A defect in Stopgap", "the log of the daemon has the details")
