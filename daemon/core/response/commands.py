"""What people do to an incident: each deed is the events it adds, or a reason why it cannot be.

Pure like everything here: the shell authenticates the person and appends the events. The deeds
about roles are in `daemon.core.response.roles`, those about the plan in
`daemon.core.recovery.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.responders import PagerReports
from daemon.core.incident.state import Incident
from daemon.core.incident.updates import UpdateState
from daemon.core.people.roster import Roster
from daemon.core.response.paging import direct_page, headline
from daemon.core.response.roles import NotPossible, arrive, leave
from daemon.core.response.update_schedule import new_draft
from daemon.core.values.units import clock_time

NOTE_LENGTH = 2000


def acknowledge(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """Respond. The first person becomes Commander. A Commander who was asked for a sign of life
    gives it by this."""
    still_open(incident)
    events = arrive(incident, person, via)
    asked = incident.crew.asked
    if not events and asked is not None and asked.person == person:
        return (e.Noted(text=f"{person} is still on it"),)
    return events


def unacknowledge(incident: Incident, person: str, via: str) -> tuple[e.Event, ...]:
    """Be off it; if the Commander leaves, people are called again."""
    still_open(incident)
    if person not in incident.responders:
        raise NotPossible("you are not among the responders")
    return leave(incident, person, via)


def pause(incident: Incident, person: str, reason: str) -> tuple[e.Event, ...]:
    """Stop the automation of this incident; what runs is finished, nothing more is started."""
    still_open(incident)
    return () if incident.paused_by else (e.IncidentPaused(person=person, reason=reason),)


def resume(incident: Incident, person: str) -> tuple[e.Event, ...]:
    """Let the automation go on."""
    still_open(incident)
    return (e.IncidentResumed(person=person),) if incident.paused_by else ()


def say(incident: Incident, text: str) -> tuple[e.Event, ...]:
    """Put a note on the timeline."""
    return (e.Noted(text=_text(text, "note")),)


def close(incident: Incident, person: str, reason: str) -> tuple[e.Event, ...]:
    """End the incident by a person's word."""
    if incident.closed is not None:
        return ()
    if incident.running is not None:
        raise NotPossible("a recovery step is running; close it when that has ended")
    text = f"{person}: {reason.strip()}" if reason.strip() else f"closed by {person}"
    return (e.IncidentClosed(reason="by_person", text=text),)


# ── calling for more people ──────────────────────────────────────────────────────────────────


def no_plan(incident: Incident, person: str, reason: str) -> tuple[e.Event, ...]:
    """The Commander says that no plan fits: diagnosis opens, a dedicated commander is called."""
    still_open(incident)
    by_commander(incident, person, "say that no plan fits")
    if incident.crew.no_plan is not None:
        return ()
    declared = e.NoPlanDeclared(person=person, reason=reason.strip()[:NOTE_LENGTH])
    if incident.diagnosis is not None:
        return (declared,)
    text = f"{person} says that no plan fits"
    return (declared, e.DiagnosisOpened(reason="no_suitable_plan", text=text))


def jump(
    incident: Incident, roster: Roster, tier: int, person: str, now: datetime
) -> tuple[e.Event, ...]:
    """Call a tier of the policy now, counted from 1, whoever is there already."""
    still_open(incident)
    tiers = roster.tiers(incident.opened.team, now)
    if not 1 <= tier <= len(tiers):
        raise NotPossible(f"there is no tier {tier}; the policy has {len(tiers)}")
    jumped = e.EscalationJumped(tier=tier - 1, person=person)
    if not incident.commander:
        return (jumped,)  # the escalation goes on from there
    text = f"{person} calls for you: {headline(incident)}"
    people = [p for p in tiers[tier - 1].people if p not in incident.responders]
    if not people:
        raise NotPossible(f"tier {tier} has nobody who is not here already")
    jumps = occasion_of(incident, "jump") + 1
    calls = [
        page for p in people for page in direct_page(incident, p, "jump", text, occasion=jumps)
    ]
    return (jumped, *calls)


def engage(
    incident: Incident, roster: Roster, team: str, person: str, reason: str, link: str
) -> tuple[e.Event, ...]:
    """Call in an expert team, with what they need to know; it has its own escalation."""
    still_open(incident)
    if team not in roster.teams:
        known = ", ".join(sorted(roster.teams)) or "none"
        raise NotPossible(f"no team {team!r}; the roster has {known}")
    if team in incident.crew.engaged:
        return ()
    packet = _packet(incident, person, reason, link)
    return (e.TeamEngaged(team=team, person=person, packet=packet),)


def sentiment(
    incident: Incident, source: str, text: str, value: float | None = None
) -> tuple[e.Event, ...]:
    """What the public says, as somebody heard it; `value` is the number behind it."""
    still_open(incident)
    return (e.SentimentHeard(source=source, text=_text(text, "report"), value=value),)


def _packet(incident: Incident, person: str, reason: str, link: str) -> str:
    problem = incident.confirmed or incident.problem
    lines = [f"{person} asks for your help: {reason.strip() or headline(incident)}"]
    if problem is not None:
        lines.append(f"Problem: {problem.text}")
        lines += [f"Query: {query}" for query in problem.queries[:3]]
    lines += [
        f"Tried: {step.action} on {step.target}: {step.verdict or step.status}"
        for step in incident.steps.values()
        if step.action
    ]
    if incident.suspicion is not None:
        lines.append(f"Suspect: {incident.suspicion.text}")
    lines.append(f"Everything: {link}")
    return "\n".join(lines)[:4000]


# ── what pagers and chats report ─────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Report:
    """What somebody did in a pager or a chat. `person` is empty for automation and strangers."""

    source: str
    said: Literal["acknowledged", "unacknowledged"]
    person: str
    who: str
    occurred_at: datetime
    reference: str


def mark_heard(
    incident: Incident, report: Report, now: datetime, stale: timedelta
) -> tuple[e.Event, ...]:
    """Take a report, once and in the order of its own time.

    Repeated and overtaken reports change nothing. Automation and strangers are noted. An
    acknowledgement older than `stale`, or older than the last time command was vacated, does
    not count: whoever gave it may be long gone. What is taken back is an acknowledgement that
    was given there: a Commander who answered elsewhere stays.
    """
    occurred = min(report.occurred_at, now)  # a clock ahead of ours must not overtake the next
    before = incident.crew.heard.get(report.source)
    if incident.closed is not None:
        return ()
    if before is not None and (report.reference in before.references or occurred < before.at):
        return ()
    said = e.PagerSaid(
        source=report.source,
        said=report.said,
        person=report.person,
        who=report.who,
        occurred_at=occurred,
        reference=report.reference,
    )
    if report.said == "unacknowledged":
        by = report.person or report.who
        reason = f"unacknowledged in {report.source}" + (f" by {by}" if by else "")
        return (said, *leave(incident, _leaving(incident, report), report.source, reason))
    if not report.person or _overtaken(incident, before, occurred) or now - occurred > stale:
        return (said,)
    return (said, *arrive(incident, report.person, report.source))


def _overtaken(incident: Incident, before: PagerReports | None, occurred: datetime) -> bool:
    """Whether command was vacated after this acknowledgement.

    If this very pager vacated it, its own times have put them in order, however late we heard.
    """
    vacated = incident.crew.vacated_at
    if vacated is None or occurred > vacated:
        return False
    taken_back_at = before.taken_back_at if before else None
    return taken_back_at is None or taken_back_at < vacated


def _leaving(incident: Incident, report: Report) -> str:
    """Whose acknowledgement was taken back: that of the responder who did so, else that of the
    Commander, if it was given there."""
    commander, before = incident.commander, incident.crew.heard.get(report.source)
    if report.person in incident.responders:
        return report.person
    return commander if before is not None and commander in before.standing else ""


# ── updates ──────────────────────────────────────────────────────────────────────────────────


def draft_now(
    incident: Incident, roster: Roster, audience: str, description: str, now: datetime
) -> tuple[e.Event, ...]:
    """Draft an update before it is due; a draft that waits is drafted anew."""
    _audience(roster, audience)
    drafted = new_draft(
        incident, audience, roster.audiences[audience], description, "asked for by hand", now
    )
    return (drafted.model_copy(update={"automatic": False}),)


def send(
    incident: Incident, update: str, person: str, revision: int | None, text: str | None
) -> tuple[e.Event, ...]:
    """Send a draft, as it stands or in one's own words.

    `revision` is what the person has read: if the draft has changed since, it is not sent.
    """
    state = _update(incident, update)
    if state.sent:
        raise NotPossible(f"update {update} was sent already; `edit` changes it")
    if text is None and revision is not None and revision != state.draft.revision:
        raise NotPossible("the draft has changed since you read it; look again")
    words = state.text if text is None else _text(text, "update")
    return (e.UpdateReleased(update=update, text=words, person=person),)


def edit(incident: Incident, update: str, person: str, text: str) -> tuple[e.Event, ...]:
    """Change an update that was sent; the channels that can are brought up to date."""
    state = _update(incident, update)
    if not state.sent:
        raise NotPossible(f"update {update} was not sent yet; give your text with `send`")
    words = _text(text, "update")
    if words == state.text:
        return ()
    version = state.version + 1
    return (e.UpdateEdited(update=update, version=version, text=words, person=person),)


def snooze(
    incident: Incident,
    roster: Roster,
    audience: str,
    person: str,
    last: timedelta,
    reason: str,
    now: datetime,
) -> tuple[e.Event, ...]:
    """Put off the updates to an audience. What they must know at once is told all the same."""
    still_open(incident)
    _audience(roster, audience)
    if not timedelta(0) < last <= timedelta(hours=4):
        raise NotPossible("a snooze lasts up to 4h; what is quiet for longer is forgotten")
    until = now + last
    why = reason.strip()[:NOTE_LENGTH] or f"until {clock_time(until)}"
    return (e.UpdatesSnoozed(audience=audience, until=until, person=person, reason=why),)


def _audience(roster: Roster, name: str) -> None:
    if name not in roster.audiences:
        known = ", ".join(sorted(roster.audiences)) or "none"
        raise NotPossible(f"no audience {name!r}; the roster has {known}")


def _update(incident: Incident, update: str) -> UpdateState:
    state = incident.word.updates.get(update)
    if state is None:
        known = ", ".join(incident.word.updates) or "none yet"
        raise NotPossible(f"there is no update {update!r}; there are {known}")
    return state


def _text(text: str, what: str) -> str:
    words = text.strip()
    if not words:
        raise NotPossible(f"the {what} is empty")
    if len(words) > NOTE_LENGTH:
        raise NotPossible(f"the {what} has {len(words)} characters; {NOTE_LENGTH} at most")
    return words


def still_open(incident: Incident) -> None:
    """Raises NotPossible once the incident is closed."""
    if incident.closed is not None:
        raise NotPossible(f"incident {incident.id} is closed")


def by_commander(incident: Incident, person: str, deed: str) -> None:
    """Raises NotPossible unless that person commands."""
    if incident.commander != person:
        who = incident.commander or "nobody; acknowledge the incident first"
        raise NotPossible(f"only the Commander may {deed}; that is {who}")
