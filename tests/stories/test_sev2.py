"""One sev2 from the page to the last update: all four roles, a takeover, an unacknowledge, a gap
in the coverage, a dead pager. What people do is what the API, the pager and the links do."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.core.incident.events import DAEMON
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.response.command import NotPossible
from daemon.core.values.yaml_document import one_document
from tests import commanding
from tests.fakes import START, Switchboard
from tests.stories.stage import Daemon, Stage, alert

ROSTER = """
people:
  ada: {name: Ada, contact: [{console: true}], known_as: {pagerduty: PADA}}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
  ed: {name: Ed, contact: [{console: true}]}
  fay: {name: Fay, contact: [{console: true}]}
  gus: {name: Gus, contact: [{console: true}]}
  hal: {name: Hal, contact: [{console: true}]}
teams:
  payments: {owners: [ada, hal], lead: cy, stability_owner: gus, experts: [ed], policy: payments}
  mysql: {owners: [gus], policy: mysql}
schedules:
  night:
    zone: Europe/Berlin
    layers:
      - {rotation: [gus], start: 2026-11-02, restrict: [{from: "22:00", to: "06:00"}]}
policies:
  payments:
    tiers:
      - {notify: [night], wait: 5m}
      - {notify: [bo], wait: 5m}
      - {notify: [ada, fay], wait: 5m}
  mysql: {tiers: [{notify: [mysql], wait: 5m}]}
default_policy: payments
ladder: {sev1: [gus]}
channels:
  war-room: {console: true}
  board-mail: {console: true}
  status-page: {console: true}
audiences:
  responders: {channels: [war-room], send: automatic}
  stakeholders: {channels: [board-mail], send: automatic, from: sev2}
  customers: {channels: [status-page], from: sev2, wording: public}
"""
PATIENCE = timedelta(minutes=3)
OPENED = 180.0
"""Seconds after START at which the alert arrives."""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """The shop fails for one in ten from 14:02:00 on, and no step of the plan will help."""
    stage = Stage(tmp_path, roster_text=ROSTER)
    stage.phones["ada"] = Switchboard()
    stage.phones["bo"].broken = True
    stage.service.fails(0.10, at=120)
    return stage


def moment(seconds: float) -> datetime:
    """So many seconds after START."""
    return START + timedelta(seconds=seconds)


async def pager_says(daemon: Daemon, said: str, person: str, at: float) -> Incident:
    """PagerDuty reports what happened there."""
    report = commanding.RecordPagerReport("pagerduty", said, person, "", moment(at), f"{said}-{at}")  # type: ignore[arg-type]
    by = person or DAEMON
    return await daemon.does(
        commanding.mark_heard,
        report,
        moment(at + 1),
        timedelta(minutes=10),
        who=by if person else "",
    )


async def answers(daemon: Daemon, role: str, person: str, at: float, accept: bool = True) -> None:
    """The person answers what they were asked about the role."""
    incident = await daemon.incident()
    (asked,) = [
        r.event.request
        for r in incident.people.open_requests()
        if r.event.role == role and r.event.asked == person
    ]
    await daemon.does(
        commanding.answer_request,
        asked,
        person,
        accept=accept,
        now=moment(at),
        patience=PATIENCE,
        who=person,
    )


async def the_first_ten_minutes(stage: Stage, daemon: Daemon) -> None:
    """From the alert to a takeover, by the clock."""
    await daemon.at(OPENED)
    await daemon.receives(alert())
    await daemon.at(OPENED + 5)
    incident = await daemon.incident()
    called = [p.queued.page for p in incident.pages.values()]
    assert called[:3] == ["r0.t1.bo", "r0.t2.ada", "r0.t2.fay"], "gap skipped, dead pager passed"
    assert incident.severity == "sev2"
    board = stage.boards["board-mail"].posts
    assert len(board) == 1, "stakeholders hear of it at once"

    await daemon.at(OPENED + 30)
    incident = await pager_says(daemon, "acknowledged", "ada", OPENED + 30)
    assert incident.commander == "ada"

    await daemon.at(OPENED + 100)
    await daemon.does(
        commanding.take, "fast_recovery", "hal", moment(OPENED + 100), PATIENCE, who="hal"
    )

    await daemon.at(OPENED + 160)
    await answers(daemon, "communicator", "fay", OPENED + 160)
    incident = await daemon.incident()
    assert incident.people.holder("communicator") == "fay"
    with pytest.raises(NotPossible, match="cannot be Problem Diagnosis Owner too"):
        commanding.take(incident, "diagnosis", "fay", moment(OPENED + 160), PATIENCE)


async def test_a_sev2_from_the_page_to_the_last_update(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        await the_first_ten_minutes(stage, daemon)
        await fay_tells_the_customers(stage, daemon)
        await ada_lets_go_and_comes_back(stage, daemon)
        await the_lead_takes_over(stage, daemon)
        await hal_restores_it(stage, daemon)
        await daemon.at(OPENED + 4000)
        incident = await daemon.incident()
        kinds = await daemon.kinds()
    assert incident.closed is not None
    assert (stage.folder / f"{incident.id}.md").exists()
    assert kinds.count("EscalationDefect") == 0
    assert not incident.missed
    told = stage.phones["ada"].told  # type: ignore[attr-defined]
    own = [state for key, state in told if key == incident.id]
    assert own == ["acknowledged", "acknowledged", "resolved"]
    questions = {key for key, _ in told if key != incident.id}
    assert questions, "the takeover was a question of its own"
    assert all(state == "resolved" for key, state in told if key in questions)


async def fay_tells_the_customers(stage: Stage, daemon: Daemon) -> None:
    """The draft for customers was ada's while nobody communicated; now it goes out by one tap."""
    await daemon.at(OPENED + 170)
    incident = await daemon.incident()
    draft = incident.updates.open_draft("customers")
    assert draft is not None
    assert not any(name in draft.text for name in ("ada", "hal", "rollback"))
    await daemon.does(
        commanding.send, draft.draft.update, "fay", draft.draft.revision, None, who="fay"
    )
    await daemon.at(OPENED + 175)
    (post,) = stage.boards["status-page"].posts
    assert "We see a problem since 14:0" in post.text
    await daemon.does(
        commanding.edit, draft.draft.update, "fay", "Checkout fails for some of you.", who="fay"
    )
    await daemon.at(OPENED + 180)
    shown = stage.boards["status-page"].shown[draft.draft.update]
    assert (shown.text, shown.version) == ("Checkout fails for some of you.", 2)


async def ada_lets_go_and_comes_back(stage: Stage, daemon: Daemon) -> None:
    """Unacknowledged in the pager: command is vacant, people are called, a late report of the
    first acknowledgement changes nothing."""
    await daemon.at(OPENED + 240)
    incident = await pager_says(daemon, "unacknowledged", "", OPENED + 240)
    assert incident.commander == ""
    incident = await pager_says(daemon, "acknowledged", "ada", OPENED + 30)
    assert incident.commander == ""
    await daemon.at(OPENED + 250)
    again = [p.page for p in stage.phones["fay"].pages if p.page.startswith("r1")]
    assert again == ["r1.t2.fay"]
    incident = await pager_says(daemon, "acknowledged", "ada", OPENED + 260)
    assert incident.commander == "ada"


async def the_lead_takes_over(stage: Stage, daemon: Daemon) -> None:
    """The plan is exhausted: an expert diagnoses, and the lead commands once ada agrees."""
    await daemon.at(OPENED + 900)
    incident = await daemon.incident()
    assert incident.diagnosis is not None
    asked = {r.event.asked for r in incident.people.open_requests()} | {
        r.event.asked for r in incident.people.requests.values()
    }
    assert {"cy", "ed"} <= asked
    await daemon.does(commanding.acknowledge, "cy", "api", who="cy")
    incident = await daemon.incident()
    assert incident.commander == "ada", "rank alone changes nothing"
    if not incident.people.open_requests("commander"):
        await daemon.does(
            commanding.take, "commander", "cy", moment(OPENED + 900), PATIENCE, who="cy"
        )
    else:
        await answers(daemon, "commander", "cy", OPENED + 900)
    incident = await daemon.incident()
    (asking,) = incident.people.open_requests("commander")
    assert (asking.event.how, asking.event.asked) == ("takeover", "ada")
    assert "Tried: 1. rollback: unchanged; 2. flag_off: unchanged" in asking.event.briefing
    await answers(daemon, "commander", "ada", OPENED + 901)
    await daemon.does(commanding.take, "diagnosis", "ed", moment(OPENED + 910), PATIENCE, who="ed")
    incident = await daemon.incident()
    posts = {role: post.person for role, post in incident.people.posts.items()}
    assert posts == {
        "commander": "cy",
        "communicator": "fay",
        "fast_recovery": "hal",
        "diagnosis": "ed",
    }
    await daemon.does(
        commanding.engage, stage.roster, "mysql", "cy", "slow queries?", "http://doc", who="cy"
    )
    await daemon.at(OPENED + 920)
    (packet,) = [p for p in stage.phones["gus"].pages if p.page.startswith("engage-mysql")]
    assert "slow queries?" in packet.text
    incident = await daemon.acknowledges("gus")
    assert incident.people.engaged["mysql"].answered_by == "gus"
    assert incident.commander == "cy"


async def hal_restores_it(stage: Stage, daemon: Daemon) -> None:
    """The metrics come back: stakeholders hear that at once, and the cadence was kept."""
    await daemon.does(commanding.sentiment, "fay", "people complain on the forum", who="fay")
    await daemon.at(OPENED + 1000)
    stage.service.fails(0.01, at=OPENED + 1000)
    await daemon.at(OPENED + 1700)
    incident = await daemon.incident()
    assert incident.recovered_at is not None
    posts = stage.boards["board-mail"].posts
    assert any("people complain on the forum (fay)" in post.text for post in posts)
    last = posts[-1]
    assert "service is restored" in last.text
    assert (last.at - incident.recovered_at).total_seconds() <= 2
    sent = [(post.at - START).total_seconds() - OPENED for post in posts[:-1]]
    pauses = [later - earlier for earlier, later in pairwise(sent)]
    assert pauses[:2] == pytest.approx([300, 300], abs=5)
    assert all(pause >= 299 for pause in pauses)


def test_the_roster_of_the_story_has_a_gap_by_day() -> None:
    roster = one_document(ROSTER, "roster.yaml").read(Roster)
    assert roster.on_call("night", START) == ()
    assert roster.on_call("night", START + timedelta(hours=9)) == ("gus",)
