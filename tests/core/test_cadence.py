"""Which update is due to whom and when; drafts that wait for a tap; snoozes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from daemon.core import deeds
from daemon.core import events as e
from daemon.core.cadence import talk
from daemon.core.escalation import pending
from daemon.core.roles import NotPossible
from daemon.core.roster import Roster
from tests.core.build import EVERYTHING, MINUTE, NOW, finished, house, started
from tests.core.scene import ROUNDS, Scene, of, one

TEAM: dict[str, Any] = {"team": EVERYTHING["audiences"]["team"]}
PUBLIC: dict[str, Any] = {"public": EVERYTHING["audiences"]["public"]}
AUTOMATIC = house(audiences=TEAM, ladder={})
BY_HAND = house(audiences=PUBLIC, ladder={})


def tells(scene: Scene) -> list[e.Event]:
    """Everything about updates that is due now, until nothing is."""
    record: list[e.Event] = []
    for _ in range(ROUNDS):
        due = talk(scene.incident, scene.roster, "checkout", scene.now)
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
    at = talk(scene.incident, scene.roster, "checkout", scene.now).again_at
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
    roster = house(audiences={"board": {"channels": ["mail"], "send": "automatic", "from": "sev1"}})
    scene = confirmed_scene(roster)
    scene.passes(60)
    assert tells(scene) == []
    scene.confirm("sev1")
    assert sent(scene) == [("board.1", "the first update")]


# ── updates that wait for a tap ──────────────────────────────────────────────────────────────


@pytest.fixture
def scene() -> Scene:
    """A sev2 that ada commands; the customers' update waits."""
    scene = confirmed_scene(BY_HAND)
    scene.come("ada", "bo", "eve")
    return scene


def assigned(scene: Scene) -> list[tuple[str, str]]:
    return [(a.person, a.reason) for a in of(e.UpdateAssigned, tells(scene))]


def test_a_draft_is_the_communicators_to_send(scene: Scene) -> None:
    scene.takes("eve", "communicator")
    record = tells(scene)
    assert [event.kind for event in record] == ["UpdateDrafted", "UpdateAssigned", "PageQueued"]
    assert one(e.UpdateAssigned, record).person == "eve"
    page = one(e.PageQueued, record)
    assert (page.person, page.asks, page.about) == ("eve", "send", "public.1")
    assert page.text.startswith("an update to public is due (the first update); it falls to you.")
    assert "stopgap update 0301-1409 send public.1" in page.text
    scene.does("eve", *deeds.send(scene.incident, "public.1", "eve", 1, None))
    assert [p for p in pending(scene.incident) if p.queued.asks == "send"] == []
    assert tells(scene) == []
    assert again(scene) == pytest.approx(5), "the pause counts from when it was sent"


def test_without_a_communicator_it_is_the_commanders(scene: Scene) -> None:
    assert assigned(scene) == [("ada", "it falls to you")]


def test_while_nobody_is_here_nobody_is_woken_for_it() -> None:
    scene = confirmed_scene(BY_HAND)
    assert [event.kind for event in tells(scene)] == ["UpdateDrafted"]
    scene.passes(30)
    assert tells(scene) == []
    scene.come("ada")
    assert assigned(scene) == [("ada", "it falls to you")]


def test_what_is_overdue_goes_to_another_person_each_time(scene: Scene) -> None:
    scene.takes("eve", "communicator")
    order = []
    for _ in range(7):
        order += assigned(scene)
        scene.passes(3)
    assert order == [
        ("eve", "it falls to you"),
        ("ada", "eve did not send it"),
        ("bo", "ada did not send it"),
        ("cy", "bo did not send it"),
    ], "the Communicator, the Commander, who is here, the leads; each once"


def test_nobody_is_asked_before_the_one_before_had_their_time(scene: Scene) -> None:
    assigned(scene)
    assert again(scene) == pytest.approx(3)
    scene.passes(2.9)
    assert assigned(scene) == []


def test_those_who_recover_or_diagnose_are_left_in_peace(scene: Scene) -> None:
    scene.takes("bo", "fast_recovery")
    scene.takes("eve", "diagnosis")
    order = []
    for _ in range(5):
        order += [person for person, _ in assigned(scene)]
        scene.passes(3)
    assert order == ["ada", "bo", "cy"], "bo only as the lead, after everybody else"


def test_a_new_communicator_is_asked_for_what_nobody_has_sent(scene: Scene) -> None:
    for _ in range(6):
        assigned(scene)
        scene.passes(3)
    assert assigned(scene) == []
    scene.takes("gus", "communicator")
    assert [person for person, _ in assigned(scene)] == ["gus"]


def test_a_draft_follows_the_facts_and_an_old_one_is_not_sent(scene: Scene) -> None:
    tells(scene)
    first = scene.incident.word.updates["public.1"]
    scene.happen(started())
    redrafted = one(e.UpdateDrafted, tells(scene))
    assert (redrafted.update, redrafted.revision) == ("public.1", 2)
    assert redrafted.facts != first.draft.facts
    with pytest.raises(NotPossible, match="the draft has changed since you read it"):
        deeds.send(scene.incident, "public.1", "ada", 1, None)
    assert deeds.send(scene.incident, "public.1", "ada", 2, None)
    own = deeds.send(scene.incident, "public.1", "ada", 1, " We are on it. ")
    assert own == (e.UpdateReleased(update="public.1", text="We are on it.", person="ada"),)
    assert tells(scene) == [], "nobody else is asked because of that"


def test_with_the_news_everybody_is_asked_anew(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    scene.passes(5)
    for _ in range(6):
        tells(scene)
        scene.passes(3)
    assert assigned(scene) == [], "all were asked, and nobody has sent it"
    scene.happen(e.Recovered(step=0, text="x"))
    assert assigned(scene) == [("ada", "it falls to you")]
    pages = [p.queued.page for p in pending(scene.incident) if p.queued.person == "ada"]
    assert "update-public.2-5.ada" in pages, "a call of its own"


def test_a_draft_that_waits_is_overtaken_by_the_news(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    scene.passes(5)
    tells(scene)
    scene.happen(started(), finished(), e.Recovered(step=1, text="x"))
    redrafted = one(e.UpdateDrafted, tells(scene))
    assert (redrafted.update, redrafted.revision) == ("public.2", 2)
    assert redrafted.because == "service is restored"
    assert redrafted.text.startswith("Restored: checkout.")
    assert len(scene.incident.word.updates) == 2, "one draft waits at a time"


def _sends(scene: Scene) -> tuple[e.Event, ...]:
    tells(scene)
    waiting = scene.incident.word.open_draft("public")
    assert waiting is not None
    return deeds.send(scene.incident, waiting.draft.update, "ada", None, None)


def test_nobody_is_woken_to_say_that_it_is_over(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert tells(scene) == []
    waiting = confirmed_scene(BY_HAND)
    tells(waiting)
    waiting.happen(e.IncidentClosed(reason="by_person", text="x"))
    waiting.passes(30)
    assert tells(waiting) == []


# ── by hand ──────────────────────────────────────────────────────────────────────────────────


def test_an_update_by_hand_is_drafted_and_waits() -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    (drafted,) = deeds.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now)
    assert isinstance(drafted, e.UpdateDrafted)
    assert (drafted.update, drafted.because, drafted.automatic) == (
        "team.2",
        "asked for by hand",
        False,
    )
    with pytest.raises(NotPossible, match="no audience 'x'; the roster has team"):
        deeds.draft_now(scene.incident, AUTOMATIC, "x", "", scene.now)


def test_a_draft_by_hand_that_nobody_sends_does_not_stop_the_automatic_updates() -> None:
    """Somebody asked for a draft and fell asleep."""
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    scene.does("ada", *deeds.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now))
    assert tells(scene) == []
    scene.passes(4)
    assert sent(scene) == [("team.2", "the next in the cadence")]
    scene.does("ada", *deeds.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now))
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert sent(scene) == [("team.3", "it is over")]


# ── snoozes ──────────────────────────────────────────────────────────────────────────────────


def snoozes(scene: Scene, audience: str, minutes: float) -> None:
    told = deeds.snooze(
        scene.incident, scene.roster, audience, "ada", minutes * MINUTE, "quiet", scene.now
    )
    scene.does("ada", *told)


def test_a_snooze_puts_off_the_next_in_the_cadence() -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    snoozes(scene, "team", 60)
    scene.passes(59)
    assert tells(scene) == []
    assert again(scene) == pytest.approx(1)
    scene.passes(1)
    assert sent(scene) == [("team.2", "the next in the cadence")]


@pytest.mark.parametrize("event", [e.Recovered(step=1, text="x"), e.Relapsed(text="x")])
def test_a_snooze_keeps_no_news_from_an_automatic_audience(event: e.Event) -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    snoozes(scene, "team", 60)
    scene.passes(1)
    scene.happen(event)
    assert len(sent(scene)) == 1


def test_a_snooze_keeps_no_news_from_an_audience_that_waits_for_a_tap(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    snoozes(scene, "public", 120)
    scene.passes(10)
    assert assigned(scene) == []
    scene.happen(e.Recovered(step=0, text="x"))
    assert assigned(scene) == [("ada", "it falls to you")]


def test_a_snooze_of_a_draft_that_waits_asks_nobody_until_it_ends(scene: Scene) -> None:
    assert assigned(scene) == [("ada", "it falls to you")]
    snoozes(scene, "public", 30)
    scene.passes(29)
    assert assigned(scene) == []
    assert again(scene) == pytest.approx(1)
    scene.passes(1)
    assert assigned(scene) == [("ada", "it falls to you")], "the same people, from the start"


def test_somebody_who_puts_off_the_news_is_obeyed(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    scene.passes(1)
    scene.happen(e.Recovered(step=0, text="x"))
    tells(scene)
    scene.passes(1)
    snoozes(scene, "public", 30)
    scene.passes(20)
    assert assigned(scene) == []


@pytest.mark.parametrize("minutes", [-1, 0, 241])
def test_a_snooze_has_its_bounds(scene: Scene, minutes: float) -> None:
    with pytest.raises(NotPossible, match="a snooze lasts up to 4h"):
        snoozes(scene, "public", minutes)
