"""The newest dry run of a step: what it found, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.incident.events.dry_runs import StepRehearsed

DRY_RUN_LASTS = timedelta(minutes=10)
"""After so long a step that is still asked about is tried anew."""


@dataclass(frozen=True)
class DryRun:
    """What was found, and when."""

    at: datetime
    found: StepRehearsed

    def due_again(self, content: str) -> datetime:
        """When it is to be tried anew: at once if the step is not what it was then."""
        return self.at if self.found.content != content else self.at + DRY_RUN_LASTS
