"""Nobody is woken for trouble that is over: what is paged once service is restored, and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import get_args

import pytest

from daemon.core.decide import decide
from daemon.core.incident import events as e
from daemon.core.incident.page_identity import Purpose
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.situation import Surroundings
from daemon.core.response.escalation import pages_due
from daemon.core.response.open_pages import (
    CALLED_AFTER_RECOVERY,
    retries_due,
    still_relevant,
    unattended,
)
from daemon.core.response.paging import direct_page
from tests import commanding
from tests.core.build import (
    LIMITS,
    MINUTE,
    SECOND,
    delivered,
    failed,
    impaired,
    make_alert,
    make_roster,
    make_rule,
)
from tests.core.scene import ROUNDS, Scene, of

RULE = make_rule(recover=[])
RECOVERED = e.Recovered(step=0, text="the metrics are back near the baseline")


def commanded() -> Scene:
    scene = Scene()
    scene.confirm()
    scene.come("ada")
    return scene


def paged(scene: Scene, purpose: Purpose, about: str = "", person: str = "ada") -> Scene:
    scene.happen(*direct_page(scene.incident, person, purpose, "come", about))
    return scene


def _of_policy() -> Scene:
    scene = Scene()
    scene.confirm()
    scene.happen(*pages_due(scene.incident, scene.roster, scene.now).record)
    return scene


def _unattended() -> Scene:
    scene = Scene()
    scene.happen(e.EscalationDefect(text="x"))
    return paged(scene, "unattended")


def _engaged() -> Scene:
    scene = commanded()
    scene.happen(e.TeamEngaged(team="mysql", person="ada", packet="x"))
    return paged(scene, "engagement", "mysql", "hal")


def _unanswered() -> Scene:
    scene = commanded()
    scene.happen(e.TeamEngaged(team="mysql", person="ada", packet="x"))
    return paged(scene, "unanswered", "mysql")


def _approval() -> Scene:
    scene = commanded()
    scene.happen(e.ApprovalRequested(step=1, reason="not_approved", text="x"))
    return paged(scene, "approval", "1-not_approved")


def _diagnosis() -> Scene:
    scene = commanded()
    scene.diagnose()
    return paged(scene, "diagnosis")


def _refired() -> Scene:
    scene = commanded()
    scene.happen(
        e.AlertsReceived(alerts=(make_alert("resolved"),)), e.AlertsReceived(alerts=(make_alert(),))
    )
    return paged(scene, "refired")


def _asked(by: str) -> Scene:
    scene = commanded()
    until = scene.now + MINUTE
    scene.happen(
        e.RoleRequested(
            request="communicator.1",
            role="communicator",
            how="ask",
            taker="eve",
            asked="eve",
            by=by,
            until=until,
            why="x",
            briefing="x",
        )
    )
    return paged(scene, "role_request", "communicator.1", "eve")


def _sign_of_life() -> Scene:
    scene = commanded()
    scene.happen(e.CommanderAsked(person="ada", until=scene.now + MINUTE))
    return paged(scene, "sign_of_life")


def _update() -> Scene:
    scene = commanded()
    drafted = e.UpdateDrafted(
        update="public.1",
        audience="public",
        revision=1,
        stage="early",
        text="x",
        because="x",
        facts="x",
        automatic=False,
    )
    scene.happen(drafted)
    return paged(scene, "update", "public.1")


PENDING: dict[Purpose, Callable[[], Scene]] = {
    "escalation": _of_policy,
    "engagement": _engaged,
    "unattended": _unattended,
    "approval": _approval,
    "verdict": lambda: paged(commanded(), "verdict", "1"),
    "relapse": lambda: paged(commanded(), "relapse"),
    "diagnosis": _diagnosis,
    "refired": _refired,
    "severity": lambda: paged(commanded(), "severity", "sev1", "gus"),
    "milestone": lambda: paged(commanded(), "milestone", "first_update"),
    "role_request": lambda: _asked("ada"),
    "vacancy": lambda: paged(commanded(), "vacancy", "communicator"),
    "unanswered": _unanswered,
    "deputy": lambda: paged(commanded(), "deputy"),
    "sign_of_life": _sign_of_life,
    "update": _update,
    "jump": lambda: paged(commanded(), "jump", "", "fay"),
    "autonomy": lambda: paged(commanded(), "autonomy", "1"),
    "help": lambda: paged(commanded(), "help", "mysql"),
    "snoozed": lambda: paged(_of_policy(), "snoozed"),
    "organized": lambda: paged(commanded(), "organized", "mysql"),
    "storm": lambda: paged(Scene(), "storm", "1130-013000", "eve"),
    "storm_growth": lambda: paged(Scene(), "storm_growth", "1130-013000", "eve"),
    "drill_over": lambda: paged(commanded(), "drill_over"),
    "other": lambda: paged(commanded(), "other", "x"),
}
"""A page of each purpose that waits to be delivered."""


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_a_page_that_waits_is_called_after_the_recovery_only_for_a_reason(
    purpose: Purpose,
) -> None:
    scene = PENDING[purpose]()
    page = next(p for p in scene.incident.pages.values() if p.queued.purpose == purpose)
    assert still_relevant(scene.incident, page), "before the recovery it makes sense"
    scene.happen(RECOVERED)
    assert still_relevant(scene.incident, page) == (purpose in CALLED_AFTER_RECOVERY)


def test_what_the_daemon_asked_for_itself_is_not_asked_any_more() -> None:
    scene = _asked("")
    (page,) = [p for p in scene.incident.pages.values() if p.queued.purpose == "role_request"]
    scene.happen(RECOVERED)
    assert not still_relevant(scene.incident, page)
    assert of(e.RoleAnswered, scene.staff())[0].answer == "lapsed"
    assert "communicator" not in scene.posts


def night(scene: Scene, minutes: int) -> list[e.PageQueued]:
    """All that is paged for while time goes by, every page failing for now."""
    found: list[e.PageQueued] = []
    for _ in range(minutes):
        for _ in range(ROUNDS):
            around = Surroundings(scene.roster, Approvals(), LIMITS)
            record = decide(scene.incident, RULE, around, scene.now).record
            if not record:
                break
            found += of(e.PageQueued, scene.happen(*record))
        for page in list(scene.incident.pages.values()):
            if page.pending:
                scene.happen(failed(page.queued.page, temporary=True))
        scene.passes(1)
    return found


def test_once_restored_nobody_is_called_however_long_nobody_came() -> None:
    """As it happened: recovered 13:34:18, and 13:35:28 somebody was called."""
    scene = Scene(roster=make_roster(timing={"silence": "9m"}))
    scene.confirm("sev1")
    assert {p.purpose for p in night(scene, 3)} >= {"escalation", "severity"}
    scene.happen(RECOVERED)
    assert night(scene, 25) == []
    assert pages_due(scene.incident, scene.roster, scene.now + timedelta(days=1)).record == ()
    assert not retries_due(scene.incident, scene.now + timedelta(days=1)).record
    assert not unattended(scene.incident, scene.roster, scene.now)


def test_a_milestone_that_falls_late_after_the_recovery_wakes_nobody() -> None:
    scene = commanded()
    scene.passes(12)  # nobody looked meanwhile
    scene.happen(RECOVERED)
    paged_for = night(scene, 1)
    late = {x.event.item for x in scene.journal if isinstance(x.event, e.DeadlineMissed)}
    assert {"first_update", "communicator"} <= late, "the review has to know"
    assert [p for p in paged_for if p.purpose == "milestone"] == []


def test_a_relapse_begins_the_calling_anew() -> None:
    """From the first tier, and by pages that no earlier link or alert stands for."""
    scene = _of_policy()
    scene.happen(delivered())
    scene.passes(1)
    scene.happen(RECOVERED)
    scene.passes(20)
    scene.happen(e.RecoveryMeasured(step=0, reading=impaired(scene.now)))
    scene.happen(e.Relapsed(text="x"))
    due = pages_due(scene.incident, scene.roster, scene.now)
    assert [(p.page, p.person) for p in of(e.PageQueued, due.record)] == [("r1.t0.ada", "ada")]
    scene.happen(*due.record)
    assert pages_due(scene.incident, scene.roster, scene.now).record == ()
    scene.incident = scene.restarted()
    assert pages_due(scene.incident, scene.roster, scene.now + 5 * MINUTE - SECOND).record == ()
    following = of(
        e.PageQueued, pages_due(scene.incident, scene.roster, scene.now + 5 * MINUTE).record
    )
    assert {p.person for p in following} == {"fay", "gus"}


def test_a_jump_of_before_is_no_jump_after_the_relapse() -> None:
    scene = _of_policy()
    scene.does("ada", *commanding.jump(scene.incident, scene.roster, 2, "ada", scene.now))
    scene.happen(*pages_due(scene.incident, scene.roster, scene.now).record)
    scene.happen(RECOVERED, e.Relapsed(text="x"))
    due = pages_due(scene.incident, scene.roster, scene.now)
    assert [p.tier for p in of(e.PageQueued, due.record)] == [0]


def test_whom_a_person_calls_after_the_recovery_is_called() -> None:
    scene = Scene()
    scene.happen(RECOVERED)
    record = commanding.jump(scene.incident, scene.roster, 2, "ada", scene.now)
    assert {(p.person, p.purpose) for p in of(e.PageQueued, record)} == {
        ("fay", "jump"),
        ("gus", "jump"),
    }


def test_a_page_that_is_tried_again_says_how_it_stands_then() -> None:
    scene = _of_policy()
    scene.happen(failed(temporary=True))
    scene.passes(2)
    scene.happen(e.RecoveryMeasured(step=0, reading=impaired(scene.now, 0.4)))
    (again,) = of(e.PageQueued, retries_due(scene.incident, scene.now).record)
    assert again.text.startswith("checkout: success rate 59.0 % now, the worst so far")
    assert again.facts == again.text
