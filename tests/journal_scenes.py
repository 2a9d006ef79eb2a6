"""Whole nights in a journal, as the daemon writes them: for audits, archives and old stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.ports.journal import Claim, Journal
from daemon.core.recovery.guardrails import ActionScope, Limits
from daemon.core.rules.rule import incident_key
from daemon.core.values.outcome import Outcome
from daemon.repository import IncidentRepository
from tests.core.build import (
    ACKNOWLEDGED,
    HOUR,
    MINUTE,
    delivered,
    healthy,
    make_alert,
    make_problem,
    page_queued,
)

__all__ = ["BEGIN", "HOUR", "MINUTE", "Night", "nights"]

BEGIN = datetime.fromisoformat("2026-03-01T14:00:00+00:00")
LIMITS = Limits(
    cooldown=timedelta(0),
    flap=timedelta(0),
    budgets={},
    budget_window=HOUR,
    storm=10**6,
    storm_window=MINUTE,
)


class Night:
    """One incident of one service: paged, measured, rolled back, recovered, closed, reviewed."""

    def __init__(self, journal: Journal, incident: str, service: str, at: datetime = BEGIN) -> None:
        self._now = at
        self._repository = IncidentRepository(journal, lambda: self._now)
        self.incident, self.service = incident, service
        self.target = f"release:{service}"

    async def add(self, *events: e.Event, by: str = e.DAEMON, release: bool = False) -> None:
        """One append, a minute after the one before."""
        self._now += MINUTE
        await self._repository.record(self.incident, lambda _: events, by=by, release=release)

    async def open(self) -> None:
        """An alert came, and somebody is called."""
        labels = {"service": self.service}
        opened = e.IncidentOpened(
            key=incident_key("checkout", labels),
            rule="checkout",
            group_labels=labels,
            title="CheckoutFails",
            team="shop",
        )
        alerts = e.AlertsReceived(alerts=(make_alert(service=self.service),))
        await self._repository.open(self.incident, opened.key, [opened, alerts])
        await self.add(page_queued())
        await self.add(delivered())

    async def act(self) -> None:
        """The problem is confirmed, and the approved rollback begins."""
        await self.add(e.ProblemDefined(problem=make_problem(at=self._now)))
        await self.add(*ACKNOWLEDGED, by="ada (cli)")
        started = e.StepStarted(
            step=1,
            action="release_rollback",
            target=self.target,
            params={"directory": self.service},
            authority="pre-approved by ada until 2026-12-23",
        )
        scope = ActionScope(rule="checkout", team="shop", service=self.service, domain="eu")
        self._now += MINUTE
        lock = Claim(self.target, 1, scope, LIMITS)
        await self._repository.claim(await self._repository.load(self.incident), [started], lock)
        intent = {"from": "v2", "to": "v1"}
        await self.add(e.StepPrepared(step=1, summary="v2 → v1", intent=intent))

    async def recover(self) -> None:
        """It helped."""
        done = Outcome(result="done", reason="rolled_back", detail="v2 → v1")
        await self.add(e.StepFinished(step=1, outcome=done), release=True)
        await self.add(e.RecoveryMeasured(step=1, reading=healthy(self._now)))
        verified = e.StepVerified(step=1, verdict="recovered", text="79 % → 99 %")
        await self.add(verified, e.Recovered(step=1, text="79 % → 99 %"))

    async def close(self, *, reviewed: bool = True) -> None:
        """It stayed well."""
        await self.add(e.IncidentClosed(reason="recovered", text="held for 30m"))
        if reviewed:
            await self.add(e.ReviewWritten(path=f"reviews/{self.incident}.md"))

    async def whole(self) -> None:
        """From the alert to the review."""
        for part in (self.open, self.act, self.recover, self.close):
            await part()


async def nights(journal: Journal, services: Sequence[str], at: datetime = BEGIN) -> None:
    """One whole night for each service, an hour apart: inc-1, inc-2, …"""
    for number, service in enumerate(services, start=1):
        await Night(journal, f"inc-{number}", service, at + number * HOUR).whole()
