"""Observed decisions against what people then did: the numbers to promote a rule by.

A rule in the mode `observe` writes down what it would have done. Whether that was right, the
incident tells: did people do the same, something else, or nothing, and did it recover anyhow?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, get_args

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


IncidentTally = Literal["right", "wrong", "missed", "refrained", "pending"]
"""What all observed steps of one incident come to. `wrong`: any step that would have started
would have been wrong; `right`: one would have started, and all that would were right; `missed`:
none would have started, and people did what would have been asked; `refrained`: none would have
started, and people did none of it; `pending`: it is not known yet."""


class RuleTally(Frozen):
    """What the observed decisions of a rule come to, each incident counted once."""

    rule: str
    incidents: int
    right: int
    wrong: int
    missed: int
    refrained: int
    pending: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def advice(self) -> str:
        """What the numbers say about promoting the rule, in a sentence."""
        if self.wrong:
            text = "it would have been wrong in"
            return f"{text} {self.wrong} of {_incidents(self.incidents)}; look at those first"
        if self.right < ENOUGH:
            return f"right in {_incidents(self.right)} so far; wait for {ENOUGH}"
        text = (
            f"it would have been right in all {self.right} incidents in which it would have acted"
        )
        return f"{text}; `mode: approve` or `automatic` is earned"


class Tally(Frozen):
    """What the observed decisions of one step of a rule come to; `RuleTally` has the advice.

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


ENOUGH = 5
"""In so many incidents it must have been right, and in none wrong, to be promoted."""


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


def rule_tallies(decisions: Iterable[Observed]) -> list[RuleTally]:
    """The decisions counted by rule and incident: two steps of one incident are one verdict."""
    groups: dict[str, dict[str, list[Observed]]] = {}
    for decision in decisions:
        groups.setdefault(decision.rule, {}).setdefault(decision.incident, []).append(decision)
    found: list[RuleTally] = []
    for rule, incidents in sorted(groups.items()):
        counts = Counter(_incident_tally(group) for group in incidents.values())
        by_name = {name: counts[name] for name in get_args(IncidentTally)}
        found.append(RuleTally(rule=rule, incidents=len(incidents), **by_name))
    return found


def _incident_tally(group: Sequence[Observed]) -> IncidentTally:
    acted = [decision.agreed for decision in group if not decision.reason]
    if False in acted:
        return "wrong"
    if None in acted:
        return "pending"
    if acted:
        return "right"
    asked = [decision.agreed for decision in group]
    if False in asked:
        return "missed"
    return "pending" if None in asked else "refrained"


def _incidents(count: int) -> str:
    return f"{count} incident{'' if count == 1 else 's'}"


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
