"""The words of an update: facts for those who work on it, none of the inside for the public."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.measurement.problem import Impact
from daemon.core.response.update_text import draft, facts_in_short
from tests.core.build import (
    MINUTE,
    NOW,
    TARGET,
    confirmed,
    finished,
    healthy,
    impaired,
    make_problem,
    started,
)
from tests.core.scene import Scene
from tests.core.world import World


def words(
    scene: Scene,
    *,
    public: bool = False,
    since: datetime | None = None,
    description: str = "",
    pause: timedelta | None = None,
    sent_at: datetime | None = None,
) -> str:
    return draft(
        scene.incident,
        since=since,
        pause=pause,
        sent_at=sent_at,
        public=public,
        description=description,
    )


@pytest.fixture
def scene() -> Scene:
    """A sev2 that ada commands and eve tells of; a rollback has helped a little."""
    scene = Scene()
    scene.come("ada", "eve")
    scene.takes("eve", "communicator")
    scene.confirm("sev2")
    scene.passes(5)
    scene.happen(started())
    scene.passes(5)
    scene.happen(finished(), e.RecoveryMeasured(step=1, reading=impaired(scene.now, 0.1)))
    return scene


def test_an_internal_update_has_the_numbers_the_actions_and_the_people(scene: Scene) -> None:
    assert words(scene).splitlines() == [
        "checkout: success rate 89.0 % now, 79.0 % at worst, normally 99.0 %, "
        "since 14:06:00 UTC, 66 failed a minute (sev2)",
        "Measured at 14:20 UTC: loss 10.0 %, was 20.0 % (impaired).",
        f"Done: release_rollback on {TARGET}: done, its effect is being measured.",
        "Next: the effect of release_rollback is being measured.",
        "Commander: ada; Communicator: eve.",
        "We keep watching; the next update comes if it returns, or when it is over.",
    ]


def test_the_next_update_is_promised_as_a_time_or_as_a_pause(scene: Scene) -> None:
    """Nobody knows when a draft that waits for a tap is sent, so it names no time."""
    automatic = words(scene, pause=5 * MINUTE, sent_at=scene.now)
    assert automatic.endswith("Next update by 14:25 UTC.")
    assert words(scene, pause=15 * MINUTE).endswith("Next update within 15 minutes.")
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert "ext update" not in words(scene)


def test_an_update_tells_what_is_new_since_the_last() -> None:
    scene = Scene()
    scene.confirm("sev3")
    since = scene.now
    assert "Since 14:10 UTC: nothing has changed." in words(scene, since=since)
    scene.passes(1)
    scene.happen(started())
    scene.confirm("sev1")
    assert "Since 14:10 UTC: severity rose to sev1; step 1 (release_rollback) was started." in (
        words(scene, since=since)
    )
    scene.passes(1)
    scene.happen(finished(), e.StepVerified(step=1, verdict="recovered", text="x"))
    scene.happen(e.Recovered(step=1, text="x"))
    assert "service is restored; severity rose to sev1; step 1 (release_rollback) ended" in (
        words(scene, since=since)
    )
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert "the incident is closed; service is restored" in words(scene, since=since)
    assert "nothing has changed" in words(scene, since=scene.now)


def test_an_update_says_what_comes_next() -> None:
    scene = Scene()
    scene.confirm("sev2")

    def following() -> str:
        (line,) = (line for line in words(scene).splitlines() if line.startswith("Next: "))
        return line

    assert following() == "Next: the recovery plan is being decided."
    scene.happen(e.IncidentPaused(person="bo", reason="x"))
    assert following() == "Next: automation is paused by bo; people decide."
    scene.happen(e.IncidentResumed(person="bo"))
    scene.happen(e.ApprovalRequested(step=1, reason="not_approved", text="x"))
    assert following() == "Next: step 1 waits for the Commander's approval."
    scene.happen(started())
    assert following() == "Next: release_rollback is running, then its effect is measured."
    scene.happen(finished(), e.StepVerified(step=1, verdict="unchanged", text="x"))
    scene.diagnose()
    assert following() == "Next: the cause is looked for (owner: nobody yet)."
    scene.takes("dee", "diagnosis")
    assert following() == "Next: the cause is looked for (owner: dee)."
    scene.happen(e.Recovered(step=0, text="x"))
    assert following() == "Next: watching for a relapse."
    scene.happen(e.IncidentClosed(reason="recovered", text="x"))
    assert following() == "Next: the review."


def test_impact_and_what_is_heard_outside_are_told_once() -> None:
    impact = (Impact(name="orders lost", value=1240.0), Impact(name="x", value=None))
    scene = Scene(confirmed(make_problem(impact=impact, severity="sev2")))
    scene.happen(e.SentimentHeard(source="eve", text="old word"))
    scene.happen(e.SentimentHeard(source="eve", text="angry\nposts"))
    scene.happen(e.SentimentHeard(source="metrics", text="complaints: 3"))
    first = words(scene)
    assert "Impact: orders lost 1,240." in first
    assert "Heard outside: angry posts (eve); complaints: 3 (metrics)." in first
    assert "Heard outside" not in words(scene, since=scene.now)


# ── the public ───────────────────────────────────────────────────────────────────────────────


def test_public_words_name_no_person_no_target_and_no_action(scene: Scene) -> None:
    text = words(scene, public=True, description="Paying fails for some.")
    assert text.splitlines()[:2] == [
        "We see a problem since 14:06 UTC: Paying fails for some.",
        "We are working on restoring the service.",
    ]
    assert " Paying fails for some.\n" in words(
        scene, public=True, description="Paying\n fails for some"
    )


def test_public_words_follow_the_stage() -> None:
    scene = Scene()
    assert words(scene, public=True).startswith("We see a problem since 14:10 UTC: our service.")
    scene.confirm("sev2")
    assert "We are looking into it." in words(scene, public=True)
    scene.happen(started())
    assert "We are working on restoring the service." in words(scene, public=True)
    scene.passes(20)
    scene.happen(e.Recovered(step=1, text="x"))
    assert words(scene, public=True).startswith(
        "Restored: success rate. The problem lasted from 14:06 UTC to 14:30 UTC."
    )


INSIDE = ("ada", "bo", "cy", "dee", "eve", "fay", "gus", "hal", "release_rollback", TARGET, "v2")


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_whatever_happens_the_public_reads_nothing_of_the_inside(seed: int) -> None:
    """Over a whole night, with all that people say and do."""
    world = World(seed)
    for _ in range(60):
        world.turn()
        for pause in (None, 5 * MINUTE):
            text = draft(
                world.incident,
                since=NOW,
                pause=pause,
                sent_at=None,
                public=True,
                description="the checkout",
            )
            assert not [name for name in INSIDE if name in text]
            assert 2 <= len(text.splitlines()) + (world.incident.closed is not None) <= 4


# ── when a draft is out of date ──────────────────────────────────────────────────────────────


def test_a_draft_is_out_of_date_when_the_facts_have_changed_and_not_with_each_reading() -> None:
    scene = Scene()
    scene.confirm("sev2")
    short = [facts_in_short(scene.incident)]
    scene.happen(e.RecoveryMeasured(step=0, reading=impaired(scene.now, 0.15)))
    scene.happen(e.Noted(text="x"))
    scene.come("ada")
    assert facts_in_short(scene.incident) == short[0]
    for event in (
        confirmed(make_problem(severity="sev1")),
        started(),
        finished(),
        e.StepVerified(step=1, verdict="recovered", text="x"),
        e.Recovered(step=1, text="x"),
        e.Relapsed(text="x"),
        e.DiagnosisOpened(reason="x", text="x"),
        e.IncidentClosed(reason="by_person", text="x"),
    ):
        scene.happen(event)
        short.append(facts_in_short(scene.incident))
    assert len(set(short)) == len(short)
    scene.happen(e.RecoveryMeasured(step=0, reading=healthy(scene.now)))
    assert facts_in_short(scene.incident) == short[-1]
