"""Which update is due to whom and when; drafts that wait for a tap; snoozes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.people.roster import Roster
from daemon.core.response.update_schedule import updates_due
from tests.core.build import EVERYTHING, MINUTE, NOW, make_roster
from tests.core.scene import ROUNDS, Scene, of

TEAM: dict[str, Any] = {"team": EVERYTHING["audiences"]["team"]}
PUBLIC: dict[str, Any] = {"public": EVERYTHING["audiences"]["public"]}
AUTOMATIC = make_roster(audiences=TEAM, ladder={})
BY_HAND = make_roster(audiences=PUBLIC, ladder={})


def tells(scene: Scene) -> list[e.Event]:
    """Everything about updates that is due now, until nothing is."""
    record: list[e.Event] = []
    for _ in range(ROUNDS):
        due = updates_due(scene.incident, scene.roster, "checkout", scene.now)
        if not due.record:
            return record
        record += scene.happen(*due.record)
    raise AssertionError(f"it drafts without end: {record[-4:]}")


def sent(scene: Scene) -> list[tuple[str, str]]:
    """(update, because) of what goes out now."""
    record = tells(scene)
    drafts = {d.update: d.because for d in of(e.UpdateDrafted, record)}
    return [(r.update, drafts[r.update]) for r in of(e.UpdateReleased, record)]


def again(scene: Scene) -> float | None:
    """When it is looked at again, in minutes from now."""
    at = updates_due(scene.incident, scene.roster, "checkout", scene.now).wake_at
    return None if at is None else (at - scene.now) / MINUTE


def confirmed_scene(roster: Roster, severity: str = "sev2") -> Scene:
    scene = Scene(roster=roster)
    scene.confirm(severity)
    return scene


# ── automatic updates ────────────────────────────────────────────────────────────────────────


def test_there_is_no_update_before_the_severity_is_known() -> None:
    scene = Scene(roster=AUTOMATIC)
    scene.passes(30)
    assert tells(scene) == []
    scene.confirm("sev4")
    assert sent(scene) == [("team.1", "the first update")]


def test_the_first_update_goes_out_at_once_and_the_pauses_grow() -> None:
    scene = confirmed_scene(AUTOMATIC)
    moments = []
    for _ in range(8):
        assert len(sent(scene)) == 1
        moments.append(scene.now)
        assert tells(scene) == []
        pause = again(scene)
        assert pause is not None
        scene.passes(pause - 0.01)
        assert tells(scene) == []
        scene.passes(0.01)
    assert moments[0] == NOW
    pauses = [(b - a) / MINUTE for a, b in pairwise(moments)]
    assert pauses == pytest.approx([5, 5, 10, 15, 30, 30, 30])


def test_a_late_look_sends_one_update_not_all_that_were_missed() -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(300)
    assert sent(scene) == [("team.2", "the next in the cadence")]


def test_a_rise_of_the_severity_is_told_at_once_and_the_pauses_begin_anew() -> None:
    scene = confirmed_scene(AUTOMATIC, "sev3")
    for pause in (5, 5, 10, 15):
        tells(scene)
        scene.passes(pause)
    tells(scene)
    assert again(scene) == pytest.approx(30)
    scene.passes(1)
    scene.confirm("sev1")
    assert sent(scene) == [("team.6", "severity rose to sev1")]
    assert again(scene) == pytest.approx(5)
    scene.passes(1)
    scene.confirm("sev3")
    assert sent(scene) == [], "it does not fall"


@pytest.mark.parametrize(
    ("event", "because"),
    [
        (e.Recovered(step=1, text="x"), "service is restored"),
        (e.IncidentClosed(reason="by_person", text="x"), "it is over"),
    ],
)
def test_good_news_is_told_at_once_and_is_the_last_word(event: e.Event, because: str) -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    scene.happen(event)
    assert sent(scene) == [("team.2", because)]
    scene.passes(300)
    assert tells(scene) == []
    assert again(scene) is None


def test_a_relapse_is_told_at_once_and_the_cadence_goes_on() -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    scene.happen(e.Recovered(step=1, text="x"))
    tells(scene)
    scene.passes(9)
    scene.happen(e.Relapsed(text="x"))
    assert sent(scene) == [("team.3", "the problem came back")]
    assert again(scene) == pytest.approx(10)
    scene.happen(e.Recovered(step=0, text="x"))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert sent(scene) == [("team.4", "it is over")], "one update tells both"


def test_an_audience_that_was_told_nothing_is_not_told_that_it_is_over() -> None:
    scene = Scene(roster=AUTOMATIC)
    scene.happen(e.Recovered(step=0, text="x"))
    scene.confirm("sev2")
    assert tells(scene) == []
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert tells(scene) == []


def test_an_audience_hears_only_of_what_concerns_it() -> None:
    roster = make_roster(
        audiences={"board": {"channels": ["mail"], "send": "automatic", "from": "sev1"}}
    )
    scene = confirmed_scene(roster)
    scene.passes(60)
    assert tells(scene) == []
    scene.confirm("sev1")
    assert sent(scene) == [("board.1", "the first update")]
