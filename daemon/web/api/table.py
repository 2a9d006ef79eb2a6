"""The whole table of the API, section by section."""

from __future__ import annotations

from daemon.web.api.access import OwnAccess
from daemon.web.api.alert_webhook import Webhooks
from daemon.web.api.automation import Automation
from daemon.web.api.call_answers import CallAnswerOperations
from daemon.web.api.collaboration import CollaborationOperations
from daemon.web.api.diagnosis import DiagnosisOperations
from daemon.web.api.drills import DrillOperations
from daemon.web.api.incidents import IncidentReads
from daemon.web.api.keys import KeyRoom
from daemon.web.api.learning import LearningOperations
from daemon.web.api.maintenance import MaintenanceOperations
from daemon.web.api.oncall import OncallOperations
from daemon.web.api.operation import ApiOperation
from daemon.web.api.organizing import OrganizingOperations
from daemon.web.api.pager_webhooks import Inbound
from daemon.web.api.people import PeopleOperations
from daemon.web.api.plan import PlanOperations
from daemon.web.api.replicas import ReplicaOperations
from daemon.web.api.slack_commands import SlackCommands
from daemon.web.api.slack_events import SlackEvents
from daemon.web.api.storm import StormOperations
from daemon.web.api.system import Looking
from daemon.web.api.updates import UpdateOperations
from daemon.web.context import WebContext

_SECTIONS = (
    IncidentReads,
    PeopleOperations,
    PlanOperations,
    UpdateOperations,
    CallAnswerOperations,
    LearningOperations,
    DiagnosisOperations,
    CollaborationOperations,
    OrganizingOperations,
    Automation,
    MaintenanceOperations,
    DrillOperations,
    StormOperations,
    Looking,
    ReplicaOperations,
    OncallOperations,
    OwnAccess,
    KeyRoom,
    Webhooks,
    Inbound,
    SlackEvents,
    SlackCommands,
)
"""In the order in which the document has them. A section of the API goes here."""


def operations(context: WebContext) -> list[ApiOperation]:
    """The whole table."""
    return [operation for section in _SECTIONS for operation in section(context).operations()]
