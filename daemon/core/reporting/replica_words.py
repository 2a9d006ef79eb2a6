"""What is told of the replicas: each in a line, and what is wrong among them, with the mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from daemon.core.ports.replicas import ReplicaStatus, ReplicaSurvey
from daemon.core.values.units import format_duration

CLOCKS_DIFFER = 2.0
"""Seconds by which two clocks may differ before it is told: entries of a journal would tell of
things in another order than they happened."""
_TAKEN_WITHIN = timedelta(seconds=10)
"""So long after a lease has ended the others may take to see it on a busy day."""


def replica_line(replica: ReplicaStatus, duties: Sequence[str] = ()) -> str:
    """What it has: '2 incidents, 1 delivery; duties: drills'; of a dead one, since when."""
    has = f"{_many(replica.incidents, 'incident', 'incidents')}, "
    has += _many(replica.deliveries, "delivery", "deliveries")
    has += f"; duties: {', '.join(duties)}" if duties else ""
    return has if replica.alive else f"not heard of since {replica.renewed_at:%H:%M:%S} UTC; {has}"


def replica_troubles(survey: ReplicaSurvey) -> tuple[str, ...]:
    """What is wrong among the replicas, each in a sentence with what to do; empty if nothing is."""
    return tuple(_troubles(survey))


def _troubles(survey: ReplicaSurvey) -> Iterator[str]:
    alive = [replica for replica in survey.replicas if replica.alive]
    for dead in survey.replicas:
        late = dead.lease_until is not None and survey.now - dead.lease_until > _TAKEN_WITHIN
        if not dead.alive and (late or not alive) and (dead.incidents or dead.deliveries):
            yield (
                f"{dead.name} died with {replica_line(dead).partition('; ')[2]}, which nobody has "
                "taken over: see why the others do not, in their logs, or start one"
            )
    nobodys = survey.orphans - sum(one.incidents for one in survey.replicas if not one.alive)
    if nobodys > 0 and not alive:
        yield f"nobody conducts {_many(nobodys, 'incident', 'incidents')}: start a replica"
    if alive and survey.beyond:
        yield (
            f"{_many(survey.beyond, 'incident', 'incidents')} can be conducted by a newer stopgap "
            "alone, of which none is alive: start one of that version again; until then nobody is "
            "called for them"
        )
    ahead = [replica.ahead for replica in alive]
    if alive and max(ahead) - min(ahead) > CLOCKS_DIFFER:
        by = format_duration(timedelta(seconds=round(max(ahead) - min(ahead))))
        fast = max(alive, key=lambda replica: replica.ahead)
        slow = min(alive, key=lambda replica: replica.ahead)
        yield (
            f"the clocks of {fast.name} and {slow.name} differ by {by}: set both by NTP "
            "(timedatectl); leases are safe, but their entries are out of order"
        )
    if len({replica.rules for replica in alive}) > 1:
        yield (
            "the replicas have different rules, rosters, approvals or freeze windows in force, so "
            "it matters which one gets an alert, or a login: give each the same rules folder, and "
            "reload each"
        )


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
