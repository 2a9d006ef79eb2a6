"""What people do about the cause: have the dossier gathered, judge hypotheses, ask for help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daemon.core.diagnosis.due import MOST_DOSSIERS
from daemon.core.incident import events as e
from daemon.core.incident.diagnosis import Hypothesis
from daemon.core.incident.dossier import DiagnosisFinding, HypothesisState
from daemon.core.incident.state import Incident
from daemon.core.response.command import (
    Command,
    CommandSituation,
    NotPossible,
    optional_text,
    required_text,
)
from daemon.core.response.paging import direct_page

MOST_HYPOTHESES = 100
MOST_ADDED = 200
"""So many findings of others one incident takes."""
MOST_BY_INVESTIGATORS = 150
"""With so many of them the rest is for people: a tool that runs wild silences nobody."""


@dataclass(frozen=True)
class OrderDiagnosis(Command):
    """Have the dossier gathered now, before recovery has ended, or once more."""

    commander_only: ClassVar[str] = "have the dossier gathered"
    reason: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = incident.causes
        if situation.rule is None:
            raise NotPossible("no rule in force measures this incident, so nothing can be gathered")
        if incident.confirmed is None:
            raise NotPossible("the metrics have not confirmed the problem yet; there is no onset")
        if known.gathered >= MOST_DOSSIERS:
            raise NotPossible(f"{MOST_DOSSIERS} dossiers were gathered; no more are kept")
        waits = known.ordered_at is not None and (
            known.dossier_at is None or known.dossier_at < known.ordered_at
        )
        if waits:
            return ()
        return (e.DiagnosisOrdered(person=situation.person, reason=optional_text(self.reason)),)


@dataclass(frozen=True)
class AddHypothesis(Command):
    """Put down what may be the cause. `owner`: who looks into it; empty: whoever puts it down."""

    even_closed: ClassVar[bool] = True
    text: str
    owner: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = incident.causes
        if len(known.hypotheses) >= MOST_HYPOTHESES:
            raise NotPossible(f"there are {MOST_HYPOTHESES} hypotheses; judge some of them first")
        owner = self.owner or situation.person
        _require_person(situation, owner)
        return (
            e.HypothesisAdded(
                hypothesis=known.next_name,
                text=required_text(self.text, "hypothesis"),
                person=situation.person,
                owner=owner,
            ),
        )


@dataclass(frozen=True)
class JudgeHypothesis(Command):
    """Support a hypothesis, rule it out, or open it again, by some evidence."""

    even_closed: ClassVar[bool] = True
    hypothesis: str
    state: HypothesisState
    evidence: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        one, evidence = _hypothesis(incident, self.hypothesis), optional_text(self.evidence)
        if one.state == self.state and not evidence:
            return ()
        if self.state == "ruled_out" and not evidence:
            raise NotPossible("say what rules it out, so that nobody looks there again")
        return (
            e.HypothesisJudged(
                hypothesis=one.name,
                state=self.state,
                person=situation.person,
                evidence=evidence,
            ),
        )


@dataclass(frozen=True)
class AssignHypothesis(Command):
    """Look into a hypothesis oneself, or let somebody of the roster; `person` empty: oneself."""

    even_closed: ClassVar[bool] = True
    hypothesis: str
    person: str = ""

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        one, owner = _hypothesis(incident, self.hypothesis), self.person or situation.person
        _require_person(situation, owner)
        if one.owner == owner:
            return ()
        return (e.HypothesisAssigned(hypothesis=one.name, owner=owner),)


@dataclass(frozen=True)
class AddFinding(Command):
    """Add what somebody else has found out; it can say something, and do nothing.

    `investigator`: it is a tool that adds it, no person.
    """

    even_closed: ClassVar[bool] = True
    finding: DiagnosisFinding
    hypothesis: str = ""
    investigator: bool = False

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        known = incident.causes
        if self.hypothesis:
            _hypothesis(incident, self.hypothesis)
        if self.finding in known.findings:
            return ()  # told twice
        most = MOST_BY_INVESTIGATORS if self.investigator else MOST_ADDED
        if len(known.findings) >= most:
            who = " by investigators" if self.investigator else ""
            raise NotPossible(f"the incident has {most} findings of others; no more{who} are kept")
        return (e.FindingAdded(finding=self.finding, hypothesis=self.hypothesis),)


@dataclass(frozen=True)
class RequestHelp(Command):
    """Ask for a team: the Commander is called to decide, and the Communicator told."""

    team: str
    reason: str

    def _events(self, incident: Incident, situation: CommandSituation) -> tuple[e.Event, ...]:
        teams = situation.roster.teams
        if self.team not in teams:
            known = ", ".join(sorted(teams)) or "none"
            raise NotPossible(f"no team {self.team!r}; the roster has {known}")
        if self.team in incident.people.engaged:
            raise NotPossible(f"the team {self.team} was called in already")
        if self.team in incident.causes.needed:
            return ()
        reason, person = required_text(self.reason, "reason"), situation.person
        asked = e.HelpRequested(team=self.team, person=person, reason=reason)
        text = (
            f"{person} needs the team {self.team}: {reason} · `stopgap engage {incident.id} "
            f"{self.team}` calls them in"
        )
        holders = (incident.commander, incident.people.holder("communicator"))
        calls = [
            page
            for holder in dict.fromkeys(holders)
            if holder != person
            for page in direct_page(incident, holder, "help", text, self.team)
        ]
        return (asked, *calls)


def _hypothesis(incident: Incident, name: str) -> Hypothesis:
    known = incident.causes.hypotheses
    if name not in known:
        listed = ", ".join(known) or "none yet"
        raise NotPossible(f"no hypothesis {name!r}; there are: {listed}")
    return known[name]


def _require_person(situation: CommandSituation, person: str) -> None:
    if person not in situation.roster.people:
        raise NotPossible(f"{person!r} is not in the roster")
    barred = situation.roster.bars(person)
    if barred:
        raise NotPossible(barred)
