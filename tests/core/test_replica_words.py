"""What is told to be wrong among the replicas, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.core.ports.replicas import ReplicaStatus, ReplicaSurvey
from daemon.core.reporting.replica_words import replica_line, replica_troubles

NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


def replica(name: str, **told: Any) -> ReplicaStatus:
    """One that is alive and well, but for what is told."""
    until = NOW + timedelta(seconds=10)
    times = {"started_at": NOW, "renewed_at": NOW, "lease_until": until}
    return ReplicaStatus(**{"name": name, "version": "0", "format": 1, **times, **told})


def dead(seconds: float) -> ReplicaStatus:
    """One with an incident whose lease ended so long ago."""
    until = NOW - timedelta(seconds=seconds)
    return replica("b", alive=False, incidents=1, lease_until=until)


def troubles(*replicas: ReplicaStatus, beyond: int = 0) -> tuple[str, ...]:
    """What is told of these."""
    orphans = sum(one.incidents for one in replicas if not one.alive)
    return replica_troubles(ReplicaSurvey(NOW, replicas, orphans, 0, beyond))


def test_nothing_is_wrong_while_the_others_are_about_to_take_over() -> None:
    assert troubles(replica("a"), dead(2)) == ()


def test_it_is_told_that_nobody_takes_over() -> None:
    (told,) = troubles(replica("a"), dead(60))
    assert told.startswith("b died with 1 incident")
    (told,) = troubles(dead(2))
    assert told.startswith("b died with 1 incident"), "there is nobody who could"


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rules": "others"}, "different rules, rosters, approvals or freeze windows"),
        ({"ahead": 30.0}, "the clocks of b and a differ by 30s"),
    ],
)
def test_replicas_that_differ(told: dict[str, Any], said: str) -> None:
    (found,) = troubles(replica("a"), replica("b", **told))
    assert said in found


def test_incidents_of_a_newer_stopgap_that_is_gone() -> None:
    (found,) = troubles(replica("a"), beyond=2)
    assert found.startswith("2 incidents can be conducted by a newer stopgap alone")


def test_a_line_names_the_duties_of_which_there_is_one_each() -> None:
    status = ReplicaStatus(
        name="a", version="1", format=1, started_at=NOW, renewed_at=NOW, incidents=1, deliveries=2
    )
    assert replica_line(status) == "1 incident, 2 deliveries"
    line = replica_line(status, ("changes", "drills"))
    assert line == "1 incident, 2 deliveries; duties: changes, drills"
