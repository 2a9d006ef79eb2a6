"""`stopgap mcp`: what an assistant gets by the official SDK's client, and what the audit keeps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolResult, TextContent

from daemon.adapters.store import audit_journal, open_store
from daemon.cli.client import call
from daemon.cli.mcp.server import server_of
from daemon.core.incident import events as e
from daemon.core.incident.dossier import DiagnosisFinding
from daemon.core.ports.assistants import AssistantCall
from tests.contract.rig import ADA, TOKENS, Rig, rigged
from tests.contract.test_api_diagnosis import GATHERED, ZONE
from tests.core.build import confirmed
from tests.fakes import START


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as rig:
        yield rig


@contextlib.asynccontextmanager
async def assistant(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, token: str = TOKENS["ada"], *, act: bool = False
) -> AsyncIterator[Client]:
    """An assistant with that token."""
    monkeypatch.setenv("STOPGAP_TOKEN", token)
    url = str(rig.client.make_url(""))

    def ask(method: str, path: str, sent: dict[str, Any] | None, more: Mapping[str, str]) -> Any:
        return call(method, url, None, path, sent, more=more)

    async with Client(server_of(ask, act)) as client:
        yield client


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


async def said(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers; it went well."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return json.loads(text_of(result))


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What a tool says that was refused."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


async def test_it_reads_and_explains(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async with assistant(rig, monkeypatch) as client:
        listed = await said(client, "list_incidents")
        assert [one["id"] for one in listed["incidents"]] == [rig.id]
        shown = await said(client, "show_incident", incident=rig.id)
        assert (shown["id"], shown["seq"]) == (rig.id, rig.seq)
        explained = await said(client, "explain_incident", incident=rig.id)
        assert set(explained) == {
            *("id", "statement", "severity", "phase", "suspicion", "steps", "doing", "coming"),
            "decisions",
        }
        review = await client.call_tool("read_review", {"incident": rig.id})
        assert text_of(review).startswith(f"# Incident {rig.id}")
        for tool in ("list_rules", "list_actions", "list_freezes", "list_changes", "daemon_status"):
            assert await said(client, tool)
        on_call = await said(client, "who_is_on_call", at="2026-12-24T18:00:00Z")
        assert on_call["teams"]["payments"]["tiers"][0]["people"] == ["ada"]
        timeline = await said(client, "read_timeline", incident=rig.id, after=1)
        assert timeline["timeline"][0]["seq"] == 2
        assert "updates" in await said(client, "list_updates", incident=rig.id)


async def test_tools_that_act_are_offered_on_demand_and_say_what_they_are(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with assistant(rig, monkeypatch) as client:
        quiet = (await client.list_tools()).tools
    async with assistant(rig, monkeypatch, act=True) as client:
        every = (await client.list_tools()).tools
    acting = {tool.name for tool in every} - {tool.name for tool in quiet}
    assert {"approve_step", "acknowledge", "freeze", "thaw", "send_update"} <= acting
    for tool in every:
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.destructive_hint == (tool.name in acting)
        reads = tool.name not in {*acting, "propose_step", "add_note", "add_finding"}
        assert tool.annotations.read_only_hint == reads


async def test_a_proposal_waits_for_the_commander(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = {"incident": rig.id, "action": "flag_off", "params": {"target": "shop"}}
    await rig.does("ack")
    async with assistant(rig, monkeypatch) as client:
        after = await said(client, "propose_step", **proposal, reason="it began with the flag")
        assert after["steps"][-1]["status"] == "waiting"
        unknown = {**proposal, "action": "reboot"}
        text = await refused(client, "propose_step", **unknown, reason="x")
        assert "known: flag_off, rollback" in text
    assert "StepStarted" not in await rig.kinds()


async def test_it_reads_the_dossier_and_adds_to_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with assistant(rig, monkeypatch) as client:
        assert (await said(client, "read_dossier", incident=rig.id))["compared"] is None
        supposed = e.HypothesisAdded(hypothesis="h1", text="the fault is at zone=eu-1b")
        await rig.happens(confirmed(), GATHERED, supposed)
        found = await said(client, "read_dossier", incident=rig.id)
        assert [one["text"] for one in found["findings"]] == [ZONE.text]
        assert found["findings"][0]["query"] == ZONE.query
        assert [one["hypothesis"] for one in found["hypotheses"]] == ["h1"]
        assert found["limits"] == list(GATHERED.dossier.limits)
        assert set(found["compared"]) == {"begin", "end", "baseline_from", "baseline_until"}
        assert "curve" not in json.dumps(found)
        told = {"text": "node 7 is full", "source": "holmesgpt", "hypothesis": "h1"}
        taken = await said(client, "add_finding", incident=rig.id, **told, query="node_fs")
        assert taken == {"seq": rig.seq}
        found = await said(client, "read_dossier", incident=rig.id)
        assert found["findings"][-1]["source"] == "holmesgpt"
        assert found["hypotheses"][0]["evidence"] == ["holmesgpt: node 7 is full"]
        wrong = {**told, "hypothesis": "h9"}
        assert "there are: h1" in await refused(client, "add_finding", incident=rig.id, **wrong)


async def test_a_token_for_findings_adds_them_and_reads_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"name": "holmes", "scopes": ["findings"]}
    _, answer = await rig.asks("POST", "/api/v1/tokens", ADA, json=made)
    async with assistant(rig, monkeypatch, answer["secret"], act=True) as client:
        told = {"text": "node 7 is full", "source": "holmesgpt"}
        assert await said(client, "add_finding", incident=rig.id, **told)
        seq = rig.seq
        assert "scope" in await refused(client, "read_dossier", incident=rig.id)
        assert "scope" in await refused(client, "acknowledge", incident=rig.id, seen=seq)
    assert rig.seq == seq


async def test_a_long_incident_is_told_in_bounds(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.happens(
        *(e.Noted(text=f"note {n} {'x' * 300}") for n in range(400)),
        *(e.StepRefused(step=1, reason="locked", text=f"held {n // 2}") for n in range(400)),
        *(
            e.FindingAdded(
                finding=DiagnosisFinding(kind="external", text=f"{n}", source="h", query="q" * 2000)
            )
            for n in range(150)
        ),
    )
    await rig.happens(confirmed(), GATHERED)
    async with assistant(rig, monkeypatch) as client:
        told = await said(client, "explain_incident", incident=rig.id)
        texts = [one["text"] for one in told["decisions"]]
        assert len(texts) == 60
        assert told["decisions_left_out"] == 201 - 60 + len({"ProblemDefined"}) - 1
        assert "held 199" in " ".join(texts)
        assert sum("held 199" in text for text in texts) == 1
        found = await said(client, "read_dossier", incident=rig.id)
        assert found["findings_left_out"] == 91
        assert (found["findings"][0]["text"], found["findings"][-1]["text"]) == (ZONE.text, "149")
        review = await client.call_tool("read_review", {"incident": rig.id})
        assert len(text_of(review)) < 61_000
        assert "read_timeline has the rest]" in text_of(review)[-100:]


@pytest.mark.parametrize(
    ("tool", "given", "why"),
    [
        ("show_incident", {"incident": ""}, "which incident?"),
        ("show_incident", {"incident": "../../x"}, "No such incident"),
        ("read_dossier", {"incident": "."}, "which incident?"),
        ("send_update", {"incident": "x", "update": " ", "revision": 1, "seen": 1}, "nothing that"),
        ("add_finding", {"incident": "x", "text": "\ud800", "source": "h"}, "not UTF-8"),
        ("show_incident", {"incident": "\ud800"}, "half a character"),
    ],
)
async def test_nonsense_is_told_what_is_wrong_with_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tool: str, given: dict[str, Any], why: str
) -> None:
    async with assistant(rig, monkeypatch, act=True) as client:
        assert why in await refused(client, tool, **given)


async def test_it_reads_follow_ups_and_figures(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.does("follow-ups", title="test the pool", owner="bo", due="2020-01-01")
    await rig.does("follow-ups", title="write it down", owner="ada")
    async with assistant(rig, monkeypatch) as client:

        async def titles(**query: Any) -> list[str]:
            found = await said(client, "list_follow_ups", **query)
            return [one["follow_up"]["title"] for one in found["follow_ups"]]

        assert await titles() == ["test the pool", "write it down"]
        assert await titles(owner="ada") == ["write it down"]
        assert await titles(overdue=True) == ["test the pool"]
        figures = await said(client, "figures", lasts="90d", until="2026-12-24T18:00:00Z")
        assert figures["until"].startswith("2026-12-24T18:00")
        assert "is not a duration" in await refused(client, "figures", lasts="a while")


async def test_it_can_do_no_more_than_the_token(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"name": "helper", "scopes": ["read"]}
    _, answer = await rig.asks("POST", "/api/v1/tokens", ADA, json=made)
    async with assistant(rig, monkeypatch, answer["secret"], act=True) as client:
        assert await said(client, "show_incident", incident=rig.id)
        seq = rig.seq
        text = await refused(client, "acknowledge", incident=rig.id, seen=seq)
        assert "scope" in text
        assert "scope" in await refused(client, "add_note", incident=rig.id, text="x")
    assert rig.seq == seq


async def test_it_acts_on_what_was_seen_and_as_that_person(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with assistant(rig, monkeypatch, act=True) as client:
        before = (await said(client, "show_incident", incident=rig.id))["seq"]
        await rig.does("notes", text="we look")
        text = await refused(client, "acknowledge", incident=rig.id, seen=before)
        assert "nothing was done: look again" in text
        now = (await said(client, "show_incident", incident=rig.id))["seq"]
        after = await said(client, "acknowledge", incident=rig.id, seen=now)
        assert after["commander"] == "ada"
    arrived = next(x for x in rig.journal.entries[rig.id] if x.event.kind == "ResponderArrived")
    assert (arrived.by, arrived.event.describe()) == ("person:ada", "ada responds (by mcp)")


async def test_each_use_is_noted_before_anything_is_done(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with assistant(rig, monkeypatch, act=True) as client:
        await said(client, "read_timeline", incident=rig.id, after=0)
        await said(client, "pause_automation", incident=rig.id, reason="we look", seen=rig.seq)
        read, paused = rig.assistants.calls
        assert (read.person, read.tool, read.incident) == ("ada", "read_timeline", rig.id)
        assert read.asked == f"GET {rig.path}/timeline?after=0&limit=100"
        assert paused.asked == f'POST {rig.path}/pause {{"reason": "we look"}}'
        rig.assistants.failing = True
        seq = rig.seq
        text = await refused(client, "resume_automation", incident=rig.id, seen=seq)
        assert "the store does not answer" in text
        assert rig.seq == seq


async def test_a_tool_that_has_no_name_is_told(rig: Rig) -> None:
    headers = {**ADA, "X-Stopgap-Tool": "Not A Name"}
    status, answer = await rig.asks("GET", "/api/v1/incidents", headers)
    assert (status, rig.assistants.calls) == (400, [])
    assert "X-Stopgap-Tool" in answer["detail"]


async def test_over_standard_input_and_output(rig: Rig) -> None:
    """As a client starts it."""
    env = {"STOPGAP_TOKEN": "ada-token", "STOPGAP_URL": str(rig.client.make_url(""))}
    command = [sys.executable, "-m", "daemon", "mcp"]
    started = StdioServerParameters(command=command[0], args=command[1:], env=env)
    async with asyncio.timeout(60), Client(started) as client:
        shown = await said(client, "show_incident", incident=rig.id)
        assert shown["id"] == rig.id


async def test_the_audit_misses_a_use_that_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "stopgap.db"
    calls = [
        AssistantCall(
            at=START + timedelta(minutes=n), person="ada", tool="freeze", asked=f"PUT {n}"
        )
        for n in range(3)
    ]
    async with open_store(path) as store:
        for one in calls:
            await store.assistants.note(one)
    async with open_store(path, readonly=True) as store:
        assert await store.assistants.newest(2) == calls[:0:-1]
        assert (await audit_journal(store.journal, [])).breaks == []
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM ledger WHERE body LIKE '%PUT 1%'")
    async with open_store(path, readonly=True) as store:
        [gone, *_] = (await audit_journal(store.journal, [])).breaks
    assert "missing" in str(gone)
