"""The house of a story: a stage whose every way out is a point at which its daemon may die, and a
world that remembers what was really done to it, whoever did it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from daemon.core.incident import events as e
from daemon.core.ports.actions import ActionContext, Landed, PartDone
from daemon.core.ports.notification import Reminder
from daemon.core.response.rooms import RoomPolicy
from daemon.core.values.outcome import Outcome
from daemon.notifying.rooms import MeetingPlaces
from tests.fakes import FakeAction, FakeAlertmanager, Phone, Switchboard
from tests.simulation.crash_matrix.power import Power
from tests.stories.stage import RULE, Stage
from tests.stories.test_rooms import CALL, Chat

QUICK_RULE = (
    RULE.replace("settle: 30s, hold: 2m", "settle: 10s, hold: 30s")
    .replace("watch: 10m", "watch: 1m")
    .replace("windows: [1m, 5m]", "windows: [1m, 2m]")
)
"""The rule of the stage, whose times are shorter: a story is told many hundred times."""
PEOPLE = """
people:
  ada: {name: Ada, contact: [{email: ada@example.org}], known_as: {slack: UADA}}
  bo: {name: Bo, contact: [{pagerduty: env:BO}]}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  payments: {owners: [ada], lead: cy, policy: payments}
policies:
  payments: {tiers: [{notify: [payments], wait: 100s}, {notify: [bo], wait: 100s}]}
default_policy: payments
channels: {desk: {console: true}}
audiences: {responders: {channels: [desk], send: automatic}}
"""
WITH_CUSTOMERS = PEOPLE.replace("{desk: ", "{site: {console: true}, desk: ").replace(
    "audiences: {", "audiences: {customers: {channels: [site], wording: public}, "
)
"""Customers are told what a person sends, and nothing else."""


class Mailbox(Phone):
    """A way that can also tell something without ringing."""

    method = "email-1"

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Reminder] = []

    async def remind(self, reminder: Reminder) -> str:
        """Lay it where it is read some time."""
        self.read.append(reminder)
        return "250 ok"


class HonestAction(FakeAction):
    """An action that tells after a crash what is true of its target. `points`: pass one."""

    def __init__(self, name: str, power: Power) -> None:
        super().__init__(name)
        self.power = power
        self.done: list[str] = []
        """The token of each change that it made to the world."""

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        self.power.point("before", f"action {self.name}")
        self.runs.append(context.token)
        await asyncio.sleep(self.takes)
        self.changes(context.token)
        self.power.point("after", f"action {self.name}")
        return self.outcome

    def changes(self, token: str) -> None:
        """What it does to the world, at one moment."""
        self.done.append(token)
        if self.effect is not None:
            self.effect()

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        self.power.needed()
        self.checks += 1
        return "done" if context.token in self.done else "not_done"


class HonestCanary(HonestAction):
    """A rollback that stops midway for a ruling, and finds after a crash how far it came."""

    part_failing = 0.07
    """The share of failures once a part is back."""

    def __init__(self, stage: Stage, power: Power) -> None:
        super().__init__("rollback", power)
        self.stage = stage
        self.parts: list[str] = []
        self.takes = 2.0

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        assert context.stages is not None
        assert context.within is not None
        self.runs.append(context.token)
        if context.token not in self.parts:
            self.power.point("before", "a part of the rollback")
            await asyncio.sleep(self.takes)
            self.parts.append(context.token)
            self.stage.service.fails(self.part_failing, asyncio.get_running_loop().time())
            self.power.point("after", "a part of the rollback")
        ruling = await context.stages.ruled()
        if ruling is None:
            part = PartDone("1 of 4 pods is back at v1", 0.25, "v1")
            ruling = await context.stages.rule_on(part, context.within / 2)
        assert ruling.go_on, ruling.text
        self.power.point("before", "the rest of the rollback")
        await asyncio.sleep(self.takes)
        self.changes(context.token)
        self.power.point("after", "the rest of the rollback")
        return Outcome(result="done", reason="rolled_back", detail="all are back")

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        landed = await super().check(params, intent, context)
        return "half_done" if landed == "not_done" and context.token in self.parts else landed


@dataclass
class House:
    """A stage on one power supply. What people, targets and channels got is kept here."""

    folder: Path
    power: Power
    people: str = PEOPLE
    stage: Stage = field(init=False)
    chat: Chat = field(init=False)
    actions: dict[str, HonestAction] = field(init=False)
    unseen: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What had reached people at the moment of a death, of which the journal did not know yet."""

    def __post_init__(self) -> None:
        self.stage = Stage(self.folder, rule_text=QUICK_RULE, roster_text=self.people)
        self.stage.service.answer_after = 0.2
        self.stage.service.fails(0.10, 60)
        self.stage.phones |= {"ada": Mailbox(), "bo": Switchboard()}
        self.acts(HonestAction("rollback", self.power), HonestAction("flag_off", self.power))
        self.chat = Chat()
        self.power.at_death = self._died
        self._supply()

    def acts(self, *actions: HonestAction) -> None:
        """These actions are there, and no others."""
        self.actions = {action.name: action for action in actions}
        self.stage.actions.clear()
        self.stage.actions.update(self.actions)

    def heals(self, action: str, share: float = 0.01) -> None:
        """The action brings the service to this share of failures."""
        service = self.stage.service
        self.actions[action].effect = lambda: service.fails(
            share, asyncio.get_running_loop().time()
        )

    def meets(self) -> None:
        """From sev2 on a room and a call open by themselves; they end a minute after it."""
        policy = RoomPolicy(
            room="chat",
            tends=True,
            call=True,
            open_from="sev2",
            archive_after=timedelta(minutes=1),
        )
        self.stage.places = MeetingPlaces(policy, self.chat, "inc-", lambda incident: CALL)

    def silences(self) -> FakeAlertmanager:
        """What is acknowledged is silenced in this Alertmanager."""
        peer = FakeAlertmanager()
        self.stage.alertmanagers.append(peer)
        self.stage.notes.words["alertmanager-receivers"] = ("stopgap",)
        self.stage.silence_for = timedelta(hours=1)
        self.power.supply(
            peer, put=lambda *_: "silence put", end=lambda *_: "silence end", look=_no_point
        )
        return peer

    def _supply(self) -> None:
        stage, supply = self.stage, self.power.supply
        supply(
            stage.journal,
            open=lambda incident, key, drafts, *_, **__: _appended(drafts),
            # What opens an incident is appended by `open`, in one transaction.
            append=lambda incident, expected, drafts, *_, **__: _appended(drafts) * bool(expected),
            read=_no_point,
            saw_change=_no_point,
        )
        supply(stage.inbox, put=lambda *_: "inbox put", processed=lambda *_: "inbox processed")
        supply(stage.debts, keep=lambda owed: "debts kept")
        supply(stage.notes, write=lambda name, words: f"note {name}")
        supply(
            stage.announced,
            add_window=lambda window: "window added",
            end_window=lambda *_: "window ended",
        )
        for person, phone in stage.phones.items():
            supply(phone, page=lambda page, who=person: f"page {who}")
        supply(stage.phones["ada"], remind=lambda _: "reminder ada")
        supply(stage.phones["bo"], update_alert=lambda key, state: f"pager {state}")
        for name, board in stage.boards.items():
            supply(
                board,
                post=lambda message, where=name: f"update to {where}",
                edit=lambda reference, message, where=name: f"edit in {where}",
            )
        supply(
            self.chat,
            open=lambda draft: "room opened",
            greet=lambda *_: "room greeted",
            invite=lambda *_: "room invited",
            set_topic=lambda *_: "room topic",
            archive=lambda *_: "room archived",
        )

    # ── what is true of the world ────────────────────────────────────────────────────────────

    def reached(self) -> Counter[tuple[str, ...]]:
        """How often each page, update and word reached somebody."""
        stage = self.stage
        found: Counter[tuple[str, ...]] = Counter()
        for phone in stage.phones.values():
            found.update(("page", page.incident, page.page) for page in phone.pages)
        for board in stage.boards.values():
            found.update(("update", m.incident, m.update, str(m.version)) for m in board.posts)
        return found

    def journaled(self) -> set[tuple[str, ...]]:
        """Which pages and updates the journals know to have reached somebody."""
        found: set[tuple[str, ...]] = set()
        for incident, entries in self.stage.journal.entries.items():
            for event in (entry.event for entry in entries):
                if isinstance(event, e.PageDelivered):
                    found.add(("page", incident, event.page))
                elif isinstance(event, e.UpdatePublished):
                    found.add(("update", incident, event.update, str(event.version)))
        return found

    def _died(self) -> None:
        known = self.journaled()
        self.unseen.update(one for one in self.reached() if one not in known)


def _appended(drafts: Sequence[Any]) -> str:
    kinds = dict.fromkeys(draft.event.kind for draft in drafts)
    return f"append {'+'.join(kinds)}" if kinds else "append of the wake time"


def _no_point(*_: Any, **__: Any) -> str:
    return ""
