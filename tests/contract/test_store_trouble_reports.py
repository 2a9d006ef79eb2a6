"""Who asks the daemon how it does is told of a store in trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.rig import ADA, HOOK, Rig, rigged
from tests.stories.stage import alert, body

TROUBLE = "the disk of stopgap.db is full; free some space"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        found.store_trouble = TROUBLE
        yield found


async def text(rig: Rig, path: str) -> tuple[int, str]:
    answer = await rig.client.get(path)
    return answer.status, await answer.text()


async def test_it_is_not_ready_and_says_why(rig: Rig) -> None:
    status, said = await text(rig, "/-/ready")
    assert (status, TROUBLE in said) == (503, True)
    rig.store_trouble = ""
    assert await text(rig, "/-/ready") == (200, "Stopgap is ready.\n")


async def test_a_liveness_probe_does_not_restart_it_and_says_why(rig: Rig) -> None:
    status, said = await text(rig, "/-/healthy")
    assert (status, said) == (200, f"Stopgap runs, but takes no alerts: {TROUBLE}\n")
    rig.store_trouble = ""
    assert await text(rig, "/-/healthy") == (200, "Stopgap is healthy.\n")


async def test_a_stuck_daemon_is_not_healthy_so_that_it_is_restarted(rig: Rig) -> None:
    rig.stuck = "nobody conducts incident i-1 any more: its task has ended"
    status, said = await text(rig, "/-/healthy")
    assert status == 503
    assert "nobody conducts incident i-1 any more" in said
    rig.stuck = ""
    assert (await text(rig, "/-/healthy"))[0] == 200


async def test_an_alert_is_sent_again_later_and_what_is_no_alert_is_not(rig: Rig) -> None:
    sent = body(alert(service="other"))
    answer = await rig.client.post("/api/v1/alerts", data=sent, headers=HOOK)
    assert (answer.status, (await answer.json())["detail"]) == (503, TROUBLE)
    answer = await rig.client.post("/api/v1/alerts", data=b"{}", headers=HOOK)
    assert answer.status == 400
    rig.store_trouble = ""
    assert await rig.delivers(sent) != rig.id


async def test_the_overview_has_it(rig: Rig) -> None:
    _, system = await rig.asks("GET", "/api/v1/system", ADA)
    assert system["store"]["trouble"] == TROUBLE


async def test_what_people_do_to_an_incident_is_still_tried(rig: Rig) -> None:
    status, incident = await rig.does("ack")
    assert (status, incident["commander"]) == (200, "ada")
