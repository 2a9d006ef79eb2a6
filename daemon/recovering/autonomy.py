"""Keeps the record of each rule's automatic decisions, and takes its autonomy back where it must.

What an incident's journal says is learned at each append, before the next decision is made; what
the targets went through afterwards is looked at every minute. The records outlive the process in
the notes; a start goes through the newest incidents once more, for what a crash may have missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError

from daemon.config.active import ActiveConfig, Live
from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.news import note_of_topic
from daemon.core.ports.notes import Notes
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.autonomy import (
    UNDONE_WITHIN,
    AutonomyRecord,
    Withdrawal,
    announcement,
    automatic_decisions,
)
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

AUTONOMY_NOTES = "autonomy of "
"""How the names of the notes begin that keep the records."""
_EVERY = timedelta(minutes=1)
_NEWEST = 100
"""So many of the newest incidents a start goes through."""
_TELLING = (
    e.StepStarted,
    e.StepFinished,
    e.StepVerified,
    e.StepVetoed,
    e.StepSkipped,
    e.ProblemDefined,
)
"""The events after which a decision may have come to something else."""


class NotWithdrawn(Exception):
    """The rule has its autonomy, so there is nothing to give back."""


@dataclass(frozen=True)
class _Standing:
    """Until when each step of a rule is approved, as long as these two are in force."""

    rule: Rule
    approvals: Approvals
    until: Mapping[int, datetime]


class AutonomyKeeper:
    """The records of all rules. `begin` and then `catch_up` come before anything is decided."""

    def __init__(
        self, repository: IncidentRepository, notes: Notes, active: Live[ActiveConfig]
    ) -> None:
        self._repository = repository
        self._notes = notes
        self._active = active
        self._records: dict[str, AutonomyRecord] = {}
        self._written: dict[str, AutonomyRecord] = {}
        self._changed = asyncio.Event()
        self._looked_at: dict[str, Incident] = {}
        """What `_look_back` goes through; it is kept up to date by every append."""
        self._standing: dict[str, _Standing] = {}
        repository.listeners.append(self._on_append)

    def record(self, rule: str) -> AutonomyRecord:
        """What is kept of the rule."""
        return self._records.get(rule, AutonomyRecord())

    def withdrawn(self, rule: str) -> str:
        """Why the rule asks for each step, whatever its mode; empty while it is trusted."""
        return self.record(rule).withdrawn_text

    async def begin(self) -> None:
        """Read what was kept. Raises Temporary, Permanent."""
        for rule in self._active.now.rules.rules:
            await self._recall(rule)

    async def catch_up(self) -> None:
        """Learn from the newest incidents what a crash may have kept from the records. Raises
        Temporary, Permanent."""
        heads = await self._repository.journal.heads(_NEWEST)
        await self._repository.load_together([h.incident for h in heads if h.closed_at is None])
        for head in reversed(heads):
            if head.rule in self._active.now.rules.rules:
                await self._look_at(head.incident)

    async def hear(self, topic: str) -> None:
        """A replica has written down the record of a rule. Raises Temporary, Permanent."""
        note = note_of_topic(topic)
        for rule in [rule for rule in self._written if _note_of(rule) == note]:
            before = self.withdrawn(rule)
            del self._written[rule]
            await self._recall(rule)
            if self.withdrawn(rule) != before:
                self._repository.ring_all()

    def look_again(self) -> None:
        """The rules are others by now: read what was kept of those that are new."""
        self._changed.set()

    async def run(self) -> None:
        """Announce and keep what was learned, and look at the targets; until cancelled."""
        while True:
            try:
                for rule in self._active.now.rules.rules:
                    await self._recall(rule)
                await self._settle()
                if not await self._news():
                    await self._look_back()
            except (Temporary, Permanent) as error:
                _log.error("the records of the rules cannot be kept", error=str(error))
                await asyncio.sleep(_EVERY.total_seconds())
            except Exception:
                _log.exception("keeping the records of the rules crashed")
                await asyncio.sleep(_EVERY.total_seconds())
            self._changed.clear()

    async def _news(self) -> bool:
        """Wait until something was learned; False if nothing was for a while."""
        try:
            async with asyncio.timeout(_EVERY.total_seconds()):
                return await self._changed.wait()
        except TimeoutError:
            return False

    async def trust(self, rule: str, person: str, reason: str) -> AutonomyRecord:
        """Give a rule its autonomy back, by a person's word. Raises NotWithdrawn, Temporary."""
        before = self.record(rule)
        lost = before.withdrawal
        if lost is None:
            raise NotWithdrawn(f"the rule {rule} has its autonomy; there is nothing to give back")
        after = before.trusted(person, reason, self._repository.clock())
        restored = e.AutonomyRestored(step=lost.step, person=person, reason=reason)
        try:
            await self._repository.record(
                lost.incident,
                lambda i: (restored,) if i.step(lost.step).withdrew_autonomy else (),
                by=f"person:{person}",
            )
        except UnknownIncident:
            _log.info("the incident has moved to the archive", incident=lost.incident)
        self._records[rule] = after
        await self._keep(rule)
        _log.warning("a rule is trusted again", rule=rule, person=person, reason=reason)
        self._repository.ring_all()
        return after

    # ── learning ─────────────────────────────────────────────────────────────────────────────

    def _on_append(self, _: Incident | None, after: Incident, events: Sequence[e.Event]) -> None:
        if after.drill is not None:
            return
        if after.id in self._looked_at:
            self._looked_at[after.id] = after
        if any(isinstance(event, _TELLING) for event in events):
            self._learn(after, ())

    def _learn(self, incident: Incident, changes: Sequence[Change]) -> None:
        rule = self._active.now.rules.rules.get(incident.rule)
        if rule is None or not incident.steps:
            return
        now, before = self._repository.clock(), self.record(rule.rule)
        decisions = automatic_decisions(incident, rule, self._approved(rule), changes)
        after = before.learning(decisions).judged(now)
        if after != before:
            self._records[rule.rule] = after
            self._changed.set()

    def _approved(self, rule: Rule) -> list[int]:
        """The steps that are approved now. What an approval is bound to is worked out once for
        each version of the rule and of the approvals, and not every minute."""
        approvals, now = self._active.now.approvals, self._repository.clock()
        known = self._standing.get(rule.rule)
        if known is None or known.rule is not rule or known.approvals is not approvals:
            steps = range(1, len(rule.recover) + 1)
            entries = {number: approvals.current(rule, number) for number in steps}
            until = {number: entry.until for number, entry in entries.items() if entry is not None}
            known = self._standing[rule.rule] = _Standing(rule, approvals, until)
        return [number for number, until in known.until.items() if until > now]

    async def _look_back(self) -> None:
        """Whether what was done lately is still so."""
        since = self._repository.clock() - 2 * UNDONE_WITHIN
        decided = [d for record in self._records.values() for d in record.decisions]
        incidents = {decision.incident for decision in decided if decision.at >= since}
        self._looked_at = {i: found for i, found in self._looked_at.items() if i in incidents}
        for incident in sorted(incidents):
            if incident not in self._looked_at:
                found = await self._load(incident)
                if found is None:
                    continue
                self._looked_at[incident] = found
            await self._weigh(self._looked_at[incident])

    async def _look_at(self, incident: str) -> None:
        found = await self._load(incident)
        if found is not None:
            await self._weigh(found)

    async def _load(self, incident: str) -> Incident | None:
        """None if it has moved to the archive, or cannot be read: the records of the others are
        kept, and a start does not fail for it. Raises Temporary."""
        try:
            return await self._repository.load(incident)
        except UnknownIncident:
            return None
        except (Permanent, ValueError) as error:
            _log.error("an incident counts in no record", incident=incident, error=str(error))
            return None

    async def _weigh(self, found: Incident) -> None:
        """Learn from what its targets went through since."""
        targets = {step.target for step in found.steps.values() if step.target}
        suspect = found.suspicion.change if found.suspicion else None
        if suspect is not None:
            targets.add(suspect.subject)
        journal = self._repository.journal
        changes = [change for target in sorted(targets) for change in await journal.changes(target)]
        self._learn(found, changes)

    # ── keeping ──────────────────────────────────────────────────────────────────────────────

    async def _recall(self, rule: str) -> None:
        if rule in self._written:
            return
        words = await self._notes.read(_note_of(rule))
        kept = AutonomyRecord()
        try:
            kept = AutonomyRecord.model_validate_json(words[0]) if words else kept
        except ValidationError:
            _log.error("the record of a rule is of another version, and begins anew", rule=rule)
        self._written[rule] = kept
        learned = self.record(rule).decisions
        self._records[rule] = kept.learning(learned).judged(self._repository.clock())

    async def _settle(self) -> None:
        """Write down what has changed; a lost autonomy is told first."""
        for rule, record in list(self._records.items()):
            written = self._written.get(rule, AutonomyRecord())
            if record == written:
                continue
            if record.withdrawal is not None and record.withdrawal != written.withdrawal:
                await self._announce(rule, record.withdrawal)
            await self._keep(rule)

    async def _announce(self, rule: str, withdrawal: Withdrawal) -> None:
        _log.warning("a rule lost its autonomy", rule=rule, why=withdrawal.text)
        roster = self._active.now.roster
        try:
            incident = await self._repository.record(
                withdrawal.incident, lambda i: announcement(i, withdrawal, roster)
            )
        except UnknownIncident:
            return  # it has moved to the archive; the rule's page tells of it
        if incident.closed is not None:
            self._repository.opened.put_nowait(incident.id)  # for the call
        self._repository.ring_all()

    async def _keep(self, rule: str) -> None:
        record = self.record(rule)
        await self._notes.write(_note_of(rule), [record.model_dump_json()])
        self._written[rule] = record


def _note_of(rule: str) -> str:
    """Under which name a rule's record is kept."""
    return f"{AUTONOMY_NOTES}{rule}"
