"""The whole table of the API, room by room."""

from __future__ import annotations

from daemon.web.api.access import OwnAccess
from daemon.web.api.automation import Automation
from daemon.web.api.inbound import Inbound
from daemon.web.api.incidents import IncidentReads
from daemon.web.api.operations import Operation
from daemon.web.api.people import People
from daemon.web.api.steering import Steering
from daemon.web.api.system import Looking
from daemon.web.api.webhooks import Webhooks
from daemon.web.api.words import Words
from daemon.web.house import House

ROOMS = (IncidentReads, People, Steering, Words, Automation, Looking, OwnAccess, Webhooks, Inbound)
"""In the order in which the document has them. A room of the API goes here."""


def operations(house: House) -> list[Operation]:
    """The whole table."""
    return [operation for room in ROOMS for operation in room(house).operations()]
