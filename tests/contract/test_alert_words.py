"""The alert's own words on every surface: pages, the phone's page, the document, API, `show`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli_double import EVIL, ID, listening, view
from tests.stories.stage import alert, body

RUNBOOK = "https://runbooks.example.org/disk?a=1&b=2"
ALERTMANAGER = "https://alertmanager.example.org"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


def odd() -> bytes:
    """An alert that no rule matches, whose texts are hostile where they can be."""
    told = alert()
    told["fingerprint"] = "fp-db1"
    told["labels"] = {"alertname": "DiskFull", "host": 'db"1'}
    told["annotations"] = {
        "summary": "db1 is <b>full</b>",
        "description": "97 % | used\x1b[31m",
        "runbook_url": RUNBOOK,
        "dashboard": "javascript:alert(1)",
    }
    delivery = json.loads(body(told))
    return json.dumps({**delivery, "externalURL": ALERTMANAGER}).encode()


async def shown(rig: Rig, path: str, who: dict[str, str] | None = None) -> str:
    answer = await rig.client.get(path, headers=who or {})
    assert answer.status == 200
    return await answer.text()


async def test_they_are_kept_and_shown_above_all_where_no_rule_matched(rig: Rig) -> None:
    incident = await rig.delivers(odd())
    own = await shown(rig, f"/incidents/{incident}", ADA)
    _, told = await rig.asks("GET", f"/api/v1/incidents/{incident}", ADA)
    state = await rig.repository.load(incident)
    document = await shown(
        rig, rig.links.document(incident).removeprefix("https://stopgap.example")
    )
    review = await shown(rig, f"/incidents/{incident}/review", ADA)
    for page in (own, document, review):
        assert "db1 is &lt;b&gt;full&lt;/b&gt;" in page
        assert "<b>full" not in page
        assert "javascript:" not in page
        assert "\x1b" not in page
    links = re.findall(r'<a href="([^"]+)" rel="noreferrer">(\w+)</a>', own)
    assert ("https://runbooks.example.org/disk?a=1&amp;b=2", "Runbook") in links
    (silence,) = [url for url, name in links if name == "Silence"]
    assert silence.startswith(f"{ALERTMANAGER}/#/silences/new?filter=%7Balertname%3D%22DiskFull")
    assert "db%5C%221" in silence
    assert told["incident"]["alert_words"] == [
        {"alert": "DiskFull", "summary": "db1 is <b>full</b>", "description": "97 % | used [31m"}
    ]
    assert [link["name"] for link in told["incident"]["alert_links"]] == ["Runbook", "Silence"]
    assert state.alertmanager_url == ALERTMANAGER


async def test_the_phones_page_shows_them_and_what_is_asked(rig: Rig) -> None:
    rig.now += rig.later(minutes=1) - rig.now
    link = await rig.calls()
    await rig.happens(
        e.AlertsReceived(
            alerts=(e.AlertsReceived.model_validate(_received()).alerts[0],),
            external_url=ALERTMANAGER,
        )
    )
    page = await shown(rig, link)
    assert "The alert&#39;s own words" in page or "The alert's own words" in page
    assert 'href="https://runbooks.example.org/disk?a=1&amp;b=2"' in page
    assert "Stopgap: " in page


def _received() -> dict[str, object]:
    return {"alerts": json.loads(odd())["alerts"]}


async def test_the_history_and_the_api_show_the_outcome(rig: Rig) -> None:
    await rig.does("close", reason="a test")
    assert '<td data-name="Outcome">closed by a person</td>' in await shown(rig, "/", ADA)
    _, told = await rig.asks("GET", "/api/v1/incidents", ADA)
    assert [row["outcome"] for row in told["incidents"]] == ["closed by a person"]
    assert told["incidents"][0]["title"].startswith("Closed: ")


async def test_show_tells_them_without_steering_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(monkeypatch) as daemon:
        words = {"alert": "DiskFull", "summary": f"full {EVIL}", "description": ""}
        daemon.incident = view(
            outcome="recovered by Stopgap",
            alert_words=[words],
            alert_links=[{"name": "Runbook", "url": RUNBOOK}],
        )
        out = (await daemon.runs("show", ID)).out
    assert "DiskFull: full" in out
    assert f"runbook: {RUNBOOK}" in out
    assert "recovered by Stopgap" in out
    assert "\x1b" not in out
