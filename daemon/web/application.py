"""All rooms of the web under one roof: webhooks, the JSON API, the pages, the daemon's health."""

from __future__ import annotations

import aiohttp_jinja2
import jinja2
from aiohttp import web

from daemon.web.api.docs import Docs
from daemon.web.api.table import operations
from daemon.web.auth.login_pages import LoginPages
from daemon.web.auth.oidc_login import OidcLogin
from daemon.web.auth.refusals import refusing
from daemon.web.context import WebContext
from daemon.web.deliveries import not_lost
from daemon.web.errors import problems
from daemon.web.health import HealthRoutes
from daemon.web.links.pages import Pages, as_pages
from daemon.web.request_log import sealed, watching
from daemon.web.serving.connections import Connections, looking_on, noticing
from daemon.web.site.account import You
from daemon.web.site.declare import DeclarePage
from daemon.web.site.drills import DrillPages
from daemon.web.site.event_stream import ChangeCounter, EventStreams
from daemon.web.site.filters import FILTERS
from daemon.web.site.freezes import FreezePages
from daemon.web.site.help import HelpPages
from daemon.web.site.incident import IncidentPage
from daemon.web.site.incidents import IncidentListPage
from daemon.web.site.layout import Frame, site_errors
from daemon.web.site.learning_pages import LearningPages
from daemon.web.site.maintenance import MaintenancePages
from daemon.web.site.oncall import OncallPages
from daemon.web.site.static import Static
from daemon.web.site.storm import StormPage
from daemon.web.site.system_pages import SystemPages

__all__ = ["WebContext", "web_application"]


def web_application(
    context: WebContext, max_body: int, connections: Connections | None = None
) -> web.Application:
    """The aiohttp application; a body of more than `max_body` bytes is refused. `connections`:
    those by which requests come, where somebody bounds them."""
    middlewares = [
        watching(context.observer, context.authenticator.address),
        problems,
        as_pages,
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
    aiohttp_jinja2.setup(
        application,
        loader=jinja2.PackageLoader("daemon.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # looking whether a file has changed costs more than a short page
        trim_blocks=True,
        lstrip_blocks=True,
        filters=FILTERS,
    )
    table = operations(context)
    docs = Docs(context, table)
    for row in (*table, *docs.operations()):
        application.add_routes(row.routes(context))
    frame, changes = Frame(context), ChangeCounter(context.repository)
    for room in (
        docs,
        HealthRoutes(context),
        Pages(context),
        LoginPages(context.authenticator),
        OidcLogin(context.authenticator),
        You(frame),
        IncidentListPage(frame, changes),
        IncidentPage(frame, changes),
        DeclarePage(frame),
        DrillPages(frame),
        FreezePages(frame),
        MaintenancePages(frame),
        StormPage(frame, changes),
        SystemPages(frame),
        OncallPages(frame),
        LearningPages(frame),
        HelpPages(frame),
        EventStreams(frame, changes),
        Static(),
    ):
        application.add_routes(room.routes())

    async def let_go(_: web.Application) -> None:
        changes.close()

    application.on_shutdown.append(let_go)
    application.on_response_prepare.extend((sealed, looking_on))
    return application
