"""All rooms of the web under one roof: webhooks, the JSON API, the pages, the daemon's health.

What alerts and probes need is there from the start; the rest once somebody looks."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from daemon.web.api.alert_webhook import Webhooks
from daemon.web.auth.refusals import refusing
from daemon.web.context import WebContext
from daemon.web.deliveries import ALERTS, not_lost
from daemon.web.errors import problems
from daemon.web.health import HealthRoutes
from daemon.web.late_routes import LateRoutes, Loaded
from daemon.web.links.signed_links import LINK_PATHS
from daemon.web.request_log import sealed, watching
from daemon.web.serving.connections import Connections, looking_on, noticing
from daemon.web.site.layout import site_errors


@web.middleware
async def _as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What signed links lead to."""
    if not request.path.startswith(LINK_PATHS):
        return await handler(request)
    from daemon.web.links.pages import as_pages  # as late as the pages themselves

    return await as_pages(request, handler)


def web_application(
    context: WebContext, max_body: int, connections: Connections | None = None
) -> web.Application:
    """The aiohttp application; a body of more than `max_body` bytes is refused. `connections`:
    those by which requests come, where somebody bounds them."""
    middlewares = [
        watching(context.observer, context.authenticator.address),
        problems,
        _as_pages,
        site_errors,
        refusing(context.authenticator),
        not_lost,
    ]
    if connections is not None:
        middlewares.insert(0, noticing(connections))
    application = web.Application(
        client_max_size=max_body,
        middlewares=middlewares,
        handler_args={"auto_decompress": False},  # see `body`
    )
    for row in Webhooks(context).operations():
        if row.path == ALERTS:
            application.add_routes(row.routes(context))
    application.add_routes(HealthRoutes(context).routes())
    closing = ExitStack()

    def loaded() -> Loaded:
        from daemon.web.rooms import late_routes

        return partial(late_routes, context, closing)

    application.router.register_resource(LateRoutes(loaded))

    async def let_go(_: web.Application) -> None:
        closing.close()

    application.on_shutdown.append(let_go)
    application.on_response_prepare.extend((sealed, looking_on))
    return application
