"""Incidents whose trouble may have begun at the same moment: which of them is recovered first.

A service that fails because it calls another one needs no recovery of its own. Where a rule says
what it depends on (`depends_on`), the incident upstream acts, and the other waits for what comes
of it. Where no rule says so, and different changes are suspected, a person decides.

What has not alerted yet nobody knows of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.incident.onset_facts import onset_facts
from daemon.core.incident.reasons import ConcurrenceReason
from daemon.core.incident.state import Incident, Phase
from daemon.core.measurement.problem import ProblemVerdict
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule
from daemon.core.values.units import clock_time, format_duration, printable

SLACK = timedelta(seconds=5)
"""Clocks and scrapes differ by that much: onsets this close are not told apart."""
WIDEST = timedelta(hours=1)
"""No onset is known so badly that one which began this long before the end of it matters."""
MOST_CONCURRENT = 20
"""So many concurrent incidents are looked at; more of them are a storm."""
MEASURED_WITHIN = timedelta(minutes=1)
"""For so long after an incident opens its first measurements are waited for."""


@dataclass(frozen=True)
class Cause:
    """When an incident's trouble began, [begin, end], and the target of the suspect change (empty
    if there is none). `patience`: how long after a recovery upstream its own is waited for."""

    rule: str
    group_labels: Mapping[str, str]
    begin: datetime
    end: datetime
    suspect: str
    patience: timedelta
    dependencies: RuleDependencies = field(compare=False)


@dataclass(frozen=True)
class ConcurrentIncident:
    """Another incident that may share the onset, as the store knows it.

    `suspect`: the target of its suspect change. Without `onset_known` it has not been confirmed,
    or nobody knows since when it fails; it opened no earlier than the trouble here began.
    """

    incident: str
    rule: str
    group_labels: Mapping[str, str]
    phase: Phase
    verdict: ProblemVerdict | str
    onset_known: bool
    suspect: str
    opened_at: datetime
    recovered_at: datetime | None = None

    @property
    def name(self) -> str:
        """Its rule and its group, for a sentence."""
        group = ", ".join(f"{n}={printable(v)}" for n, v in sorted(self.group_labels.items()) if v)
        return f"{self.rule} ({group})" if group else self.rule


def cause_of(incident: Incident, rule: Rule, dependencies: RuleDependencies) -> Cause | None:
    """What is known of the incident's cause; None while nobody knows since when it fails."""
    facts = onset_facts(incident)
    if facts.onset_from is None or facts.onset_until is None:
        return None
    return Cause(
        rule=rule.rule,
        group_labels=incident.group_labels,
        begin=facts.onset_from,
        end=facts.onset_until,
        suspect=facts.suspect,
        patience=rule.verify.settle + rule.verify.hold,
        dependencies=dependencies,
    )


def concurrence(
    cause: Cause, others: Sequence[ConcurrentIncident], now: datetime
) -> tuple[ConcurrenceReason, str] | None:
    """Why this incident does not act now, although everything of its own allows it: the reason,
    the sentence. `others`: the concurrent incidents that do not blame the same change."""
    upstream = _first_ones(cause, upstream_of(cause, others))
    for other in upstream:
        if text := _awaited(cause, other, now):
            return "upstream_first", text
    for other in upstream:
        if text := _unresolved(other):
            return "upstream_unresolved", text
    if not cause.suspect:
        return None
    # Where each depends on the other, nothing tells which is first, as where none does.
    unrelated = [o for o in others if _depends(cause, o) == _precedes(cause, o)]
    for other in unrelated:
        if other.phase == "defining" and now < other.opened_at + MEASURED_WITHIN:
            text = (
                f"{other.incident} ({other.name}) opened at {clock_time(other.opened_at)} and is "
                "being measured; whether both have one cause is known then"
            )
            return "concurrent_unmeasured", text
    rivals = [o for o in unrelated if o.onset_known and o.suspect]
    return ("shared_onset", _shared(cause, rivals)) if rivals else None


def upstream_of(
    cause: Cause, others: Sequence[ConcurrentIncident]
) -> tuple[ConcurrentIncident, ...]:
    """The incidents that this one depends on, and that do not depend on it as well."""
    return tuple(o for o in others if _depends(cause, o) and not _precedes(cause, o))


def _depends(cause: Cause, other: ConcurrentIncident) -> bool:
    return cause.dependencies.depends(cause.rule, other.rule, other.group_labels)


def _precedes(cause: Cause, other: ConcurrentIncident) -> bool:
    """Whether the other incident depends on this one."""
    return cause.dependencies.depends(other.rule, cause.rule, cause.group_labels)


def _first_ones(
    cause: Cause, upstream: Sequence[ConcurrentIncident]
) -> Sequence[ConcurrentIncident]:
    """Those first that depend on none of the others: the cause is likeliest there."""

    def later(other: ConcurrentIncident) -> bool:
        depends = cause.dependencies.depends
        return any(depends(other.rule, o.rule, o.group_labels) for o in upstream if o is not other)

    return sorted(upstream, key=later)


def _awaited(cause: Cause, other: ConcurrentIncident, now: datetime) -> str:
    """Why what comes of the incident upstream is still open; empty if it is not."""
    which = f"waits for {other.incident}: {other.name}, which this rule depends on,"
    if not _confirmed(other):
        young = now < other.opened_at + MEASURED_WITHIN
        return f"{which} alerts too and is being measured" if young else ""
    if other.recovered_at is not None:
        ends = other.recovered_at + cause.patience
        at, patience = clock_time(other.recovered_at), format_duration(cause.patience)
        return (
            f"{which} recovered at {at}; this is given {patience} to follow" if now < ends else ""
        )
    gone = other.phase in {"closed", "diagnosing"} or not cause.dependencies.recovers(other.rule)
    began = "fails since the same moment" if other.onset_known else "fails too"
    first = "it is recovered first, or a person approves this step"
    return "" if gone else f"{which} {began}; {first}"


def _unresolved(other: ConcurrentIncident) -> str:
    """Why nobody but a person knows what the incident upstream means for this one; empty if it
    means nothing."""
    which = f"{other.incident} ({other.name}), which this rule depends on,"
    if not _confirmed(other):
        measured = other.verdict == "not_confirmed"
        return "" if measured else f"{which} alerts too and cannot be measured; a person decides"
    if other.recovered_at is not None:
        at = clock_time(other.recovered_at)
        return f"{which} recovered at {at}, and this did not follow; a person decides"
    if other.phase == "closed":
        return f"{which} failed since the same moment and was closed; a person decides"
    if other.phase == "diagnosing":
        return f"{which} fails since the same moment, and its plan has ended; a person decides"
    return f"{which} fails since the same moment, and its rule only observes; a person decides"


def _confirmed(other: ConcurrentIncident) -> bool:
    return other.onset_known or other.verdict == "confirmed"


def _shared(cause: Cause, rivals: Sequence[ConcurrentIncident]) -> str:
    told = "; ".join(
        f"{o.incident} ({o.name}), where {printable(o.suspect)} is suspected" for o in rivals[:3]
    )
    more = f" and {len(rivals) - 3} more" if len(rivals) > 3 else ""
    return (
        f"this, where the change of {printable(cause.suspect)} is suspected, began at the same "
        f"moment as {told}{more}: one may fail because of the other, and no rule says which "
        "(`depends_on`); a person decides"
    )
