"""The webhook of the running daemon: what it takes, what it refuses, and what it says then."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, delivery, encoded
from tests.acceptance.running import SETTINGS, Daemon, lay_out
from tests.acceptance.waiting import until

MEGABYTE = 1 << 20
WEBHOOK_TOKEN = "alertmanager's own"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the whole file; every test has services of its own."""
    settings = SETTINGS.replace("budget: 1000", "budget: 1000, storm: 1000")
    settings += "auth: {webhook_token: env:STOPGAP_WEBHOOK_TOKEN}\n"
    one = Daemon(lay_out(tmp_path_factory.mktemp("daemon"), settings=settings))
    yield one.start({"STOPGAP_WEBHOOK_TOKEN": WEBHOOK_TOKEN})
    one.drop()


class Sender:
    """Alertmanager, as far as the daemon can tell."""

    def __init__(self, http: aiohttp.ClientSession, daemon: Daemon) -> None:
        self.http = http
        self.daemon = daemon

    async def posts(self, body: bytes, token: str | None = WEBHOOK_TOKEN) -> tuple[int, Any]:
        """POST a body; returns the status and the JSON of the answer."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.daemon.url}/api/v1/alerts"
        async with self.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
            if answer.status != 200:
                assert answer.content_type == "application/problem+json"
            return answer.status, await answer.json(content_type=None)

    async def settled(self) -> None:
        """Wait until everything that was taken has reached its incidents."""
        journal = self.daemon.journal
        await until("the inbox to be empty", lambda: journal.unprocessed() == 0)

    def told(self, service: str) -> list[tuple[str, dict[str, Any]]]:
        """(incident, alert) for each time that an alert of the service was journaled."""
        alerts = self.daemon.journal.alerts()
        return [(i, a) for i, a in alerts if a["labels"].get("service") == service]

    def incidents(self, service: str) -> int:
        """How many incidents were opened for the service."""
        opened = self.daemon.journal.entries("IncidentOpened")
        return sum(o.event["group_labels"].get("service") == service for o in opened)


@pytest.fixture
def sender(http: aiohttp.ClientSession, daemon: Daemon) -> Sender:
    """Posts to the daemon of this file."""
    return Sender(http, daemon)


@pytest.mark.parametrize(
    ("service", "fields", "without"),
    [
        ("format-of-0.15", {}, ["truncatedAlerts", "commonAnnotations", "externalURL"]),
        ("format-of-0.25", {}, []),
        (
            "format-of-0.34",
            {"notification_reason": "repeat", "routeLabels": {"team": "shop"}, "later": [1, {}]},
            [],
        ),
    ],
)
async def test_every_minor_of_format_4_is_stored(
    sender: Sender, service: str, fields: dict[str, Any], without: list[str]
) -> None:
    content = delivery(alert(service), **fields)
    for name in without:
        del content[name]
    assert await sender.posts(json.dumps(content).encode()) == (200, {"stored": True, "alerts": 1})
    await sender.settled()
    assert len(sender.told(service)) == 1


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"version": "4", "alerts": [', "the body"),
        (b"", "the body"),
        (b"\xff\xfe{}", "the body"),
        (b"[1, 2]", "the body"),
        (b"null", "the body"),
        (b'"4"', "the body"),
        (b"[" * 100_000, "the body"),
        (encoded(alert(), version="3"), "version"),
        (encoded(alert(), version=4), "version"),
        (encoded(alert(), receiver=None), "receiver"),
        (encoded(alert(), alerts={}), "alerts"),
        (encoded({**alert(), "status": "maybe"}), "alerts.0.status"),
        (encoded({**alert(), "startsAt": "yesterday"}), "alerts.0.startsAt"),
        (encoded({**alert(), "labels": {"service": "a", "x": 1}}), "alerts.0.labels.x"),
        (encoded(alert(), truncatedAlerts=-1), "truncatedAlerts"),
    ],
)
async def test_what_is_not_the_format_is_refused_and_the_field_is_named(
    sender: Sender, body: bytes, named: str
) -> None:
    before = sender.daemon.journal.deliveries()
    status, problem = await sender.posts(body)
    assert (status, problem["status"]) == (400, 400)
    assert named in problem["detail"]
    assert len(problem["detail"]) < 1000
    assert sender.daemon.journal.deliveries() == before


async def test_a_label_that_is_too_long_comes_through_shortened(sender: Sender) -> None:
    assert (await sender.posts(encoded(alert("long", instance="x" * 20_000))))[0] == 200
    await sender.settled()
    ((_, told),) = sender.told("long")
    assert len(told["labels"]["instance"].encode()) == 16 * 1024
    assert "20000 bytes, SHA-256" in told["labels"]["instance"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_at_the_edge_of_the_calendar_is_no_crash(sender: Sender, moment: str) -> None:
    service = f"edge-{moment[:4]}"
    given = {**alert(service), "startsAt": moment}
    status, _ = await sender.posts(encoded(given, {**given, "endsAt": moment}))
    assert status in {200, 400}
    await sender.settled()


async def test_a_body_that_is_too_large_is_refused_and_the_daemon_lives(sender: Sender) -> None:
    status, problem = await sender.posts(b" " * (20 * MEGABYTE))
    assert status == 413
    assert "inbox.max_body_bytes" in problem["detail"]
    assert (await sender.posts(encoded(alert("after-the-flood"))))[0] == 200


@pytest.mark.parametrize("token", [None, "", "wrong", "ada's own", "é"])
async def test_a_wrong_token_is_refused(sender: Sender, token: str | None) -> None:
    before = sender.daemon.journal.deliveries()
    status, problem = await sender.posts(encoded(alert("unknown-sender")), token)
    assert status == 401
    assert WEBHOOK_TOKEN not in json.dumps(problem)
    assert sender.daemon.journal.deliveries() == before


async def test_the_token_may_come_as_the_password_of_basic_auth(sender: Sender) -> None:
    credentials = base64.b64encode(f"alertmanager:{WEBHOOK_TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    url = f"{sender.daemon.url}/api/v1/alerts"
    async with sender.http.post(url, data=encoded(alert("basic")), headers=headers) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "hostile",
    [
        "quo\"ted'",
        "{{ .Labels }} } {",
        "two\nlines\r\n",
        "$(touch hacked) `touch hacked`; touch hacked",
        '"}[1m])) or vector(1) #',
        "x" * 10_000,
        "\x00\x1b[2J\x07",
        "é漢字😀",
        "../../hacked",
        "%s %d {0} $service",
    ],
)
async def test_hostile_labels_make_one_incident_and_nothing_else(
    sender: Sender, hostile: str
) -> None:
    assert (await sender.posts(encoded(alert(hostile, instance=hostile))))[0] == 200
    await sender.settled()
    assert sender.incidents(hostile) == 1
    assert [a["labels"]["instance"] for _, a in sender.told(hostile)] == [hostile]
    journal = sender.daemon.journal
    incident = sender.told(hostile)[0][0]
    await until("a page", lambda: journal.entries("PageDelivered", incident))
    await until("a measurement", lambda: journal.entries("ProblemDefined", incident))
    assert not list(sender.daemon.folder.rglob("*hacked*"))
    assert not list(sender.daemon.folder.parent.glob("*hacked*"))


async def test_the_same_delivery_twice_is_told_once(sender: Sender) -> None:
    body = encoded(alert("twice"))
    assert (await sender.posts(body))[1]["stored"] is True
    assert (await sender.posts(body))[1]["stored"] is False
    again = json.loads(body)
    again["alerts"][0]["annotations"]["summary"] = "another value now"
    assert (await sender.posts(json.dumps(again).encode()))[1]["stored"] is False
    await sender.settled()
    assert (await sender.posts(body))[1]["stored"] is False
    assert sender.incidents("twice") == 1
    assert len(sender.told("twice")) == 1


async def test_the_two_receivers_of_one_alert_share_an_incident(sender: Sender) -> None:
    for receiver in ("stopgap", "stopgap\\.too"):
        body = encoded(alert("two-receivers"), receiver=receiver)
        assert (await sender.posts(body))[1]["stored"] is True
    await sender.settled()
    assert sender.incidents("two-receivers") == 1
    assert len(sender.told("two-receivers")) == 1


async def test_a_firing_alert_that_comes_after_its_end_opens_nothing(sender: Sender) -> None:
    over = encoded(alert("stale", started=10, ended=60))
    late = encoded(alert("stale", started=10))
    for body in (over, late):
        assert (await sender.posts(body))[0] == 200
        await sender.settled()
    assert sender.incidents("stale") == 0
    await sender.posts(encoded(alert("stale", started=90)))
    await sender.settled()
    assert sender.incidents("stale") == 1


async def test_an_old_end_does_not_end_an_alert_that_fires_again(sender: Sender) -> None:
    """Alertmanager's peers may deliver in any order."""
    for body in (
        encoded(alert("again", started=90)),
        encoded(alert("again", started=10, ended=60)),
    ):
        await sender.posts(body)
        await sender.settled()
    assert [a["status"] for _, a in sender.told("again")] == ["firing"]
