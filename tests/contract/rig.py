"""A client of the whole web application over a real connection, with everything in memory.

Time stands still at `now` until a test moves it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from daemon.config.active import ActiveConfig, Live
from daemon.config.auth import AuthSettings
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.access import IdentityProvider
from daemon.core.people.calendar_report import CalendarReport
from daemon.core.people.roster import Roster
from daemon.core.ports.metrics import Peer
from daemon.core.recovery.approvals import Approvals
from daemon.core.reporting.status_page.model import StatusPage
from daemon.core.response.rooms import RoomPolicy
from daemon.core.rules.rule import RuleBook, load
from daemon.core.values.yaml_document import one_document
from daemon.intake.intake import Intake
from daemon.notifying.maintenance import MaintenanceKeeper
from daemon.notifying.rooms import MeetingPlaces
from daemon.notifying.storms import StormKeeper
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.reporting.status import Loading, StatusReport, StoreReport
from daemon.repository import IncidentRepository
from daemon.web.application import web_application
from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.csrf import Browser
from daemon.web.auth.passwords import Passwords
from daemon.web.auth.secrets import SecretCheck
from daemon.web.auth.webhook_secrets import Hooks
from daemon.web.context import WebContext
from daemon.web.links.signed_links import SignedLinks
from tests.compiled_once import describe_once
from tests.credentials import MemoryAssistantLog, MemoryCredentials, MemoryKeys
from tests.doubles.serving import let_go
from tests.fakes import (
    START,
    FakeAction,
    FakePeer,
    Following,
    MemoryInbox,
    MemoryJournal,
    MemoryMaintenance,
    MemoryNotes,
)
from tests.stories.stage import LIMITS, RULE, alert, body

describe_once()

ROSTER = """
people:
  ada:
    name: Ada
    contact: [{console: true}]
    known_as: {pagerduty: PADA, slack: U0ADA00, grafana_oncall: Ada@example.org, opsgenie: ada@x.y}
  bo:
    name: Bo
    contact: [{console: true}]
    known_as: {pagerduty: PBO, slack: U0BO000, grafana_oncall: bo, opsgenie: bo-id}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  payments: {owners: [ada], lead: cy, policy: payments}
  database: {owners: [cy], policy: payments}
policies:
  payments: {tiers: [{notify: [payments], wait: 5m}, {notify: [bo], wait: 10m}]}
default_policy: payments
channels: {room: {console: true}}
audiences: {room: {channels: [room]}}
vendors:
  aws: {name: Amazon, what: the machines, matches: [shop], email: help@aws.example}
"""
ADA = {"Authorization": "Bearer ada-token"}
BO = {"Authorization": "Bearer bo-token"}
HOOK = {"Authorization": "Bearer hook-token"}
TOKENS = {"ada": "ada-token", "bo": "bo-token", "cy": "cy-token"}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes that cost a test nothing."""
MAX_BODY = 64 * 1024
URL = "https://stopgap.example"
SECRETS = Hooks(("pd-old", "pd-new"), "slack-secret", "oncall-secret", "genie-secret")


def overview_of(
    repository: IncidentRepository,
    inbox: MemoryInbox,
    active: Live[ActiveConfig],
    **more: Any,
) -> StatusReport:
    """A daemon that started a minute ago."""
    given = {"loading": lambda: Loading(at=START), **more}
    return StatusReport(
        repository=repository,
        inbox=inbox,
        active=active,
        ready=lambda: True,
        version="1.2.3",
        started_at=START - timedelta(minutes=1),
        store=StoreReport(kind="sqlite", name="stopgap.db", schema_version=3),
        **given,
    )


R = TypeVar("R", bound="Rig")


class Rig:
    """A client of the application and what stands behind it."""

    def __init__(
        self,
        auth: AuthSettings | None = None,
        provider: IdentityProvider | None = None,
        url: str = URL,
        certificates: Sequence[str] = (),
    ) -> None:
        self.now = START
        self.journal = MemoryJournal()
        self.repository = IncidentRepository(self.journal, lambda: self.now)
        self.roster = one_document(ROSTER, "roster.yaml").read(Roster)
        self.rules = RuleBook(
            (rule for rule, _ in load(RULE, "checkout.yaml")),
            {"checkout-success-rate": "checkout.yaml"},
        )
        self.hooks = SECRETS
        self.keys = MemoryKeys()
        self.links = SignedLinks(
            lambda: self.keys.current, url, lambda: self.now, AuthSettings().key_grace
        )
        self.passwords: dict[str, str] = {}
        self.webhook: str | None = "hook-token"
        self.credentials = MemoryCredentials()
        self.authenticator = Authenticator(
            settings=auth or AuthSettings(),
            credentials=self.credentials,
            roster=lambda: self.roster,
            secrets=Following(
                lambda: SecretCheck(TOKENS, self.webhook, self.passwords, certificates)
            ),
            browser=Browser(
                lambda: self.keys.current.secrets(self.now, AuthSettings().session), url
            ),
            passwords=Passwords(CHEAP),
            clock=lambda: self.now,
            provider=provider,
        )
        self.inbox = MemoryInbox()
        self.storms = StormKeeper(self.repository, LIMITS)
        self.calendars: list[CalendarReport] = []
        self.store_trouble = ""
        self.stuck = ""
        self.intake = Intake(
            self.inbox,
            self.repository,
            lambda: self.rules,
            None,
            timedelta(hours=1),
            store_trouble=lambda: self.store_trouble,
        )
        self.client: TestClient[Any, Any]
        self.id = ""
        self.approvals = Approvals()
        self.peers: dict[str, Peer | None] = {"prometheus": FakePeer("3.5.0"), "alertmanager": None}
        self.whispers: list[tuple[str, str]] = []
        self.loading = Loading(at=self.now)
        self.reloads: list[str] = []
        self.notes = MemoryNotes()
        self.assistants = MemoryAssistantLog()
        self.places = MeetingPlaces(RoomPolicy(room="slack", tends=True, call=True))
        self.marks = frozenset({"memo"})
        self.announced = MemoryMaintenance()
        self.maintenance = MaintenanceKeeper(
            self.repository, self.announced, self.notes, Following(self.active)
        )
        self.status_page: Callable[[], StatusPage] | None = None
        self.keeper = AutonomyKeeper(self.repository, self.notes, Following(self.active))

    def active(self) -> ActiveConfig:
        """What is in force."""
        return ActiveConfig(self.rules, self.roster, self.approvals)

    def context(self) -> WebContext:
        """The context of this rig."""
        return WebContext(
            intake=self.intake,
            repository=self.repository,
            active=Following(self.active),
            authenticator=self.authenticator,
            ready=lambda: True,
            hooks=Following(lambda: self.hooks),
            links=self.links,
            keys=self.keys,
            metrics=self._metrics,
            reload=self._reload,
            today=lambda: self.now.date(),
            veterans=lambda _: ["bo"],
            autonomy=self.keeper,
            whisper=self._whisper,
            overview=self.overview(),
            assistants=self.assistants,
            store_trouble=lambda: self.store_trouble,
            stuck=lambda: self.stuck,
            places=self.places,
            marks=self.marks,
            storms=lambda: self.storms.storms,
            actions={name: FakeAction(name) for name in ("rollback", "flag_off")},
            maintenance=self.maintenance,
            status_page=self.status_page,
        )

    def overview(self) -> StatusReport:
        """The daemon as a whole, as the rig has it."""
        return overview_of(
            self.repository,
            self.inbox,
            Following(self.active),
            loading=lambda: self.loading,
            peers=self.peers,
            actions=2,
            autonomy=self.keeper.record,
            store_trouble=lambda: self.store_trouble,
            calendars=lambda: self.calendars,
        )

    async def _metrics(self) -> bytes:
        return b"stopgap_incidents_open 1.0\n"

    async def _reload(self, by: str) -> Loading:
        self.reloads.append(by)
        return self.loading

    async def _whisper(self, address: str, text: str) -> None:
        self.whispers.append((address, text))

    @property
    def path(self) -> str:
        """Where the API has the incident."""
        return f"/api/v1/incidents/{self.id}"

    @property
    def seq(self) -> int:
        """How many entries the incident's journal has."""
        return len(self.journal.entries[self.id])

    def later(self, **more: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**more)
        return self.now

    async def delivers(self, sent: bytes) -> str:
        """Alertmanager posts this, and the inbox is worked off; returns the newest incident."""
        answer = await self.client.post("/api/v1/alerts", data=sent, headers=HOOK)
        assert answer.status == 200
        async with asyncio.TaskGroup() as group:
            assert await self.intake._work(group)
        return list(self.journal.entries)[-1]

    async def asks(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Ask for JSON."""
        answer = await self.client.request(method, path, headers=headers, **more)
        return answer.status, await answer.json()

    async def does(
        self, deed: str, headers: dict[str, str] = ADA, method: str = "POST", **body: Any
    ) -> tuple[int, dict[str, Any]]:
        """A person does something to the incident: the status, and the incident or problem."""
        json_body = {name.rstrip("_"): value for name, value in body.items()}
        status, after = await self.asks(method, f"{self.path}/{deed}", headers, json=json_body)
        return status, after.get("incident", after)

    async def incident(self) -> Incident:
        """The incident as it stands."""
        return await self.repository.load(self.id)

    async def happens(self, *events: e.Event, by: str = e.DAEMON) -> Incident:
        """These events are appended."""
        return await self.repository.record(self.id, lambda _: events, by=by)

    async def calls(self, person: str = "ada", **more: Any) -> str:
        """A page is queued for a person; returns the path of its link."""
        page = more.pop("page", f"r0.t0.{person}")
        queued = {"purpose": "escalation", "text": "come", **more}
        await self.happens(e.PageQueued(page=page, person=person, **queued))
        return urlsplit(self.links.for_page(self.id, page)).path

    async def kinds(self, since: int = 0) -> list[str]:
        """The kinds of the incident's entries after that many."""
        return [entry.event.kind for entry in self.journal.entries[self.id][since:]]

    async def gets(self, path: str, status: int = 200) -> str:
        """A page as a browser gets it, safe to show whatever its status."""
        answer = await self.client.get(path)
        text = await answer.text()
        assert answer.status == status, text
        return page_of(text, answer.headers)

    async def taps(self, path: str, status: int = 200, **form: str) -> str:
        """A button of a page is pressed."""
        answer = await self.client.post(path, data=form)
        text = await answer.text()
        assert answer.status == status, text
        return page_of(text, answer.headers)

    async def hooked(self, name: str, sent: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """A provider posts this."""
        raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        return await self.asks("POST", f"/api/v1/hooks/{name}", headers, data=raw)


def page_of(text: str, headers: Any) -> str:
    """The page, once it is sure that it is one, with the headers that all of them have."""
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert '<html lang="en">' in text
    assert "<script" not in text
    return re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)


def signature(secret: str, message: bytes) -> str:
    """HMAC-SHA256 in hex."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


@asynccontextmanager
async def rigged(
    auth: AuthSettings | None = None,
    provider: IdentityProvider | None = None,
    url: str = URL,
    make: type[R] = Rig,  # type: ignore[assignment]
) -> AsyncIterator[R]:
    """A rig with one open incident; `make` may be a kind of its own."""
    rig = make(auth, provider, url)
    server = TestServer(web_application(rig.context(), MAX_BODY))
    async with TestClient(server, cookie_jar=DummyCookieJar()) as client:
        rig.client = client
        rig.id = await rig.delivers(body(alert()))
        yield rig
    await let_go()
