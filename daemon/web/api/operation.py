"""The rows of the API's table, and how each is served.

A handler's signature is its contract: `Call[path, query, body]` and what it returns. The same
models read the request, build the answer and make the OpenAPI document, so that none of the
three can say something else than the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from daemon.core.incident.state import Incident
from daemon.core.people.access import Access
from daemon.core.people.scopes import Scope
from daemon.core.response.command import Command, InvalidCommand, NotPossible, Surface
from daemon.core.values.units import Frozen
from daemon.web.api.assistance import by_assistant, note_assistant
from daemon.web.api.request_parsing import expected_seq, read_path, read_query, read_sent
from daemon.web.auth.identity import Identity
from daemon.web.body import raw_body
from daemon.web.context import IncidentMoved, WebContext
from daemon.web.errors import Happened, HttpProblem

if TYPE_CHECKING:
    from daemon.web.api.schemas import IncidentAfter

PathModel = TypeVar("PathModel")
QueryModel = TypeVar("QueryModel")
BodyModel = TypeVar("BodyModel")
Hook = Literal["hook", "pagerduty", "slack"]
"""A pager's own credentials: a secret in a header, or a signature of one kind or the other."""
Needs = Access | Hook | Literal["anybody", "webhook", "nothing"]
"""Whose credentials: a person's with that access or with any, a pager's own, the webhook token, or
none."""
PEOPLES: frozenset[Needs] = frozenset((*get_args(Access), "anybody"))


@dataclass(frozen=True)
class Call(Generic[PathModel, QueryModel, BodyModel]):
    """One request as it was read. `person` is who asks, and `who` all that is known of them; empty
    if that is another system.

    `headers` are those of the answer. A part is None if the operation has none; a body of the
    type `bytes` is given as it was sent.
    """

    request: web.Request
    person: str
    at: PathModel
    query: QueryModel
    sent: BodyModel
    headers: dict[str, str] = field(default_factory=dict)
    who: Identity | None = None


Handler = Callable[[Any], Awaitable[BaseModel | str]]


@dataclass(frozen=True)
class ApiOperation:
    """One row: what is asked how, of whom, and what comes of it.

    `sends` and `sent_as` describe a body that the handler takes raw. `example` is a body, or the
    query of a GET. `guarded`: it takes `If-Match`. `tagged`: its answer has an ETag.
    `scope`: of the API token that does as well as the webhook token. `also`: a pattern of further
    paths that are served alike, and no document mentions. `alternatives`: other media types of
    the answer, which the handler names in the header `Content-Type`.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    needs: Needs
    tag: str
    status: int = 200
    errors: tuple[int, ...] = ()
    example: Mapping[str, Any] | None = None
    media: str = "application/json"
    alternatives: tuple[str, ...] = ()
    sends: type[BaseModel] | None = None
    sent_as: str = "application/json"
    guarded: bool = False
    tagged: bool = False
    scope: Scope = "alerts"
    also: str = ""

    @cached_property
    def parts(self) -> tuple[type[Any] | None, type[Any] | None, type[Any] | None]:
        """The models of path, query and body; None where there is none."""
        at, query, sent = get_args(get_type_hints(self.handler)["call"])
        return tuple(None if part is type(None) else part for part in (at, query, sent))  # type: ignore[return-value]

    @cached_property
    def answer(self) -> type[Any]:
        """The model of the answer; `str` for plain text alone."""
        found: type[Any] = get_type_hints(self.handler)["return"]
        models = [part for part in get_args(found) if part is not str]
        return models[0] if models and self.alternatives else found

    @property
    def name(self) -> str:
        """What programs call it: unique in the document."""
        return f"{self.tag}_{self.handler.__name__}"

    @property
    def description(self) -> tuple[str, str]:
        """The first sentence of its story, and the rest."""
        head, _, rest = (self.handler.__doc__ or "").strip().partition("\n\n")
        return " ".join(head.split()).rstrip("."), " ".join(rest.split())

    def routes(self, context: WebContext) -> list[web.RouteDef]:
        """As the router takes it."""
        serving = partial(_serve, context, self)
        add = web.get if self.method == "GET" else partial(web.route, self.method)
        return [add(path, serving) for path in (self.path, self.also) if path]


async def _serve(
    context: WebContext, operation: ApiOperation, request: web.Request
) -> web.Response:
    """Who asks, then what is asked, then the handler. What an assistant asks is noted first."""
    who = await _admitted(context, operation, request)
    if who is not None:
        await note_assistant(context, request, who.person)
    at, query, sent = operation.parts
    call = Call(
        request=request,
        person="" if who is None else who.person,
        who=who,
        at=read_path(request, at) if at else None,
        query=read_query(request, query) if query else None,
        sent=await _sent(request, sent) if sent else None,
    )
    return _answered(operation, call, await operation.handler(call))


async def _admitted(
    context: WebContext, operation: ApiOperation, request: web.Request
) -> Identity | None:
    needs = operation.needs
    if needs == "webhook":
        await context.sender(request, operation.scope)
    elif needs == "anybody":
        return await context.identify(request)
    elif needs in PEOPLES:
        return await context.admitted(request, needs)  # type: ignore[arg-type]
    return None  # what a hook sends may be signed, so its handler looks at that


async def _sent(request: web.Request, model: type[Any]) -> Any:
    raw = await raw_body(request)
    return raw if model is bytes else read_sent(request, raw, model)


def _answered(
    operation: ApiOperation, call: Call[Any, Any, Any], content: BaseModel | str
) -> web.Response:
    tag = call.headers.get("ETag")
    if tag is not None and operation.method == "GET" and _knows(call.request, tag):
        return web.Response(status=304, headers=call.headers)
    text = content if isinstance(content, str) else content.model_dump_json()
    media = call.headers.pop("Content-Type", operation.media)
    return web.Response(
        text=text, status=operation.status, content_type=media, headers=call.headers
    )


def _knows(request: web.Request, tag: str) -> bool:
    """Whether the client has this very answer already, by its `If-None-Match`."""
    known = (part.strip() for part in request.headers.get("If-None-Match", "").split(","))
    return any(part.removeprefix("W/") in {tag, "*"} for part in known)


# ── commands: what people do to one incident ─────────────────────────────────────────────────

MOST_HAPPENED = 100
"""So many of the newest entries are told to whoever missed them."""


class IncidentPath(Frozen):
    """Which incident."""

    id: str


async def do(context: WebContext, call: Call[Any, Any, Any], command: Command) -> IncidentAfter:
    """Carry out a command, and tell the incident as it is then. Raises as `carried_out` does."""
    from daemon.web.api.schemas import IncidentAfter  # of no use to whoever brings alerts alone

    return IncidentAfter(incident=context.view(await carried_out(context, call, command)))


async def carried_out(
    context: WebContext, call: Call[Any, Any, Any], command: Command, *, by: str = ""
) -> Incident:
    """Carry out a command on the incident of the path, if it is still as `If-Match` wants it.

    `by` is another system, in the name of which it is done; empty if the person does it.

    Raises Problem 400 if the command is wrong, 409 if it does not fit the incident, 412 if the
    incident has moved on; UnknownIncident, Temporary.
    """
    expected, via = expected_seq(call.request), surface_of(call.request)
    try:
        after = await context.carry_out(
            call.at.id, command, "" if by else call.person, via, by=by, expected=expected
        )
    except InvalidCommand as error:
        raise HttpProblem(400, "Bad request", str(error)) from None
    except NotPossible as error:
        raise HttpProblem(409, "Not possible now", str(error)) from None
    except IncidentMoved as moved:
        raise await _missed(context, call.at.id, moved.seq, expected or ()) from None
    call.headers["ETag"] = f'"{after.seq}"'
    return after


def surface_of(request: web.Request) -> Surface:
    """By an assistant, by the command line, or by another client of the API."""
    if by_assistant(request):
        return "mcp"
    return "cli" if request.headers.get("User-Agent", "").startswith("stopgap") else "api"


async def _missed(
    context: WebContext, incident: str, seq: int, expected: Container[int]
) -> HttpProblem:
    """What has happened since the caller looked."""
    seen = max((number for number in range(seq) if number in expected), default=0)
    entries = await context.repository.journal.read(incident, seen)
    since = [
        Happened(seq=x.seq, at=x.at.isoformat(), by=x.by, text=x.event.describe())
        for x in entries[-MOST_HAPPENED:]
    ]
    text = f"the incident is at entry {seq} now; nothing was done: look again, decide again"
    return HttpProblem(412, "Changed meanwhile", text, seq=seq, since=since)


def incident_operation(
    method: Literal["POST", "PUT", "DELETE"],
    path: str,
    handler: Handler,
    tag: str,
    **more: Any,
) -> ApiOperation:
    """The row of a command; `path` goes on after the incident's."""
    return ApiOperation(
        method,
        f"/api/v1/incidents/{{id}}/{path}",
        handler,
        "responder",
        tag,
        errors=(409,),
        guarded=True,
        tagged=True,
        **more,
    )
