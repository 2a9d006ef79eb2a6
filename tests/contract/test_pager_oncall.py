"""Grafana OnCall's formatted webhook: what is on the wire, its refusals; and its webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest

from daemon.adapters.pagers.grafana_oncall import GrafanaOncallPager
from daemon.core.ports.notification import KeepsState
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY, INCIDENT, page
from tests.contract.rig import rigged
from tests.doubles.grafana_oncall import TOKEN, GrafanaOncall, person
from tests.fakes import START


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def double() -> AsyncIterator[GrafanaOncall]:
    async with GrafanaOncall().serving() as serving:
        yield serving


@pytest.fixture
def pager(session: aiohttp.ClientSession, double: GrafanaOncall) -> GrafanaOncallPager:
    return GrafanaOncallPager(session, double.integration, 5)


async def test_an_alert_holds_everything_that_the_person_needs(
    pager: GrafanaOncallPager, double: GrafanaOncall
) -> None:
    assert isinstance(pager, KeepsState)
    assert await pager.page(page()) == "answered 200"
    assert json.loads(double.asked[-1]["body"]) == {
        "alert_uid": INCIDENT,
        "title": "shop: success rate 99.1 % → 90.3 %",
        "message": (
            "shop: success rate 99.1 % → 90.3 % · rollback is running\n\nhttp://stopgap/a/x"
        ),
        "state": "alerting",
        "link_to_upstream_details": "http://stopgap/d/x",
    }


async def test_an_alert_group_follows_the_incident(
    pager: GrafanaOncallPager, double: GrafanaOncall
) -> None:
    await pager.page(page())
    await pager.page(page(text="worse"))
    assert double.opened == [INCIDENT]
    assert [alert["message"][:5] for alert in double.groups[INCIDENT]["alerts"]][1] == "worse"
    await pager.update_alert(INCIDENT, "resolved")
    assert json.loads(double.asked[-1]["body"]) == {"alert_uid": INCIDENT, "state": "ok"}
    assert double.groups[INCIDENT]["state"] == "resolved"
    await pager.page(page())
    assert double.opened == [INCIDENT, INCIDENT]


async def test_an_acknowledgement_is_not_sent_and_the_proof_says_so(
    pager: GrafanaOncallPager, double: GrafanaOncall
) -> None:
    proof = await pager.update_alert(INCIDENT, "acknowledged")
    assert proof == "nothing sent: its webhook cannot acknowledge"
    assert double.asked == []


async def test_the_end_of_what_it_does_not_know_opens_nothing(
    pager: GrafanaOncallPager, double: GrafanaOncall
) -> None:
    await pager.update_alert("of-nobody", "resolved")
    assert (double.opened, double.groups) == ([], {})


async def test_a_wrong_token_is_refused_without_the_address(
    session: aiohttp.ClientSession, double: GrafanaOncall
) -> None:
    wrong = GrafanaOncallPager(session, double.integration.replace(TOKEN, "wr0ng-t0ken"), 5)
    with pytest.raises(Permanent) as caught:
        await wrong.page(page())
    assert str(caught.value) == "Grafana OnCall answered 403"


@pytest.mark.parametrize(
    ("mood", "failure"),
    [(429, Temporary), (500, Temporary), (503, Temporary), (400, Permanent), (404, Permanent)],
)
async def test_what_a_failure_means(
    pager: GrafanaOncallPager, double: GrafanaOncall, mood: int, failure: type[Exception]
) -> None:
    double.mood = mood
    with pytest.raises(failure) as caught:
        await pager.page(page())
    assert str(caught.value) == f"Grafana OnCall answered {mood}"
    with pytest.raises(failure):
        await pager.update_alert(INCIDENT, "resolved")


async def test_it_hangs(session: aiohttp.ClientSession, double: GrafanaOncall) -> None:
    double.mood = "hang"
    with pytest.raises(Temporary, match="Grafana OnCall cannot be reached") as caught:
        await GrafanaOncallPager(session, double.integration, HURRY).page(page())
    assert TOKEN not in str(caught.value)


async def test_the_doubles_webhook_is_one_that_the_hook_takes() -> None:
    secret = {"X-Stopgap-Token": "oncall-secret"}
    async with rigged() as rig:
        headers, sent = GrafanaOncall.webhook("acknowledge", rig.id, None, START, secret)
        assert (await rig.hooked("grafana-oncall", sent, headers))[0] == 202
        assert (await rig.incident()).commander == "", "automation commands nothing"
        ada = person("U1", "ada.l", "ada@example.org")
        later = START + timedelta(minutes=1)
        headers, sent = GrafanaOncall.webhook("acknowledge", rig.id, ada, later, secret)
        status, answer = await rig.hooked("grafana-oncall", sent, headers)
        assert status == 202, answer
        assert (await rig.incident()).commander == "ada"


async def test_numbers_that_come_later_join_the_same_alert_group(
    pager: GrafanaOncallPager, double: GrafanaOncall
) -> None:
    proof = await pager.page(page(title="shop", text="shop · measuring now"))
    await pager.amend_alert(page(), proof)
    assert double.opened == [INCIDENT]
    assert "99.1 %" in double.groups[INCIDENT]["alerts"][-1]["title"]
