"""Wrong credentials are slowed down by address, and logged once a minute; never the credentials.

Only what is wrong has to wait: right credentials are taken at once, whoever else guesses from the
same address. What says who it is in no way at all is no guess.
"""

from __future__ import annotations

import math
from datetime import timedelta

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from daemon.web.addresses import block_of
from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.throttle import Throttle
from daemon.web.auth.webhook_secrets import TOKEN_HEADER
from daemon.web.deliveries import ALERTS, route_of
from daemon.web.errors import HttpProblem
from daemon.web.seldom import Seldom

_log = structlog.get_logger()

FREE = 20
"""So many wrong ones of one address cost nothing; a whole office may come from it."""
FIRST, MOST = timedelta(seconds=2), timedelta(minutes=5)
GIVEN = ("Authorization", TOKEN_HEADER, "X-PagerDuty-Signature", "X-Slack-Signature")
"""Headers that say who one is."""


def refusing(authenticator: Authenticator) -> Middleware:
    """The middleware: a 401 for wrong credentials becomes a 429 for whoever was wrong too often."""
    failures = Throttle(FREE, FIRST, MOST)
    seldom = Seldom()

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except HttpProblem as problem:
            if problem.status != 401 or not any(name in request.headers for name in GIVEN):
                raise
            raise refused(request, problem) from None

    def refused(request: web.Request, problem: HttpProblem) -> HttpProblem:
        now, address = authenticator.clock(), authenticator.address(request)
        block = block_of(address)
        count = seldom.due(block, now.timestamp())
        if count > 0 and route_of(request) != ALERTS:  # those are told with the deliveries
            _log.warning("wrong credentials", address=address, count=count, path=request.path[:200])
        wait = failures.wait(block, now)
        if wait > timedelta(0):
            seconds = math.ceil(wait.total_seconds())
            text = f"That was wrong too often; try again in {seconds} s. {problem.detail}"
            return HttpProblem(429, "Wait a little", text, retry_after=seconds)
        failures.begin(block, now)
        return problem

    return refuse
