"""Several Prometheus servers: each rule asks its own, and suffers from the trouble of no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes import Service
from tests.stories.stage import RULE, Stage, alert
from tests.stories.test_telemetry import scraped

EU = RULE.replace("team: payments", "team: payments\nprometheus: eu")
DEAD = "connection refused"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, rule_text=EU, servers={"eu": Service(), "us": Service()})
    made.servers["eu"].fails(0.3, at=60)
    return made


def rolled_back_in_eu(stage: Stage) -> None:
    """The rollback helps the service that eu measures."""
    loop, eu = asyncio.get_running_loop(), stage.servers["eu"]
    stage.actions["rollback"].effect = lambda: eu.fails(0.01, loop.time())


async def test_a_rule_is_measured_and_recovered_by_its_own_server(stage: Stage) -> None:
    stage.service.down = stage.servers["us"].down = DEAD
    rolled_back_in_eu(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(190)
        await daemon.acknowledges("ada")
        await daemon.at(1800)
        incident = await daemon.incident()
        seen = await scraped(daemon)
    assert incident.confirmed is not None
    assert incident.confirmed.prometheus == "eu"
    assert stage.actions["rollback"].targets == ["shop"]
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert stage.service.asked == stage.servers["us"].asked == []
    asked = "stopgap_prometheus_query_duration_seconds_count"
    assert seen[(asked, frozenset({("kind", "instant"), ("server", "eu")}))] > 10


async def test_without_its_own_server_nothing_is_done_whatever_the_others_say(
    stage: Stage,
) -> None:
    stage.service.fails(0.3, at=60)
    stage.servers["eu"].down = DEAD
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
        incident = await daemon.incident()
        seen = await scraped(daemon)
    assert incident.problem is not None
    assert (incident.problem.verdict, incident.problem.reason) == (
        "no_data",
        "prometheus_unreachable",
    )
    assert stage.actions["rollback"].targets == []
    failures = "stopgap_prometheus_query_failures_total"
    assert seen[(failures, frozenset({("reason", "unreachable"), ("server", "eu")}))] > 0
    assert seen[(failures, frozenset({("reason", "unreachable"), ("server", "")}))] == 0


async def test_the_targets_of_another_server_are_no_outage_of_this_one(stage: Stage) -> None:
    stage.service.targets_down = stage.servers["us"].targets_down = 10
    rolled_back_in_eu(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(300)
    assert stage.actions["rollback"].targets == ["shop"]


async def test_who_waits_for_a_server_that_hangs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Six incidents of a server that takes long fill its turns, and not those of the other."""
    us = RULE.replace("checkout-success-rate", "us").replace(
        'alertname="CheckoutSuccessRateLow"', 'alertname="Us"'
    )
    stage = Stage(tmp_path, rule_text=f"{EU}---{us}", servers={"eu": Service(answer_after=3600)})
    stage.service.fails(0.3, at=60)
    other = alert()
    other["labels"] |= {"alertname": "Us"}
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"shop{n}") for n in range(6)), other)
        await asyncio.sleep(20)
        heads = await stage.journal.open_heads()
        [mine] = [head.incident for head in heads if head.rule == "us"]
        found = await daemon.repository.load(mine)
    assert found.problem is not None
    assert found.problem.verdict == "confirmed"
