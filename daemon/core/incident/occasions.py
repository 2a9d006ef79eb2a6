"""How often what a page is about has come about: the occasions, counted from the incident.

They are counted in no other place, so a restart counts the same.
"""

from __future__ import annotations

from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident


def step_asked_for(about: str) -> int:
    """The number of the step that a page for an approval is about: `1` of `1-not_approved`."""
    return int(about.partition("-")[0])


def occasion_of(incident: Incident, purpose: Purpose, about: str = "") -> int:
    """The number of the present occasion; 0 for what comes about once.

    People are called anew when command is given up, and after a relapse. A role falls vacant when
    its holder gives it up, and is needed anew after a relapse. So is the approval of a step, which
    is needed anew, too, when one that was given counts no more.
    """
    people = incident.people
    match purpose:
        case "escalation":
            return people.campaign + incident.relapses
        case "deputy":
            return people.campaign
        case "verdict" | "relapse" | "diagnosis":
            return incident.relapses
        case "approval":
            return incident.relapses + incident.step(step_asked_for(about)).approvals
        case "vacancy":
            vacated = sum(times for role, times in people.times_left.items() if role == about)
            return vacated + incident.relapses
        case "refired":
            return incident.refired
        case "unattended":
            return len(incident.defects)
        case "jump":
            return len(people.jumps)
        case "snoozed":
            return incident.call_answers.snoozes.get(about, 0)
        case "update":
            update = incident.updates.by_name.get(about)
            return update.assignments if update else 0
        case "sign_of_life":
            occasions = [p.occasion for p in incident.pages.values() if p.queued.purpose == purpose]
            return max(occasions, default=0)
        case _:
            return 0
