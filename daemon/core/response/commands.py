"""What people do to an incident as a whole: come and go, stop it, note, close, call for others.

The commands about roles are in `role_commands`, those about updates in `update_commands`, those
about the plan in `daemon.core.recovery.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from daemon.core.incident import events as e
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.responders import PagerReports
from daemon.core.incident.state import Incident
from daemon.core.response.command import (
    Command,
    CommandSituation,
    NotPossible,
    optional_text,
    required_text,
)
from daemon.core.response.help_packet import help_packet
from daemon.core.response.paging import STORM_ALERT, direct_page, headline
from daemon.core.response.roles import arrive, leave

PagerState = Literal["acknowledged", "unacknowledged"]


@dataclass(frozen=True)
class Acknowledge(Command):
    """Respond. The first person becomes Commander. A Commander who was asked for a sign of life
    gives it by this."""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        person = situation.person
        events = arrive(incident, person, situation.via)
        request = incident.people.sign_of_life_request
        if not events and request is not None and request.person == person:
            return (e.Noted(text=f"{person} is still on it"),)
        return events


@dataclass(frozen=True)
class Leave(Command):
    """Be off it; if the Commander leaves, people are called again."""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if situation.person not in incident.responders:
            raise NotPossible("you are not among the responders")
        return leave(incident, situation.person, situation.via)


@dataclass(frozen=True)
class PauseAutomation(Command):
    """Stop the automation of this incident; what runs is finished, nothing more is started."""

    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if incident.paused_by:
            return ()
        return (e.IncidentPaused(person=situation.person, reason=optional_text(self.reason)),)


@dataclass(frozen=True)
class ResumeAutomation(Command):
    """Let the automation go on."""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        return (e.IncidentResumed(person=situation.person),) if incident.paused_by else ()


@dataclass(frozen=True)
class Note(Command):
    """Put a note on the timeline."""

    even_closed: ClassVar[bool] = True
    text: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        return (e.Noted(text=required_text(self.text, "note")),)


@dataclass(frozen=True)
class Close(Command):
    """End the incident by a person's word."""

    even_closed: ClassVar[bool] = True
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if incident.closed is not None:
            return ()
        if incident.running is not None:
            raise NotPossible("a recovery step is running; close it when that has ended")
        person, reason = situation.person, optional_text(self.reason)
        text = f"{person}: {reason}" if reason else f"closed by {person}"
        return (e.IncidentClosed(reason="by_person", text=text),)


@dataclass(frozen=True)
class ReportSentiment(Command):
    """What the public says, as somebody heard it.

    `source` is the system that reports it; empty if that is the person. `value` is the number
    behind it, in the source's own unit.
    """

    text: str
    value: float | None = None
    source: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        source, text = self.source or situation.person, required_text(self.text, "report")
        return (e.SentimentHeard(source=source, text=text, value=self.value),)


# ── calling for more people ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class DeclareNoPlan(Command):
    """The Commander says that no plan fits: diagnosis opens, a dedicated commander is called."""

    commander_only: ClassVar[str] = "say that no plan fits"
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        if incident.people.no_plan is not None:
            return ()
        person = situation.person
        declared = e.NoPlanDeclared(person=person, reason=optional_text(self.reason))
        if incident.diagnosis is not None:
            return (declared,)
        text = f"{person} says that no plan fits"
        return (declared, e.DiagnosisOpened(reason="no_suitable_plan", text=text))


@dataclass(frozen=True)
class Escalate(Command):
    """Call a tier of the policy now, counted from 1, whoever is there already."""

    tier: int

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        person, tier = situation.person, self.tier
        tiers = situation.roster.tiers(incident.opened.team, situation.now)
        if not 1 <= tier <= len(tiers):
            raise NotPossible(f"there is no tier {tier}; the policy has {len(tiers)}")
        jumped = e.EscalationJumped(tier=tier - 1, person=person)
        storm = incident.storm
        shared = storm is not None and storm.left_at is None
        escalates = not shared and incident.organization.held is None
        if escalates and not incident.commander and incident.recovered_at is None:
            return (jumped,)  # the escalation goes on from there
        number = occasion_of(incident, "jump") + 1
        text = f"{person} calls for you: {headline(incident)}"
        people = [p for p in tiers[tier - 1].people if p not in incident.responders]
        if not people:
            raise NotPossible(f"tier {tier} has nobody who is not here already")
        calls = [
            page for p in people for page in direct_page(incident, p, "jump", text, occasion=number)
        ]
        return (jumped, *calls)


@dataclass(frozen=True)
class EngageTeam(Command):
    """Call in an expert team, with what they need to know; it has its own escalation."""

    team: str
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        teams = situation.roster.teams
        if self.team not in teams:
            known = ", ".join(sorted(teams)) or "none"
            raise NotPossible(f"no team {self.team!r}; the roster has {known}")
        return engagement(incident, self.team, self.reason, situation)


def engagement(
    incident: Incident, team: str, reason: str, situation: CommandSituation
) -> tuple[e.TeamEngaged, ...]:
    """A team is called in, once, with what it needs to know."""
    if team in incident.people.engaged:
        return ()
    packet = help_packet(incident, situation.person, reason, situation.document)
    return (e.TeamEngaged(team=team, person=situation.person, packet=packet),)


# ── what pagers report ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class RecordPagerReport(Command):
    """What somebody did in a pager, taken once and in the order of its own time.

    `person` is empty for automation and strangers; `who` is what the pager calls them.

    Repeated and overtaken reports change nothing. Automation and strangers are noted. An
    acknowledgement older than the roster's `stale_ack`, or older than the last time command was
    vacated, does not count: whoever gave it may be long gone. What is taken back is an
    acknowledgement that was given there: a Commander who answered elsewhere stays. `alert`: which
    alert of the incident's it was (`paging.alert_of`); that of a storm is answered for all of it.
    """

    even_closed: ClassVar[bool] = True
    source: str
    state: PagerState
    person: str
    who: str
    occurred_at: datetime
    reference: str
    alert: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        # A clock ahead of ours must not overtake the next report.
        occurred = min(self.occurred_at, situation.now)
        before = incident.people.pager_reports.get(self.source)
        if incident.closed is not None:
            return ()
        if before is not None and (self.reference in before.references or occurred < before.at):
            return ()
        recorded = e.PagerSaid(
            source=self.source,
            said=self.state,
            person=self.person,
            who=self.who,
            occurred_at=occurred,
            reference=self.reference,
        )
        if self.state == "unacknowledged":
            by = self.person or self.who
            reason = f"unacknowledged in {self.source}" + (f" by {by}" if by else "")
            person = self._whose_acknowledgement(incident)
            return (recorded, *leave(incident, person, self.source, reason))
        stale = self.is_stale(situation.now, situation.roster.timing.stale_ack)
        if not self.person or stale or _overtaken(incident, before, occurred):
            return (recorded,)
        if self.alert == STORM_ALERT:
            return (recorded, e.StormAnswered(person=self.person, via=self.source))
        return (recorded, *arrive(incident, self.person, self.source))

    def is_stale(self, now: datetime, limit: timedelta) -> bool:
        """Whether it is so old that it is no sign of life of that person."""
        return now - min(self.occurred_at, now) > limit

    def _whose_acknowledgement(self, incident: Incident) -> str:
        """Whose acknowledgement was taken back: that of the responder who did so, else that of the
        Commander, if it was given there."""
        commander, before = incident.commander, incident.people.pager_reports.get(self.source)
        if self.person in incident.responders:
            return self.person
        return commander if before is not None and commander in before.acknowledged_by else ""


def _overtaken(incident: Incident, before: PagerReports | None, occurred: datetime) -> bool:
    """Whether command was vacated after this acknowledgement.

    If this very pager vacated it, its own times have put them in order, however late we heard.
    """
    vacated = incident.people.vacated_at
    if vacated is None or occurred > vacated:
        return False
    taken_back_at = before.taken_back_at if before else None
    return taken_back_at is None or taken_back_at < vacated
