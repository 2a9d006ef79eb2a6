"""What the real Alertmanager lists and does not tell of: silences, restarts, other receivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon.adapters.alertmanager import Alertmanager as ApiClient
from daemon.core.ports.alerts import Silencing
from daemon.core.rules.matchers import Matcher
from tests.acceptance.running import SETTINGS, TOKEN, Daemon, lay_out
from tests.acceptance.servers import Alertmanager, killable_alertmanager
from tests.acceptance.waiting import until

CONFIG = """
route:
  receiver: nobody
  group_by: [alertname, service]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - {matchers: ['to="stopgap"'], receiver: stopgap.hook}
    - {matchers: ['to="others"'], receiver: others}
receivers:
  - name: nobody
  - name: others
  - name: stopgap.hook
    webhook_configs: [{url: "STOPGAP/api/v1/alerts"}]
"""
RECONCILE = (
    "alertmanager: {{url: '{url}', reconcile: 1s, settle: {settle}, silence_acknowledged: 1h}}\n"
)
Pair = tuple[Daemon, Alertmanager]


@dataclass
class Scene:
    """A daemon, and the Alertmanager that posts to it and that it looks at."""

    daemon: Daemon
    alertmanager: Alertmanager
    http: aiohttp.ClientSession
    started: dict[str, str] = field(default_factory=dict)

    async def fires(self, service: str, to: str = "stopgap") -> None:
        """Prometheus sends a new firing."""
        self.started[service] = datetime.now(UTC).isoformat()
        await self.resends(service, to)

    async def resends(self, service: str, to: str = "stopgap") -> None:
        """Prometheus sends it once more."""
        await self._post([_alert(service, to, self.started[service])])

    async def ends(self, service: str, to: str = "stopgap") -> None:
        """Prometheus sends its end."""
        ended = {"endsAt": datetime.now(UTC).isoformat()}
        await self._post([_alert(service, to, self.started[service]) | ended])

    async def silenced(self, service: str, until_: datetime) -> str:
        """Ada silences a service; returns the silence's id."""
        body = {
            "matchers": [{"name": "service", "value": service, "isRegex": False, "isEqual": True}],
            "startsAt": datetime.now(UTC).isoformat(),
            "endsAt": until_.isoformat(),
            "createdBy": "ada",
            "comment": "a planned move",
        }
        async with self.http.post(f"{self.alertmanager.url}/api/v2/silences", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["silenceID"])

    async def unsilenced(self, silence: str) -> None:
        """The silence is lifted."""
        address = f"{self.alertmanager.url}/api/v2/silence/{silence}"
        async with self.http.delete(address) as answer:
            assert answer.status == 200, await answer.text()

    def incidents(self, service: str) -> list[str]:
        """The incidents of a service, oldest first."""
        opened = self.daemon.journal.entries("IncidentOpened")
        ours = [one for one in opened if one.event["group_labels"].get("service") == service]
        return [one.incident for one in sorted(ours, key=lambda one: one.at)]

    def last(self, service: str) -> dict[str, Any]:
        """What the newest incident of a service heard last of its alert."""
        heard = self.daemon.journal.entries("AlertsReceived", self.incidents(service)[-1])
        alerts: Sequence[dict[str, Any]] = [a for one in heard for a in one.event["alerts"]]
        return alerts[-1]

    async def looked_at(self, times: int) -> None:
        """Wait until Alertmanager was looked at so often, as an alert of its own shows that is
        silenced and unsilenced in turn."""
        service = f"marker-{len(self.started)}"
        await self.fires(service)
        (marker,) = await until("the marker", lambda: self.incidents(service))
        silence = ""
        for count in range(1, times + 1):
            if count % 2:
                silence = await self.silenced(service, datetime.now(UTC) + timedelta(hours=1))
            else:
                await self.unsilenced(silence)
            seen = lambda: self.suppressed(marker)[count - 1 :]  # noqa: B023, E731
            await until("a look", seen)

    def suppressed(self, incident: str) -> list[Any]:
        """How often an incident heard what suppresses its alerts."""
        return self.daemon.journal.entries("AlertsSuppressed", incident)

    async def closes(self, incident: str) -> None:
        """Ada closes an incident."""
        await self.does(incident, "close", {"reason": "over"})

    async def does(self, incident: str, deed: str, body: dict[str, Any] | None = None) -> None:
        """Ada does something to an incident."""
        address = f"{self.daemon.url}/api/v1/incidents/{incident}/{deed}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.post(address, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def state(self, service: str) -> dict[str, Any]:
        """What Alertmanager says of a service's alert: its state, and what silences it."""
        address = f"{self.alertmanager.url}/api/v2/alerts"
        async with self.http.get(address) as answer:
            alerts: list[dict[str, Any]] = await answer.json()
        (status,) = [a["status"] for a in alerts if a["labels"]["service"] == service]
        return dict(status)

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        address = f"{self.alertmanager.url}/api/v2/alerts"
        async with self.http.post(address, json=alerts) as answer:
            assert answer.status == 200, await answer.text()


def _alert(service: str, to: str, started: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": "QueueFull", "service": service, "to": to},
        "startsAt": started,
    }


@contextmanager
def pair(folder: Path, settle: str) -> Iterator[Pair]:
    """Each has to know the other's address: so the daemon is started twice on the same port."""
    daemon = Daemon(lay_out(folder))
    try:
        daemon.start()
        listen = daemon.url.removeprefix("http://")
        daemon.stop()
        config = CONFIG.replace("STOPGAP", daemon.url)
        with killable_alertmanager(folder / "alertmanager", config) as server:
            more = RECONCILE.format(url=server.url, settle=settle)
            lay_out(folder, settings=SETTINGS.replace("127.0.0.1:0", listen) + more)
            yield daemon.start(), server
    finally:
        daemon.drop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Of an Alertmanager that runs, every list counts at once."""
    with pair(tmp_path_factory.mktemp("reconciliation"), "0s") as both:
        yield both


@pytest.fixture
def scene(running: Pair, http: aiohttp.ClientSession) -> Scene:
    return Scene(*running, http)


async def test_the_outage_after_a_silence_is_paged(scene: Scene) -> None:
    await scene.fires("shop")
    (first,) = await until("its incident", lambda: scene.incidents("shop"))
    silence = await scene.silenced("shop", datetime(2036, 1, 1, 14, tzinfo=UTC))
    ((told,),) = [s.event["suppressed"] for s in await until("it", lambda: scene.suppressed(first))]
    assert (told["how"], told["by"], told["reason"]) == ("silenced", "ada", "a planned move")
    assert told["until"].startswith("2036-01-01T14:00")
    await scene.ends("shop")
    await until("its end", lambda: scene.last("shop")["status"] == "resolved")
    await scene.closes(first)
    await scene.unsilenced(silence)
    await scene.fires("shop")
    (second,) = await until("a new incident", lambda: scene.incidents("shop")[1:])
    delivered = lambda: scene.daemon.journal.entries("PageDelivered", second)  # noqa: E731
    await until("a page", delivered)


async def test_an_acknowledgement_silences_its_group_alone_until_command_falls_vacant(
    scene: Scene,
) -> None:
    await scene.fires("loud")
    await scene.fires("mine")
    (incident,) = await until("its incident", lambda: scene.incidents("mine"))
    await scene.does(incident, "ack")
    entries = scene.daemon.journal.entries
    (kept,) = await until("a silence", lambda: entries("SilenceSet", incident))
    silence = kept.event["silence"]
    assert kept.event["link"] == f"{scene.alertmanager.url}/#/silences/{silence}"
    assert (await scene.state("mine"))["silencedBy"] == [silence]
    assert (await scene.state("loud"))["state"] == "active"
    peer = ApiClient(scene.http, scene.alertmanager.url, 5)
    shown = await peer.silence(silence)
    assert (shown.by, incident in shown.comment) == ("stopgap", True)
    (standing,) = await peer.standing(f"Stopgap {incident}:")
    matchers = tuple(
        Matcher(name=name, op="=", value=value)
        for name, value in (("alertname", "QueueFull"), ("service", "mine"))
    )
    longer = Silencing(matchers, shown.until + timedelta(hours=1), shown.comment)
    assert (await peer.put(longer, standing))[0] == silence, "extended in place"
    await scene.looked_at(3)
    assert scene.suppressed(incident) == [], "it is our own doing"
    assert scene.last("mine")["status"] == "firing"
    await scene.does(incident, "leave")
    await until("its end", lambda: entries("SilenceLifted", incident))
    assert (await scene.state("mine"))["state"] == "active"


async def test_alerts_of_other_receivers_are_left_to_them(scene: Scene) -> None:
    await scene.fires("theirs", to="others")
    await scene.looked_at(3)
    assert scene.incidents("theirs") == []


async def test_an_alertmanager_that_was_killed_and_is_empty_ends_nothing(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    with pair(tmp_path, "10m") as both:
        scene = Scene(*both, http)
        await scene.fires("kept")
        (kept,) = await until("its incident", lambda: scene.incidents("kept"))
        await scene.looked_at(1)
        scene.alertmanager.kill()
        away = "an Alertmanager does not answer; what it keeps to itself is not noticed"
        await until("the outage", lambda: scene.daemon.logged(away))
        scene.alertmanager.start()
        await scene.looked_at(3)
        assert scene.last("kept")["status"] == "firing"
        await scene.resends("kept")
        await scene.looked_at(2)
        assert len(scene.daemon.journal.entries("AlertsReceived", kept)) == 1
        assert len(scene.daemon.logged(away)) == 1
