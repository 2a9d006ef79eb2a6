"""Observed decisions against what people then did: the numbers to promote a rule by.

A rule in the mode `observe` writes down what it would have done. Whether that was right, the
incident tells: did people do the same, something else, or nothing, and did it recover anyhow?
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import computed_field

from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.events import Entry
from daemon.core.incident.fold import fold
from daemon.core.incident.reasons import SKIPPED_BY_PERSON
from daemon.core.incident.state import Incident
from daemon.core.values.units import Frozen, Moment

Then = Literal[
    "started",
    "reverted_by_hand",
    "did_otherwise",
    "forbidden",
    "recovered_alone",
    "nothing_yet",
]
"""What people did after the observation: started the very step; switched its target back by
hand; took another step; vetoed or skipped it; nothing, and it recovered; nothing so far."""

AGREED: frozenset[Then] = frozenset({"started", "reverted_by_hand"})
"""What shows that acting was what people wanted."""


class Observed(Frozen):
    """One observed decision. `reason` is empty if it would have started by itself."""

    incident: str
    rule: str
    step: int
    action: str
    target: str
    at: Moment
    reason: str
    text: str
    then: Then
    agreed: bool | None


class Tally(Frozen):
    """What the observed decisions of one step of a rule come to.

    `acted`: it would have started. `right`: people then did the same. `wrong`: they did
    something else, forbade it, or it recovered by itself. `missed`: it would have asked, and
    people did the same without it.
    """

    rule: str
    step: int
    action: str
    acted: int
    right: int
    wrong: int
    missed: int
    pending: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def advice(self) -> str:
        """What the numbers say about promoting the step, in a sentence."""
        if self.wrong:
            return f"{self.wrong} of {self.acted} would have been wrong; look at those first"
        if self.right < ENOUGH:
            return f"{self.right} right so far; wait for {ENOUGH}"
        return f"all {self.right} would have been right; `mode: approve` or `automatic` is earned"


ENOUGH = 5
"""So many right decisions, and none wrong, before the advice is to promote."""


def observe_report(entries: Sequence[Entry], changes: Iterable[Change] = ()) -> list[Observed]:
    """The observed decisions of one incident; `changes` are those of their targets."""
    incident = fold(entries)
    known = list(changes)
    found: dict[int, Observed] = {}
    for entry in entries:
        event = entry.event
        if not isinstance(event, e.StepObserved):
            continue
        then = _then(incident, entries, event, entry.at, known)
        would = not event.reason
        agreed = None if then == "nothing_yet" else (then in AGREED) == would
        if event.step in found and not found[event.step].reason:
            continue  # it would have started by then
        # Else a later observation of a step replaces an earlier one: it knew more.
        found[event.step] = Observed(
            incident=incident.id,
            rule=incident.rule,
            step=event.step,
            action=event.action,
            target=event.target,
            at=entry.at,
            reason=event.reason,
            text=event.text,
            then=then,
            agreed=agreed,
        )
    return list(found.values())


def tallies(decisions: Iterable[Observed]) -> list[Tally]:
    """The decisions counted by rule and step."""
    groups: dict[tuple[str, int, str], list[Observed]] = {}
    for decision in decisions:
        key = (decision.rule, decision.step, decision.action)
        groups.setdefault(key, []).append(decision)
    return [_tally(key, group) for key, group in sorted(groups.items())]


def _tally(key: tuple[str, int, str], group: Sequence[Observed]) -> Tally:
    rule, step, action = key
    acted = [d for d in group if not d.reason]
    return Tally(
        rule=rule,
        step=step,
        action=action,
        acted=len(acted),
        right=sum(d.agreed is True for d in acted),
        wrong=sum(d.agreed is False for d in acted),
        missed=sum(bool(d.reason) and d.agreed is False for d in group),
        pending=sum(d.agreed is None for d in group),
    )


def _then(
    incident: Incident,
    entries: Sequence[Entry],
    seen: e.StepObserved,
    at: datetime,
    changes: Sequence[Change],
) -> Then:
    after = [entry.event for entry in entries if entry.at >= at]
    started = [event.step for event in after if isinstance(event, e.StepStarted)]
    if seen.step in started:
        return "started"
    if _reverted(incident, seen, at, changes):
        return "reverted_by_hand"
    if started:
        return "did_otherwise"
    if any(_forbids(event, seen.step) for event in after):
        return "forbidden"
    over = incident.recovered_at is not None or incident.closed is not None
    return "recovered_alone" if over else "nothing_yet"


def _forbids(event: e.Event, step: int) -> bool:
    if isinstance(event, e.StepSkipped):
        return event.step == step and event.reason == SKIPPED_BY_PERSON
    return isinstance(event, e.StepVetoed) and event.step == step


def _reverted(
    incident: Incident, seen: e.StepObserved, at: datetime, changes: Sequence[Change]
) -> bool:
    """Whether the suspect was taken off its target by hand, while the incident was open."""
    suspect = incident.suspicion.change if incident.suspicion else None
    if suspect is None or suspect.subject != seen.target:
        return False
    end = incident.closed_at
    return any(
        change.subject == seen.target
        and change.item != suspect.item
        and change.at >= at
        and (end is None or change.at <= end)
        for change in changes
    )
