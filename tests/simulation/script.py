"""What happens in a night without anything going wrong: the items of a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from daemon.core.alertmanager import parse_delivery
from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery import commands as recovery
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response import commands as response
from daemon.core.response.call_answers import DeclineCall, SnoozeCall
from daemon.core.response.command import Command, CommandSituation, NotPossible
from daemon.core.response.organizing import Merge
from daemon.core.response.role_commands import FillRole
from tests.fakes import START
from tests.simulation import setting
from tests.simulation.outside import Outside
from tests.simulation.referee import Referee
from tests.simulation.replica import Replica
from tests.simulation.scenario import Item


class Script:
    """Lets the items of a scenario happen, to the world or to whichever replica is up. `deployed`
    is kept of every change; `tell` hears of each item in words."""

    def __init__(
        self,
        outside: Outside,
        replicas: Sequence[Replica],
        referee: Referee,
        deployed: list[Change],
        tell: Callable[[str], None],
    ) -> None:
        self._outside = outside
        self._replicas = replicas
        self._referee = referee
        self._deployed = deployed
        self.tell = tell

    async def happens(self, item: Item) -> None:
        """One item of the script, until it was answered."""
        self.tell(f"· {item}")
        match item.kind:
            case "trouble":
                share, heals = item.more
                self._outside.trouble(item.what, share, heals)
            case "deployment":
                target = setting.TARGETS.get(item.what, item.what)
                at = START + timedelta(seconds=self._outside.loop.now)
                change = Change(
                    subject=target, item=item.more[0], previous="v1", at=at, seen_by="test"
                )
                self._deployed.append(change)
            case "delivery":
                status, started, ended, truncated = item.more
                alert = setting.alert(item.what, status, started, ended)
                await self._deliver(alert, truncated)
            case "alert ends":
                alert = setting.alert(item.what, "resolved", item.more[0], self._outside.loop.now)
                await self._deliver(alert, 0)
            case "deed" | "reaction":
                await self._deed(item)
            case "freeze":
                await self._freeze(item.what)
            case "thaw":
                await self._ask(lambda r: r.repository.journal.thaw(item.what, "cy", r.clock()))
            case "maintenance":
                await self._ask(lambda r: self._announce(r, item))

    async def _ask(self, deed: Callable[[Replica], Any]) -> tuple[bool, Any]:
        """Ask a replica that is up, and again until it is answered."""
        while True:
            up = [replica for replica in self._replicas if replica.running]
            if up:
                replica = up[self._outside.dice.randrange(len(up))]
                answered, answer = await replica.do(partial(deed, replica))
                if answered or isinstance(answer, NotPossible | ValueError | LookupError):
                    return answered, answer
            await asyncio.sleep(2 + self._outside.dice.random() * 3)

    async def _deliver(self, alert: dict[str, Any], truncated: int) -> None:
        """Alertmanager posts it until it is taken."""
        body = _body(alert, truncated)
        delivery = parse_delivery(body)
        await self._ask(lambda r: r.intake.receive(body))
        for one in delivery.alerts:
            ended = one.ends_at if one.status == "resolved" else None
            self._referee.accepted.append(
                (self._outside.loop.now, one.identity, one.status, one.starts_at, ended)
            )

    async def _freeze(self, scope: str) -> None:
        async def freeze(replica: Replica) -> None:
            until = replica.clock() + timedelta(hours=1)
            await replica.repository.journal.freeze(
                Freeze(scope=scope, reason="x", by="cy", at=replica.clock(), until=until)
            )
            replica.repository.ring_all()

        await self._ask(freeze)

    async def _announce(self, replica: Replica, item: Item) -> None:
        begin = replica.clock()
        ends = begin + timedelta(seconds=item.more[0])
        await replica.maintenance.announce(item.what, "x", "ada", begin, ends)

    async def _deed(self, item: Item) -> None:
        service, number, other = item.more[:3]
        incident = self._open_of(service)
        if incident is None:
            return
        known = self._open_of(other)
        others = {known.id: known} if known is not None else {}
        command = _command(item.what, number, known)

        async def act(replica: Replica) -> None:
            def events(current: Incident) -> Sequence[e.Event]:
                situation = CommandSituation(
                    item.who,
                    "cli",
                    replica.clock(),
                    setting.roster(),
                    setting.book().rules.get(current.rule),
                    "",
                    lambda _: "",
                    others=others,
                )
                return command.apply(current, situation)

            await replica.repository.record(incident.id, events, by=f"person:{item.who}")

        await self._ask(act)

    def _open_of(self, service: str) -> Incident | None:
        return next(
            (
                one
                for one in self._referee.incidents.values()
                if one.closed is None and one.group_labels.get("service") == service
            ),
            None,
        )


def _command(name: str, number: int, other: Incident | None) -> Command:
    commands: dict[str, Callable[[], Command]] = {
        "acknowledge": response.Acknowledge,
        "leave": response.Leave,
        "approve": lambda: recovery.ApproveStep(number),
        "start": lambda: recovery.StartStepNow(number),
        "veto": lambda: recovery.VetoStep(number),
        "skip": lambda: recovery.SkipStep(number, "x"),
        "pause": lambda: response.PauseAutomation("x"),
        "resume": response.ResumeAutomation,
        "close": lambda: response.Close("x"),
        "take over": lambda: FillRole("commander"),
        "no plan": lambda: response.DeclareNoPlan("x"),
        "decline": DeclineCall,
        "snooze": SnoozeCall,
        "note": lambda: response.Note("x"),
        "merge": lambda: Merge(other.id if other is not None else "nobody"),
        "jump": lambda: response.Escalate(number),
    }
    return commands[name]()


def _body(alert: dict[str, Any], truncated: int) -> bytes:
    return json.dumps(
        {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{alert["labels"]["alertname"]}"}}',
            "truncatedAlerts": truncated,
            "receiver": "stopgap",
            "status": alert["status"],
            "groupLabels": {"alertname": alert["labels"]["alertname"]},
            "alerts": [alert],
        }
    ).encode()
