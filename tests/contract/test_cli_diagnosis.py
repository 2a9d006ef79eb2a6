"""The diagnosis from the command line, against the real API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import Rig, rigged
from tests.contract.test_api_diagnosis import GATHERED, ZONE
from tests.contract.test_cli_completion import offered
from tests.contract.test_cli_double import EVIL, Ended, run
from tests.contract.test_tokens import give_token
from tests.core.build import confirmed

DISK = e.HypothesisAdded(hypothesis="h1", text="the disk is full", person="bo", owner="bo")


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as rig:
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        yield rig


async def runs(*arguments: str) -> Ended:
    """The command, which must not hold up the daemon that it asks."""
    return await asyncio.to_thread(run, *arguments)


async def test_the_commander_orders_the_dossier(rig: Rig) -> None:
    await rig.happens(confirmed())
    refused = await runs("diagnose", rig.id, "we", "have", "hands", "free")
    assert (refused.code, "only the Commander may have the dossier gathered" in refused.err) == (
        1,
        True,
    )
    await rig.does("ack")
    done = await runs("diagnose", rig.id, "we", "have", "hands", "free")
    assert "the dossier is being gathered" in done.out
    assert (await rig.incident()).causes.ordered_by == "ada"


async def test_the_dossier_is_shown_with_its_queries(rig: Rig) -> None:
    assert (await runs("dossier", rig.id)).out == "no dossier yet\n"
    await rig.happens(confirmed(), GATHERED, DISK)
    shown = (await runs("dossier", rig.id, "--queries")).out
    assert ZONE.text in shown
    assert ZONE.query in shown
    assert "h1 (open): the disk is full — bo looks into it" in shown
    assert "not parted by customer: 48,000 values" in shown
    assert ZONE.query not in (await runs("dossier", rig.id)).out
    told = json.loads((await runs("dossier", rig.id, "--json")).out)
    assert told["dossier"]["queries"] == 20


async def test_show_tells_the_cause_as_far_as_it_is_known(rig: Rig) -> None:
    await rig.happens(confirmed(), GATHERED, DISK)
    shown = (await runs("show", rig.id)).out
    assert "the cause, as far as it is known" in shown
    assert ZONE.text in shown
    assert "h1 (open): the disk is full" in shown


async def test_a_hypothesis_is_put_down_judged_and_owned(rig: Rig) -> None:
    assert (await runs("hypothesis", rig.id, "add", "the", "disk")).out == "put down as h1\n"
    assert (await runs("hypothesis", rig.id, "support", "h1", "df")).out == "h1 is supported\n"
    ruled = await runs("hypothesis", rig.id, "rule-out", "h1", "it", "is", "empty")
    assert ruled.out == "h1 is ruled out\n"
    one = (await rig.incident()).causes.hypotheses["h1"]
    assert (one.state, one.evidence) == ("ruled_out", ("ada: df", "ada: it is empty"))
    assert (await runs("hypothesis", rig.id, "reopen", "h1")).out == "h1 is open again\n"
    assert (await runs("hypothesis", rig.id, "own", "h1", "bo")).out == "bo looks into h1\n"
    assert "say what rules it out" in (await runs("hypothesis", rig.id, "rule-out", "h1")).err
    assert (await runs("hypothesis", rig.id, "deny", "h1")).code == 2


async def test_a_script_adds_a_finding_by_its_own_token(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.happens(DISK)
    token = (await give_token(rig, "ada", "findings"))["Authorization"].partition(" ")[2]
    monkeypatch.setenv("STOPGAP_TOKEN", token)
    added = await runs(
        "finding", rig.id, "--source", "df", "--about", "h1", "--query", "disk_free", "n7 is full"
    )
    assert (added.code, added.out) == (0, "added; it stands in the timeline\n")
    (found,) = (await rig.incident()).causes.findings
    assert (found.source, found.text, found.query) == ("df", "n7 is full", "disk_free")
    refused = await runs("ack", rig.id)
    assert "has the scopes findings; this needs `respond`" in refused.err


async def test_help_is_asked_for(rig: Rig) -> None:
    asked = await runs("request-help", rig.id, "database", "slow", "queries")
    assert asked.out == "the Commander (nobody yet) is asked for database\n"
    assert (await rig.incident()).causes.needed["database"].reason == "slow queries"


async def test_what_others_write_cannot_steer_the_terminal(rig: Rig) -> None:
    await rig.happens(e.HypothesisAdded(hypothesis="h1", text=f"x {EVIL}", owner=EVIL))
    shown = (await runs("dossier", rig.id)).out
    assert "\x1b" not in shown
    assert "h1 (open): x" in shown


async def test_the_names_of_hypotheses_are_offered(rig: Rig) -> None:
    await rig.happens(DISK)
    assert await offered(f"hypothesis {rig.id} support ") == ["h1"]
    assert await offered(f"hypothesis {rig.id} add ") == []
