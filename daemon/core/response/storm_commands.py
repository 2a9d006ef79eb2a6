"""What a person does about a storm by the one page that they got of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.command import Command, CommandSituation, NotPossible

STORM_ANSWERED = (
    "You are on it: every incident of the storm that is yours is being acknowledged in your name."
)
"""What is said to somebody who has answered a storm's page."""


@dataclass(frozen=True)
class AnswerStorm(Command):
    """Respond to all incidents of a storm that are one's own; given to the one that carries its
    page, which need not be among them, nor open any more."""

    even_closed: ClassVar[bool] = True

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if incident.storm is None:
            raise NotPossible("this incident carries no storm's page; acknowledge the incident")
        return (e.StormAnswered(person=situation.person, via=situation.via),)
