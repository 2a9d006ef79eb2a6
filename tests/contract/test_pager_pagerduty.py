"""PagerDuty's Events API v2: what is on the wire, its limits, its refusals; and its webhooks."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from daemon.adapters.pagers.pagerduty import PagerDutyPager
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY, INCIDENT, page
from tests.contract.rig import rigged
from tests.doubles.pagerduty import KEY, LARGEST, PagerDuty, user
from tests.fakes import START

FIRES = "🔥" * 300_000


class Wired:
    """The pager, and PagerDuty behind it."""

    def __init__(self, session: aiohttp.ClientSession, double: PagerDuty) -> None:
        self.session = session
        self.double = double
        self.pager = self.made(KEY)

    def made(self, key: str, timeout: float = 5) -> PagerDutyPager:
        """A pager with that routing key."""
        return PagerDutyPager(self.session, key, f"{self.double.url}/v2/enqueue", timeout)

    def sent(self) -> Any:
        """The last event on the wire."""
        return json.loads(self.double.asked[-1]["body"])


@pytest.fixture
async def wired() -> AsyncIterator[Wired]:
    async with aiohttp.ClientSession() as session, PagerDuty().serving() as double:
        yield Wired(session, double)


async def test_a_trigger_holds_everything_that_the_person_needs(wired: Wired) -> None:
    text = "9.9 % of orders fail since 14:03\nrollback is running"
    proof = await wired.pager.page(page(text=text))
    assert proof == f"queued; dedup key {INCIDENT}"
    assert wired.double.asked[-1]["headers"]["Content-Type"] == "application/json"
    assert wired.sent() == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": INCIDENT,
        "payload": {
            "summary": "shop: success rate 99.1 % → 90.3 % · 9.9 % of orders fail since 14:03",
            "source": "stopgap",
            "severity": "error",
            "timestamp": "2026-11-24T02:00:00+00:00",
            "custom_details": {
                "incident": INCIDENT,
                "person": "ada",
                "page": "r0.t0.ada",
                "severity": "sev2",
                "text": text,
            },
        },
        "client": "Stopgap",
        "client_url": "http://stopgap/d/x",
        "links": [
            {"href": "http://stopgap/a/x", "text": "Answer"},
            {"href": "http://stopgap/d/x", "text": "The incident"},
        ],
    }


async def test_without_an_answer_link_there_is_none(wired: Wired) -> None:
    await wired.pager.page(page(answer_link="", text=""))
    assert [link["href"] for link in wired.sent()["links"]] == ["http://stopgap/d/x"]
    assert wired.sent()["payload"]["summary"] == "shop: success rate 99.1 % → 90.3 %"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("sev1", "critical"),
        ("sev2", "error"),
        ("sev3", "warning"),
        ("sev4", "info"),
        ("", "error"),
        ("later", "error"),
    ],
)
async def test_what_was_not_measured_yet_is_urgent(wired: Wired, ours: str, theirs: str) -> None:
    await wired.pager.page(page(severity=ours))
    assert wired.sent()["payload"]["severity"] == theirs


async def test_the_longest_page_fits(wired: Wired) -> None:
    await wired.pager.page(page(title=FIRES, text=FIRES, dedup_key="k" * 300))
    (asked,) = wired.double.asked
    assert len(asked["body"]) < LARGEST
    summary = wired.sent()["payload"]["summary"]
    assert len(summary.encode("utf-16-le")) // 2 in {1023, 1024}
    assert re.fullmatch("🔥+…", summary)
    assert wired.double.opened == ["k" * 255]
    await wired.pager.update_alert("k" * 300, "resolved")
    assert wired.double.alerts["k" * 255]["state"] == "resolved"


async def test_an_alert_follows_the_incident(wired: Wired) -> None:
    double, pager = wired.double, wired.pager
    await pager.page(page())
    assert await pager.update_alert(INCIDENT, "acknowledged") == f"queued; dedup key {INCIDENT}"
    settled = wired.sent()
    assert settled == {"routing_key": KEY, "event_action": "acknowledge", "dedup_key": INCIDENT}
    await pager.page(page(text="worse", severity="sev1"))
    assert double.alerts[INCIDENT]["state"] == "acknowledged", "it knows that somebody is there"
    assert double.alerts[INCIDENT]["payload"]["severity"] == "critical"
    await pager.update_alert(INCIDENT, "resolved")
    await pager.update_alert(INCIDENT, "acknowledged")
    assert double.alerts[INCIDENT]["state"] == "resolved", "what is over is over"
    await pager.page(page())
    assert double.opened == [INCIDENT, INCIDENT], "a trigger after that is a new alert"
    await pager.update_alert("of-nobody", "acknowledged")
    assert set(double.alerts) == {INCIDENT}


async def test_questions_are_alerts_of_their_own(wired: Wired) -> None:
    await wired.pager.page(page())
    await wired.pager.page(page(dedup_key=f"{INCIDENT}/r1.t0.ada"))
    await wired.pager.update_alert(f"{INCIDENT}/r1.t0.ada", "resolved")
    states = {key: alert["state"] for key, alert in wired.double.alerts.items()}
    assert states == {INCIDENT: "triggered", f"{INCIDENT}/r1.t0.ada": "resolved"}


async def test_a_wrong_routing_key_is_refused_without_being_repeated(wired: Wired) -> None:
    with pytest.raises(Permanent) as caught:
        await wired.made("n0t-a-k3y").page(page())
    assert str(caught.value) == (
        "PagerDuty answered 400: Length of 'routing_key' is incorrect (should be 32 characters)"
    )


async def test_a_page_without_a_title_is_refused_in_its_words(wired: Wired) -> None:
    with pytest.raises(Permanent, match=r"'payload\.summary' must have 1 to 1024 characters"):
        await wired.pager.page(page(title="", text=""))


@pytest.mark.parametrize(
    ("mood", "failure"),
    [
        (429, Temporary),
        (500, Temporary),
        (504, Temporary),
        (200, Permanent),  # a proxy's page to log in, say: nothing is queued
        (403, Permanent),
        (413, Permanent),
    ],
)
@pytest.mark.parametrize("doing", ["page", "settle"])
async def test_only_202_is_queued(
    wired: Wired, mood: int, failure: type[Exception], doing: str
) -> None:
    wired.double.mood = mood
    with pytest.raises(failure, match=f"PagerDuty answered {mood}") as caught:
        await (
            wired.pager.page(page())
            if doing == "page"
            else wired.pager.update_alert("x", "resolved")
        )
    assert KEY not in str(caught.value)


async def test_it_hangs(wired: Wired) -> None:
    wired.double.mood = "hang"
    with pytest.raises(Temporary, match="PagerDuty cannot be reached"):
        await wired.made(KEY, HURRY).page(page())
    with pytest.raises(Temporary, match="PagerDuty cannot be reached"):
        await wired.made(KEY, HURRY).update_alert(INCIDENT, "resolved")


async def test_the_doubles_webhook_is_one_that_the_hook_takes() -> None:
    async with rigged() as rig:
        for said, agent in (("acknowledged", user("PADA")), ("unacknowledged", None)):
            later = START + timedelta(minutes=len(said))
            headers, sent = PagerDuty.webhook(said, rig.id, agent, later, f"e-{said}", "pd-new")
            assert headers["X-Webhook-Id"] == f"e-{said}"
            status, answer = await rig.hooked("pagerduty", sent, headers)
            assert status == 202, answer
            incident = await rig.incident()
            assert incident.commander == ("ada" if said == "acknowledged" else "")
        status, _ = await rig.hooked("pagerduty", sent + b" ", headers)
        assert status == 401, "it is signed over every byte"


async def test_numbers_that_come_later_update_the_same_alert(wired: Wired) -> None:
    proof = await wired.pager.page(page(severity="", title="shop", text="shop · measuring now"))
    links = (("Runbook", "https://r.example/1"),)
    await wired.pager.amend_alert(page(severity="sev1", links=links), proof)
    assert wired.double.opened == [INCIDENT]
    assert wired.sent()["payload"]["severity"] == "critical"
    assert wired.sent()["payload"]["summary"].startswith("shop: success rate 99.1 %")
    assert wired.sent()["links"][-1] == {"href": "https://r.example/1", "text": "Runbook"}
