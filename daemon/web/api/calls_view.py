"""How the calling of an incident stands."""

from __future__ import annotations

from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.web.api.schemas import CallsView


def calls_view(incident: Incident, roster: Roster) -> CallsView:
    """How the calling of an incident stands. Who came in the end did not decline."""
    known, there = incident.call_answers, incident.responders
    campaign = incident.people.campaign
    return CallsView(
        wants=roster.policy_for(incident.opened.team).acknowledgements,
        came=len(there),
        declined={
            person: answer.at for person, answer in known.declined.items() if person not in there
        },
        snoozed={
            person: snoozed.until
            for person, snoozed in known.snoozed.items()
            if person not in there and snoozed.campaign == campaign
        },
        told={person: word.at for person, word in known.words.items() if word.told},
    )
