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
from daemon.web.context import House
from daemon.web.deliveries import not_lost
from daemon.web.errors import problems
from daemon.web.health import Health
from daemon.web.links.pages import Pages, as_pages
from daemon.web.request_log import sealed, watching
from daemon.web.serving.connections import Connections, looking_on, noticing
from daemon.web.site.account import You
from daemon.web.site.event_stream import Changes, Live
from daemon.web.site.filters import FILTERS
from daemon.web.site.freezes import Freezes
from daemon.web.site.incident import IncidentPage
from daemon.web.site.incidents import Incidents
from daemon.web.site.layout import Frame, site_errors
from daemon.web.site.static import Static
from daemon.web.site.system_pages import Overviews

__all__ = ["House", "web_application"]


def web_application(
    house: House, max_body: int, connections: Connections | None = None
) -> web.Application:
    """The aiohttp application; a body of more than `max_body` bytes is refused. `connections`:
    those by which requests come, where somebody bounds them."""
    middlewares = [
        watching(house.observer, house.authenticator.address),
        problems,
        as_pages,
        site_errors,
        refusing(house.authenticator),
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
        trim_blocks=True,
        lstrip_blocks=True,
        filters=FILTERS,
    )
    table = operations(house)
    docs = Docs(house, table)
    for row in (*table, *docs.operations()):
        application.add_routes(row.routes(house))
    frame, changes = Frame(house), Changes(house.book)
    for room in (
        docs,
        Health(house),
        Pages(house),
        LoginPages(house.authenticator),
        OidcLogin(house.authenticator),
        You(frame),
        Incidents(frame, changes),
        IncidentPage(frame, changes),
        Freezes(frame),
        Overviews(frame),
        Live(frame, changes),
        Static(),
    ):
        application.add_routes(room.routes())

    async def let_go(_: web.Application) -> None:
        changes.close()

    application.on_shutdown.append(let_go)
    application.on_response_prepare.extend((sealed, looking_on))
    return application
