"""What a decision needs beyond the incident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Limits
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.core.recovery.plan import NO_DEPENDENCIES, Outlook
from daemon.core.response.rooms import NO_ROOMS, RoomPolicy
from daemon.core.response.storm import Storm
from daemon.core.rules.dependencies import RuleDependencies


@dataclass(frozen=True)
class Surroundings:
    """What a decision needs beyond the incident: the roster, the approvals, the store's view, and
    what the rules depend on.

    `withdrawn`: why the rule has lost its autonomy (`autonomy.AutonomyRecord.withdrawn_text`).
    `rooms`: where people can meet.
    `storm`: the one that the incident is of, while its page calls for it. `gathers`: others begin
    to alert beside it, and may become one. `silence_for`: so long
    an acknowledged one is silenced in Alertmanager at a time; None: never. `page_hold`: so long
    the first page may wait for the first measurement. `maintenance`: the windows that were
    announced, whatever their state.
    """

    roster: Roster
    approvals: Approvals
    limits: Limits
    outlook: Mapping[int, Outlook] = field(default_factory=dict)
    dependencies: RuleDependencies = NO_DEPENDENCIES
    withdrawn: str = ""
    rooms: RoomPolicy = NO_ROOMS
    storm: Storm | None = None
    gathers: bool = False
    silence_for: timedelta | None = None
    page_hold: timedelta = timedelta(0)
    maintenance: Sequence[MaintenanceWindow] = ()
