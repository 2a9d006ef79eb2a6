"""The rooms of the web that are loaded when somebody looks: the API and the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from aiohttp import web

from daemon.web.api.docs import Docs
from daemon.web.api.table import operations
from daemon.web.auth.login_pages import LoginPages
from daemon.web.auth.oidc_login import OidcLogin
from daemon.web.context import WebContext
from daemon.web.deliveries import ALERTS
from daemon.web.links.pages import Pages
from daemon.web.site.account import You
from daemon.web.site.declare import DeclarePage
from daemon.web.site.drills import DrillPages
from daemon.web.site.event_stream import ChangeCounter, EventStreams
from daemon.web.site.freezes import FreezePages
from daemon.web.site.help import HelpPages
from daemon.web.site.incident import IncidentPage
from daemon.web.site.incidents import IncidentListPage
from daemon.web.site.layout import Frame
from daemon.web.site.learning_pages import LearningPages
from daemon.web.site.maintenance import MaintenancePages
from daemon.web.site.oncall import OncallPages
from daemon.web.site.static import Static
from daemon.web.site.storm import StormPage
from daemon.web.site.system_pages import SystemPages


def late_routes(context: WebContext, closing: ExitStack) -> Iterator[web.AbstractRouteDef]:
    """All routes but those of alerts and of health. What must end with them is put on `closing`."""
    closing.close()  # what a try before this one has left, if it failed
    changes = ChangeCounter(context.repository)
    closing.callback(changes.close)
    table = operations(context)
    docs = Docs(context, table)
    for row in (*table, *docs.operations()):
        if row.path != ALERTS:
            yield from row.routes(context)
    frame = Frame(context)
    for room in (
        docs,
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
        yield from room.routes()
