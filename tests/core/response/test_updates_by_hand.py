"""Updates that wait for somebody to send them: whose they are, by hand, and snoozes."""

from __future__ import annotations

import pytest

from daemon.core.incident import events as e
from daemon.core.response.command import NotPossible
from daemon.core.response.open_pages import undelivered
from tests import commanding
from tests.core.build import MINUTE, finished, started
from tests.core.response.test_update_schedule import (
    AUTOMATIC,
    BY_HAND,
    again,
    confirmed_scene,
    sent,
    tells,
)
from tests.core.scene import Scene, of, one

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
    scene.does("eve", *commanding.send(scene.incident, "public.1", "eve", 1, None))
    assert [p for p in undelivered(scene.incident) if p.queued.asks == "send"] == []
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
    first = scene.incident.updates.by_name["public.1"]
    scene.happen(started())
    redrafted = one(e.UpdateDrafted, tells(scene))
    assert (redrafted.update, redrafted.revision) == ("public.1", 2)
    assert redrafted.facts != first.draft.facts
    with pytest.raises(NotPossible, match="the draft has changed since you read it"):
        commanding.send(scene.incident, "public.1", "ada", 1, None)
    with pytest.raises(NotPossible, match="the draft has changed since you read it"):
        commanding.send(scene.incident, "public.1", "ada", 1, "We are on it.")
    assert commanding.send(scene.incident, "public.1", "ada", 2, None)
    assert commanding.send(scene.incident, "public.1", "ada", None, "We are on it.")
    own = commanding.send(scene.incident, "public.1", "ada", 2, " We are on it. ")
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
    pages = [p.queued.page for p in undelivered(scene.incident) if p.queued.person == "ada"]
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
    assert len(scene.incident.updates.by_name) == 2, "one draft waits at a time"


def _sends(scene: Scene) -> tuple[e.Event, ...]:
    tells(scene)
    waiting = scene.incident.updates.open_draft("public")
    assert waiting is not None
    return commanding.send(scene.incident, waiting.draft.update, "ada", None, None)


def test_nobody_is_woken_to_say_that_it_is_over(scene: Scene) -> None:
    scene.does("ada", *_sends(scene))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert one(e.UpdateDrafted, tells(scene)).text == (
        "It is over: checkout. The problem began at 14:06 UTC, and our work on it ended at "
        "14:11 UTC."
    ), "it waits on the page"
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
    (drafted,) = commanding.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now)
    assert isinstance(drafted, e.UpdateDrafted)
    assert (drafted.update, drafted.because, drafted.automatic) == (
        "team.2",
        "asked for by hand",
        False,
    )
    with pytest.raises(NotPossible, match="no audience 'x'; the roster has team"):
        commanding.draft_now(scene.incident, AUTOMATIC, "x", "", scene.now)


def test_a_draft_by_hand_that_nobody_sends_does_not_stop_the_automatic_updates() -> None:
    """Somebody asked for a draft and fell asleep."""
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    scene.does("ada", *commanding.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now))
    assert tells(scene) == []
    scene.passes(4)
    assert sent(scene) == [("team.2", "the next in the cadence")]
    scene.does("ada", *commanding.draft_now(scene.incident, AUTOMATIC, "team", "", scene.now))
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    scene.passes(1)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert sent(scene) == [("team.3", "it is over")]


# ── snoozes ──────────────────────────────────────────────────────────────────────────────────


def snoozes(scene: Scene, audience: str, minutes: float) -> None:
    told = commanding.snooze(
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
