"""Whether a drill may be held now.

Nobody is drilled who is called in earnest or in another drill, and no target is broken by two.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from daemon.core.drills.desk import DrillRefused
from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident.state import Incident
from daemon.core.values.drill_key import drill_of
from daemon.repository import IncidentRepository

if TYPE_CHECKING:
    from daemon.drilling.played import PlayedRun


def admit_target(
    scenario: DrillScenario, targets: Collection[str], runs: Sequence[PlayedRun]
) -> None:
    """Raises DrillRefused if the settings do not allow its staging target, or one of these runs is
    held on it."""
    if scenario.target and scenario.target not in targets:
        raise DrillRefused(
            f"the settings allow no staging target {scenario.target!r}: name what it may act "
            f"on in stopgap.yaml, `drills: targets: {scenario.target}: acts_on: […]`"
        )
    for run in runs if scenario.target else ():
        if run.scenario.target == scenario.target:
            raise DrillRefused(
                f"the drill {run.mark.scenario} (run {run.mark.run}) is held on {scenario.target}, "
                "and one would break what the other measures; abort it first"
            )


async def admit_people(
    blue: Sequence[str], runs: Sequence[PlayedRun], repository: IncidentRepository
) -> None:
    """Raises DrillRefused if one of these people is in one of these runs, or called in earnest;
    Temporary."""
    for run in runs:
        both = sorted(set(blue) & set(run.mark.blue))
        if both:
            where = f"the drill {run.mark.scenario} (run {run.mark.run})"
            raise DrillRefused(f"{both[0]} is in {where}; abort it first")
    person, incident = await called_for_real(blue, repository)
    if incident is not None:
        raise DrillRefused(f"{person} is called for the real incident {incident.id}: no drill now")


async def called_for_real(
    blue: Sequence[str], repository: IncidentRepository
) -> tuple[str, Incident | None]:
    """One of these people whom a real incident needs now, and that; ("", None) if none does.
    Raises Temporary."""
    for head in await repository.journal.open_heads():
        if drill_of(head.key):
            continue
        incident = await repository.load(head.incident)
        called = {*incident.responders, *(p.queued.person for p in incident.pages.values())}
        both = sorted(called & set(blue))
        if both and incident.recovered_at is None:
            return both[0], incident
    return "", None
