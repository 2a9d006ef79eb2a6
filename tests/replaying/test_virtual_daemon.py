"""The daemon in virtual time: its own decisions, without a disk, a network or a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from daemon.config.active import ActiveConfig
from daemon.core.changes.change import Change
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import ActionContext
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.commands import VetoStep
from daemon.core.recovery.guardrails import Freeze
from daemon.core.response.commands import Acknowledge, Close
from daemon.core.rules.rule import RuleBook, load
from daemon.core.values.yaml_document import one_document
from daemon.replaying.happenings import (
    ChangeArrives,
    DeliveryArrives,
    FreezeBegins,
    FreezeEnds,
    Happening,
    PersonMoves,
)
from daemon.replaying.simulated_actions import Simulation
from daemon.replaying.virtual_daemon import VirtualDaemon, World
from daemon.replaying.virtual_time import NothingScheduled, run_virtually
from tests.fakes import START, FakeAction, Service
from tests.stories.stage import LIMITS, ROSTER, RULE, alert, approval_of, body


class _GoesBack(FakeAction):
    goes_back = True


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _change(item: str = "v2", at: float = 60) -> Change:
    return Change(subject="shop", item=item, previous="v1", at=_at(at), seen_by="watch")


DEPLOYED = ChangeArrives(_at(60), _change())
ALERTED = DeliveryArrives(_at(240), body(alert(started=180)))


def _played(
    happenings: Sequence[Happening], *, until: float = 1500, ends: Any = "done", heals: bool = True
) -> VirtualDaemon:
    service = Service()
    service.fails(0.20, 120)

    def script(_: str, __: Any, context: ActionContext) -> Simulation:
        def heal() -> None:
            service.fails(0.01, asyncio.get_running_loop().time())

        return Simulation(ends=ends, effect=heal) if heals else Simulation(ends=ends)

    rules = [rule for rule, _ in load(RULE, "checkout.yaml")]
    until_then = START + timedelta(days=30)
    world = World(
        config=ActiveConfig(
            RuleBook(rules),
            one_document(ROSTER, "roster.yaml").read(Roster),
            Approvals(approvals=tuple(approval_of(rules[0], n, until_then) for n in (1, 2))),
        ),
        metrics=service,
        actions={"rollback": _GoesBack("rollback"), "flag_off": FakeAction("flag_off")},
        limits=LIMITS,
        begins=START,
        script=script,
    )

    async def story() -> VirtualDaemon:
        async with VirtualDaemon(world).running() as daemon:
            await daemon.play(happenings, _at(until))
        return daemon

    daemon = run_virtually(story)
    assert not daemon.crashes
    return daemon


def test_a_bad_deployment_is_rolled_back_and_the_recovery_proven() -> None:
    daemon = _played([DEPLOYED, ALERTED])
    (incident,) = daemon.incidents()
    assert incident.closed is not None
    assert incident.step(1).verdict == "recovered"
    assert incident.step(1).intent == {"from": "v2", "to": "v1"}
    assert [page.person for page in daemon.pagers["ada"].pages][:1] == ["ada"]
    assert daemon.reviews.texts[incident.id].startswith("#")


def test_what_a_simulated_rollback_switched_is_live_afterwards() -> None:
    daemon = _played([DEPLOYED, ALERTED])
    assert asyncio.run(daemon.live("shop")) == "v1"


def test_an_incident_is_seen_as_it_stood_at_any_moment() -> None:
    daemon = _played([DEPLOYED, ALERTED])
    assert daemon.incidents(_at(239)) == []
    (then,) = daemon.incidents(_at(242))
    assert then.step(1).status == "running"


def test_without_a_change_there_is_nothing_to_go_back_from() -> None:
    (incident,) = _played([ALERTED], until=600).incidents()
    assert incident.step(1).refusal == "no_suspect_change"


def test_a_rollback_refuses_when_nothing_was_live_before() -> None:
    born = _change().model_copy(update={"previous": ""})
    daemon = _played([ChangeArrives(_at(60), born), ALERTED], until=600)
    (incident,) = daemon.incidents()
    assert incident.step(1).outcome is not None
    assert incident.step(1).outcome.reason == "no_healthy_item"


def test_a_person_who_vetoes_in_time_stops_the_step() -> None:
    moves = [
        PersonMoves(_at(240.05), "ada", Acknowledge()),
        PersonMoves(_at(240.06), "ada", VetoStep(1)),
    ]
    (incident,) = _played([DEPLOYED, ALERTED, *moves], until=300).incidents()
    assert incident.step(1).status == "vetoed"
    assert incident.commander == "ada"


def test_what_a_person_cannot_have_is_told() -> None:
    daemon = _played(
        [PersonMoves(_at(1), "ada", Acknowledge()), PersonMoves(_at(250), "eve", Close()), ALERTED]
    )
    assert [refused.text for refused in daemon.refused_moves] == [
        "no incident has opened by then",
        "eve is not in the roster",
    ]


def test_a_freeze_holds_until_it_is_lifted() -> None:
    freeze = Freeze(scope="global", reason="sale", by="cy", at=_at(0))
    frozen = [FreezeBegins(_at(0), freeze), FreezeEnds(_at(400), "global", "cy")]
    daemon = _played([*frozen, DEPLOYED, ALERTED])
    (before,), (after,) = daemon.incidents(_at(399)), daemon.incidents()
    assert before.step(1).refusal == "frozen"
    assert after.step(1).verdict == "recovered"


def test_an_action_that_fails_is_followed_by_the_next() -> None:
    (incident,) = _played([DEPLOYED, ALERTED], ends="failed", heals=False).incidents()
    assert incident.step(1).outcome is not None
    assert incident.step(1).outcome.result == "failed"
    assert incident.step(2).status != "waiting"


def test_a_day_passes_without_waiting_for_it() -> None:
    late = DeliveryArrives(_at(86300), body(alert(started=86240)))
    (incident,) = _played([late], until=86400).incidents()
    assert incident.opened_at == _at(86300)


def test_what_is_given_to_a_thread_is_done_at_once() -> None:
    async def story() -> tuple[int, float]:
        done = await asyncio.to_thread(sum, [1, 2])
        await asyncio.sleep(3600)
        return done, asyncio.get_running_loop().time()

    assert run_virtually(story) == (3, 3600.0)


def test_waiting_for_nobody_is_an_error_and_no_hang() -> None:
    async def story() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingScheduled):
        run_virtually(story)
