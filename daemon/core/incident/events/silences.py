"""What can have happened to the silence that an acknowledgement sets in Alertmanager."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.rules.matchers import Matcher, spell_matcher
from daemon.core.values.units import Moment, clock_time


class _AboutSilences(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "calls"


class SilenceRequested(_AboutSilences):
    """The intent to silence the incident's group in Alertmanager until then, or for longer."""

    kind: Literal["SilenceRequested"] = "SilenceRequested"
    matchers: tuple[Matcher, ...]
    until: Moment

    def describe(self) -> str:
        matchers = ", ".join(map(spell_matcher, self.matchers))
        return f"to be silenced in Alertmanager until {clock_time(self.until)}: {matchers}"


class SilenceSet(_AboutSilences):
    """Alertmanager has the silence; `silence` is its id there, `link` leads to it."""

    kind: Literal["SilenceSet"] = "SilenceSet"
    silence: str
    until: Moment
    link: str

    def describe(self) -> str:
        return f"silenced in Alertmanager until {clock_time(self.until)}: {self.link}"


class SilenceFailed(_AboutSilences):
    """Alertmanager did not take it, or would not lift it. `last`: it is not tried again."""

    kind: Literal["SilenceFailed"] = "SilenceFailed"
    error: str
    last: bool

    def describe(self) -> str:
        again = "" if self.last else "; it is tried again"
        return f"the silence in Alertmanager failed: {self.error}{again}"


class SilenceLifted(_AboutSilences):
    """There is none of this incident's in Alertmanager any more."""

    kind: Literal["SilenceLifted"] = "SilenceLifted"
    text: str

    def describe(self) -> str:
        return f"no silence in Alertmanager any more: {self.text}"


SilenceEvent = SilenceRequested | SilenceSet | SilenceFailed | SilenceLifted
