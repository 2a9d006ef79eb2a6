"""Declaring, merging, splitting and holding calls from the command line, against the real API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.contract.rig import Rig, rigged
from tests.contract.test_cli_double import Ended, run
from tests.stories.stage import alert, body


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as found:
        monkeypatch.setenv("STOPGAP_URL", str(found.client.make_url("/")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        yield found


async def runs(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, *arguments)


async def test_an_incident_is_declared_and_shown_as_such(rig: Rig) -> None:
    said = ["declare", "customers", "cannot pay", "--team", "database", "--severity", "sev1"]
    ended = await runs(*said)
    assert (ended.code, ended.err) == (0, "")
    (identity,) = set(rig.journal.rows) - {rig.id}
    assert ended.out == (
        f"declared: {identity}; people are being called\n"
        "no rule measures it, and nothing will be done by itself\n"
    )
    shown = (await runs("show", identity)).out
    assert "by ada: customers cannot pay" in " ".join(shown.split())
    assert "sev1 (sev1 by ada; measured: not established)" in " ".join(shown.split())


async def test_what_is_open_already_is_led_to(rig: Rig) -> None:
    given = ["--rule", "checkout-success-rate", "--label", "service=shop"]
    ended = await runs("declare", "it fails", *given)
    assert ended.code == 1
    assert f"Open already: {rig.id} is open already" in ended.err
    assert f"stopgap ack {rig.id}" in ended.err
    wrong = await runs("declare", "it fails", "--label", "service")
    assert (wrong.code, "write it as NAME=VALUE" in wrong.err) == (2, True)


async def test_it_is_merged_related_split_given_away_and_said_how_severe(rig: Rig) -> None:
    cart = await rig.delivers(body(alert(service="cart")))
    assert (await runs("relate", cart, rig.id, "one database")).out.startswith(
        f"related to {rig.id}, here and there\n"
    )
    assert (await runs("merge", cart, rig.id)).out == (
        f"merged into {rig.id}: its alerts and people are there\n"
        f"nothing more: merged into {rig.id}: CheckoutSuccessRateLow shop\n"
    )
    assert (await runs("severity", rig.id, "sev2", "calls")).out == "it counts as sev2\n"
    less = await runs("severity", rig.id, "sev4")
    assert (less.code, "say why it is less" in less.err) == (1, True)
    split = await runs("split", rig.id, "--labels", "service=cart", "another cause")
    assert split.out.startswith("split off: 1123-1400-")
    given = await runs("reassign", rig.id, "database", "their primary")
    assert "it is database's now, and they are being called" in given.out
    shown = " ".join((await runs("show", rig.id)).out.split())
    for part in ("merged into it", "split off", "related to", "sev2 by ada: calls"):
        assert part in shown


async def test_maintenance_is_announced_listed_told_on_call_and_ended(rig: Rig) -> None:
    no_end = await runs("maintenance", "add", "the database moves")
    assert (no_end.code, "until when? Give --for" in no_end.err) == (2, True)
    added = await runs("maintenance", "add", "--for", "2h", "--team", "payments", "it moves")
    assert added.out.startswith("calls are held (team:payments) from 2026-11-23 14:00 until 2026-")
    (window,) = rig.announced.windows
    listed = json.loads((await runs("maintenance", "list", "--json")).out)
    assert [one["id"] for one in listed["windows"]] == [window]
    table = (await runs("maintenance", "list")).out
    assert "it moves" in table
    assert "in force" in table
    called = (await runs("oncall", "--url", str(rig.client.make_url("/")))).out
    assert "HELD: nobody is called for what opens in team:payments until" in called
    assert (
        await runs("maintenance", "end", window)
    ).out == "ended: what it held is called for now\n"
    again = await runs("maintenance", "end", window)
    assert (again.code, "is over already" in again.err) == (1, True)
