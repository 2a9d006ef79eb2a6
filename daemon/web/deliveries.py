"""Deliveries that are not taken: counted, and logged with the mend.

Alertmanager sends again after a 5xx alone. A page that we refuse otherwise is lost, and nobody but
us can tell.
"""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.instrumentation import DeliveryOutcome, Observer
from daemon.web.addresses import block_of
from daemon.web.errors import problem_response
from daemon.web.seldom import Seldom

_log = structlog.get_logger()

ALERTS = "/api/v1/alerts"
ALERTS_MISSPELT = "/{one:/*}api{two:/+}v1{three:/+}alerts{four:/*}"
"""A slash too many, between an address and a path that somebody has put together."""
_MISSPELT = "/{one}api{two}v1{three}alerts{four}"
UNTAKEN = web.RequestKey("untaken", str)
"""Where a request keeps why it was not taken: a `DeliveryOutcome`."""
UNTAKEN_WHY = web.RequestKey("untaken_why", str)
"""Where it keeps what was wrong with its body."""
_WHY_LENGTH = 300
"""The sender may have chosen names in it."""
_SENDER = "Alertmanager/"
_MENDS: dict[DeliveryOutcome, str] = {
    "unauthorized": "let Alertmanager send `auth.webhook_token`: "
    "http_config.authorization.credentials_file",
    "too_large": "raise `inbox.max_body_bytes`, or set `max_alerts` of its webhook",
    "broken_off": "look at the network and the proxies between it and us",
    "invalid": f"post to {ALERTS} by Alertmanager's webhook, version 4, or Grafana's alone",
    "misdirected": f"end the `url` of its webhook with {ALERTS}; `stopgap doctor` looks at it",
}


def route_of(request: web.Request) -> str:
    """The pattern of a request's path; empty if there is nothing at it."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource else ""
    return ALERTS if route == _MISSPELT else route


@web.middleware
async def not_lost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What Alertmanager posts to a path that we do not have is answered 503. 404 would be the
    last word, and so it sends again; meanwhile somebody may mend its address."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        sender = request.headers.get("User-Agent", "")
        if request.method != "POST" or not sender.startswith(_SENDER):
            raise
        request[UNTAKEN] = "misdirected"
        text = f"POST {request.path[:200]}: alerts go to {ALERTS}; correct the webhook's `url`"
        return problem_response(503, "Not here", text)


class Untaken:
    """Tells of deliveries that were refused. The intake counts those of a wrong format itself."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._seldom = Seldom()

    def answered(self, request: web.Request, status: int, address: str, took: float) -> None:
        """A request was answered so, after so many seconds; `address` is its sender's."""
        outcome = self._outcome(request, status)
        if outcome is None:
            return
        if outcome != "invalid":
            self._observer.delivery(outcome, took)
        count = self._seldom.due(
            f"{outcome} {block_of(address)}", asyncio.get_running_loop().time()
        )
        if count > 0:
            _log.warning(
                "deliveries were not taken",
                outcome=outcome,
                address=address,
                count=count,
                status=status,
                path=request.path[:200],
                why=request.get(UNTAKEN_WHY, "")[:_WHY_LENGTH],
                mend=_MENDS[outcome],
            )

    def _outcome(self, request: web.Request, status: int) -> DeliveryOutcome | None:
        known = request.get(UNTAKEN)
        if known == "misdirected":
            return "misdirected"
        if route_of(request) != ALERTS:
            return None
        if known == "too_large":
            return "too_large"
        if known == "broken_off":
            return "broken_off"
        if known == "invalid":
            return "invalid"
        return "unauthorized" if status in {401, 403, 429} else None
