"""Whoever was called hears once, quietly, that it is over."""

from __future__ import annotations

from datetime import timedelta

from daemon.core.decision import TellEnding
from daemon.core.incident import events as e
from daemon.core.response.endings import ending_text, endings_due
from tests.core.build import make_roster
from tests.core.scene import Scene

PEOPLE = {
    "ada": {"name": "Ada", "contact": [{"slack": "U0123ABCD"}, {"email": "ada@example.org"}]},
    "bo": {"name": "Bo", "contact": [{"pagerduty": "env:PD"}]},
    "cy": {"name": "Cy", "contact": [{"webhook": "env:HOOK"}]},
    "dee": {"name": "Dee", "contact": [{"webhook": "env:HOOK", "reminders": True}]},
    **{
        name: {"name": name, "contact": [{"email": f"{name}@example.org"}]}
        for name in ("eve", "fay", "gus", "hal")
    },
}
ROSTER = make_roster(people=PEOPLE)
METHODS = {"ada": "slack-1", "bo": "pagerduty-1", "cy": "webhook-1", "dee": "webhook-1"}


def called(*people: str) -> Scene:
    """A confirmed problem, for which these were called."""
    scene = Scene(roster=ROSTER)
    calls(scene, *people)
    scene.confirm()
    scene.passes(9)
    return scene


def calls(scene: Scene, *people: str) -> None:
    for person in people:
        page = f"{scene.now:%H%M}.{person}"
        scene.happen(e.PageQueued(page=page, person=person, purpose="escalation", text="come"))
        method = METHODS.get(person, "email-1")
        scene.happen(e.PageDelivered(page=page, method=method, proof="ok"))


def to_tell(scene: Scene) -> list[TellEnding]:
    effects = endings_due(scene.incident, ROSTER, scene.now).effects
    return [effect for effect in effects if isinstance(effect, TellEnding)]


def told(scene: Scene) -> None:
    for order in to_tell(scene):
        scene.happen(
            e.EndingTold(
                person=order.person,
                ending=order.ending,
                recoveries=order.recoveries,
                method=order.method,
                proof="ok",
            )
        )


def recovered(scene: Scene) -> None:
    scene.happen(e.Recovered(step=0, text="by itself"))


def test_each_is_told_by_the_way_that_called_and_rings_nobody() -> None:
    scene = called("ada", "bo", "cy", "dee")
    assert to_tell(scene) == []
    recovered(scene)
    assert to_tell(scene) == [
        TellEnding("ada", "slack-1", "recovered", 1),
        TellEnding("dee", "webhook-1", "recovered", 1),
    ]


def test_it_is_told_once_and_not_again_at_the_close() -> None:
    scene = called("ada")
    recovered(scene)
    told(scene)
    assert to_tell(scene) == []
    scene.happen(e.IncidentClosed(reason="recovered", text="it held"))
    assert to_tell(scene) == []


def test_an_end_without_a_recovery_is_told_as_what_it_is() -> None:
    scene = called("ada")
    scene.happen(e.IncidentClosed(reason="by_person", text="bo: a test"))
    assert to_tell(scene) == [TellEnding("ada", "slack-1", "closed", 0)]
    assert ending_text(scene.incident) == "Closed, nothing more is asked of you: bo: a test"


def test_after_a_relapse_those_hear_of_it_who_were_called_again() -> None:
    scene = called("ada", "eve")
    recovered(scene)
    told(scene)
    scene.passes(5)
    scene.happen(e.Relapsed(text="again"))
    calls(scene, "ada")
    scene.passes(5)
    recovered(scene)
    assert to_tell(scene) == [TellEnding("ada", "slack-1", "recovered", 2)]


def test_a_call_after_the_recovery_has_no_end_to_tell() -> None:
    scene = called("ada")
    recovered(scene)
    told(scene)
    scene.passes(1)
    calls(scene, "eve")
    assert to_tell(scene) == []


def test_a_way_that_fails_is_tried_again_and_given_up() -> None:
    scene = called("ada")
    recovered(scene)
    failed = e.EndingUntold(
        person="ada", ending="recovered", recoveries=1, method="slack-1", error="503", last=False
    )
    scene.happen(failed)
    due = endings_due(scene.incident, ROSTER, scene.now)
    assert due.effects == ()
    assert due.wake_at is not None
    scene.now = due.wake_at
    assert len(to_tell(scene)) == 1
    scene.happen(failed.model_copy(update={"last": True}))
    scene.now += timedelta(hours=1)
    assert to_tell(scene) == []


def test_the_words_say_when_by_what_and_that_nothing_is_asked() -> None:
    scene = called("ada")
    recovered(scene)
    assert ending_text(scene.incident) == (
        "Restored at 14:19:00 UTC by itself, 9m after it was confirmed. "
        "Nothing more is asked of you. It is being watched for a relapse."
    )


def test_the_end_of_the_incident_that_carries_a_storms_page_is_not_told_as_the_storms() -> None:
    scene = called("ada")
    page = e.PageQueued(page="s.dee", person="dee", purpose="storm", about="s", text="Storm")
    scene.happen(page, e.PageDelivered(page="s.dee", method="webhook-1", proof="ok"))
    recovered(scene)
    assert to_tell(scene) == [TellEnding("ada", "slack-1", "recovered", 1)]
