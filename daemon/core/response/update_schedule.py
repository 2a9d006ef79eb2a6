"""Which update is due to which audience, whose it is to send, and where it must still go."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, Publish, first_recording
from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import (
    last_word_dismissed,
    over_since,
    told_elsewhere,
    untold,
)
from daemon.core.incident.updates import UpdateState
from daemon.core.people.audiences import Audience
from daemon.core.people.roster import Roster
from daemon.core.response.paging import direct_page
from daemon.core.response.roles import APART
from daemon.core.response.update_text import draft, facts_in_short
from daemon.core.values.backoff import Backoff

UPDATE_TRIES = 8
"""How often a channel is tried for one version of an update."""
UPDATE_BACKOFF = Backoff(timedelta(seconds=15), timedelta(minutes=5))
"""How soon a channel that did not take an update is tried again."""


def updates_due(incident: Incident, roster: Roster, description: str, now: datetime) -> Decision:
    """What is due to every audience now. `description` is the rule's, for public wording."""
    return _publications(incident, roster, now) | first_recording(
        _due(incident, roster, name, audience, description, now)
        for name, audience in roster.audiences.items()
    )


def due_at(incident: Incident, name: str, audience: Audience) -> tuple[datetime | None, str]:
    """When the next update to this audience is due, and why; None when there is none to come.

    At once when something has happened that they must know; else after the cadence's pause,
    which starts anew with each rise of the severity.
    """
    if incident.closed is not None and incident.closed.reason == "merged":
        return None, ""  # it goes on, and those whom it concerns are told of the other incident
    if not audience.concerned(incident.severity_for(audience.wording)):
        return None, ""
    last = incident.updates.last_sent(name)
    rose_at = incident.severity_rose_at or incident.opened_at
    if last is None or last.released_at is None:
        over_at = over_since(incident)
        if over_at is None:
            return rose_at, "the first update"
        return (over_at, "it is over") if name in told_elsewhere(incident) else (None, "")
    at, because = _first_change(incident, last.released_at)
    if at is not None:
        return at, because
    if incident.recovered_at is not None or incident.closed is not None:
        return None, ""  # while a relapse is watched for there is nothing new to tell
    since = [
        update
        for update in incident.updates.of(name)
        if update.released_at is not None and update.released_at >= rose_at
    ]
    at = last.released_at + audience.pause(len(since))
    return max(at, incident.updates.snoozed.get(name, at)), "the next in the cadence"


def _first_change(incident: Incident, since: datetime) -> tuple[datetime | None, str]:
    """What has happened since then that an audience must know at once, and when."""
    changes = [
        (incident.closed_at, "it is over"),
        (incident.recovered_at, "service is restored"),
        (incident.relapsed_at, "the problem came back"),
        (incident.severity_rose_at, f"severity rose to {incident.severity}"),
    ]
    return next(((at, why) for at, why in changes if at is not None and at > since), (None, ""))


def next_pause(incident: Incident, name: str, audience: Audience) -> timedelta | None:
    """How long after an update that goes out now the next is due; None if it was the last."""
    if incident.recovered_at is not None or incident.closed is not None:
        return None
    rose_at = incident.severity_rose_at or incident.opened_at
    since = [
        update
        for update in incident.updates.of(name)
        if update.released_at is not None and update.released_at >= rose_at
    ]
    return audience.pause(len(since) + 1)


def new_draft(
    incident: Incident, name: str, audience: Audience, description: str, because: str, now: datetime
) -> e.UpdateDrafted:
    """The draft of the next update; of the one that waits, a further revision."""
    waiting = incident.updates.open_draft(name)
    last = incident.updates.last_sent(name)
    public = audience.wording == "public"
    return e.UpdateDrafted(
        update=waiting.draft.update if waiting else f"{name}.{len(incident.updates.of(name)) + 1}",
        audience=name,
        revision=waiting.draft.revision + 1 if waiting else 1,
        stage=incident.stage,
        text=draft(
            incident,
            since=last.released_at if last else None,
            pause=next_pause(incident, name, audience),
            sent_at=now if audience.send == "automatic" else None,
            public=public,
            description=description,
        ),
        because=because,
        facts=facts_in_short(incident),
        automatic=audience.send == "automatic",
        public=public,
    )


def _due(
    incident: Incident,
    roster: Roster,
    name: str,
    audience: Audience,
    description: str,
    now: datetime,
) -> Decision:
    waiting = incident.updates.open_draft(name)
    if waiting is not None and audience.send != "automatic":
        return _await_release(incident, roster, waiting, audience, description, now)
    # A draft that somebody asked for by hand does not keep the automatic updates waiting.
    at, because = due_at(incident, name, audience)
    if at is None or now < at:
        return Decision(wake_at=at)
    asks = audience.send != "automatic"
    if incident.closed is not None and asks and name not in untold(incident):
        return Decision()
    drafted = new_draft(incident, name, audience, description, because, now)
    if not drafted.automatic:
        return Decision(record=(drafted,))
    released = e.UpdateReleased(update=drafted.update, text=drafted.text, person="")
    return Decision(record=(drafted, released))


def _await_release(
    incident: Incident,
    roster: Roster,
    waiting: UpdateState,
    audience: Audience,
    description: str,
    now: datetime,
) -> Decision:
    """A draft waits for somebody's tap: keep it true, and ask another person when it is overdue."""
    name = waiting.audience
    if incident.closed is not None and name not in untold(incident):
        return Decision()
    if waiting.draft.facts != facts_in_short(incident):
        because = due_at(incident, name, audience)[1] or waiting.draft.because
        drafted = new_draft(incident, name, audience, description, because, now)
        return Decision(record=(drafted,))
    if incident.closed is not None or last_word_dismissed(incident, name):
        return Decision()  # nobody is woken to say that it is over: `last_word` reminds them
    snoozed = incident.updates.snoozed.get(name)
    if snoozed is not None and now < snoozed:
        put_off_at = incident.updates.snoozed_at[name]
        if _first_change(incident, put_off_at)[0] is None:
            return Decision(wake_at=snoozed)
    if waiting.assigned_at is not None:
        patience_ends = waiting.assigned_at + roster.timing.overdue
        if now < patience_ends:
            return Decision(wake_at=patience_ends)
    sender = _next_sender(incident, roster, waiting)
    if not sender:
        return Decision()
    reason = f"{waiting.person} did not send it" if waiting.person else "it falls to you"
    update = waiting.draft.update
    assigned = e.UpdateAssigned(update=update, person=sender, reason=reason)
    text = (
        f"an update to {waiting.audience} is due ({waiting.draft.because}); {reason}. "
        f"Send it: stopgap update {incident.id} send {update}\n\n{waiting.text}"
    )
    assignment = occasion_of(incident, "update", update) + 1
    page = direct_page(incident, sender, "update", text, update, occasion=assignment)
    return Decision(record=(assigned, *page))


def _next_sender(incident: Incident, roster: Roster, waiting: UpdateState) -> str:
    """The Communicator, then the Commander, then whoever is there, then the team's leads.

    Those at work on the recovery or the cause are left in peace; once service is restored, so are
    leads who are not there: nobody is woken for good news.
    """
    people = incident.people
    team = roster.teams.get(incident.opened.team)
    free = [p for p in incident.responders if not APART & set(people.roles_of(p))]
    order = [people.holder("communicator"), incident.commander, *free]
    if incident.commander and team is not None and incident.recovered_at is None:
        order += team.commanders
    return next((p for p in order if p and p not in waiting.assigned), "")


def _publications(incident: Incident, roster: Roster, now: datetime) -> Decision:
    """What channels do not have yet. An update that a newer one has overtaken is let go; its
    edits still reach the channels that have it."""
    due = Decision()
    for name, audience in roster.audiences.items():
        last = incident.updates.last_sent(name)
        for update in incident.updates.of(name):
            for channel in audience.channels if update.sent else ():
                delivery = update.delivery(channel)
                overtaken = update is not last and delivery.version == 0
                done = delivery.settled >= update.version
                if overtaken or done:
                    continue
                at = now
                if delivery.failed_at is not None:
                    at = delivery.failed_at + UPDATE_BACKOFF.pause(delivery.failures)
                publish = Publish(update.draft.update, channel, update.version)
                due |= Decision(wake_at=at) if now < at else Decision(effects=(publish,))
    return due
