"""In whatever order things happen: every page is delivered once, every step is run once, every
update is posted once, and none of them is forgotten."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, note, settings
from hypothesis import strategies as st

from daemon.core.incident.events import Entry
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import ActionContext, Landed
from daemon.core.ports.notification import Message, Page, Receipt
from daemon.core.response.open_pages import still_relevant
from daemon.core.values.outcome import Outcome, Temporary
from tests import commanding
from tests.fakes import START, Board, FakeAction, MemoryJournal, Phone, Service
from tests.orders.seeded_loop import SeededLoop, Stretched, played, stretch
from tests.stories.stage import ROSTER, Stage, alert, body, healed_by

ORDERS = int(os.environ.get("STOPGAP_TEST_ORDERS", "48"))
"""So many orders are tried; more by the environment."""
PARTS = 4
SLOWEST = 3.0
"""Seconds that the store, a pager or a channel takes at most for each of its awaits."""
END = 660.0
"""Seconds after START at which a story ends."""
ENDED = START + timedelta(seconds=END)
LATEST = timedelta(minutes=1)
"""A page that was queued so long ago has been delivered or given up."""
SERVICES = ("shop", "cart")
"""Each has an incident of its own, and so a target."""


class SlowPhone(Phone):
    """A pager that takes its time; some calls it cannot make just then."""

    async def page(self, page: Page) -> str:
        await stretch(SLOWEST)
        if _draws(0.1):
            raise Temporary("the network is away")
        answer = await super().page(page)
        await stretch(SLOWEST)
        return answer


class SlowBoard(Board):
    """A channel that takes its time; some posts it does not take just then."""

    async def post(self, message: Message) -> Receipt:
        await stretch(SLOWEST)
        if _draws(0.1):
            raise Temporary("the board is away")
        answer = await super().post(message)
        await stretch(SLOWEST)
        return answer


class SlowAction(FakeAction):
    """An action that takes its time for everything, and sometimes fails."""

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        await stretch(SLOWEST)
        if _draws(0.2):
            self.runs.append(context.token)
            return Outcome(result="failed", reason="restart_failed", detail="exit code 1")
        outcome = await super().run(params, intent, context)
        await stretch(SLOWEST)
        return outcome

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        await stretch(SLOWEST)
        return await super().check(params, intent, context)


def _draws(share: float) -> bool:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SeededLoop)
    return loop.draw.random() < share


@dataclass(frozen=True)
class Seen:
    """What reached the world, and what the journals say."""

    calls: list[Page]
    posts: list[Message]
    runs: list[str]
    checks: int
    journals: Mapping[str, list[Entry]]

    @property
    def incidents(self) -> list[Incident]:
        """All incidents, as their journals have them."""
        return [fold(entries) for entries in self.journals.values()]


def _world(folder: Path) -> Stage:
    service = Service(answer_after=0.2)
    stage = Stage(
        folder,
        roster_text=ROSTER
        + "channels: {room: {console: true}}\n"
        + "audiences: {responders: {channels: [room], send: automatic}}\n",
        service=service,
        journal=Stretched(MemoryJournal(), SLOWEST),  # type: ignore[arg-type]
    )
    stage.phones = {name: SlowPhone() for name in stage.phones}
    stage.boards = {name: SlowBoard() for name in stage.boards}
    stage.actions = {name: SlowAction(name) for name in stage.actions}
    service.fails(0.10, 60)
    return stage


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Some hundred stories are no reading."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


async def _story(folder: Path) -> Seen:
    """Two services fail, the first action heals them; somebody acknowledges; eight minutes."""
    stage = _world(folder)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SeededLoop)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        healed_by(stage, "rollback", 0.01)
        healed_by(stage, "flag_off", 0.01)
        for service in SERVICES:
            await daemon.intake.receive(body(alert(service=service)))
        await daemon.at(210 + loop.draw.random() * 60)
        for incident in list(stage.journal.entries):
            await _acknowledge(daemon, incident)
        await daemon.at(END)
    return Seen(
        calls=[page for phone in stage.phones.values() for page in phone.pages],
        posts=[post for board in stage.boards.values() for post in board.posts],
        runs=[token for action in stage.actions.values() for token in action.runs],
        checks=sum(action.checks for action in stage.actions.values()),
        journals=dict(stage.journal.entries),
    )


async def _acknowledge(daemon: Any, incident: str) -> None:
    await daemon.repository.record(
        incident, lambda i: commanding.acknowledge(i, "ada", "test"), by="person:ada"
    )


def _twice(things: Iterable[object]) -> list[object]:
    return [thing for thing, count in Counter(things).items() if count > 1]


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_done_twice_and_nothing_is_forgotten(part: int) -> None:
    """In parts, so that several workers share them; each draws orders of its own."""

    @settings(max_examples=ORDERS // PARTS)
    @given(seed=st.integers(min_value=0, max_value=2**32))
    def holds(seed: int) -> None:
        note(f"the order {seed * PARTS + part}")
        _holds(seed * PARTS + part)

    holds()


def _holds(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen = played(seed, lambda: _story(Path(folder)))
    assert not _twice((call.incident, call.page) for call in seen.calls)
    assert not _twice((post.incident, post.update, post.version) for post in seen.posts)
    assert not _twice(seen.runs)
    assert seen.checks == 0, "nothing was interrupted, so nothing has to be looked for"
    assert len(seen.incidents) == len(SERVICES)
    for incident in seen.incidents:
        assert not incident.defects
        due = [page for page in incident.pages.values() if page.at < ENDED - LATEST]
        assert all(not page.pending for page in due if still_relevant(incident, page))
        called = incident.pages.values()
        # Where each call met an outage, somebody came before the next was due.
        assert any(page.delivered_at for page in called) or all(p.failed_methods for p in called)
        assert incident.commander == "ada"
