"""The daemon's life: its components are begun in order, run side by side, and stopped in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from daemon.adapters.heartbeat import Heartbeat
from daemon.adapters.store import FileArchive
from daemon.app.clock import now
from daemon.app.components import Components
from daemon.app.server import serving
from daemon.app.shutdown import DRAINED, LEFT, Shutdown
from daemon.app.warming import warm_up
from daemon.app.web_context import web_context
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.watching.heartbeat import beat
from daemon.watching.retention import expire, retain

_log = structlog.get_logger()


async def run_daemon(parts: Components, shutdown: Shutdown, reload: asyncio.Event) -> None:
    """Serve until `shutdown` is asked for; `reload` reads the rules again."""
    signing = parts.store.keys.current.signing
    _log.info("links are signed", key=signing.id, made=signing.made_at, by=signing.made_by)
    parts.calendars.recall(parts.active.now.roster)
    await parts.replica.begin()
    if parts.news is not None:
        await parts.news.begin()
    await parts.oncall.begin()
    for orphan in parts.oncall.orphans():
        _log.warning("an override is laid over nothing", what=orphan)
    await parts.autonomy.begin()
    await parts.storms.begin()
    await parts.maintenance.begin()
    if not parts.duties.shared:
        await parts.drilling.drills.begin()
    async with asyncio.TaskGroup() as group:
        async with serving(parts.settings, web_context(parts), parts.certificate, shutdown):
            # Nothing is done to the world before the address is ours.
            side_by_side = _side_by_side(parts, reload).items()
            tasks = {name: group.create_task(part, name=name) for name, part in side_by_side}
            parts.liveness.watch(tasks)
            service = group.create_task(parts.service.run(), name="service manager")
            parts.ready = True
            warming = group.create_task(warm_up(), name="warming up")
            await shutdown.requested.wait()
            parts.ready = False
            parts.service.stopping(shutdown.left())
            _log.info("stopping: the door is closed")
            # Beside the closing of the door: nothing more may start meanwhile.
            within = timedelta(seconds=shutdown.left(DRAINED))
            draining = group.create_task(parts.conductor.drain(within), name="drain")
        await draining
        # What was ours goes to the others now, and not when the lease ends.
        await shutdown.step("replica", parts.replica.leave(), LEFT)
        for task in (service, warming, *tasks.values()):
            task.cancel()
    _log.info("stopped")


def _side_by_side(parts: Components, reload: asyncio.Event) -> dict[str, Coroutine[Any, Any, None]]:
    """What runs side by side as long as the daemon does."""
    works = {
        "conductor": parts.conductor.run(),
        "intake": parts.intake.run(),
        "watcher": parts.duties.hold("changes", parts.watcher.run),
        "label values": parts.values.run(),
        "autonomy": parts.autonomy.run(),
        "maintenance": parts.maintenance.run(),
        "follow-ups": parts.duties.hold("follow-ups", parts.follow_ups.run),
        "last word": parts.duties.hold("last word", parts.last_word.run),
        "watchdog": parts.watchdog.run(),
        "store": parts.health.run(),
        "emergency": parts.emergency.run(parts.health.trouble),
        "calendars": parts.calendars.run(
            lambda: parts.active.now.roster, parts.repository.ring_all
        ),
        "reloads": parts.reloader.run(reload),
    }
    if parts.replica.keeper is not None:
        works["lease"] = parts.replica.keeper.run()
    if parts.news is not None:
        works |= {"duties": parts.duties.run(), "news": parts.news.run()}
    works |= parts.drilling.parts(parts.duties)
    retention = parts.settings.retention
    works["records"] = expire(parts.store.records, retention.records, now, parts.observer)
    if retention.keep is not None:
        archive = FileArchive(parts.store.journal, parts.settings.base / retention.archive)
        work = partial(retain, archive, retention.keep, now, parts.observer)
        works["retention"] = parts.duties.hold("retention", work)
    if parts.status_page is not None:
        works["status page"] = parts.status_page.run()
    if parts.reconciler is not None:
        works["reconciler"] = parts.duties.hold("reconciler", parts.reconciler.run)
    chosen = parts.settings.heartbeat
    if chosen.url is not None:
        works["heartbeat"] = beat(
            parts.repository,
            parts.watchdog,
            _heartbeat(parts, chosen.url),
            chosen.every,
            parts.observer,
            lambda: parts.health.why_not() or parts.liveness.fault(),
        )
    return works


def _heartbeat(parts: Components, reference: str) -> Callable[[], Awaitable[None]]:
    """Tells the dead man's switch that all is well, and how far the journal has come."""
    heartbeat = Heartbeat(parts.session, parts.secret(reference), DEADLINE_SECONDS)

    async def send() -> None:
        await heartbeat.send(await parts.store.journal.anchor())

    return send
