"""What a person does to all incidents of the storms that go on: one command for each, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import enough_came
from daemon.core.response.command import Command, NotPossible, Surface
from daemon.core.response.commands import Acknowledge, PauseAutomation, ResumeAutomation
from daemon.core.response.role_commands import FillRole
from daemon.core.values.units import Frozen
from daemon.repository import UnknownIncident
from daemon.web.context import WebContext

StormDeed = Literal["ack", "freeze", "thaw", "command"]
"""Respond; stop the automation of each; let it go on; take command."""
STORM_DEEDS = get_args(StormDeed)
_SAID: Mapping[StormDeed, str] = {
    "ack": "You respond to",
    "freeze": "No step starts by itself any more in",
    "thaw": "Automation goes on in",
    "command": "You command",
}
_REASON = "the whole storm was frozen"


class LeftOut(Frozen):
    """An incident that it was not done to, and why."""

    incident: str
    why: str


class StormOutcome(Frozen):
    """What came of it, in a sentence; to how many incidents it was done, and which were left."""

    text: str
    done: int
    left: tuple[LeftOut, ...]


class NoStorm(NotPossible):
    """Nothing is told as a storm just now."""


async def act_on_storm(
    context: WebContext, deed: StormDeed, person: str, via: Surface
) -> StormOutcome:
    """Do it to each incident of the storms. After a failure it can be asked again: what is so
    already stays so. Raises NoStorm, Temporary."""
    # Those first that its page calls for: what the others then ask comes with it, too.
    members = [
        member
        for storm in context.storms()
        for member in sorted(storm.members, key=storm.is_held, reverse=True)
    ]
    if not members:
        raise NoStorm("there is no storm now; `stopgap incidents` lists what is open")
    done, left = 0, []
    for member in members:
        why = _others(member, deed, person, context.roster())
        if not why:
            try:
                await context.carry_out(member.id, _command(deed), person, via)
                done += 1
                continue
            except (NotPossible, UnknownIncident) as error:
                why = str(error)
        left.append(LeftOut(incident=member.id, why=why))
    text = f"{_SAID[deed]} {done} of {len(members)} incidents."
    if left:
        text += f" Left as they are: {len(left)} ({left[0].incident}: {left[0].why})."
    return StormOutcome(text=text, done=done, left=tuple(left))


def _others(incident: Incident, deed: StormDeed, person: str, roster: Roster) -> str:
    """Why it is left to others: asking each of 500 Commanders to hand over is no single deed, and
    who has responded to each is enough, if the policy asks for no more."""
    wanted = roster.policy_for(incident.opened.team).acknowledgements
    if deed == "ack" and not enough_came(incident, wanted):
        return ""
    if deed in {"ack", "command"} and incident.commander not in {"", person}:
        take = f"; to ask for it: stopgap role {incident.id} commander" * (deed == "command")
        return f"{incident.commander} commands it{take}"
    return ""


def _command(deed: StormDeed) -> Command:
    match deed:
        case "ack":
            return Acknowledge()
        case "freeze":
            return PauseAutomation(_REASON)
        case "thaw":
            return ResumeAutomation()
        case "command":
            return FillRole("commander")
