"""Without a webhook token: only what this machine sends by itself is taken."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.rig import Rig, rigged
from tests.stories.stage import alert, body

ALERTS = "/api/v1/alerts"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        found.webhook = None
        yield found


async def test_alertmanager_beside_us_needs_no_token(rig: Rig) -> None:
    status, answer = await rig.asks("POST", ALERTS, data=body(alert(service="cart")))
    assert (status, answer["stored"]) == (200, True)


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9393"},  # a name that was bent to this address says so too
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Via": "1.1 proxy"},
    ],
)
@pytest.mark.parametrize("path", [ALERTS, "/api/v1/sentiment"])
async def test_a_browser_or_a_proxy_does(rig: Rig, path: str, header: dict[str, str]) -> None:
    status, problem = await rig.asks("POST", path, header, data=body(alert(service="cart")))
    assert (status, rig.inbox.waiting) == (401, {})
    assert "set `auth.webhook_token` in stopgap.yaml" in problem["detail"]
