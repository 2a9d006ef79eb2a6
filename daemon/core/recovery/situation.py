"""What a decision needs beyond the incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Limits
from daemon.core.recovery.plan import Outlook


@dataclass(frozen=True)
class Surroundings:
    """What a decision needs beyond the incident: the roster, the approvals, the store's view.

    `withdrawn`: why the rule has lost its autonomy (`autonomy.AutonomyRecord.withdrawn_text`).
    """

    roster: Roster
    approvals: Approvals
    limits: Limits
    outlook: Mapping[int, Outlook] = field(default_factory=dict)
    withdrawn: str = ""
