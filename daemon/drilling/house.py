"""What drills are played with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from daemon.conduct.executor import ConductDependencies
from daemon.config.active import ActiveConfig, Live
from daemon.config.drill_settings import StagingTarget
from daemon.repository import IncidentRepository


@dataclass(frozen=True)
class DrillHouse:
    """What every drill is played with. `real` is what real incidents are conducted with, of which
    a drill takes the actions' forms, the limits, the reviews and the links. `targets`: the staging
    targets that the settings allow. `restricted`: whether what the settings allow is known."""

    repository: IncidentRepository
    active: Live[ActiveConfig]
    real: ConductDependencies
    targets: Mapping[str, StagingTarget]
    restricted: bool = True
