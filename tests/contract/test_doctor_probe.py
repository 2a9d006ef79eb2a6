"""The test alert of `stopgap doctor`: whom it goes to, and what the daemon makes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from daemon import app
from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.store import Store, open_store
from daemon.app.alertmanager import probes_for
from daemon.cli.doctor import probe
from daemon.cli.doctor.context import Installation
from daemon.cli.doctor.probe import prove_route
from daemon.config.settings import Settings
from daemon.core.alertmanager import RECONCILED
from daemon.core.reconciliation.probe_alerts import PROBE_LABEL, PROBE_NOTE, signed_labels
from daemon.core.rules.rule import RuleBook
from daemon.intake.intake import Intake
from daemon.onboarding.findings import Finding
from daemon.repository import IncidentRepository
from tests.doubles.alertmanager import FakeAlertmanager
from tests.doubles.serving import Double

OURS = {"route": {"receiver": "mail", "routes": [{"receiver": "stopgap"}]}}
CATCH_ALL = {
    "route": {
        "receiver": "mail",
        "routes": [{"receiver": "stopgap", "continue": True}, {"receiver": "pager"}],
    }
}


class Ready(Double):
    """A daemon that says that it is ready."""

    def routes(self) -> list[web.RouteDef]:
        async def ready(_: web.Request) -> web.Response:
            return web.Response(text="Stopgap is Ready.\n")

        return [web.get("/-/ready", ready)]


class Chain:
    """Alertmanager and daemon as doubles, with the daemon's own intake on a real store."""

    def __init__(self, store: Store, alerts: FakeAlertmanager, settings: Settings) -> None:
        self.store = store
        self.alerts = alerts
        self.settings = settings
        self.repository = IncidentRepository(store.journal, app.now)
        self.intake = Intake(
            store.inbox,
            self.repository,
            lambda: RuleBook(()),
            None,
            timedelta(hours=1),
            probes=probes_for(store),
        )

    async def deliver(
        self, alert: Mapping[str, Any], status: str = "firing", group: str = "{}"
    ) -> None:
        """Alertmanager's webhook tells of that alert."""
        body = {
            "version": "4",
            "groupKey": group,
            "receiver": "stopgap",
            "status": status,
            "groupLabels": {},
            "alerts": [{**alert, "status": status, "endsAt": "0001-01-01T00:00:00Z"}],
        }
        await self.intake.receive(json.dumps(body).encode())
        async with asyncio.TaskGroup() as tasks:
            assert await self.intake._work(tasks)

    async def proves(
        self,
        config: Mapping[str, Any] = OURS,
        *,
        test_alert: bool | None = None,
        guessed: bool = False,
        ours: str = "stopgap",
    ) -> Finding:
        """What doctor finds."""
        async with aiohttp.ClientSession() as session:
            installation = Installation(
                *(self.settings, {}, None, None, {}, session),  # type: ignore[arg-type]
                test_alert=test_alert,
            )
            peer = Alertmanager(session, self.alerts.url, 5.0)
            proof = await prove_route(installation, config, [ours], peer, guessed=guessed)
        assert proof.arrived == ("came through it" in proof.finding.text)
        return proof.finding

    @property
    async def incidents(self) -> int:
        """How many are open."""
        return len(await self.store.journal.open_heads())


@pytest.fixture
async def chain(tmp_path: Path) -> AsyncIterator[Chain]:
    async with (
        FakeAlertmanager().serving() as alerts,
        Ready().serving() as ready,
        open_store(tmp_path / "stopgap.db") as store,
    ):
        address = ready.url.removeprefix("http://")
        settings = Settings.model_validate({"listen": address, "base": tmp_path})
        yield Chain(store, alerts, settings)


def delivering(chain: Chain) -> None:
    """Alertmanager sends on what it is given while it fires."""
    known: set[str] = set()

    async def posted(alert: dict[str, Any]) -> None:
        if alert["labels"][PROBE_LABEL] not in known:
            known.add(alert["labels"][PROBE_LABEL])
            await chain.deliver(alert)

    chain.alerts.on_post = posted


async def test_what_arrives_is_proof_and_no_incident(chain: Chain) -> None:
    delivering(chain)
    with capture_logs() as logs:
        found = await chain.proves()
    assert found.state == "ok"
    assert "a test alert came through it by stopgap in" in found.text
    assert [line["event"] for line in logs if "test alert" in line["event"]] == [
        "a test alert of `stopgap doctor` arrived; it pages nobody"
    ]
    assert await chain.incidents == 0
    first, last = chain.alerts.posted[0], chain.alerts.posted[-1]
    assert first["labels"] == last["labels"]
    assert last["endsAt"] < first["endsAt"]  # it is let go at once
    assert first["startsAt"] < app.now().isoformat()
    again = await chain.proves()
    assert again.state == "ok"
    assert len(set(await chain.store.notes.read(PROBE_NOTE))) == 2


async def test_its_end_says_nothing_either(chain: Chain) -> None:
    secret = chain.store.keys.current.signing.secret
    labels = signed_labels({"alertname": "StopgapTestAlert_1"}, "1", secret, app.now())
    alert = {"labels": labels, "startsAt": app.now().isoformat()}
    await chain.deliver(alert, "resolved")
    assert await chain.store.notes.read(PROBE_NOTE) == ()
    assert await chain.incidents == 0


async def test_that_alertmanager_lists_it_is_no_proof_that_it_arrives(chain: Chain) -> None:
    """Its list is taken in, too: a broken webhook must not pass by that."""
    secret = chain.store.keys.current.signing.secret
    labels = signed_labels({"alertname": "StopgapTestAlert_1"}, "1", secret, app.now())
    alert = {"labels": labels, "startsAt": app.now().isoformat()}
    await chain.deliver(alert, group=f"{RECONCILED}stopgap")
    assert await chain.store.notes.read(PROBE_NOTE) == ()
    assert await chain.incidents == 0


@pytest.mark.parametrize(
    "forge",
    [
        lambda labels: {**labels, "service": "checkout"},
        lambda labels: {**labels, PROBE_LABEL: "yes"},
        lambda labels: {"alertname": "CheckoutFails", PROBE_LABEL: labels[PROBE_LABEL]},
    ],
)
async def test_nobody_hides_trouble_by_its_label(
    chain: Chain, forge: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    secret = chain.store.keys.current.signing.secret
    labels = signed_labels({"alertname": "StopgapTestAlert_1"}, "1", secret, app.now())
    with capture_logs() as logs:
        await chain.deliver({"labels": forge(labels), "startsAt": app.now().isoformat()})
    assert await chain.incidents == 1
    assert any("is none; it is taken as any other" in line["event"] for line in logs)


async def test_what_others_would_get_is_sent_only_if_that_is_asked_for(chain: Chain) -> None:
    delivering(chain)
    found = await chain.proves(CATCH_ALL)
    assert found.state == "warning"
    assert "a test alert would also go to pager" in found.text
    assert "--send-test-alert" in found.mend
    assert chain.alerts.posted == []
    found = await chain.proves(CATCH_ALL, test_alert=True)
    assert found.text.endswith("paged nobody here; it went to pager, too")


async def test_a_guessed_receiver_that_is_not_called_ours_is_asked_about(chain: Chain) -> None:
    delivering(chain)
    hidden = {"route": {"receiver": "hooks"}}
    found = await chain.proves(hidden, guessed=True, ours="hooks")
    assert "it hides where its webhooks lead" in found.text
    assert chain.alerts.posted == []
    assert (await chain.proves(OURS, guessed=True)).state == "ok"


async def test_it_is_not_sent_where_nobody_could_take_it_or_nobody_wants_it(chain: Chain) -> None:
    assert "--no-test-alert" in (await chain.proves(test_alert=False)).text
    chain.settings = Settings.model_validate({"listen": "127.0.0.1:9", "base": chain.settings.base})
    found = await chain.proves(test_alert=True)
    assert (found.state, "no daemon runs at http://127.0.0.1:9" in found.text) == ("ok", True)
    assert chain.alerts.posted == []


@pytest.mark.parametrize(
    ("state", "told", "finding"),
    [
        ("active", "it goes to stopgap", "wrong"),
        ("suppressed", "it is silenced or inhibited there", "warning"),
        ("", "it does not list it", "wrong"),
    ],
)
async def test_what_does_not_arrive_is_told_with_what_alertmanager_made_of_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, state: str, told: str, finding: str
) -> None:
    monkeypatch.setattr(probe, "ARRIVES_WITHIN", timedelta(milliseconds=50))
    chain.alerts.lists_posted = state
    found = await chain.proves()
    assert (found.state, told in found.text, bool(found.mend)) == (finding, True, True)
    assert len(chain.alerts.posted) == 2  # the second ends it


async def test_an_alertmanager_that_takes_no_alert_is_told(chain: Chain) -> None:
    chain.alerts.mood = 500
    found = await chain.proves()
    assert (found.state, "could not be tried: Alertmanager answered 500" in found.text) == (
        "wrong",
        True,
    )
