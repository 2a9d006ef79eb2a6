"""The commands of people as plain functions, for tests that need no more of the situation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Person, Roster
from daemon.core.recovery import commands as recovery
from daemon.core.response import commands as response
from daemon.core.response import role_commands, update_commands
from daemon.core.response.command import Command, CommandSituation, NotPossible
from daemon.core.response.commands import RecordPagerReport
from daemon.core.response.rooms import NO_ROOMS, RoomPolicy
from daemon.core.rules.rule import Rule
from tests.core.build import HOUSE, NOW, make_rule

__all__ = ["NotPossible", "RecordPagerReport"]

Events = tuple[e.Event, ...]


def situated(
    person: str,
    *,
    via: str = "cli",
    now: datetime = NOW,
    roster: Roster = HOUSE,
    rule: Rule | None = None,
    document: str = "",
    rooms: RoomPolicy = NO_ROOMS,
    others: Mapping[str, Incident] | None = None,
) -> CommandSituation:
    """A situation in which that person, whoever they are, may act, and every step fits."""
    if person and person not in roster.people:
        stranger = Person.model_validate({"name": person, "contact": [{"console": True}]})
        roster = roster.model_copy(update={"people": {**roster.people, person: stranger}})
    return CommandSituation(
        person=person,
        via=via,  # type: ignore[arg-type]
        now=now,
        roster=roster,
        rule=rule,
        document=document,
        misfit=lambda _: "",
        rooms=rooms,
        others=others or {},
    )


def given(incident: Incident, command: Command, person: str, **more: Any) -> Events:
    """What that person's command adds."""
    return command.apply(incident, situated(person, **more))


# ── the incident as a whole ──────────────────────────────────────────────────────────────────


def acknowledge(incident: Incident, person: str, via: str) -> Events:
    return given(incident, response.Acknowledge(), person, via=via)


def unacknowledge(incident: Incident, person: str, via: str) -> Events:
    return given(incident, response.Leave(), person, via=via)


def pause(incident: Incident, person: str, reason: str) -> Events:
    return given(incident, response.PauseAutomation(reason), person)


def resume(incident: Incident, person: str) -> Events:
    return given(incident, response.ResumeAutomation(), person)


def say(incident: Incident, text: str) -> Events:
    return given(incident, response.Note(text), "")


def close(incident: Incident, person: str, reason: str) -> Events:
    return given(incident, response.Close(reason), person)


def no_plan(incident: Incident, person: str, reason: str) -> Events:
    return given(incident, response.DeclareNoPlan(reason), person)


def jump(incident: Incident, roster: Roster, tier: int, person: str, now: datetime) -> Events:
    return given(incident, response.Escalate(tier), person, roster=roster, now=now)


def engage(
    incident: Incident, roster: Roster, team: str, person: str, reason: str, link: str
) -> Events:
    command = response.EngageTeam(team, reason)
    return given(incident, command, person, roster=roster, document=link)


def sentiment(incident: Incident, source: str, text: str, value: float | None = None) -> Events:
    return given(incident, response.ReportSentiment(text, value, source), "")


def mark_heard(
    incident: Incident, report: RecordPagerReport, now: datetime, stale: timedelta
) -> Events:
    timing = HOUSE.timing.model_copy(update={"stale_ack": stale})
    roster = HOUSE.model_copy(update={"timing": timing})
    return given(incident, report, "", via="webhook", now=now, roster=roster)


# ── roles ────────────────────────────────────────────────────────────────────────────────────


def _patient(patience: timedelta, *people: str) -> Roster:
    """The house, in which they are known, with that long for an answer."""
    timing = HOUSE.timing.model_copy(update={"answer": patience})
    roster = HOUSE.model_copy(update={"timing": timing})
    for person in people:
        roster = situated(person, roster=roster).roster
    return roster


def take(
    incident: Incident, role: e.Role, person: str, now: datetime, patience: timedelta
) -> Events:
    command = role_commands.FillRole(role)
    return given(incident, command, person, now=now, roster=_patient(patience))


def assign(
    incident: Incident, role: e.Role, person: str, by: str, now: datetime, patience: timedelta
) -> Events:
    command = role_commands.FillRole(role, person)
    return given(incident, command, by, now=now, roster=_patient(patience, person))


def answer_request(
    incident: Incident, name: str, person: str, *, accept: bool, now: datetime, patience: timedelta
) -> Events:
    command = role_commands.AnswerRequest(name, accept)
    return given(incident, command, person, now=now, roster=_patient(patience))


def step_down(incident: Incident, role: e.Role, person: str) -> Events:
    return given(incident, role_commands.LeaveRole(role), person)


# ── the plan ─────────────────────────────────────────────────────────────────────────────────


def approve(incident: Incident, rule: Rule | None, step: int, person: str) -> Events:
    return given(incident, recovery.ApproveStep(step), person, rule=rule)


def start(incident: Incident, rule: Rule | None, step: int, person: str) -> Events:
    return given(incident, recovery.StartStepNow(step), person, rule=rule)


def skip(incident: Incident, rule: Rule | None, step: int, person: str, reason: str) -> Events:
    return given(incident, recovery.SkipStep(step, reason), person, rule=rule)


def veto(incident: Incident, rule: Rule | None, step: int, person: str) -> Events:
    return given(incident, recovery.VetoStep(step), person, rule=rule)


def propose(
    incident: Incident,
    rule: Rule | None,
    action: str,
    params: Mapping[str, Any],
    within: timedelta,
    reason: str,
    person: str,
) -> Events:
    return given(incident, recovery.ProposeStep(action, params, within, reason), person, rule=rule)


# ── updates ──────────────────────────────────────────────────────────────────────────────────


def draft_now(
    incident: Incident, roster: Roster, audience: str, description: str, now: datetime
) -> Events:
    rule = make_rule().model_copy(update={"description": description})
    command = update_commands.DraftUpdate(audience)
    return given(incident, command, "", roster=roster, rule=rule, now=now)


def send(
    incident: Incident, update: str, person: str, revision: int | None, text: str | None
) -> Events:
    return given(incident, update_commands.SendUpdate(update, revision, text), person)


def edit(incident: Incident, update: str, person: str, text: str) -> Events:
    return given(incident, update_commands.EditUpdate(update, text), person)


def snooze(
    incident: Incident,
    roster: Roster,
    audience: str,
    person: str,
    last: timedelta,
    reason: str,
    now: datetime,
) -> Events:
    command = update_commands.SnoozeUpdates(audience, last, reason)
    return given(incident, command, person, roster=roster, now=now)
