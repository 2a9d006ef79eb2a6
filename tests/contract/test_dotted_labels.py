"""Incidents of labels with dots and any other sign: key, pages, API, links, silences."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from daemon.core.incident.alert_words import silence_link
from daemon.core.recovery.guardrails import group_of, service_of
from daemon.core.response.alert_silences import group_matchers
from daemon.core.rules.matchers import parse_matcher
from daemon.core.rules.rule import RuleBook, incident_key, load
from tests.contract.rig import ADA, Rig, rigged
from tests.stories.stage import RULE, alert, body

DOTTED = RULE.replace("group_by: [service]", 'group_by: [service.name, "größe"]').replace(
    'service="$service"', '"service.name"="${service.name}"'
)
HOSTILE = 'shop <b>"x"</b> & {y}'


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        found.rules = RuleBook(rule for rule, _ in load(DOTTED, "checkout.yaml"))
        yield found


def told(name: str) -> bytes:
    """Alertmanager's word of an alert of a service of that name."""
    one = alert()
    labels = {"service.name": name, "größe": "1", **one["labels"]}
    delivery = json.loads(body({**one, "labels": labels, "fingerprint": "fp-dotted"}))
    return json.dumps({**delivery, "externalURL": "https://am.example"}).encode()


async def test_such_an_incident_has_its_key_and_its_pages(rig: Rig) -> None:
    incident = await rig.repository.load(await rig.delivers(told(HOSTILE)))
    labels = {"service.name": HOSTILE, "größe": "1"}
    assert incident.group_labels == labels
    assert incident.opened.key == incident_key(incident.opened.rule, labels)
    assert (group_of(incident.opened.key), service_of(incident.opened.key)) == (labels, HOSTILE)
    for path in ("", "/review"):
        page = await rig.client.get(f"/incidents/{incident.id}{path}", headers=ADA)
        text = await page.text()
        assert page.status == 200
        assert "shop &lt;b&gt;" in text
        assert "shop <b>" not in text
    _, shown = await rig.asks("GET", f"/api/v1/incidents/{incident.id}", ADA)
    assert shown["incident"]["labels"] == labels


async def test_its_silence_link_and_its_silence_quote_the_name(rig: Rig) -> None:
    incident = await rig.repository.load(await rig.delivers(told("shop")))
    (filtered,) = parse_qs(urlsplit(silence_link(incident).replace("/#/", "/")).query)["filter"]
    assert '"service.name"="shop"' in filtered
    assert '"größe"="1"' in filtered
    matchers = [parse_matcher(text) for text in filtered[1:-1].split(",")]
    assert {m.name: m.value for m in matchers}["service.name"] == "shop"
    set_there = group_matchers(incident, rig.rules.rules[incident.opened.rule])
    assert set_there is not None
    assert {m.name for m in set_there} >= {"service.name", "größe"}
