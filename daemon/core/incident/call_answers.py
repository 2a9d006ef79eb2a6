"""What those who were called have answered beside coming, and who was told of the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.incident.events.call_answers import Ending


@dataclass(frozen=True)
class Declined:
    """When somebody last said that they cannot come; `campaign`: of which calling."""

    at: datetime
    campaign: int


@dataclass(frozen=True)
class Snoozed:
    """Until when somebody has put their call off; `campaign`: of which calling."""

    until: datetime
    campaign: int


@dataclass(frozen=True)
class EndingWord:
    """How far somebody was told of the end. `recoveries` and `ending`: of which; `told`: that is
    settled, and nothing more is tried. `failures`: tries at it so far, the last at `at`."""

    recoveries: int
    ending: Ending
    at: datetime
    told: bool
    failures: int = 0


@dataclass(frozen=True)
class CallAnswers:
    """By person: who declined, who wants to be called again. `snoozes` counts all of these;
    `recoveries`: how often the incident has recovered; `words`: who was told of that;
    `storm_words`: who of those whom its storm's page had called was told that the storm is over."""

    declined: Mapping[str, Declined] = field(default_factory=dict)
    snoozed: Mapping[str, Snoozed] = field(default_factory=dict)
    snoozes: Mapping[str, int] = field(default_factory=dict)
    recoveries: int = 0
    words: Mapping[str, EndingWord] = field(default_factory=dict)
    storm_words: Mapping[str, EndingWord] = field(default_factory=dict)

    def word(self, person: str, ending: Ending) -> EndingWord | None:
        """How far that person was told of such an end."""
        return (self.storm_words if ending == "storm" else self.words).get(person)

    def declined_since(self, person: str, moment: datetime) -> bool:
        """Whether that person has declined at that moment or later."""
        answer = self.declined.get(person)
        return answer is not None and answer.at >= moment
