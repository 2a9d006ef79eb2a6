"""The real daemon's store: closed to others whatever the umask, one daemon's by whatever name; and
its keys, rotated beside it and in it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import ROSTER, SETTINGS, TOKEN, Daemon, lay_out, run_command
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]
ADMIN = ROSTER.replace("name: Ada,", "name: Ada, access: admin,")
AS_ADA = {"Authorization": f"Bearer {TOKEN}"}


def permissive() -> None:
    """In the child before it becomes the daemon."""
    os.umask(0)


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_a_store_is_nobody_elses_and_one_daemons_by_whatever_name(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    state, second_home = tmp_path / "state", tmp_path / "second"
    settings = SETTINGS + f"store: {state}/stopgap.db\n"
    first = make_daemon(lay_out(tmp_path, settings=settings)).start(limit=permissive)
    async with http.post(f"{first.url}/api/v1/alerts", data=encoded(alert())) as answer:
        assert answer.status == 200
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    beside = ("", "-wal", "-shm", ".lock", ".made", ".owed", ".emergency")
    assert modes(state) == {f"stopgap.db{suffix}": 0o600 for suffix in beside}
    second_home.mkdir()
    (second_home / "link.db").symlink_to(state / "stopgap.db")
    second = make_daemon(lay_out(second_home, settings=SETTINGS + "store: link.db\n"))
    second.spawn()
    assert await second.ended() == 1
    assert first.process is not None
    assert f"in use by another daemon, process {first.process.pid}" in second.said()
    assert first.stop() == 0


async def test_keys_are_rotated_while_the_daemon_runs_and_while_it_does_not(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    lay_out(tmp_path, more={"rules/roster.yaml": ADMIN, "ada.token": TOKEN})
    daemon = make_daemon(tmp_path).start()
    async with http.post(f"{daemon.url}/api/v1/alerts", data=encoded(alert())) as answer:
        assert answer.status == 200

    async def asked(path: str) -> Any:
        async with http.get(f"{daemon.url}/api/v1/incidents{path}", headers=AS_ADA) as answer:
            return await answer.json()

    async def incident() -> Any:
        return (await asked(""))["incidents"]

    [opened] = await until("the incident", incident)

    async def document() -> str:
        """The path of the incident's document, as its link is now."""
        return urlsplit((await asked(f"/{opened['id']}"))["incident"]["document"]).path

    async def opens(path: str) -> int:
        async with http.get(daemon.url + path) as answer:
            return answer.status

    first = await document()
    assert await opens(first) == 200
    where = ("--url", daemon.url, "--token-file", "ada.token", "--json")
    rotated = json.loads(run_command(tmp_path, "keys", "rotate", *where))["keys"]
    second = await document()
    assert second.startswith(f"/d/{rotated[0]['id']}.")
    assert (await opens(first), await opens(second)) == (200, 200)
    run_command(tmp_path, "keys", "rotate", "--revoke", *where)
    third = await document()
    assert [await opens(path) for path in (first, second, third)] == [410, 410, 200]
    [told, revoked] = daemon.logged("the keys were rotated")
    assert (told["by"], told["revoked"], revoked["revoked"]) == ("ada", False, True)
    assert daemon.stop() == 0

    alone = json.loads(run_command(tmp_path, "keys", "rotate", "--json"))["keys"]
    assert alone[0]["made_by"].startswith("shell:")
    daemon.start()
    assert (await opens(third), await opens(await document())) == (200, 200)
    await until("the key to be told", lambda: bool(daemon.logged("links are signed")), 5)
    [signs] = daemon.logged("links are signed")
    assert (signs["key"], signs["by"]) == (alone[0]["id"], alone[0]["made_by"])
