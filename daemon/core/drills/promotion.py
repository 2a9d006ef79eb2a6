"""Routine incidents that are handled as full ones, to practise: by lot, within an announced policy.

The incident stays real: what the metrics say, what is done and who is told outside is as ever.
Only who is called and what is asked of them is as if it were more severe.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.audiences import SeverityName
from daemon.core.people.rotations import Restriction
from daemon.core.people.schedules import Zone
from daemon.core.values.units import Frozen, Share

_BITS = 64


class PromotionPolicy(Frozen):
    """Which incidents are promoted. Off while `probability` is 0.

    Each incident whose severity is one of `severities` draws a lot once, when that is measured;
    with this `probability` it is handled as one of severity `to`. Only within `hours` by the wall
    clock of `zone`, and none of these `except_rules` and `except_teams`.
    """

    probability: Share = 0.0
    severities: tuple[SeverityName, ...] = Field(default=("sev3", "sev4"), min_length=1)
    to: SeverityName = "sev2"
    hours: Restriction = Restriction.model_validate(
        {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "10:00", "to": "16:00"}
    )
    zone: Zone = "UTC"
    except_rules: tuple[str, ...] = ()
    except_teams: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _upwards(self) -> PromotionPolicy:
        low = [severity for severity in self.severities if severity <= self.to]
        if low:
            raise ValueError(f"`severities` holds {low[0]}, which is no less than `to: {self.to}`")
        return self

    def describe(self) -> str:
        """The policy as it is announced."""
        if not self.probability:
            return "no incident is promoted for practice"
        opens, closes = _spelled(self.hours.start), _spelled(self.hours.end)
        spared = [*(f"rule {one}" for one in self.except_rules)]
        spared += [f"team {one}" for one in self.except_teams]
        text = (
            f"{self.probability:.0%} of the {' and '.join(self.severities)} incidents are handled "
            f"as {self.to} for practice, {', '.join(self.hours.days)} {opens}–{closes} {self.zone}"
        )
        return f"{text}; never of {', '.join(spared)}" if spared else text


def promotion(
    policy: PromotionPolicy, incident: Incident, now: datetime
) -> tuple[e.IncidentPromoted, ...]:
    """Whether the incident is promoted, now that its severity is measured. The lot is drawn from
    its id, so that it falls the same however often it is looked at."""
    if incident.drill is not None or incident.drill_state.promoted or incident.closed is not None:
        return ()
    if incident.severity not in policy.severities or incident.recovered_at is not None:
        return ()
    if incident.rule in policy.except_rules or incident.opened.team in policy.except_teams:
        return ()
    if not _within_hours(policy, now) or _lot(incident.id) >= policy.probability:
        return ()
    text = f"it was {incident.severity}; by lot, and by the announced policy: {policy.describe()}"
    return (e.IncidentPromoted(severity=policy.to, text=text),)


def _within_hours(policy: PromotionPolicy, now: datetime) -> bool:
    zone = ZoneInfo(policy.zone)
    return any(opens <= now < closes for opens, closes in policy.hours.windows(now, now, zone))


def _lot(incident: str) -> float:
    """A number in [0, 1) that the id of an incident stands for."""
    drawn = hashlib.sha256(incident.encode()).digest()[: _BITS // 8]
    return int.from_bytes(drawn, "big") / float(1 << _BITS)


def _spelled(at: timedelta) -> str:
    hours, minutes = divmod(at // timedelta(minutes=1), 60)
    return f"{hours:02}:{minutes:02}"
