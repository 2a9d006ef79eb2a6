"""What the daemon says of its rules, of what alerted, and of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daemon.core.incident import events as e
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.binding_content import content_hash
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Permanent, Temporary
from daemon.reporting.status import StatusReport
from tests.contract.rig import Rig, rigged
from tests.fakes import START, FakeMetricsPeer, FakePeer
from tests.stories.stage import alert, body

DAYS = timedelta(days=7)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


@pytest.fixture
def overview(rig: Rig) -> StatusReport:
    return rig.overview()


async def test_a_rule_says_what_may_run_by_itself_and_what_it_has_opened(
    rig: Rig, overview: StatusReport
) -> None:
    (before,) = await overview.rule_reports()
    assert (before.rule, before.file, before.team) == (
        "checkout-success-rate",
        "checkout.yaml",
        "payments",
    )
    assert [(s.step, s.standing) for s in before.steps] == [
        (1, "not_approved"),
        (2, "not_approved"),
    ]
    assert (before.incidents, before.last_at) == (1, START)
    rule = rig.rules.rules["checkout-success-rate"]
    until = START + timedelta(hours=1)
    entry = Approval(
        rule="checkout-success-rate",
        step=1,
        action="rollback",
        content=content_hash(rule, rule.step(1)),
        by="cy",
        at=START,
        until=until,
    )
    rig.approvals = Approvals(approvals=(entry,))
    step = (await overview.rule_reports())[0].steps[0]
    assert (step.standing, step.by, step.until) == ("valid", "cy", until)
    rig.later(hours=2)
    step = (await overview.rule_reports())[0].steps[0]
    assert (step.standing, step.by) == ("approval_expired", "cy")


async def test_what_the_rule_leaves_to_the_commander_needs_no_approval(
    rig: Rig, overview: StatusReport
) -> None:
    (rule,) = rig.rules.rules.values()
    asked = rule.step(1).model_copy(update={"approval": "commander"})
    rig.rules = RuleBook([rule.model_copy(update={"recover": (asked,)})])
    (report,) = await overview.rule_reports()
    assert [(s.standing, s.by) for s in report.steps] == [("commander", "")]


async def test_alerts_without_a_rule_stand_out(rig: Rig, overview: StatusReport) -> None:
    rig.later(minutes=1)
    stray = await rig.delivers(
        body({**alert(), "labels": {"alertname": "DiskFull"}, "fingerprint": "f2"})
    )
    found = await overview.coverage(DAYS)
    assert found.since == rig.now - DAYS
    (matched,) = found.matched
    assert (matched.rule, matched.incidents, matched.last_incident) == (
        "checkout-success-rate",
        1,
        rig.id,
    )
    (unmatched,) = found.unmatched
    assert (unmatched.alert, unmatched.last_incident, unmatched.last_at) == (
        "DiskFull",
        stray,
        rig.now,
    )
    assert found.silent == ()
    later = await overview.coverage(timedelta(seconds=30))
    assert (later.matched, later.silent) == ((), ("checkout-success-rate",))


async def test_the_outboxes_of_what_is_open_are_counted(rig: Rig, overview: StatusReport) -> None:
    for page, told in (
        ("p1", []),
        ("p2", [e.PageFailed(page="p2", method="sms-1", error="busy", last=False)]),
        ("p3", [e.PageFailed(page="p3", method="none", error="no way", last=True)]),
        ("p4", [e.PageDelivered(page="p4", method="sms-1", proof="rang")]),
    ):
        await rig.calls(page=page)
        await rig.happens(*told)
    await rig.does("ack")
    await rig.does("updates", audience="room")
    name = next(iter((await rig.incident()).updates.by_name))
    await rig.does(f"updates/{name}/send")
    found = await overview.system()
    assert (found.pages.waiting, found.pages.failing, found.pages.given_up) == (1, 1, 1)
    assert (found.updates.waiting, found.updates.failing) == (1, 0)
    failed = e.UpdateFailed(update=name, version=1, channel="room", error="away", last=False)
    await rig.happens(failed)
    found = await overview.system()
    assert (found.updates.waiting, found.updates.failing) == (0, 1)


async def test_the_system_says_how_it_runs(rig: Rig, overview: StatusReport) -> None:
    await rig.inbox.put("one more", b"{}", rig.now)
    found = await overview.system()
    assert (found.version, found.uptime_seconds, found.ready) == ("1.2.3", 60, True)
    assert (found.inbox, found.open_incidents, found.rules, found.actions) == (1, 1, 1, 2)
    assert (found.loading.at, found.loading.error) == (START, "")
    prometheus, alertmanager = found.peers
    assert (prometheus.reachable, prometheus.version) == (True, "3.5.0")
    assert prometheus.latency_ms is not None
    assert (alertmanager.reachable, alertmanager.trouble) == (
        None,
        "not configured: `alertmanager.url`",
    )


@pytest.mark.parametrize("away", [Temporary("it is\naway"), Permanent("it is\naway")])
async def test_a_peer_that_is_away_says_why(
    rig: Rig, overview: StatusReport, away: Exception
) -> None:
    peer = FakePeer("3")
    peer.away = away
    rig.peers["prometheus"] = peer
    told = (await overview.system()).peers[0]
    assert (told.reachable, told.trouble, told.latency_ms) == (False, "it is away", None)


async def test_of_what_answers_promql_the_kind_and_the_lag_are_told(
    rig: Rig, overview: StatusReport
) -> None:
    rig.peers["prometheus"] = FakeMetricsPeer("2.24.0")
    told = (await overview.system()).peers[0]
    assert (told.version, told.server, told.flavour, told.behind_seconds) == (
        "2.24.0",
        "VictoriaMetrics",
        "victoriametrics",
        11.0,
    )


async def test_a_peer_that_says_nothing_is_waited_for_shortly(
    rig: Rig, overview: StatusReport
) -> None:
    peer = FakePeer("3")
    peer.away = TimeoutError()
    rig.peers["prometheus"] = peer
    assert (await overview.system()).peers[0].trouble == "no answer within 2s"
