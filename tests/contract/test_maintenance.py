"""Maintenance windows: kept by the store and proven by its ledger; announced and ended by the API
and the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.adapters.store import StorePlace, audit_journal, open_store
from daemon.core.incident import events as e
from daemon.core.ports.maintenance import MaintenanceStore
from daemon.core.recovery.maintenance import MaintenanceWindow
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.visitor import give_access
from tests.fakes import MemoryMaintenance
from tests.postgresql import place_on, shell

NOW = datetime(2026, 3, 1, 14, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def window(name: str = "m-1", **more: Any) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate(
        {
            "id": name,
            "scope": "team:payments",
            "reason": "the database moves",
            "by": "ada",
            "announced_at": NOW,
            "begins_at": NOW + HOUR,
            "ends_at": NOW + 2 * HOUR,
            **more,
        }
    )


# ── the store ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[MaintenanceStore]:
    if request.param == "memory":
        yield MemoryMaintenance()
        return
    async with open_store(place_on(request.param, request)) as found:
        yield found.maintenance


async def test_windows_come_back_as_they_were_announced(store: MaintenanceStore) -> None:
    later, sooner = window("m-2", begins_at=NOW + 1.5 * HOUR), window("m-1", public_text="slow")
    await store.add_window(later)
    await store.add_window(sooner)
    assert await store.windows_since(NOW) == [sooner, later]
    assert await store.windows_since(NOW + 3 * HOUR) == []


async def test_a_window_is_ended_once_and_not_after_its_end(store: MaintenanceStore) -> None:
    await store.add_window(window())
    assert not await store.end_window("m-9", "bo", NOW)
    assert await store.end_window("m-1", "bo", NOW + 1.5 * HOUR)
    assert not await store.end_window("m-1", "cy", NOW + 1.6 * HOUR)
    (ended,) = await store.windows_since(NOW)
    assert (ended.ended_by, ended.over_at) == ("bo", NOW + 1.5 * HOUR)
    await store.add_window(window("m-2"))
    assert not await store.end_window("m-2", "bo", NOW + 2 * HOUR)


async def test_the_audit_knows_of_windows_that_were_edited(place: StorePlace) -> None:
    async with open_store(place) as found:
        await found.maintenance.add_window(window())
        await found.maintenance.add_window(window("m-2"))
        await found.maintenance.end_window("m-2", "bo", NOW + HOUR)
        assert (await audit_journal(found.journal)).breaks == []
    shell(place, "UPDATE maintenance_windows SET \"by\" = 'eve' WHERE id = 'm-1'")
    async with open_store(place, readonly=True) as found:
        (broken,) = (await audit_journal(found.journal)).breaks
    assert "'eve'" in str(broken)


# ── by the API and the pages ─────────────────────────────────────────────────────────────────

PATH = "/api/v1/maintenance"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def announces(rig: Rig, **body: Any) -> tuple[int, dict[str, Any]]:
    sent = {name.rstrip("_"): value for name, value in body.items()}
    return await rig.asks("POST", PATH, ADA, json={"reason": "the database moves", **sent})


async def test_a_window_is_announced_listed_and_ended(rig: Rig) -> None:
    status, answer = await announces(rig, scope="team:payments", for_="2h")
    assert status == 201
    one = answer["window"]
    assert (one["state"], one["scope"], one["by"]) == ("in_force", "team:payments", "ada")
    until = rig.now + timedelta(hours=2)
    assert one["over_at"] == until.isoformat()
    held = e.PagesHeld(window=one["id"], by="ada", until=until, reason="x")
    await rig.happens(held)
    _, found = await rig.asks("GET", PATH, ADA)
    assert [w["holds"] for w in found["windows"]] == [[rig.id]]
    _, shown = await rig.asks("GET", rig.path, ADA)
    assert shown["incident"]["organization"]["held"]["window"] == one["id"]
    assert "held by maintenance until 2026-11-23 16:00 UTC" in shown["incident"]["doing"]
    assert "people are called as if it had just opened" in shown["incident"]["coming"]
    rig.later(minutes=5)
    status, answer = await rig.asks("POST", f"{PATH}/{one['id']}/end", ADA)
    assert (status, answer["window"]["state"], answer["window"]["ended_by"]) == (200, "over", "ada")
    status, answer = await rig.asks("POST", f"{PATH}/{one['id']}/end", ADA)
    assert (status, answer["detail"]) == (409, f"the maintenance {one['id']} is over already")
    status, answer = await rig.asks("POST", f"{PATH}/m-9/end", ADA)
    assert status == 404
    assert f"there are: {one['id']}" in answer["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "no maintenance is without end"),
        ({"for_": "1h", "until": "2027-01-01T00:00:00Z"}, "Give one of `for`, like 2h, and"),
        ({"for_": "8d"}, "it lasts longer than 7d; announce it in parts"),
        ({"until": "2026-11-23T13:00:00Z"}, "it ends before it begins"),
        ({"for_": "1h", "scope": "team:choir"}, "no team 'choir'; the roster has database, pay"),
        ({"for_": "1h", "scope": "choir"}, "'choir' is no scope"),
        ({"for_": "1h", "from_": "2026-11-23T12:00:00"}, "timezone"),
    ],
)
async def test_what_is_wrong_is_said_with_the_mend(
    rig: Rig, body: dict[str, str], said: str
) -> None:
    status, answer = await announces(rig, **body)
    assert status == 400
    assert said in answer["detail"]
    assert not rig.announced.windows


async def test_every_page_says_that_calls_are_held_and_ends_it(rig: Rig) -> None:
    form = {"reason": "the database moves", "scope": "global", "for": "1h", "back": "/oncall"}
    answer = await rig.client.post("/maintenance", headers=ADA, data=form, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/oncall")
    (one,) = rig.announced.windows
    for path in ("/", "/oncall", f"/incidents/{rig.id}"):
        page = await (await rig.client.get(path, headers=ADA)).text()
        assert "<strong>Calls are held by maintenance (global)</strong> by ada" in page
    end = {"window": one, "back": "/"}
    await rig.client.post("/maintenance/end", headers=ADA, data=end, allow_redirects=False)
    page = await (await rig.client.get("/", headers=ADA)).text()
    assert "Calls are held" not in page
    for wrong in ({**form, "reason": ""}, {**form, "for": ""}, {**form, "from": "tomorrow"}):
        refused = await rig.client.post("/maintenance", headers=ADA, data=wrong)
        assert refused.status == 400
    assert len(rig.announced.windows) == 1


async def test_what_is_ahead_is_announced_and_called_off(rig: Rig) -> None:
    begins = (rig.now + timedelta(hours=3)).isoformat()
    _, answer = await announces(rig, for_="1h", from_=begins)
    assert answer["window"]["state"] == "ahead"
    page = await (await rig.client.get("/", headers=ADA)).text()
    assert "Maintenance is announced (global)" in page
    _, answer = await rig.asks("POST", f"{PATH}/{answer['window']['id']}/end", ADA)
    assert answer["window"]["state"] == "called_off"


async def test_whoever_may_only_look_announces_nothing(rig: Rig) -> None:
    give_access(rig, ada="viewer")
    assert (await announces(rig, for_="1h"))[0] == 403
    assert (await rig.asks("GET", PATH, ADA))[0] == 200
