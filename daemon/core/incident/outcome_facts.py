"""What the figures, the trends and the page of follow-ups need to know of an incident.

They stand in its head row, so that nothing of this needs a journal to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from daemon.core.changes.precedent import Precedent
from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Incident
from daemon.core.values.units import AnyVersion, Duration, Frozen, Moment

RecoveredBy = Literal["daemon", "person", "elsewhere", ""]
"""Who restored the service: a step that the daemon started by itself; a step by a person's word;
nothing of ours (by hand elsewhere, or by itself); empty while it is not restored."""


class OutcomeFacts(Frozen):
    """What came of an incident, as it stands.

    `onset` and `restored_at` are of the metrics, `mitigated_at` the end of the step that restored
    the service. `failed_requests`, `impact` and `worst_loss` are those of `impact.ImpactTally`,
    None while nothing was confirmed. `overruled`: the reasons of the refusals that people
    overruled; `undone`: how many acts of the daemon's own they undid. `cause` is the category that
    was recorded. `follow_ups` are those that are open. `closed`: the reason of its closing.
    `called_from`: when people's clock began, where maintenance held the calls at first.
    `merged_into`: the incident that it became part of, where it counts.
    """

    onset: Moment | None = None
    acknowledged_at: Moment | None = None
    decided_at: Moment | None = None
    mitigated_at: Moment | None = None
    restored_at: Moment | None = None
    recovered_by: Annotated[RecoveredBy, AnyVersion] = ""
    failed_requests: float | None = None
    impact: Duration | None = None
    worst_loss: float | None = None
    overruled: tuple[str, ...] = ()
    undone: int = 0
    cause: str = ""
    follow_ups: tuple[FollowUp, ...] = ()
    closed: str = ""
    called_from: Moment | None = None
    merged_into: str = ""

    @property
    def trouble(self) -> Precedent | None:
        """From the onset to the verified recovery. None without one: of what was closed as it was,
        some may be normal since."""
        if self.onset is None or self.restored_at is None or self.restored_at <= self.onset:
            return None
        return Precedent(begin=self.onset, end=self.restored_at)


_BY: Mapping[RecoveredBy, str] = {
    "daemon": "recovered by Stopgap",
    "person": "recovered by people",
    "elsewhere": "recovered alone",
}
_CLOSED: Mapping[str, str] = {
    "not_confirmed": "not confirmed",
    "alerts_resolved": "alerts over",
    "by_person": "closed by a person",
    "drill_over": "drill over",
}


def outcome_words(facts: OutcomeFacts | None, *, closed: bool) -> str:
    """How it ended, in two or three words; empty while it has not. `alone`: nothing of ours
    restored it. `facts` is None where an earlier stopgap wrote the head."""
    if facts is None:
        return ""
    if facts.recovered_by:
        return _BY.get(facts.recovered_by, facts.recovered_by)
    if not closed:
        return ""
    if facts.closed:
        return _CLOSED.get(facts.closed, facts.closed.replace("_", " "))
    return "closed" if facts.onset is not None else "not confirmed"


def outcome_facts(incident: Incident) -> OutcomeFacts:
    """The facts of an incident as it stands."""
    winner = incident.steps.get(incident.recovered_by)
    tally, learning = incident.impact, incident.learning
    return OutcomeFacts(
        onset=incident.confirmed.onset if incident.confirmed else None,
        acknowledged_at=incident.acknowledged_at,
        decided_at=incident.decided_at,
        mitigated_at=winner.finished_at if winner and incident.recovered_at else None,
        restored_at=incident.recovered_at,
        recovered_by=_recovered_by(incident),
        failed_requests=tally.failed,
        impact=tally.lasted if tally.began else None,
        worst_loss=tally.worst_loss,
        overruled=tuple(incident.misjudgements.overruled.values()),
        undone=len(incident.misjudgements.undone),
        cause=learning.cause.category if learning.cause else "",
        follow_ups=learning.open_follow_ups,
        closed=incident.closed.reason if incident.closed is not None else "",
        called_from=incident.organization.released_at,
        merged_into=incident.organization.merged_into,
    )


def pending(incident: Incident) -> int:
    """How much is still to come after it is closed: open follow-ups, and a review that has to be
    written anew. Until then it stays in the journal."""
    stale = bool(incident.review) and incident.learning.unreviewed
    return len(incident.learning.open_follow_ups) + stale


def _recovered_by(incident: Incident) -> RecoveredBy:
    if incident.recovered_at is None:
        return ""
    winner = incident.steps.get(incident.recovered_by)
    if winner is None:
        return "elsewhere"
    return "daemon" if winner.automatic else "person"
