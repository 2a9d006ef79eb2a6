"""Who is kept informed, where, how often, and in whose words."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from daemon.core.values.units import Duration, Frozen, parse_duration

SeverityName = Literal["sev1", "sev2", "sev3", "sev4"]


def _decaying(cadence: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if not cadence or list(cadence) != sorted(cadence):
        raise ValueError("a cadence decays: [5m, 5m, 10m, 30m], the last one repeats")
    if cadence[0] < timedelta(minutes=1):
        raise ValueError("more than one update a minute is read by nobody; begin with 1m or more")
    return cadence


class Audience(Frozen):
    """People who want to know. `channels` are the roster's.

    `from`: the least severity that concerns them. `cadence`: the pauses between updates, the last
    of which repeats; it starts anew when the severity rises. `send`: `automatic` sends the draft
    when it is due, `one_tap` asks the Communicator to. `wording`: `public` names no person,
    no target and no action.
    """

    channels: tuple[str, ...] = Field(min_length=1)
    least: SeverityName = Field(default="sev4", alias="from")
    cadence: Annotated[tuple[Duration, ...], AfterValidator(_decaying)] = tuple(
        parse_duration(pause) for pause in ("5m", "5m", "10m", "15m", "30m")
    )
    send: Literal["automatic", "one_tap"] = "one_tap"
    wording: Literal["internal", "public"] = "internal"

    def concerned(self, severity: SeverityName | Literal[""]) -> bool:
        """Whether this severity is theirs; one that is not established yet is nobody's."""
        return bool(severity) and severity <= self.least

    def pause(self, number: int) -> timedelta:
        """The pause after update `number`, counted from 1 since the severity last rose."""
        return self.cadence[min(max(number, 1), len(self.cadence)) - 1]
