"""Builds what keeps several replicas of one mind: the news that each hears of the others, and the
duties that only one has at a time. With a store that one daemon has alone there is neither."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from daemon.adapters.store import Store
from daemon.app.clock import now
from daemon.core.ports.news import (
    FREEZES_TOPIC,
    KEYS_TOPIC,
    MAINTENANCE_TOPIC,
    ONCALL_TOPIC,
    Hears,
    note_topic,
)
from daemon.core.values.lease import DEFAULT_LEASE, ClockReading
from daemon.drilling.runner import DRILLS_NOTE, Drills
from daemon.instrumentation import Observer
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.oncall_desk import OncallDesk
from daemon.recovering.autonomy import AUTONOMY_NOTES, AutonomyKeeper
from daemon.repository import IncidentRepository
from daemon.watching.duties import DutyKeeper
from daemon.watching.label_values import VALUES_NOTES, LabelValues
from daemon.watching.news import NewsKeeper


def read_clocks() -> ClockReading:
    """What this process's clocks say: the one that goes on while the machine sleeps, where the
    system has such a clock, and the time of day."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return ClockReading(time.clock_gettime(clock), now())


def is_shared(store: Store) -> bool:
    """Whether other replicas may have the store open."""
    return store.kind == "postgresql"


def duties_for(
    store: Store, replica: str, observer: Observer, lease: timedelta = DEFAULT_LEASE
) -> DutyKeeper:
    """The duties of the replica of that name."""
    shared = store.duties if is_shared(store) else None
    return DutyKeeper(read_clocks, shared, replica, lease, observer)


def topics_of(
    store: Store,
    repository: IncidentRepository,
    maintenance: MaintenanceKeeper,
    oncall: OncallDesk,
    autonomy: AutonomyKeeper,
    values: LabelValues,
    drills: Drills,
) -> Mapping[str, Hears]:
    """Who takes up what another replica has changed, by topic."""

    async def keys(_: str) -> None:
        await store.keys.recall()

    async def freezes(_: str) -> None:
        repository.ring_all()

    return {
        KEYS_TOPIC: keys,
        FREEZES_TOPIC: freezes,
        MAINTENANCE_TOPIC: maintenance.hear,
        ONCALL_TOPIC: oncall.hear,
        note_topic(AUTONOMY_NOTES): autonomy.hear,
        note_topic(VALUES_NOTES): values.hear,
        note_topic(DRILLS_NOTE): drills.hear,
    }


def news_for(
    store: Store,
    repository: IncidentRepository,
    topics: Mapping[str, Hears],
    observer: Observer,
) -> NewsKeeper | None:
    """Who hears of the other replicas; None if there can be none."""
    if not is_shared(store):
        return None
    return NewsKeeper(store.news, repository, topics, store.hint, observer)
