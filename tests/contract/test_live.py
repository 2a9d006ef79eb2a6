"""Open pages are told when something changes: of their own incident, or of anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from daemon.core.incident import events as e
from daemon.core.values.outcome import Temporary
from daemon.web.site import event_stream
from daemon.web.site.event_stream import (
    LONGEST_LULL,
    LULL,
    ChangeCounter,
    PageVersion,
    lull_after,
)
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.visitor import give_token
from tests.stories.stage import alert, body

PATIENCE = 60


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def listening(rig: Rig, page: str) -> aiohttp.ClientResponse:
    """The stream that a page names."""
    text = await (await rig.client.get(page, headers=ADA)).text()
    source = re.search(r'data-events="([^"]+)"', text)
    assert source is not None
    answer = await rig.client.get(source[1].replace("&amp;", "&"), headers=ADA)
    assert answer.status == 200
    assert answer.content_type == "text/event-stream"
    return answer


async def told(stream: aiohttp.ClientResponse) -> str:
    """The next event."""
    async with asyncio.timeout(PATIENCE):
        lines = []
        while line := (await stream.content.readline()).decode().strip():
            lines.append(line)
    return "\n".join(lines)


async def test_a_change_is_told_to_the_list_and_to_its_own_page(rig: Rig) -> None:
    home, page = await listening(rig, "/"), await listening(rig, f"/incidents/{rig.id}")
    await rig.does("ack")
    assert "event: changed" in await told(home)
    assert "event: changed" in await told(page)


async def test_what_happened_before_the_page_listened_is_told_at_once(rig: Rig) -> None:
    await rig.does("ack")
    answer = await rig.client.get(f"/live?incident={rig.id}&since=1", headers=ADA)
    assert "event: changed" in await told(answer)


async def test_a_freeze_by_the_api_is_told_too(rig: Rig) -> None:
    home = await listening(rig, "/")
    await rig.asks("PUT", "/api/v1/freeze", ADA, json={"reason": "x"})
    assert "event: changed" in await told(home)
    await rig.asks("DELETE", "/api/v1/freeze", ADA)
    assert "event: changed" in await told(home)


async def test_a_freeze_is_told_to_everybody(rig: Rig) -> None:
    await rig.does("ack")
    page = await listening(rig, f"/incidents/{rig.id}")
    await rig.client.post("/freezes", headers=ADA, data={"reason": "x", "scope": "global"})
    assert "event: changed" in await told(page)


async def test_a_page_is_of_one_moment_also_while_something_happens(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.does("ack")
    read, veto = rig.journal.read, e.StepVetoed(step=1, person="bo")

    async def read_late(incident: str, after: int = 0) -> list[e.Entry]:
        monkeypatch.setattr(rig.journal, "read", read)
        await rig.happens(veto)
        return await read(incident, after)

    monkeypatch.setattr(rig.journal, "read", read_late)
    answer = await rig.client.get(f"/incidents/{rig.id}", headers=ADA)
    page = await answer.text()
    assert "Veto: step 1" in page
    assert veto.describe() not in page, "its timeline is newer than its plan"
    monkeypatch.setattr(rig.journal, "read", read_late)
    _, told = await rig.asks("GET", rig.path, ADA)
    assert told["timeline"][-1]["seq"] == told["incident"]["seq"]


async def test_other_incidents_do_not_disturb_a_page(rig: Rig) -> None:
    mine = rig.id
    await rig.does("ack")
    page, home = await listening(rig, f"/incidents/{mine}"), await listening(rig, "/")
    rig.id = await rig.delivers(body(alert(service="cart")))
    await told(home)
    rig.id = mine
    await rig.does("pause")
    version = (await told(page)).partition("data: ")[2]
    assert (
        f"since={version}" in await (await rig.client.get(f"/incidents/{mine}", headers=ADA)).text()
    )


async def test_a_version_that_cannot_be_is_none(rig: Rig) -> None:
    await rig.does("ack")
    answer = await rig.client.get(f"/live?since={'9' * 5000}", headers=ADA)
    assert answer.status == 200
    assert "event: changed" in await told(answer)


async def test_nobody_listens_without_being_known(rig: Rig) -> None:
    answer = await rig.client.get("/live?since=1", allow_redirects=False)
    assert answer.status == 303


async def test_one_persons_pages_leave_some_for_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MOST_OF_ONE", 2)
    monkeypatch.setattr(event_stream, "_MOST", 3)
    for who, status in ((ADA, 200), (ADA, 200), (ADA, 503), (BO, 200), (BO, 503)):
        answer = await rig.client.get("/live?since=0", headers=who)
        assert answer.status == status


async def test_a_daemon_that_stops_lets_its_listeners_go() -> None:
    async with rigged() as rig:
        stream = await listening(rig, "/")
        async with asyncio.timeout(PATIENCE):
            await rig.client.server.close()
        assert await stream.content.read() == b""


async def test_a_store_that_fails_ends_the_stream_and_the_page_asks_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.does("ack")
    robot = await give_token(rig, "bo", "read")
    stream = await rig.client.get(f"/live?incident={rig.id}&since=1", headers=robot)
    assert "event: changed" in await told(stream)

    async def fails(_: str) -> None:
        raise Temporary("the disk is full")

    monkeypatch.setattr(rig.credentials, "token", fails)
    await rig.does("pause")
    async with asyncio.timeout(PATIENCE):
        assert await stream.content.read() == b""


async def test_a_page_that_goes_before_it_is_answered_is_no_crash(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr(event_stream, "sse_response", gone)
    with capture_logs() as logs:
        await rig.client.get("/live?since=0", headers=ADA)
    assert [x for x in logs if x["log_level"] != "debug"] == []


async def test_many_changes_one_after_the_other_are_told_as_one(rig: Rig) -> None:
    home = await listening(rig, "/")
    rig.repository.all_changed()
    first = (await told(home)).partition("data: ")[2]
    for _ in range(3):
        rig.repository.all_changed()
        for _ in range(20):
            await asyncio.sleep(0)  # time enough to tell it, if it were told at once
    last = (await told(home)).partition("data: ")[2]
    assert PageVersion.of(last).number == PageVersion.of(first).number + 3


def test_a_page_of_a_storm_is_told_ever_less_often_until_it_is_over() -> None:
    lulls = [LULL]
    while lulls[-1] < LONGEST_LULL:
        lulls.append(lull_after(lulls[-1], storms=True))
    assert lulls == [0.5, 1, 2, 4]
    assert lull_after(LONGEST_LULL, storms=True) == LONGEST_LULL
    assert lull_after(LONGEST_LULL, storms=False) == LULL


async def test_a_daemon_that_ends_waits_for_no_lull(rig: Rig) -> None:
    changes = ChangeCounter(rig.repository)
    resting = asyncio.create_task(changes.lull(1000 * PATIENCE))
    await asyncio.sleep(0)
    assert not resting.done()
    changes.close()
    async with asyncio.timeout(PATIENCE):
        await resting
    assert await changes.after(changes.version()) is None
