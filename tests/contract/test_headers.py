"""What no answer lacks, whatever made it; and bodies that are not what they say they are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from tests.contract.rig import ADA, HOOK, MAX_BODY, Rig, rigged
from tests.stories.stage import alert, body


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


@pytest.mark.parametrize(
    ("path", "status", "keep"),
    [
        ("/", 200, "no-store"),
        ("/nowhere", 404, "no-store"),
        ("/login", 303, "no-store"),
        ("/live?since=1", 200, "no-cache"),
        ("/api/v1/me", 200, "no-store"),
        ("/api/v1/incidents/none", 404, "no-store"),
        ("/api/v1/incidents/{id}", 200, "private, no-cache"),
        ("/api/v1/openapi.json", 200, None),
        ("/api/v1/docs", 200, "no-store"),
        ("/metrics", 200, "no-store"),
        ("/-/ready", 200, "no-store"),
        ("/static/stopgap.css", 200, "public, max-age=300"),
        ("/static/none.css", 404, "no-store"),
        ("/incidents/{id}/chart.svg", 200, "private, max-age=5"),
    ],
)
async def test_every_answer_says_how_it_may_be_used(
    rig: Rig, path: str, status: int, keep: str | None
) -> None:
    await rig.does("ack")
    path = path.format(id=rig.id)
    async with rig.client.get(path, headers=ADA, allow_redirects=False) as answer:
        assert answer.status == status
        headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert headers["Server"] == "Stopgap"
    assert keep is None or headers["Cache-Control"] == keep


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/incidents/{id}/notes", "/login"])
async def test_a_body_that_is_not_packed_as_it_says_is_400(rig: Rig, path: str) -> None:
    sender = HOOK if path.endswith("alerts") else ADA
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    answer = await rig.client.post(
        path.format(id=rig.id), headers={**sender, **packed}, data=b"this is plain"
    )
    assert answer.status == 400
    assert "not packed as `Content-Encoding` says" in await answer.text()


WHOLE = gzip.compress(body(alert()))


@pytest.mark.parametrize(
    ("packing", "sent", "status"),
    [
        ("gzip", WHOLE, 200),
        ("GZIP", WHOLE, 200),
        ("deflate", zlib.compress(body(alert())), 200),
        ("identity", body(alert()), 200),
        ("gzip", WHOLE[:-9], 400),
        ("gzip", WHOLE + WHOLE, 400),
        ("br", WHOLE, 400),
        ("gzip", gzip.compress(b" " * (MAX_BODY + 1)), 413),
    ],
    ids=["gzip", "capitals", "deflate", "identity", "cut off", "twice", "unknown", "too large"],
)
async def test_a_packed_body_is_unpacked_as_far_as_a_body_may_be_large(
    rig: Rig, packing: str, sent: bytes, status: int
) -> None:
    packed = {**HOOK, "Content-Encoding": packing}
    answer = await rig.client.post("/api/v1/alerts", headers=packed, data=sent)
    assert answer.status == status, await answer.text()


async def test_what_a_stranger_sends_is_not_unpacked(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    packed = {"Authorization": "Bearer wrong", "Content-Encoding": "gzip"}
    answer = await rig.client.post("/api/v1/alerts", headers=packed, data=b"this is plain")
    assert answer.status == 401
    assert (await rig.client.get("/-/healthy")).status == 200  # what was left is done with
    assert "incorrect header check" not in caplog.text
