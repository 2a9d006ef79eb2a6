"""Nights of many incidents, in which whoever is called does anything that they can: nobody's
trouble is forgotten, and nobody is rung twice by the same page, restarts included."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.response.call_answers import DeclineCall, SnoozeCall
from daemon.core.response.command import Command, CommandSituation, NotPossible
from daemon.core.response.commands import Acknowledge
from daemon.core.response.organizing import Merge, Reassign
from daemon.web.links.answers import LinkForm, LinkSpent, UseLink
from tests import commanding
from tests.stories.stage import Daemon, Stage, alert

TEAMS = """
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
  dee: {name: Dee, contact: [{console: true}]}
teams:
  payments: {owners: [ada], policy: payments}
  search: {owners: [cy], policy: search}
policies:
  payments: {tiers: [{notify: [ada], wait: 5m}, {notify: [bo], wait: 5m}]}
  search: {acknowledgements: 2, tiers: [{notify: [cy], wait: 3m}, {notify: [dee], wait: 3m}]}
default_policy: payments
"""
PATIENCE = timedelta(minutes=11)
"""The longest wait of a tier, and how long a storm gathers before it calls somebody again."""
NIGHT = 1500.0


class Night:
    """One night, by chance."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)  # noqa: S311 - a simulation
        self.opened = 0

    async def passes(self, daemon: Daemon, begin: float, end: float) -> None:
        """Let things happen until then, and look after each."""
        now = begin
        while now < end:
            await daemon.at(now)
            await self.happens(daemon, now)
            await self.nobody_is_forgotten(daemon)
            now += self.chance.choice([0.5, 2, 10, 45, 100])

    async def happens(self, daemon: Daemon, now: float) -> None:
        more = self.chance.choice([0, 0, 0, 0, 1, 1, 2, 7])
        for _ in range(more if self.opened < 25 else 0):
            fired = alert(service=f"s{self.opened}", started=now)
            fired["labels"]["alertname"] = f"Fails{self.opened}"
            self.opened += 1
            await daemon.receives(fired)
        if self.chance.random() < 0.04:
            clock = daemon.repository.clock()
            ends = clock + timedelta(minutes=self.chance.choice([2, 6, 15]))
            scope = self.chance.choice(["global", "team:search", "team:payments"])
            await daemon.maintenance.announce(scope, "x", "ada", clock, ends)
        if self.chance.random() < 0.6:
            await self.somebody_does_something(daemon)

    async def somebody_does_something(self, daemon: Daemon) -> None:
        who = self.chance.choice(["ada", "bo", "cy", "dee"])
        got = self.stage.phones[who].pages
        if got and self.chance.random() < 0.6:
            button = self.chance.choice(["ack", "decline", "decline", "snooze-5", "snooze-15"])
            page = self.chance.choice(got[-3:])
            link = UseLink(page.page, LinkForm(button))
            await self.does(daemon, page.incident, who, link)
            return
        found = [i for i in await self.stage.incidents() if i.closed is None]
        if not found:
            return
        one, other = self.chance.choice(found), self.chance.choice(found)
        deeds: list[Command | None] = [
            Acknowledge(),
            None,
            None,
            Reassign(self.chance.choice(["search", "payments"])),
            Merge(other.id),
            DeclineCall(),
            SnoozeCall(),
        ]
        await self.does(daemon, one.id, who, self.chance.choice(deeds), other)

    async def does(
        self,
        daemon: Daemon,
        incident: str,
        who: str,
        command: Command | None,
        other: Incident | None = None,
    ) -> None:
        """Carry it out, if it is possible; `None`: they leave it."""
        others = {} if other is None else {other.id: other}

        def events(current: Incident) -> Sequence[e.Event]:
            if command is None:
                return commanding.unacknowledge(current, who, "cli")
            at, roster = daemon.repository.clock(), self.stage.roster
            situation = CommandSituation(
                who, "cli", at, roster, None, "", lambda _: "", others=others
            )
            return command.apply(current, situation)

        try:
            await daemon.repository.record(incident, events, by=f"person:{who}")
        except (NotPossible, LinkSpent, ValueError):
            return

    async def nobody_is_forgotten(self, daemon: Daemon) -> None:
        now = daemon.repository.clock()
        incidents = await self.stage.incidents()
        for incident in incidents:
            assert not incident.defects, f"the watchdog had to call for {incident.title}"
            known = incident.organization
            if incident.closed or incident.commander or known.held or known.merging:
                continue
            since = [incident.opened_at, known.released_at, incident.people.vacated_at]
            heard = max(filter(None, [*since, self.last_call(incident, incidents)]))
            assert now - heard < PATIENCE, f"{incident.title} waits since {heard}"

    def last_call(self, incident: Incident, incidents: Sequence[Incident]) -> datetime | None:
        """When somebody was called for it last, by itself or by its storm."""
        storm = incident.storm.storm if incident.storm is not None else None
        calls = [
            page.at
            for one in incidents
            for page in one.pages.values()
            if one.id == incident.id or (storm is not None and page.queued.about == storm)
        ]
        return max(calls, default=None)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_people_do_nobodys_trouble_is_forgotten(stage: Stage, seed: int) -> None:
    stage = Stage(stage.folder, roster_text=TEAMS, service=stage.service)
    night = Night(stage, seed)
    now = 180.0
    while now < NIGHT:
        until = now + night.chance.choice([60, 300, 900])
        async with stage.daemon() as daemon:  # leaving it is a crash
            await night.passes(daemon, now, until)
        now = until
    rung = [(p.incident, p.page) for phone in stage.phones.values() for p in phone.pages]
    assert len(rung) == len(set(rung)), "the same page rang twice"
    assert rung
