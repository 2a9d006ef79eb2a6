"""`stopgap cause`, `follow-up`, `figures` and `review` against the daemon's own API; its pages of
the same."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator

import pytest

from daemon.core.incident import events as e
from daemon.core.reporting.figures import HOW_SAVED
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli_double import Ended, run
from tests.core.build import confirmed, finished, started

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as found:
        monkeypatch.setenv("STOPGAP_URL", str(found.client.server.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        monkeypatch.setenv("COLUMNS", "160")
        yield found


async def says(*arguments: str) -> str:
    """What a command printed that went well."""
    ended = await ends(*arguments)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


async def ends(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, *arguments)


async def recovers(rig: Rig) -> None:
    """The daemon recovers the incident by itself, and it is closed."""
    await rig.happens(confirmed(), started(), finished(), e.Recovered(step=1, text="held"))
    await rig.happens(e.IncidentClosed(reason="recovered", text="held"))


async def test_a_cause_is_recorded_after_the_end_and_stands_in_the_review(rig: Rig) -> None:
    await recovers(rig)
    out = await says("cause", rig.id, "--category", "change", "it", "lost", "its", "pool")
    assert out == "recorded: change (v2)\n"
    review = await says("review", rig.id)
    assert "**it lost its pool**" in review
    assert "Recorded by ada as: change, v2." in review
    shown = json.loads(await says("cause", rig.id, "--json", "nobody", "knows"))["incident"]
    assert shown["cause"] == {
        "text": "nobody knows",
        "category": "unknown",
        "change": "",
        "person": "ada",
        "at": rig.now.isoformat(),
    }


async def test_follow_ups_are_added_listed_changed_and_ended(rig: Rig) -> None:
    await recovers(rig)
    add = ("follow-up", "add", rig.id, "test", "it", "--owner", "bo", "--due", "2026-11-20")
    assert await says(*add) == "follow-up 1, for bo, due 2026-11-20: test it\n"
    out = await says("follow-up", "add", rig.id, "an", "alert")
    assert out == "follow-up 2, for ada, without a due day: an alert\n"
    listed = await says("follow-up", "list")
    assert listed.index("test it") < listed.index("an alert")
    overdue = json.loads(await says("follow-up", "list", "--overdue", "--json"))["follow_ups"]
    assert [one["follow_up"]["title"] for one in overdue] == ["test it"]
    assert "an alert" not in await says("follow-up", "list", "--owner", "bo")
    out = await says("follow-up", "change", rig.id, "1", "--due", "2026-12-24", "--owner", "cy")
    assert out == "follow-up 1, for cy, due 2026-12-24: test it\n"
    assert await says("follow-up", "list", "--overdue") == "nothing is overdue\n"
    assert await says("follow-up", "begin", rig.id, "1") == "follow-up 1 is in progress\n"
    assert await says("follow-up", "done", rig.id, "1") == "follow-up 1 is done\n"
    assert await says("follow-up", "drop", rig.id, "2", "there", "is", "one") == (
        "follow-up 2 is dropped\n"
    )
    assert await says("follow-up", "list") == "no follow-up is open\n"
    assert await says("follow-up", "reopen", rig.id, "2") == "follow-up 2 is open again\n"
    assert "an alert" in await says("follow-up", "list", "--team", "payments")


async def test_show_tells_the_impact_the_cause_and_what_is_to_be_done(rig: Rig) -> None:
    await recovers(rig)
    await says("cause", rig.id, "--category", "change", "a", "leak")
    await says("follow-up", "add", rig.id, "test", "it", "--owner", "bo", "--due", "2026-12-24")
    shown = await says("show", rig.id)
    assert "a leak (change, v2)" in shown
    assert re.search(r"impact +4m, 504 failed requests, and not over", shown)
    assert "1. test it: open, bo, due 2026-12-24" in shown
    found = json.loads(await says("show", rig.id, "--json"))["incident"]
    assert found["impact"]["lasted"] == 240
    assert found["follow_ups"][0]["title"] == "test it"


async def coming_of(rig: Rig) -> str:
    """What the API says that comes next."""
    _, found = await rig.asks("GET", rig.path, ADA)
    return str(found["incident"]["coming"])


async def test_what_is_still_open_is_said_to_come(rig: Rig) -> None:
    await recovers(rig)
    await rig.happens(e.ReviewWritten(path="reviews/x.md"))
    coming = [await coming_of(rig)]
    for _ in range(2):
        await rig.does("follow-ups", title="test it")
        coming.append(await coming_of(rig))
    assert coming == [
        "nothing; the review is there",
        "1 follow-up is open; the review is there",
        "2 follow-ups are open; the review is there",
    ]


async def test_what_does_not_fit_is_told_with_the_mend(rig: Rig) -> None:
    for words, told in (
        (("done", rig.id, "3"), "there is no follow-up 3; there are none yet"),
        (("add", rig.id, "x", "--owner", "eve"), "'eve' is not in the roster"),
        (("add", rig.id, "x" * 201), "at most 200 characters"),
    ):
        ended = await ends("follow-up", *words)
        assert ended.code == 1
        assert told in ended.err
    for words in (
        ("change", rig.id, "1"),
        ("drop", rig.id, "1"),
        ("add", rig.id, "x", "--due", "y"),
    ):
        assert (await ends("follow-up", *words)).code == 2


async def test_the_review_is_one_file_of_html_with_the_chart_in_it(rig: Rig) -> None:
    await recovers(rig)
    await rig.happens(e.Noted(text=HOSTILE))
    page = await says("review", rig.id, "--html")
    assert page.startswith("<!doctype html>")
    assert 'src="data:image/svg+xml;base64,' in page
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    answer = await rig.client.get(f"/incidents/{rig.id}/review", headers=ADA)
    assert await answer.text() == page.removesuffix("\n")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_figures_are_told_by_rule_and_team_and_as_a_file(rig: Rig) -> None:
    await rig.happens(confirmed(), e.StepRefused(step=1, reason="storm", text="x"))
    rig.later(minutes=2)
    await rig.does("ack")
    await rig.does("steps/1/approve", content="*")
    rig.later(minutes=1)
    out = await says("figures")
    assert re.search(r"incidents +│? *1 +│? *0", out)
    assert "time to acknowledge" in out
    assert "2m (1)" in out
    assert "checkout-success-rate" in out
    assert "payments" in out
    found = json.loads(await says("figures", "--for", "7d", "--json"))
    assert found["now"]["overruled"] == {"storm": 1}
    assert found["now"]["acknowledge"] == {"incidents": 1, "mean": 120.0, "median": 120.0}
    rows = list(csv.DictReader(io.StringIO(await says("figures", "--csv"), newline="")))
    assert rows[0]["of"] == "all"
    assert (rows[0]["incidents"], rows[0]["refusals_overruled"]) == ("1", "1")
    assert {row["name"] for row in rows} == {"", "checkout-success-rate", "payments"}


# ── the same on pages ────────────────────────────────────────────────────────────────────────


async def seen(rig: Rig, path: str) -> str:
    answer = await rig.client.get(path, headers=ADA)
    assert answer.status == 200
    return await answer.text()


async def test_the_page_of_follow_ups_tells_what_is_overdue_first(rig: Rig) -> None:
    assert "Nothing is overdue." in await seen(rig, "/follow-ups")
    await rig.does("follow-ups", title="test it", owner="bo", due="2026-11-20")
    await rig.does("follow-ups", title=HOSTILE)
    page = await seen(rig, "/follow-ups")
    overdue, _, coming = page.partition('id="coming"')
    assert "Overdue: 1" in overdue
    assert "test it" in overdue
    assert "&lt;script&gt;" in coming
    assert HOSTILE not in page
    assert f'href="/incidents/{rig.id}#learning"' in page
    mine = await seen(rig, "/follow-ups?owner=ada")
    assert "test it" not in mine.partition('id="overdue"')[2]


async def test_the_incident_s_page_has_forms_for_what_was_learned(rig: Rig) -> None:
    await recovers(rig)
    page = await seen(rig, f"/incidents/{rig.id}")
    for form in ("cause", "follow-up"):
        assert f'action="/incidents/{rig.id}/do/{form}"' in page
    await rig.does("follow-ups", title="test it", due="2026-11-20")
    await rig.happens(
        e.FollowUpPushed(follow_up=1, tracker="github", key="7", url="https://x.example/7")
    )
    page = await seen(rig, f"/incidents/{rig.id}")
    part = page.partition('id="learning"')[2].partition("</section>")[0]
    assert '<span class="chip bad">overdue</span>' in part
    assert '<a href="https://x.example/7" rel="noreferrer">github 7</a>' in part
    assert f'action="/incidents/{rig.id}/do/move-follow-up"' in part


async def test_a_link_of_a_tracker_is_a_link_of_the_web_or_none(rig: Rig) -> None:
    await rig.does("follow-ups", title="test it")
    await rig.happens(
        e.FollowUpPushed(follow_up=1, tracker="jira", key="X", url="javascript:alert(1)")
    )
    for path in ("/follow-ups", f"/incidents/{rig.id}"):
        assert 'href="javascript' not in await seen(rig, path)


async def test_the_page_of_figures_tells_how_what_was_saved_is_worked_out(rig: Rig) -> None:
    await recovers(rig)
    rig.later(minutes=1)
    page = await seen(rig, "/figures")
    assert "The last 30 days" in page
    assert HOW_SAVED.partition(":")[0] in page
    assert "100.0 %" in page
    assert '<a href="/figures?days=30" aria-current="true">30 days</a>' in page
    assert "The last 7 days" in await seen(rig, "/figures?days=7")
    assert "The last 30 days" in await seen(rig, "/figures?days=none")
    answer = await rig.client.get("/figures.csv?days=90", headers=ADA)
    assert answer.content_type == "text/csv"
    assert "stopgap-figures-90d.csv" in answer.headers["Content-Disposition"]
    read = list(csv.DictReader(io.StringIO(await answer.text(), newline="")))
    assert read[0]["recovered_by_daemon"] == "1"


@pytest.mark.parametrize(
    "path", ["/follow-ups", "/figures", "/figures.csv", "/incidents/{id}/review"]
)
async def test_nobody_unknown_sees_them(rig: Rig, path: str) -> None:
    answer = await rig.client.get(path.format(id=rig.id), allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/login")
