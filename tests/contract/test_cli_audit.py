"""`audit` and `archive` on the command line: what they say, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.adapters.store import FileArchive, open_store
from daemon.cli import stopgap
from daemon.cli.client import CommandFailure
from daemon.core.values.seal import Keyring, Seal
from tests.journal_scenes import BEGIN, nights

KEY = "a key that is long enough"
SETTINGS = "audit: {key: env:AUDIT_KEY}\nretention: {keep: 60d, archive: old}\n"


async def fill(folder: Path) -> None:
    async with open_store(folder / "stopgap.db", keyring=Keyring(Seal(KEY))) as store:
        await nights(store.journal, ["shop", "cart"])
        archive = FileArchive(store.journal, folder / "old")
        await archive.due(BEGIN + timedelta(hours=2), 9)
        await archive.put_away("inc-1", BEGIN + timedelta(days=90))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a journal of two incidents, one of them archived."""
    (tmp_path / "stopgap.yaml").write_text(SETTINGS)
    asyncio.run(fill(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIT_KEY", KEY)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(stopgap, arguments)


def tamper(home: Path, script: str) -> None:
    with closing(sqlite3.connect(home / "stopgap.db")) as shell:
        shell.executescript(script)


def test_a_whole_journal(home: Path) -> None:
    done = run("audit", "verify")
    assert done.exit_code == 0
    assert done.output == (
        "the journal is whole: 1 incidents, 15 entries; 1 more are archived: "
        "`--archive DIR` checks their files; the key vouches for it since row 1 of 32\n"
    )
    told = json.loads(run("audit", "verify", "--json", "--archive", "old").output)
    assert told == {
        "whole": True,
        "breaks": [],
        "incidents": 1,
        "entries": 15,
        "anchors": 0,
        "archived": 1,
        "rows": 32,
        "vouched_from": 1,
    }


def test_breaks_are_named_with_what_to_do(home: Path) -> None:
    tamper(home, "DELETE FROM events; DELETE FROM heads")
    done = run("audit", "verify")
    assert isinstance(done.exception, CommandFailure)  # which `main` turns into exit code 1
    assert str(done.exception) == "1 breaks in the journal"
    assert done.output.startswith("inc-2: all of it is missing: the ledger has 15 entries")
    assert "\n  → keep a copy of the store as it is" in done.output
    (told,) = json.loads(run("audit", "verify", "--json").output)["breaks"]
    assert (told["where"], set(told)) == ("inc-2", {"where", "what", "mend"})


def test_an_archive_that_was_touched(home: Path) -> None:
    (home / "old/2026-03/inc-1.jsonl.gz").write_bytes(b"")
    assert run("audit", "verify").exit_code == 0
    done = run("audit", "verify", "--archive", "old")
    assert "inc-1: its archive 2026-03/inc-1.jsonl.gz" in done.output
    with pytest.raises(CommandFailure, match="bring the file back from a backup"):
        raise run("archive", "show", "inc-1").exception or AssertionError


@pytest.mark.parametrize("how", ["text", "file"])
def test_an_anchor_is_kept_and_compared(home: Path, how: str) -> None:
    line = run("audit", "anchor").output
    (home / "anchors.txt").write_text(f"# kept by cron\n{line}")
    given = line if how == "text" else "anchors.txt"
    done = run("audit", "verify", "--anchor", given)
    assert (done.exit_code, "the anchor holds" in done.output) == (0, True)
    tamper(home, "DELETE FROM ledger WHERE kind = 'archived'")
    done = run("audit", "verify", "--anchor", given)
    assert "the newest part of the journal is gone" in done.output
    told = json.loads(run("audit", "anchor", "--json").output)
    assert set(told) == {"number", "at", "digest", "line"}


def test_what_is_no_anchor_is_wrong_usage(home: Path) -> None:
    for given in ("nonsense", "stopgap.yaml"):
        done = run("audit", "verify", "--anchor", given)
        assert done.exit_code == 2
        assert "there is no anchor in it; `stopgap audit anchor` prints one" in done.output


def test_the_key_is_missing_or_too_short(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_KEY", "short")
    with pytest.raises(CommandFailure, match="fewer than 16 characters"):
        raise run("audit", "verify").exception or AssertionError
    monkeypatch.delenv("AUDIT_KEY")
    with pytest.raises(CommandFailure, match="the environment variable AUDIT_KEY is not set"):
        raise run("audit", "verify").exception or AssertionError
    (home / "stopgap.yaml").write_text("")
    done = run("audit", "verify")
    assert "cannot be checked: it is not set here" in done.output
    assert isinstance(done.exception, CommandFailure)


def test_archived_incidents_are_listed_and_shown(home: Path) -> None:
    assert run("archive", "list").output == "inc-1    15 entries  2026-03/inc-1.jsonl.gz\n"
    assert json.loads(run("archive", "list", "--json").output)[0]["incident"] == "inc-1"
    assert "shop: success rate 99.0 % → 79.0 %" in run("archive", "show", "inc-1").output
    assert len(json.loads(run("archive", "show", "inc-1", "--json").output)) == 15
    with pytest.raises(
        CommandFailure, match="inc-2 is not archived; `stopgap show` looks in the journal"
    ):
        raise run("archive", "show", "inc-2").exception or AssertionError
