"""What a decision needs beyond the incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Limits
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.core.recovery.plan import NO_DEPENDENCIES, Outlook
from daemon.core.rules.dependencies import RuleDependencies


@dataclass(frozen=True)
class Surroundings:
    """What a decision needs beyond the incident: the roster, the approvals, the store's view, and
    what the rules depend on.

    `withdrawn`: why the rule has lost its autonomy (`autonomy.AutonomyRecord.withdrawn_text`).
    `maintenance`: the windows that were announced, whatever their state.
    """

    roster: Roster
    approvals: Approvals
    limits: Limits
    outlook: Mapping[int, Outlook] = field(default_factory=dict)
    dependencies: RuleDependencies = NO_DEPENDENCIES
    withdrawn: str = ""
    maintenance: Sequence[MaintenanceWindow] = ()
