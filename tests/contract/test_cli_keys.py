"""`stopgap keys`: on the store when no daemon has it, and by the daemon when one does."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from daemon.adapters.store import open_store
from daemon.cli import stopgap
from daemon.cli.client import CommandFailure
from daemon.core.people.signing_keys import SigningKeys
from daemon.core.values.seal import Keyring, Seal
from tests.contract.rig import Rig, rigged
from tests.contract.visitor import give_access
from tests.journal_scenes import nights

VALID = "the links that are out are valid as long as they would have been"


@dataclass
class Shell:
    """A folder with a store, beside which a daemon may listen; commands run in it."""

    rig: Rig
    folder: Path

    @property
    def path(self) -> Path:
        """The store."""
        return self.folder / "stopgap.db"

    async def __call__(self, *words: str, fails: bool = False, **environ: str) -> Result:
        env = {"STOPGAP_URL": None, "STOPGAP_TOKEN": "ada-token", "COLUMNS": "140", **environ}
        given = [*words, "--config", str(self.folder / "stopgap.yaml")]
        ended = await asyncio.to_thread(CliRunner().invoke, stopgap, given, env=env)
        assert isinstance(ended.exception, CommandFailure) is fails, (ended.output, ended.exception)
        return ended

    async def kept(self) -> SigningKeys:
        """The keys in the store."""
        async with open_store(self.path, readonly=True) as store:
            return await store.keys.read()


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    with capture_logs():
        async with rigged() as rig:
            give_access(rig, ada="admin")
            address = rig.client.make_url("/").authority
            (tmp_path / "stopgap.yaml").write_text(f"listen: {address}\n")
            async with open_store(tmp_path / "stopgap.db"):
                pass
            yield Shell(rig, tmp_path)


def keys_in(ended: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ended.stdout)["keys"]
    return found


async def test_without_a_daemon_the_store_is_rotated_and_no_token_is_needed(shell: Shell) -> None:
    [first] = (await shell.kept()).keys
    ended = await shell("keys", "rotate", STOPGAP_TOKEN="")
    now = await shell.kept()
    assert ended.stdout == (
        f"key {now.signing.id} signs from now on: the store {shell.path}\n{VALID}\n"
    )
    assert now.keys[0].secret == first.secret
    assert now.signing.made_by == f"shell:{pwd.getpwuid(os.getuid()).pw_name}"
    assert len(shell.rig.keys.current.keys) == 1  # the daemon, of another store, was not asked
    ended = await shell("keys", "rotate", "--revoke")
    assert "are void, and all logins have ended" in ended.stdout
    assert [key.secret for key in (await shell.kept()).keys[:2]] == ["", ""]


async def test_a_daemon_that_has_the_store_is_asked_and_takes_the_key_at_once(
    shell: Shell,
) -> None:
    async with open_store(shell.path) as store:  # as the daemon does that listens here
        before = store.keys.current
        ended = await shell("keys", "rotate", "--revoke", "--json")
        assert store.keys.current == before == await shell.kept()
    [new, old] = keys_in(ended)
    assert shell.rig.keys.current.signing.id == new["id"]
    assert (new["made_by"], old["standing"], old["retired_by"]) == ("ada", "revoked", "ada")


async def test_a_daemon_that_has_the_store_but_does_not_answer_is_told_and_nothing_is_done(
    shell: Shell,
) -> None:
    (shell.folder / "stopgap.yaml").write_text("listen: 127.0.0.1:1\n")
    async with open_store(shell.path):
        ended = await shell("keys", "rotate", fails=True)
    assert "no answer from the daemon at http://127.0.0.1:1 " in str(ended.exception)
    assert len((await shell.kept()).keys) == 1


async def test_a_journal_that_is_kept_with_a_key_is_no_hindrance(shell: Shell) -> None:
    key, settings = "an audit key, long enough", shell.folder / "stopgap.yaml"
    sealed = Keyring(Seal(key))
    async with open_store(shell.path, keyring=sealed) as store:
        await nights(store.journal, ["shop"])
    settings.write_text(f"{settings.read_text()}audit: {{key: env:AUDIT_KEY}}\n")
    ended = await shell("keys", "rotate", AUDIT_KEY=key)
    assert ended.stdout.endswith(f"from now on: the store {shell.path}\n{VALID}\n")
    ended = await shell("keys", "rotate", fails=True)
    assert "is kept with the audit key" in str(ended.exception)
    async with open_store(shell.path, keyring=sealed):
        ended = await shell("keys", "rotate")  # the daemon has the key; a shell needs none
    assert "from now on: the daemon at" in ended.stdout


async def test_an_address_that_is_given_is_meant(shell: Shell) -> None:
    url = str(shell.rig.client.make_url(""))
    ended = await shell("keys", "rotate", STOPGAP_URL=url)
    assert ended.stdout.startswith(f"key 00000001 signs from now on: the daemon at {url}\n")
    await shell("keys", "rotate", "--url", url)
    assert (len(shell.rig.keys.current.keys), len((await shell.kept()).keys)) == (3, 1)
    ended = await shell("keys", "rotate", "--url", "http://127.0.0.1:1", fails=True)
    assert "no answer from the daemon" in str(ended.exception)


async def test_where_no_store_is_the_daemon_is_asked(shell: Shell) -> None:
    shell.path.unlink()
    ended = await shell("keys", "list", fails=True)
    assert "http://127.0.0.1:9393" in str(ended.exception)
    assert not shell.path.exists()


async def test_the_list_tells_who_when_and_how_it_stands_but_no_secret(shell: Shell) -> None:
    await shell("keys", "rotate")
    await shell("keys", "rotate", "--revoke")
    await shell("keys", "rotate")
    async with open_store(shell.path):  # the list is read beside a daemon, without a token
        listed = await shell("keys", "list", STOPGAP_TOKEN="")
        found = keys_in(await shell("keys", "list", "--json", STOPGAP_TOKEN=""))
    assert [key["standing"] for key in found] == ["signs", "verifies", "revoked", "revoked"]
    assert found[-1]["made_by"] == "stopgap"
    kept = await shell.kept()
    for key, line in zip(found, listed.stdout.splitlines()[-4:], strict=True):
        assert line.split()[:2] == [key["id"], key["standing"]]
        assert key["made_at"][:10] in line
    assert not any(key.secret and key.secret in listed.stdout for key in kept.keys)
    by_daemon = await shell("keys", "list", "--url", str(shell.rig.client.make_url("")))
    assert by_daemon.stdout.splitlines()[-1].split()[:2] == ["0123abcd", "signs"]


async def test_who_is_no_admin_is_refused(shell: Shell) -> None:
    give_access(shell.rig, ada="responder")
    async with open_store(shell.path):
        ended = await shell("keys", "rotate", fails=True)
    assert "this needs `admin`" in str(ended.exception)


async def test_trouble_with_the_store_is_told(shell: Shell) -> None:
    shell.path.write_bytes(b"no database" * 100)
    ended = await shell("keys", "rotate", fails=True)
    assert "is damaged or no SQLite database" in str(ended.exception)


async def test_every_command_has_an_example() -> None:
    for words in (["keys"], ["keys", "list"], ["keys", "rotate"]):
        ended = CliRunner().invoke(stopgap, [*words, "--help"])
        assert f"Example: stopgap {' '.join(words)}" in ended.output
