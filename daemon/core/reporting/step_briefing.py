"""What a person must know who approves a step: what it does, whether it was tried, why it is
asked, what can go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from daemon.core.incident.step_state import StepState
from daemon.core.rules.rule import StepSpec
from daemon.core.values.units import printable

NO_RISKS: Mapping[str, str] = {}


@dataclass(frozen=True)
class StepBriefing:
    """One step, for whoever decides on it.

    `label`: what it does in a few words, for a button. `tried_at`: when it was last tried as far
    as it changes nothing, None if it was not; `trouble`: why that dry run did not pass. `why`: the
    sentence with which it is asked, empty if it is not. `risk`: what its action declares.
    """

    label: str
    tried_at: datetime | None
    trouble: str
    why: str
    risk: str

    @property
    def tried(self) -> str:
        """How the dry run ended, in two or three words; empty if there was none."""
        if self.tried_at is None:
            return ""
        return "dry run refused" if self.trouble else "dry run passed"


def brief(
    state: StepState, spec: StepSpec | None, risks: Mapping[str, str] = NO_RISKS
) -> StepBriefing:
    """The briefing of a step. `spec`: what the rule says of it; `risks`: by action."""
    made = state.dry_run
    found = made.found if made else None
    action = state.action or (spec.action if spec else found.action if found else "")
    target = state.target or (found.target if found else "")
    label = f"{action} on {printable(target)}" if target else action
    return StepBriefing(
        label=found.label if found and found.label else label,
        tried_at=made.at if made else None,
        trouble="" if found is None or found.passed else printable(found.text),
        why=printable(state.refusal_text) if state.awaits_approval else "",
        risk=risks.get(action, ""),
    )
