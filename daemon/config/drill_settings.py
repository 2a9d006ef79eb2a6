"""The section `drills:` of stopgap.yaml."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from daemon.core.drills.calendar import Day, DrillDate, ScheduledDrill
from daemon.core.drills.promotion import PromotionPolicy
from daemon.core.people.rotations import Beginning
from daemon.core.values.units import Duration, Frozen, unset


class SelfDrillSettings(DrillDate):
    """When, and whether, the daemon drills its own chain, from an alert to the review."""

    enabled: bool = True
    day: Day = "first mon"
    at: Beginning = timedelta(hours=9)


class StagingTarget(Frozen):
    """A place that drills may break and mend for real. `acts_on`: the only targets of actions,
    as incidents show them (`release:shop`, `kubernetes:staging/deployment/shop`)."""

    acts_on: tuple[str, ...] = Field(min_length=1)


class AnnounceSettings(Frozen):
    """Where what the calendar has is announced, so long before: channels of the roster."""

    channels: tuple[str, ...] = ()
    before: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=7))] = timedelta(days=1)


class DrillSettings(Frozen):
    """`schedule`: what is held when, and `announce` where that is told before. `targets`: the
    staging targets that scenarios can name, by name. `promotion`: which routine incidents are
    handled as full ones, to practise."""

    schedule: tuple[ScheduledDrill, ...] = ()
    announce: AnnounceSettings = unset(AnnounceSettings)
    targets: dict[str, StagingTarget] = Field(default_factory=dict)
    promotion: PromotionPolicy = unset(PromotionPolicy)
    self_drill: SelfDrillSettings = unset(SelfDrillSettings)

    @model_validator(mode="after")
    def _each_once(self) -> DrillSettings:
        seen = set[tuple[str, str, object]]()
        for one in self.schedule:
            if (one.drill, one.day, one.at) in seen:
                raise ValueError(f"`schedule` has {one.drill} twice at one time; take one out")
            seen.add((one.drill, one.day, one.at))
        return self
