"""`stopgap oncall override`, `swap` and what goes with them, from the shell to the store."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.adapters.store import open_store
from tests.contract.rig import rigged
from tests.contract.test_cli_double import Ended, run
from tests.contract.test_oncall_changes import OncallRig


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OncallRig]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    async with open_store(tmp_path / "s.db") as store, rigged(make=OncallRig) as found:
        await found.begun(store)
        monkeypatch.setenv("STOPGAP_URL", str(found.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "bo-token")
        yield found


async def runs(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, "oncall", *arguments)


async def test_an_override_from_the_shell_and_back(rig: OncallRig) -> None:
    ended = await runs("override", "primary", "--until", "2026-11-24 18:00", "--reason", "ill")
    told, who = ended.out.splitlines()
    found = re.fullmatch(
        r"override ([0-9a-f]{8}): bo for primary from 2026-11-23 14:00 until 2026-11-24 17:00 UTC, "
        r"set by bo \(ill\)",
        told,
    )
    assert found is not None, ended
    assert who == "ada was told by email-1"
    listed = await runs("--url", str(rig.client.make_url("")))
    assert told in listed.out
    ended = await runs("remove", found[1])
    assert ended.out.startswith(f"removed: override {found[1]}: bo for primary")
    assert rig.overrides == []


async def test_a_swap_is_asked_for_and_accepted_or_declined(
    rig: OncallRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in ("decline", "accept"):
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        ended = await runs(
            "swap", "primary", "--with", "bo", "--mine", "2026-12-08 12:00", "--json"
        )
        swap = json.loads(ended.out)["swap"]["id"]
        monkeypatch.setenv("STOPGAP_TOKEN", "bo-token")
        ended = await runs(answer, swap)
        assert (ended.code, ended.err) == (0, "")
        assert f"swap {swap}: ada asks bo to take primary" in ended.out
        assert ended.out.startswith("accepted: " if answer == "accept" else "declined: ")
    assert [one.person for one in rig.overrides] == ["bo"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("override", "primry", "--until", "2026-11-24 18:00"), "did you mean primary?"),
        (("override", "primary", "--until", "tomorrow"), 'write it like "2026-12-24 18:00"'),
        (("remove", "nothing"), "`stopgap oncall` lists those that stand"),
        (("accept", "nothing"), "no swap 'nothing' waits for an answer"),
        (("swap", "primary", "--with", "bo", "--mine", "2026-12-08 12:00"), "name somebody else"),
    ],
)
async def test_what_cannot_be_is_told_with_the_mend(
    rig: OncallRig, arguments: tuple[str, ...], told: str
) -> None:
    ended = await runs(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


async def test_the_links_to_subscribe_to(rig: OncallRig) -> None:
    ended = await runs("calendars")
    assert ended.out.startswith("you: https://stopgap.example/oncall/people/bo.ics?key=")
    assert "\nprimary: https://stopgap.example/oncall/primary.ics?key=" in ended.out


async def test_a_call_is_declined_or_put_off_from_the_shell(rig: OncallRig) -> None:
    await rig.calls("bo")
    ended = await asyncio.to_thread(run, "snooze", rig.id, "--for", "15m")
    assert ended.out == "you are called again in 15m\n", ended
    shown = await asyncio.to_thread(run, "show", rig.id)
    assert "bo at 14:15:00 UTC" in shown.out
    ended = await asyncio.to_thread(run, "decline", rig.id, "on", "a", "train")
    assert (
        ended.out == "noted; whoever is next is called; if nobody is left, all are called again\n"
    ), ended
    answers = (await rig.incident()).call_answers
    assert set(answers.declined) == {"bo"}
    assert answers.snoozed == {}
