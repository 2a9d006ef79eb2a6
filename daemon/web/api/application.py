"""The web application: the API's table, and the rooms that are no part of it."""

from __future__ import annotations

import aiohttp_jinja2
import jinja2
from aiohttp import web

from daemon.web.api.automation import Automation
from daemon.web.api.docs import Docs
from daemon.web.api.inbound import Inbound
from daemon.web.api.incidents import IncidentReads
from daemon.web.api.operations import Operation
from daemon.web.api.people import People
from daemon.web.api.steering import Steering
from daemon.web.api.system import Looking
from daemon.web.api.webhooks import Webhooks
from daemon.web.api.words import Words
from daemon.web.health import Health
from daemon.web.house import House
from daemon.web.pages import Pages, as_pages
from daemon.web.problems import problems

ROOMS = (IncidentReads, People, Steering, Words, Automation, Looking, Webhooks, Inbound)
"""In the order in which the document has them. A room of the API goes here."""


def operations(house: House) -> list[Operation]:
    """The whole table."""
    return [operation for room in ROOMS for operation in room(house).operations()]


def web_application(house: House, max_body: int) -> web.Application:
    """The aiohttp application; a body of more than `max_body` bytes is refused."""
    application = web.Application(client_max_size=max_body, middlewares=[problems, as_pages])
    aiohttp_jinja2.setup(
        application,
        loader=jinja2.PackageLoader("daemon.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    table = operations(house)
    docs = Docs(house, table)
    application.add_routes([row.route(house) for row in (*table, *docs.operations())])
    for room in (docs, Health(house), Pages(house)):
        application.add_routes(room.routes())
    return application
