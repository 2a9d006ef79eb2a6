"""A store that is moved, deleted or damaged under a running daemon: nothing is accepted into it,
and people are called without it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from daemon.adapters.store import backup_store, open_store, restore_store
from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import Daemon, lay_out
from tests.acceptance.waiting import until
from tests.contract.damage import damage

MakeDaemon = Callable[..., Daemon]


async def post(http: aiohttp.ClientSession, daemon: Daemon, service: str) -> int:
    body = encoded(alert(service))
    async with http.post(f"{daemon.url}/api/v1/alerts", data=body) as answer:
        return answer.status


async def asked(http: aiohttp.ClientSession, daemon: Daemon, path: str) -> tuple[int, str]:
    async with http.get(f"{daemon.url}{path}") as answer:
        return answer.status, await answer.text()


def calls(daemon: Daemon) -> list[dict[str, Any]]:
    """The emergency calls since its start."""
    return [page for page in daemon.logged("PAGE") if page["incident"] == "store"]


async def ready(http: aiohttp.ClientSession, daemon: Daemon) -> bool:
    return (await asked(http, daemon, "/-/ready"))[0] == 200


async def test_a_store_that_is_moved_takes_no_alert_and_one_that_is_back_takes_them_again(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    assert await post(http, daemon, "before") == 200
    await until("an incident", daemon.journal.incidents)
    store, away = tmp_path / "stopgap.db", tmp_path / "elsewhere.db"
    store.rename(away)
    assert await post(http, daemon, "meanwhile") == 503
    status, text = await asked(http, daemon, "/-/ready")
    assert (status, "is not there any more" in text) == (503, True)
    status, text = await asked(http, daemon, "/-/healthy")
    assert (status, "takes no alerts" in text) == (200, True)
    status, text = await asked(http, daemon, "/metrics")
    assert 'stopgap_store_trouble{kind="gone"} 1.0' in text
    (call,) = await until("somebody to be called", lambda: calls(daemon))
    assert (call["person"], call["title"]) == ("ada", "Stopgap's store is gone")
    assert not store.exists()
    away.rename(store)
    await until("it to be ready", lambda: ready(http, daemon))
    assert await post(http, daemon, "meanwhile") == 200
    await until("its incident", lambda: len(daemon.journal.incidents()) == 2)
    assert len(calls(daemon)) == 1
    assert daemon.stop() == 0


async def test_a_store_that_is_deleted_is_not_begun_anew_by_a_restart(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    assert await post(http, daemon, "before") == 200
    await until("an incident", daemon.journal.incidents)
    (tmp_path / "stopgap.db").unlink()
    await until(
        "it to notice", lambda: daemon.logged("the store is in trouble; alerts are refused")
    )
    assert await post(http, daemon, "shop") == 503
    await until("somebody to be called", lambda: calls(daemon))
    assert daemon.stop() == 0
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "stopgap run --new-store" in daemon.said()
    assert not calls(daemon)  # they know
    assert not (tmp_path / "stopgap.db").exists()
    daemon.start(more=["--new-store"])
    assert await post(http, daemon, "shop") == 200
    assert daemon.stop() == 0


async def test_a_daemon_that_cannot_start_on_its_damaged_store_calls_people_first(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    store, copy = tmp_path / "stopgap.db", tmp_path / "backup.db"
    async with open_store(store) as opened:
        await opened.inbox.put("needle", b"needle" * 600, datetime.now(UTC))
    await backup_store(store, copy)
    damage(store, b"needle" * 100)
    daemon = make_daemon(lay_out(tmp_path))
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "stopgap store restore" in daemon.said()
    (call,) = calls(daemon)
    assert call["title"] == "Stopgap's store is damaged"
    await restore_store(store, copy)
    daemon.start()
    assert await ready(http, daemon)
    assert await post(http, daemon, "shop") == 200
    assert daemon.stop() == 0
