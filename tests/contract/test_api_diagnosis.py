"""The diagnosis over HTTP: what is shown, and what an investigator's token can do: nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.dossier import DiagnosisFinding, Dossier, FindingCurve
from daemon.web.api.table import operations
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_tokens import give_token
from tests.contract.visitor import give_access
from tests.core.build import NOW, confirmed

FOUND = {"source": "holmesgpt", "text": "node 7 is full", "link": "https://example.org/7"}
ZONE = DiagnosisFinding(
    kind="contribution",
    text="zone=eu-1b: 22.0 % of the traffic, 97.0 % of the added failures",
    subject="zone=eu-1b",
    query="sum by (zone) (increase(bad[1m]))",
    curve=FindingCurve(begin=NOW, step=60, own=(0.99, None, 0.5), rest=(0.99, 0.99, 0.99)),
)
GATHERED = e.DossierGathered(
    dossier=Dossier(
        begin=NOW,
        end=NOW + timedelta(minutes=5),
        findings=(ZONE,),
        limits=("not parted by customer: 48,000 values",),
        queries=20,
        seconds=1.5,
    )
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def finds(rig: Rig, headers: dict[str, str], **more: Any) -> tuple[int, Any]:
    return await rig.asks("POST", f"{rig.path}/findings", headers, json={**FOUND, **more})


async def test_the_dossier_is_told_with_queries_and_curves(rig: Rig) -> None:
    await rig.happens(confirmed(), GATHERED)
    status, found = await rig.asks("GET", f"{rig.path}/diagnosis", ADA)
    assert status == 200
    (told,) = found["diagnosis"]["findings"]
    assert (told["text"], told["query"]) == (ZONE.text, ZONE.query)
    assert found["diagnosis"]["limits"] == ["not parted by customer: 48,000 values"]
    assert found["dossier"]["findings"][0]["curve"]["own"] == [0.99, None, 0.5]
    _, shown = await rig.asks("GET", rig.path, ADA)
    assert shown["incident"]["diagnosis"] == found["diagnosis"]


async def test_the_page_shows_findings_with_chart_and_query(rig: Rig) -> None:
    await rig.happens(confirmed(), GATHERED, e.HypothesisAdded(hypothesis="h1", text="the zone"))
    assert (await finds(rig, ADA))[0] == 201
    page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
    section = page.partition('id="diagnosis"')[2].partition('id="suspects"')[0]
    assert ZONE.text in section
    assert ZONE.query in section
    assert f"/incidents/{rig.id}/findings/0.svg" in section
    assert 'href="https://example.org/7"' in section
    assert "the zone" in section
    drawn = await rig.client.get(f"/incidents/{rig.id}/findings/0.svg", headers=ADA)
    chart = await drawn.text()
    assert (drawn.status, drawn.content_type) == (200, "image/svg+xml")
    assert "zone=eu-1b: from 99.0 % to 50.0 %" in chart
    assert chart.count("<path") == 2
    for nobody in ("1", "99999", "x"):
        path = f"/incidents/{rig.id}/findings/{nobody}.svg"
        assert (await rig.client.get(path, headers=ADA)).status == 404


async def test_a_finding_of_an_investigator_stands_in_the_timeline(rig: Rig) -> None:
    await rig.happens(e.HypothesisAdded(hypothesis="h1", text="the disk is full"))
    token = await give_token(rig, "ada", "findings")
    status, answer = await finds(rig, token, hypothesis="h1")
    assert (status, answer) == (201, {"seq": rig.seq})
    _, shown = await rig.asks("GET", rig.path, ADA)
    last = shown["timeline"][-1]
    assert last["text"] == "finding of holmesgpt about h1: node 7 is full [https://example.org/7]"
    assert last["by"] == "investigator:robot"
    (one,) = shown["incident"]["diagnosis"]["hypotheses"]
    assert one["evidence"] == ["holmesgpt: node 7 is full [https://example.org/7]"]
    assert (await finds(rig, token, hypothesis="h1"))[1] == answer, "told twice, it is one"


async def test_it_is_no_sign_of_life_of_the_person_whose_token_it_is(rig: Rig) -> None:
    await rig.does("ack")
    before = (await rig.incident()).people.seen["ada"]
    rig.later(minutes=3)
    assert (await finds(rig, await give_token(rig, "ada", "findings")))[0] == 201
    assert (await rig.incident()).people.seen["ada"] == before


async def test_its_token_is_refused_everywhere_else(rig: Rig) -> None:
    """Whatever there is in the table, and the pages: it may not even look."""
    give_access(rig, ada="admin")
    token = await give_token(rig, "ada", "findings")
    before, tried = rig.seq, 0
    for row in operations(rig.context()):
        if row.needs in {"nothing", "hook", "pagerduty", "slack"} or row.path.endswith("/findings"):
            continue
        path = re.sub(r"\{\w+\}", "1", row.path.replace("{id}", rig.id))
        answer = await rig.client.request(row.method, path, headers=token)
        if row.path == "/api/v1/me":
            assert answer.status == 200, "whoever has it may see whose it is"
            continue
        assert answer.status == 403, (row.method, row.path, answer.status)
        tried += 1
    assert tried > 40
    for page in ("/", f"/incidents/{rig.id}", "/rules", "/system"):
        assert (await rig.client.get(page, headers=token)).status == 403, page
    done = await rig.client.post(f"/incidents/{rig.id}/do/ack", headers=token)
    assert done.status == 403
    assert rig.seq == before


async def test_only_responders_and_investigators_add_findings(rig: Rig) -> None:
    assert (await finds(rig, {}))[0] == 401
    for scopes in (("read",), ("alerts",), ("sentiment",)):
        status, problem = await finds(rig, await give_token(rig, "ada", *scopes))
        assert status == 403, problem
    give_access(rig, bo="viewer")
    assert (await finds(rig, BO))[0] == 403
    assert (await finds(rig, await give_token(rig, "bo", "findings")))[0] == 403


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"source": "stopgap"}, "name yours"),
        ({"source": "cy"}, "name yours"),
        ({"text": " "}, "text"),
        ({"text": "x" * 501}, "text"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"action": "rollback"}, "action"),
    ],
)
async def test_what_is_no_finding_is_refused(rig: Rig, wrong: dict[str, Any], why: str) -> None:
    token, before = await give_token(rig, "ada", "findings"), rig.seq
    status, problem = await finds(rig, token, **wrong)
    assert status == 400
    assert why in problem["detail"]
    assert rig.seq == before


async def test_a_finding_about_a_hypothesis_that_is_not_there_is_refused(rig: Rig) -> None:
    token, before = await give_token(rig, "ada", "findings"), rig.seq
    status, problem = await finds(rig, token, hypothesis="h9")
    assert (status, problem["detail"]) == (409, "no hypothesis 'h9'; there are: none yet")
    assert rig.seq == before


async def test_help_is_asked_of_the_commander(rig: Rig) -> None:
    await rig.does("ack", BO)
    await rig.does("help", ADA, team="database", reason="slow queries")
    (page,) = (p for p in (await rig.incident()).pages.values() if p.queued.purpose == "help")
    assert page.queued.person == "bo"
    assert f"`stopgap engage {rig.id} database`" in page.queued.text
    _, shown = await rig.asks("GET", rig.path, ADA)
    assert shown["incident"]["diagnosis"]["needed"][0]["team"] == "database"
    await rig.does("engage", BO, team="database")
    _, shown = await rig.asks("GET", rig.path, ADA)
    assert shown["incident"]["diagnosis"]["needed"] == []


@pytest.mark.parametrize(
    "source",
    [
        "Stopgap",
        " stopgap ",
        "METRICS",
        "ADA",
        "ada\u200b",
        "person:ada",
        "ａｄａ",
        "bo",
        "\x1b\u202e",
    ],
)
async def test_an_investigator_passes_for_nobody_else(rig: Rig, source: str) -> None:
    investigator = await give_token(rig, "ada", "findings")
    seq = rig.seq
    status, answer = await finds(rig, investigator, source=source)
    assert (status, rig.seq) == (400, seq)
    assert "name yours" in answer["detail"]


async def test_a_person_signs_for_themselves_and_for_tools_and_for_no_other(rig: Rig) -> None:
    assert (await finds(rig, ADA, source="ada"))[0] == 201
    assert (await finds(rig, ADA, source="df"))[0] == 201
    assert (await finds(rig, ADA, source="bo"))[0] == 400


async def test_an_investigator_that_runs_wild_leaves_room_for_people(rig: Rig) -> None:
    investigator = await give_token(rig, "ada", "findings")
    for n in range(150):
        assert (await finds(rig, investigator, text=f"{n}"))[0] == 201
    status, answer = await finds(rig, investigator, text="one more")
    assert (status, "by investigators" in answer["detail"]) == (409, True)
    assert (await finds(rig, ADA, text="the pool is exhausted"))[0] == 201


async def test_many_findings_of_others_do_not_make_the_page_heavy(rig: Rig) -> None:
    finding = DiagnosisFinding(kind="external", text="old", source="h", query="q" * 2000)
    many = [
        e.FindingAdded(finding=finding.model_copy(update={"text": f"<b>found {n}</b>"}))
        for n in range(100)
    ]
    await rig.happens(confirmed(), GATHERED, *many)
    page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
    section = page.partition('id="diagnosis"')[2].partition('id="suspects"')[0]
    assert ZONE.text in section
    assert section.count("&lt;b&gt;found ") == 30
    assert "&lt;b&gt;found 99&lt;/b&gt;" in section
    assert "<b>found" not in page
    assert f"70 older findings of others are left out; <code>stopgap dossier {rig.id}" in section
