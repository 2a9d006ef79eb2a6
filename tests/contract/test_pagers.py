"""Every pager against a stand-in of its provider: what is on the wire, and what a failure means."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest
from apprise.plugins.custom_json import NotifyJSON

from daemon.adapters.pagers.apprise import ApprisePager
from daemon.adapters.pagers.console import ConsolePager
from daemon.adapters.pagers.grafana_oncall import GrafanaOncallPager
from daemon.adapters.pagers.opsgenie import OpsgeniePager
from daemon.adapters.pagers.pagerduty import PagerDutyPager
from daemon.adapters.pagers.slack import SlackPager
from daemon.adapters.pagers.webhook import RemindingWebhook, WebhookPager
from daemon.adapters.slack import Whisperer, slack_client
from daemon.core.ports.notification import KeepsState, Pager, Reminds
from daemon.core.response.pager_sync import STATEFUL_PAGERS
from daemon.core.values.outcome import Permanent, Temporary
from daemon.web.api.pager_payloads import SLACK_DEEDS
from tests.contract.calls import HURRY, SECRET, Anything, nobody, page, reminder
from tests.doubles.pagerduty import KEY, PagerDuty
from tests.doubles.slack import TOKEN, Slack
from tests.loopback import LOOPBACK


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def anything() -> AsyncIterator[Anything]:
    async with Anything().serving() as double:
        yield double


def every_pager(session: aiohttp.ClientSession, url: str, timeout: float) -> dict[str, Pager]:
    """All that speak HTTP, with a secret each."""
    return {
        "pagerduty": PagerDutyPager(session, SECRET, f"{url}/v2/enqueue", timeout),
        "opsgenie": OpsgeniePager(session, SECRET, url, timeout),
        "grafana_oncall": GrafanaOncallPager(session, f"{url}/{SECRET}", timeout),
        "webhook": WebhookPager(session, f"{url}/{SECRET}", SECRET, timeout),
        "slack": SlackPager(slack_client(session, SECRET, f"{url}/api/", timeout), "U1"),
    }


KINDS = ("pagerduty", "opsgenie", "grafana_oncall", "webhook", "slack")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("mood", "failure"),
    [
        (429, Temporary),
        (500, Temporary),
        (503, Temporary),
        (400, Permanent),
        (401, Permanent),
        (302, Permanent),
    ],
)
async def test_what_a_failure_means(
    session: aiohttp.ClientSession,
    anything: Anything,
    kind: str,
    mood: int,
    failure: type[Exception],
) -> None:
    anything.mood = mood
    if kind == "slack" and mood < 429:
        pytest.skip("Slack refuses inside a 200")
    with pytest.raises(failure) as caught:
        await every_pager(session, anything.url, 5)[kind].page(page())
    assert SECRET not in str(caught.value)
    assert len(anything.asked) == 1, "trying again is not the pager's business"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_provider_that_hangs_or_is_not_there(
    session: aiohttp.ClientSession, anything: Anything, kind: str
) -> None:
    anything.mood = "hang"
    with pytest.raises(Temporary) as caught:
        await every_pager(session, anything.url, HURRY)[kind].page(page())
    assert SECRET not in str(caught.value)
    with pytest.raises(Temporary) as caught:
        await every_pager(session, nobody(), HURRY)[kind].page(page())
    assert SECRET not in str(caught.value)


def test_who_keeps_state_is_told_of_it() -> None:
    kinds = {
        "pagerduty": PagerDutyPager,
        "opsgenie": OpsgeniePager,
        "grafana_oncall": GrafanaOncallPager,
        "webhook": WebhookPager,
        "slack": SlackPager,
        "apprise": ApprisePager,
        "console": ConsolePager,
    }
    keeps = {kind for kind, made in kinds.items() if hasattr(made, "update_alert")}
    assert keeps == set(STATEFUL_PAGERS)


async def test_pagerduty_triggers_repeats_acknowledges_and_resolves(
    session: aiohttp.ClientSession,
) -> None:
    async with PagerDuty().serving() as double:
        pager = PagerDutyPager(session, KEY, f"{double.url}/v2/enqueue", 5)
        assert isinstance(pager, KeepsState)
        assert await pager.page(page(severity="")) == "queued; dedup key 1124-0200-abcd"
        await pager.page(page(page="r1.t0.ada", text="shop: 88 % now", severity="sev1"))
        alert = double.alerts["1124-0200-abcd"]
        assert double.opened == ["1124-0200-abcd"], "a repeated page is the same alert"
        assert double.events[0]["payload"]["severity"] == "error"
        assert alert["payload"]["severity"] == "critical"
        assert "shop: 88 % now" in alert["payload"]["summary"]
        assert [link["href"] for link in alert["event"]["links"]] == [
            "http://stopgap/a/x",
            "http://stopgap/d/x",
        ]
        await pager.update_alert("1124-0200-abcd", "acknowledged")
        assert alert["state"] == "acknowledged"
        await pager.update_alert("1124-0200-abcd", "resolved")
        assert alert["state"] == "resolved"
        await pager.update_alert("of-nobody", "resolved")
        assert "of-nobody" not in double.alerts


async def test_pagerduty_gets_no_more_than_it_takes(session: aiohttp.ClientSession) -> None:
    async with PagerDuty().serving() as double:
        pager = PagerDutyPager(session, KEY, f"{double.url}/v2/enqueue", 5)
        await pager.page(page(title="ü" * 5000, text="ö" * 600_000, dedup_key="k" * 300))
        sent = double.asked[0]["body"]
        assert len(sent) < 512 * 1024
        assert double.events[0]["payload"]["summary"].endswith("…")


async def test_pagerduty_says_why_it_refuses(session: aiohttp.ClientSession) -> None:
    async with PagerDuty().serving() as double:
        pager = PagerDutyPager(session, "too-short", f"{double.url}/v2/enqueue", 5)
        with pytest.raises(Permanent, match="Length of 'routing_key' is incorrect") as caught:
            await pager.page(page())
        assert "too-short" not in str(caught.value)


async def test_opsgenie(session: aiohttp.ClientSession, anything: Anything) -> None:
    pager = OpsgeniePager(session, SECRET, anything.url, 5)
    await pager.page(page(title="x" * 200))
    assert anything.asked[0]["path"] == "/v2/alerts"
    assert anything.asked[0]["headers"]["Authorization"] == f"GenieKey {SECRET}"
    alert = anything.body()
    assert (alert["alias"], alert["priority"]) == ("1124-0200-abcd", "P2")
    assert len(alert["message"]) == 130
    assert "http://stopgap/a/x" in alert["description"]
    await pager.update_alert("a/b c", "acknowledged")
    await pager.update_alert("1124-0200-abcd", "resolved")
    assert [asked["path"] for asked in anything.asked[1:]] == [
        "/v2/alerts/a%2Fb%20c/acknowledge?identifierType=alias",
        "/v2/alerts/1124-0200-abcd/close?identifierType=alias",
    ]
    anything.mood = 404
    assert await pager.update_alert("of-nobody", "resolved") == "it knows no such alert"


async def test_grafana_oncall(session: aiohttp.ClientSession, anything: Anything) -> None:
    pager = GrafanaOncallPager(session, f"{anything.url}/{SECRET}/", 5)
    await pager.page(page())
    alert = anything.body()
    assert (alert["alert_uid"], alert["state"]) == ("1124-0200-abcd", "alerting")
    assert alert["link_to_upstream_details"] == "http://stopgap/d/x"
    assert "cannot acknowledge" in await pager.update_alert("1124-0200-abcd", "acknowledged")
    assert len(anything.asked) == 1
    await pager.update_alert("1124-0200-abcd", "resolved")
    assert anything.body() == {"alert_uid": "1124-0200-abcd", "state": "ok"}


async def test_the_webhook_is_signed_over_what_is_sent(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    await WebhookPager(session, anything.url, SECRET, 5).page(page())
    await WebhookPager(session, anything.url, None, 5).page(page())
    signed, plain = anything.asked
    digest = hmac.new(SECRET.encode(), signed["body"], hashlib.sha256).hexdigest()
    assert signed["headers"]["X-Stopgap-Signature"] == f"v1={digest}"
    assert "X-Stopgap-Signature" not in plain["headers"]
    sent = anything.body()
    assert sent["dedup_key"] == "1124-0200-abcd"
    assert sent["at"] == "2026-11-24T02:00:00+00:00"


async def test_slack_writes_to_the_person_with_a_button(session: aiohttp.ClientSession) -> None:
    async with Slack().serving() as double:
        client = slack_client(session, TOKEN, f"{double.url}/api/", 5)
        await SlackPager(client, "U0ADA").page(page(title="<!channel> & <http://evil|x>"))
        ((channel, _), sent) = next(iter(double.messages.items()))
        assert (channel, sent["channel"]) == ("D0ADA", "U0ADA")
        assert "&lt;!channel&gt; &amp;" in sent["blocks"][0]["text"]["text"]
        assert "<!channel>" not in json.dumps(sent)
        button = sent["blocks"][1]["elements"][0]
        assert (button["action_id"], button["value"]) == ("acknowledge", "1124-0200-abcd")


async def test_slack_takes_a_no_from_whoever_is_called_to_come(
    session: aiohttp.ClientSession,
) -> None:
    async with Slack().serving() as double:
        client = slack_client(session, TOKEN, f"{double.url}/api/", 5)
        await SlackPager(client, "U0ADA").page(page(summons=True))
        sent = next(iter(double.messages.values()))
        buttons = [b["action_id"] for b in sent["blocks"][1]["elements"]]
        assert buttons[:4] == ["acknowledge", "decline", "snooze-5", "snooze-15"]
        assert set(buttons[:4]) == set(SLACK_DEEDS)


async def test_a_webhook_is_reminded_only_if_it_knows_reminders_from_pages(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    assert not isinstance(WebhookPager(session, anything.url, None, 5), Reminds)
    subject = RemindingWebhook(session, anything.url, SECRET, 5)
    await subject.page(page())
    assert (anything.body()["event"], anything.body()["page"]) == ("page", "r0.t0.ada")
    await subject.remind(reminder())
    assert anything.body() == {"event": "reminder", **vars(reminder())}


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("ratelimited", Temporary),
        ("internal_error", Temporary),
        ("channel_not_found", Permanent),
        ("invalid_auth", Permanent),
    ],
)
async def test_slack_refuses_in_its_own_word(
    session: aiohttp.ClientSession, error: str, failure: type[Exception]
) -> None:
    async with Slack().serving() as double:
        double.error = error
        client = slack_client(session, TOKEN, f"{double.url}/api/", 5)
        with pytest.raises(failure, match=error) as caught:
            await SlackPager(client, "U0ADA").page(page())
        assert TOKEN not in str(caught.value)


async def test_whoever_taps_is_told_at_slacks_own_address_and_nowhere_else(
    session: aiohttp.ClientSession, anything: Anything
) -> None:
    theirs = Whisperer(session, f"{anything.url}/api/", 1)
    await theirs.whisper(f"{anything.url}/actions/1", "you command it")
    assert anything.body()["text"] == "you command it"
    others = Whisperer(session, "https://slack.com/api/", 1)
    for address in (anything.url, "", "nonsense", "http://[", "https://slack.com.example/x"):
        await others.whisper(address, "you command it")
    assert len(anything.asked) == 1
    for anything.mood in (500, "hang"):
        await theirs.whisper(f"{anything.url}/actions/1", "nobody hears it, and nothing breaks")


def test_apprise_does_not_repeat_what_it_does_not_know() -> None:
    with pytest.raises(Permanent) as caught:
        ApprisePager(f"nonsense://{SECRET}", LOOPBACK)
    assert SECRET not in str(caught.value)


async def test_apprise_delivers_over_http(anything: Anything) -> None:
    url = anything.url.replace("http://", "json://")
    assert await ApprisePager(url, LOOPBACK).page(page()) == "accepted by apprise"
    assert "rollback is running" in anything.body()["message"]
    anything.mood = 500
    with pytest.raises(Temporary, match="could not deliver"):
        await ApprisePager(url, LOOPBACK).page(page())


async def test_what_wakes_nobody_reminds(anything: Anything) -> None:
    subject = ApprisePager(anything.url.replace("http://", "json://"), LOOPBACK)
    assert isinstance(subject, Reminds)
    assert await subject.remind(reminder()) == "accepted by apprise"
    assert anything.body()["type"] == "info", "nothing is broken"
    assert "http://stopgap/i" in anything.body()["message"]
    console = ConsolePager()
    assert isinstance(console, Reminds)
    assert await console.remind(reminder()) == "written to the console"


@pytest.mark.parametrize("kind", [PagerDutyPager, OpsgeniePager, GrafanaOncallPager, WebhookPager])
def test_what_calls_people_reminds_nobody(kind: type[Pager]) -> None:
    assert not hasattr(kind, "remind")


async def test_apprise_keeps_its_log_to_itself(
    anything: Anything, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    anything.mood = 500
    url = anything.url.replace("http://", f"json://{SECRET}:{SECRET}@")
    with pytest.raises(Temporary) as caught:
        await ApprisePager(f"{url}/{SECRET}", LOOPBACK).page(page())
    with pytest.raises(Permanent):
        ApprisePager(f"tgram://{SECRET}", LOOPBACK)
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text
    assert [record for record in caplog.records if record.name == "apprise"] == []


async def test_labels_make_no_markup_where_apprise_writes_html(anything: Anything) -> None:
    url = anything.url.replace("http://", "json://") + "/?format=html"
    await ApprisePager(url, LOOPBACK).page(page(text="<img src=x>"))
    assert "&lt;img" in anything.body()["message"]
    assert "<img" not in anything.body()["message"]


def test_what_stands_below_the_title_does_not_say_it_again() -> None:
    assert page().body == "rollback is running"
    assert page(text="shop: success rate 99.1 % → 90.3 %\nSeverity: sev2").body == "Severity: sev2"
    assert page(text="late: x").body == "late: x"
    assert page(text="shop: success rate 99.1 % → 90.3 %").body == page().title


async def test_a_text_message_gets_the_short_form(
    anything: Anything, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyJSON, "body_maxlen", 160)
    subject = ApprisePager(anything.url.replace("http://", "json://"), LOOPBACK)
    await subject.page(page(short="sev2 shop: 99.1 % → 90.3 %", text="long " * 500))
    assert anything.body()["message"] == "sev2 shop: 99.1 % → 90.3 %\nhttp://stopgap/a/x"


async def test_where_there_is_nothing_but_text_the_alerts_links_are_lines(
    anything: Anything,
) -> None:
    links = (("Runbook", "https://r.example/1"), ("Silence", "https://am.example/#/silences/new"))
    await ApprisePager(anything.url.replace("http://", "json://"), LOOPBACK).page(page(links=links))
    text = anything.body()["message"]
    assert text.endswith("Runbook: https://r.example/1\nSilence: https://am.example/#/silences/new")
