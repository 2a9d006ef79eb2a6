"""Builds where the gauges of `/metrics` come from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from daemon.adapters.store import Store
from daemon.app.clock import now
from daemon.config.active import ActiveConfig, Live
from daemon.core.ports.replicas import ReplicaSurvey
from daemon.core.ports.store import StoreTrouble
from daemon.core.recovery.guardrails import Freeze
from daemon.telemetry import Sources


def sources_for(
    store: Store,
    version: str,
    active: Live[ActiveConfig],
    ready: Callable[[], bool],
    tasks: Callable[[], tuple[int, int]],
    store_trouble: Callable[[], StoreTrouble | None],
    withdrawn: Callable[[str], str],
    replicas: Callable[[], ReplicaSurvey | None],
) -> Sources:
    """Where the gauges of `/metrics` come from."""

    async def freezes() -> list[Freeze]:
        moment = now()
        windows = active.now.freezes.upcoming(moment, moment + timedelta(microseconds=1))
        return [*await store.journal.freezes(moment), *windows]

    return Sources(
        version=version,
        clock=now,
        ready=ready,
        rules=lambda: active.now.rules.rules,
        roster=lambda: active.now.roster,
        tasks=tasks,
        backlog=store.inbox.backlog,
        oldest=store.inbox.oldest,
        freezes=freezes,
        store_trouble=store_trouble,
        withdrawn=withdrawn,
        replicas=replicas,
    )
