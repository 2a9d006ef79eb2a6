"""From the roster to the ways by which people and audiences are really reached."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from daemon.adapters.channels.apprise import AppriseChannel
from daemon.adapters.channels.console import ConsoleChannel
from daemon.adapters.channels.mail import MailChannel
from daemon.adapters.channels.slack import SlackChannel
from daemon.adapters.channels.webhook import WebhookChannel
from daemon.adapters.pagers.apprise import ApprisePager
from daemon.adapters.pagers.console import ConsolePager
from daemon.adapters.pagers.grafana_oncall import GrafanaOncallPager
from daemon.adapters.pagers.mail import MailPager
from daemon.adapters.pagers.opsgenie import OpsgeniePager
from daemon.adapters.pagers.pagerduty import PagerDutyPager
from daemon.adapters.pagers.slack import SlackPager
from daemon.adapters.pagers.webhook import WebhookPager
from daemon.app.notifiers import NotifierBuilder
from daemon.config.settings import Settings, secret
from daemon.core.people.contact_methods import WAYS, ChannelSpec
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import KeepsState, Message, Page
from daemon.core.response.pager_sync import STATEFUL_PAGERS
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import one_document
from tests.doubles.serving import Double
from tests.loopback import OUTGOING

ROSTER = """
people:
  ada:
    name: Ada
    contact:
      - pagerduty: env:PD_KEY
      - grafana_oncall: env:HOOK
      - opsgenie: env:OG_KEY
      - {webhook: "env:HOOK", secret: "file:signing"}
      - slack: U0ADA01
      - email: ada@example.org
      - apprise: env:APPRISE
      - console: true
  bo: {name: Bo, contact: [{webhook: "env:HOOK"}, {webhook: "env:OTHER"}]}
policies:
  all: {tiers: [{notify: [ada, bo]}]}
default_policy: all
channels:
  chat: {slack: C0ROOM1}
  status-page: {webhook: "env:HOOK", secret: "file:signing"}
  bosses: {email: [a@example.org, b@example.org]}
  bridge: {apprise: env:APPRISE}
  log: {console: true}
"""
SETTINGS: dict[str, Any] = {
    "outgoing": OUTGOING,
    "slack": {"token": "env:SLACK"},
    "smtp": {"username": "stopgap", "password": "env:SMTP"},
}
AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
PAGE = Page("1124-0200-abcd", "p1", "ada", "shop", "it fails", "sev2", "http://d", AT, "key")
MESSAGE = Message("1124-0200-abcd", "a.1", 1, "a", "shop", "it fails", "sev2", "early", "", AT)


class Receiver(Double):
    """Takes every POST, with the status that its service has for that."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{path:.*}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        status = 200 if request.path.startswith("/slack/") else 202
        return web.json_response({"ok": True, "channel": "C0ROOM1", "ts": "1.2"}, status=status)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
def environ() -> dict[str, str]:
    """All the secrets that the roster and the settings name."""
    return {
        "PD_KEY": "R" * 32,
        "OG_KEY": "genie",
        "HOOK": "http://127.0.0.1:9/hook",
        "OTHER": "http://127.0.0.1:9/other",
        "APPRISE": "json://127.0.0.1:9/",
        "SLACK": "xoxb-1",
        "SMTP": "hunter2",
    }


def reach(
    session: aiohttp.ClientSession, folder: Path, environ: dict[str, str], **settings: Any
) -> NotifierBuilder:
    (folder / "signing").write_text("the signing key\n")
    chosen = Settings.model_validate({**SETTINGS, **settings})
    return NotifierBuilder(chosen, session, lambda reference: secret(reference, environ, folder))


def roster(text: str = ROSTER) -> Roster:
    return one_document(text, "roster.yaml").read(Roster)


async def test_every_kind_of_contact_becomes_its_pager(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    ways = reach(session, tmp_path, environ).ways(roster())
    assert [(name, type(pager)) for name, pager in ways["ada"]] == [
        ("pagerduty-1", PagerDutyPager),
        ("grafana_oncall-2", GrafanaOncallPager),
        ("opsgenie-3", OpsgeniePager),
        ("webhook-4", WebhookPager),
        ("slack-5", SlackPager),
        ("email-6", MailPager),
        ("apprise-7", ApprisePager),
        ("console-8", ConsolePager),
    ]
    assert [name for name, _ in ways["bo"]] == ["webhook-1", "webhook-2"], "two of a kind differ"
    known = {name.rpartition("-")[0] for name, _ in ways["ada"]}
    assert known == set(WAYS), "a new kind belongs into this test"
    keep = {name.rpartition("-")[0] for name, p in ways["ada"] if isinstance(p, KeepsState)}
    assert keep == set(STATEFUL_PAGERS)


async def test_every_kind_of_channel(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    channels = reach(session, tmp_path, environ).channels(roster())
    assert {name: type(channel) for name, channel in channels.items()} == {
        "chat": SlackChannel,
        "status-page": WebhookChannel,
        "bosses": MailChannel,
        "bridge": AppriseChannel,
        "log": ConsoleChannel,
    }
    assert len(ChannelSpec.model_fields) == len(channels) + 1, "each kind, and `secret`"


async def test_each_goes_where_its_settings_and_secrets_say(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    async with Receiver().serving() as receiver:
        settings = {
            "pagerduty": {"url": f"{receiver.url}/pd"},
            "opsgenie": {"url": f"{receiver.url}/og"},
            "slack": {"token": "env:SLACK", "url": f"{receiver.url}/slack"},
        }
        environ["HOOK"] = f"{receiver.url}/hook"
        built = reach(session, tmp_path, environ, **settings)
        ways = dict(built.ways(roster())["ada"])
        for name in ("pagerduty-1", "grafana_oncall-2", "opsgenie-3", "webhook-4", "slack-5"):
            await ways[name].page(PAGE)
        channels = built.channels(roster())
        for name in ("chat", "status-page"):
            await channels[name].post(MESSAGE)
        asked = receiver.asked
    assert [request["path"] for request in asked] == [
        "/pd",
        "/hook",
        "/og/v2/alerts",
        "/hook",
        "/slack/chat.postMessage",
        "/slack/chat.postMessage",
        "/hook",
    ]
    pagerduty, plain, opsgenie, signed, direct, chat, status = asked
    assert json.loads(pagerduty["body"])["routing_key"] == "R" * 32
    assert opsgenie["headers"]["Authorization"] == "GenieKey genie"
    assert direct["headers"]["Authorization"] == "Bearer xoxb-1"
    assert json.loads(direct["body"])["channel"] == "U0ADA01"
    assert json.loads(chat["body"])["channel"] == "C0ROOM1"
    assert "X-Stopgap-Signature" not in plain["headers"]
    for request in (signed, status):
        assert request["headers"]["X-Stopgap-Signature"].startswith("v1=")


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        *(("PD_KEY", "PD_KEY"), ("OG_KEY", "OG_KEY"), ("HOOK", "HOOK"), ("OTHER", "OTHER")),
        *(("SLACK", "SLACK"), ("SMTP", "SMTP"), ("APPRISE", "APPRISE")),
    ],
)
async def test_a_secret_that_is_not_there_is_named(
    session: aiohttp.ClientSession,
    tmp_path: Path,
    environ: dict[str, str],
    missing: str,
    named: str,
) -> None:
    del environ[missing]
    with pytest.raises(Permanent, match=f"variable {named} is not set") as caught:
        reach(session, tmp_path, environ).ways(roster())
    assert not [value for value in environ.values() if value in str(caught.value)]


@pytest.mark.parametrize("missing", ["SLACK", "HOOK", "SMTP", "APPRISE"])
async def test_so_is_one_of_a_channel(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str], missing: str
) -> None:
    del environ[missing]
    with pytest.raises(Permanent, match=f"variable {missing} is not set"):
        reach(session, tmp_path, environ).channels(roster())


async def test_a_signing_secret_in_a_file_that_is_not_there(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    built = reach(session, tmp_path, environ)
    (tmp_path / "signing").unlink()
    for build in (built.ways, built.channels):
        with pytest.raises(Permanent, match="cannot read the secret in signing"):
            build(roster())


async def test_slack_needs_the_bots_token(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    without = reach(session, tmp_path, environ, slack={})
    for build in (without.ways, without.channels):
        with pytest.raises(Permanent, match=r"needs `slack\.token`"):
            build(roster())
    quiet = ROSTER.replace("      - slack: U0ADA01\n", "").replace("  chat: {slack: C0ROOM1}\n", "")
    assert len(without.ways(roster(quiet))["ada"]) == 7, "without Slack it needs no token"
    assert "chat" not in without.channels(roster(quiet))


async def test_an_apprise_url_of_no_known_kind_is_refused_at_the_start(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    environ["APPRISE"] = "nonsense://s3cret"
    built = reach(session, tmp_path, environ)
    for build in (built.ways, built.channels):
        with pytest.raises(Permanent, match="apprise does not know") as caught:
            build(roster())
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("security", "starttls", "tls"),
    [("none", False, False), ("starttls", True, False), ("tls", False, True)],
)
async def test_mail_goes_as_the_settings_say(
    session: aiohttp.ClientSession,
    tmp_path: Path,
    environ: dict[str, str],
    security: str,
    starttls: bool,
    tls: bool,
) -> None:
    host = "localhost" if security == "none" else "mail.example"
    chosen = {**SETTINGS["smtp"], "host": host, "port": 587, "security": security}
    built = reach(session, tmp_path, environ, smtp=chosen)
    pager = dict(built.ways(roster())["ada"])["email-6"]
    assert isinstance(pager, MailPager)
    office = pager._post_office
    assert (office._host, office._port) == (host, 587)
    assert (office._username, office._password) == ("stopgap", "hunter2")
    assert (office._starttls, office._tls) == (starttls, tls)


async def test_a_page_by_the_console_is_always_delivered(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    ways = dict(reach(session, tmp_path, environ).ways(roster())["ada"])
    told = await ways["console-8"].page(replace(PAGE, severity=""))
    assert told == "written to the console"


async def test_an_address_that_is_none_is_told_with_its_place_when_it_is_built(
    session: aiohttp.ClientSession, tmp_path: Path, environ: dict[str, str]
) -> None:
    """At the start, that is, though the library is loaded only where somebody uses it."""
    environ["APPRISE"] = "hunter2"
    built = reach(session, tmp_path, environ)
    with pytest.raises(Permanent, match=r"^people\.ada\.contact: apprise does not know") as pager:
        built.ways(roster())
    with pytest.raises(Permanent, match=r"^channels\.bridge: apprise does not know") as channel:
        built.channels(roster())
    assert "hunter2" not in f"{pager.value} {channel.value}"
