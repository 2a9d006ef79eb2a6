"""Opsgenie's Alert API: what is on the wire, its limits, its refusals; and its webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from daemon.adapters.pagers.opsgenie import OpsgeniePager
from daemon.core.ports.notification import Amends, KeepsState
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY, INCIDENT, page
from tests.contract.rig import rigged
from tests.doubles.opsgenie import KEY, Opsgenie
from tests.fakes import START


class Wired:
    """The pager, and Opsgenie behind it."""

    def __init__(self, session: aiohttp.ClientSession, double: Opsgenie) -> None:
        self.session = session
        self.double = double
        self.pager = self.made(KEY)

    def made(self, key: str, timeout: float = 5) -> OpsgeniePager:
        """A pager with that API key."""
        return OpsgeniePager(self.session, key, f"{self.double.url}/", timeout)

    def sent(self) -> Any:
        """The last body on the wire."""
        return json.loads(self.double.asked[-1]["body"])


@pytest.fixture
async def wired() -> AsyncIterator[Wired]:
    async with aiohttp.ClientSession() as session, Opsgenie().serving() as double:
        yield Wired(session, double)


async def test_an_alert_holds_everything_that_the_person_needs(wired: Wired) -> None:
    assert isinstance(wired.pager, KeepsState)
    assert await wired.pager.page(page()) == f"accepted (202); alias {INCIDENT}"
    assert wired.double.asked[-1]["path"] == "/v2/alerts"
    assert wired.double.asked[-1]["headers"]["Authorization"] == f"GenieKey {KEY}"
    assert wired.sent() == {
        "message": "shop: success rate 99.1 % → 90.3 %",
        "alias": INCIDENT,
        "description": (
            "shop: success rate 99.1 % → 90.3 % · rollback is running\n\n"
            "http://stopgap/a/x\nhttp://stopgap/d/x"
        ),
        "priority": "P2",
        "source": "stopgap",
        "entity": INCIDENT,
        "details": {"incident": INCIDENT, "page": "r0.t0.ada", "person": "ada"},
    }


@pytest.mark.parametrize(
    ("severity", "priority"),
    [("sev1", "P1"), ("sev2", "P2"), ("sev3", "P3"), ("sev4", "P4"), ("", "P1"), ("new", "P1")],
)
async def test_what_was_not_measured_yet_is_urgent(
    wired: Wired, severity: str, priority: str
) -> None:
    await wired.pager.page(page(severity=severity))
    assert wired.sent()["priority"] == priority


async def test_the_longest_page_fits_and_keeps_its_links(wired: Wired) -> None:
    await wired.pager.page(page(title="🔥" * 500, text="ö" * 50_000, dedup_key="k" * 600))
    assert wired.double.opened == ["k" * 512], "the double refuses what is over the limits"
    alert = wired.sent()
    assert alert["message"] == "🔥" * 64 + "…"
    assert len(alert["description"]) == 15_000
    assert alert["description"].endswith("ö…\n\nhttp://stopgap/a/x\nhttp://stopgap/d/x")


async def test_an_alert_follows_the_incident(wired: Wired) -> None:
    double, pager = wired.double, wired.pager
    await pager.page(page())
    await pager.page(page(page="r1.t0.ada"))
    assert (double.opened, double.alerts[INCIDENT]["count"]) == ([INCIDENT], 2)
    assert await pager.update_alert(INCIDENT, "acknowledged") == "accepted (202)"
    assert double.alerts[INCIDENT]["acknowledged"]
    assert double.alerts[INCIDENT]["status"] == "open"
    await pager.update_alert(INCIDENT, "resolved")
    assert double.alerts[INCIDENT]["status"] == "closed"
    await pager.page(page())
    assert double.opened == [INCIDENT, INCIDENT]
    paths = [asked["path"] for asked in double.asked[2:4]]
    assert paths == [
        f"/v2/alerts/{INCIDENT}/acknowledge?identifierType=alias",
        f"/v2/alerts/{INCIDENT}/close?identifierType=alias",
    ]


async def test_an_alias_of_any_characters_names_its_alert(wired: Wired) -> None:
    strange = f"{INCIDENT}/r1 ?#&%2F→"
    await wired.pager.page(page(dedup_key=strange))
    await wired.pager.update_alert(strange, "resolved")
    assert wired.double.alerts[strange]["status"] == "closed"


@pytest.mark.parametrize("strict", [True, False])
async def test_an_alert_that_it_does_not_know_is_harmless(wired: Wired, strict: bool) -> None:
    wired.double.strict = strict
    proof = await wired.pager.update_alert("of-nobody", "resolved")
    assert proof == ("it knows no such alert" if strict else "accepted (202)")
    assert wired.double.alerts == {}


async def test_a_page_that_meets_404_is_no_page(wired: Wired) -> None:
    wired.double.mood = 404
    with pytest.raises(Permanent, match="Opsgenie answered 404"):
        await wired.pager.page(page())


async def test_a_wrong_key_is_refused_without_being_repeated(wired: Wired) -> None:
    with pytest.raises(Permanent) as caught:
        await wired.made("wr0ng-k3y").page(page())
    assert str(caught.value) == "Opsgenie answered 401: Could not authenticate"


async def test_what_it_cannot_process_is_refused_in_its_words(wired: Wired) -> None:
    with pytest.raises(Permanent) as caught:
        await wired.pager.page(page(title=""))
    assert str(caught.value) == (
        "Opsgenie answered 422: Request body is not processable. message: Message can not be empty."
    )


@pytest.mark.parametrize(
    ("mood", "failure"),
    [(429, Temporary), (500, Temporary), (503, Temporary), (200, Permanent), (403, Permanent)],
)
async def test_only_202_is_accepted(wired: Wired, mood: int, failure: type[Exception]) -> None:
    wired.double.mood = mood
    with pytest.raises(failure, match=f"Opsgenie answered {mood}") as caught:
        await wired.pager.page(page())
    assert KEY not in str(caught.value)
    with pytest.raises(failure, match=f"Opsgenie answered {mood}"):
        await wired.pager.update_alert(INCIDENT, "acknowledged")


async def test_it_hangs(wired: Wired) -> None:
    wired.double.mood = "hang"
    with pytest.raises(Temporary, match="Opsgenie cannot be reached"):
        await wired.made(KEY, HURRY).page(page())


async def test_the_doubles_webhook_is_one_that_the_hook_takes() -> None:
    async with rigged() as rig:
        headers = {"X-Stopgap-Token": "genie-secret"}
        headers, sent = Opsgenie.webhook("Acknowledge", rig.id, "ada@x.y", "", START, headers)
        status, answer = await rig.hooked("opsgenie", sent, headers)
        assert status == 202, answer
        assert (await rig.incident()).commander == "ada"


async def test_numbers_that_come_later_change_the_alert_and_call_nobody(wired: Wired) -> None:
    proof = await wired.pager.page(page(severity="", title="shop", text="shop · measuring now"))
    later = page(severity="sev2", short="sev2 shop: success rate 99.1 % → 90.3 %")
    assert isinstance(wired.pager, Amends)
    assert await wired.pager.amend_alert(later, proof) == "accepted (202)"
    alert = wired.double.alerts[INCIDENT]
    assert alert["message"] == "sev2 shop: success rate 99.1 % → 90.3 %"
    assert "rollback is running" in alert["description"]
    assert "http://stopgap/a/x" in alert["description"]
    assert alert["priority"] == "P2"
    assert (alert["count"], wired.double.opened) == (1, [INCIDENT])


async def test_an_alert_that_is_gone_is_not_changed(wired: Wired) -> None:
    wired.double.strict = True
    assert await wired.pager.amend_alert(page(), "x") == "it knows no such alert"
    assert wired.double.opened == []


async def test_links_without_end_leave_room_for_the_page_itself(wired: Wired) -> None:
    links = tuple((f"Source {n}", f"https://prometheus/{'x' * 1900}{n}") for n in range(10))
    await wired.pager.page(page(links=(*links, ("Runbook", "https://r.example/1"))))
    description = wired.sent()["description"]
    assert description.startswith("shop: success rate")
    assert "http://stopgap/a/x" in description
    assert "Runbook: https://r.example/1" in description
    assert len(description) <= 15_000
