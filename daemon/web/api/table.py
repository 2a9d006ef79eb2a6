"""The whole table of the API, room by room."""

from __future__ import annotations

from daemon.web.api.access import OwnAccess
from daemon.web.api.alert_webhook import Webhooks
from daemon.web.api.automation import Automation
from daemon.web.api.incidents import IncidentReads
from daemon.web.api.keys import KeyRoom
from daemon.web.api.operation import ApiOperation
from daemon.web.api.pager_webhooks import Inbound
from daemon.web.api.people import People
from daemon.web.api.plan import Steering
from daemon.web.api.system import Looking
from daemon.web.api.updates import Words
from daemon.web.context import WebContext

_SECTIONS = (
    IncidentReads,
    People,
    Steering,
    Words,
    Automation,
    Looking,
    OwnAccess,
    KeyRoom,
    Webhooks,
    Inbound,
)
"""In the order in which the document has them. A room of the API goes here."""


def operations(context: WebContext) -> list[ApiOperation]:
    """The whole table."""
    return [operation for room in _SECTIONS for operation in room(context).operations()]
