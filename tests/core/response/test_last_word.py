"""The last word to the customers: whoever was there is reminded, a few times, and not woken."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.untold import untold
from daemon.core.reporting.now_and_next import coming
from daemon.core.response.command import NotPossible
from daemon.core.response.follow_ups import ReminderTiming
from daemon.core.response.last_word import (
    FIRST_REMINDER,
    MOST_REMINDERS,
    DismissLastWord,
    LastWordReminder,
    last_word_owed,
    last_word_reminders,
)
from tests import commanding
from tests.core.build import MINUTE
from tests.core.response.test_update_schedule import AUTOMATIC, BY_HAND, confirmed_scene, tells
from tests.core.scene import Scene, of

TIMING = ReminderTiming(timedelta(days=2), time(9), ZoneInfo("UTC"))
RECOVERED = e.Recovered(step=0, text="x")
CLOSED = e.IncidentClosed(reason="recovered", text="held")
NIGHT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


def sends(scene: Scene) -> None:
    """ada sends the customers' update that waits."""
    tells(scene)
    waiting = scene.incident.updates.open_draft("public")
    assert waiting is not None
    name = waiting.draft.update
    scene.does("ada", *commanding.send(scene.incident, name, "ada", None, None))


@pytest.fixture
def scene() -> Scene:
    """ada commands at night, and the customers were told of the trouble."""
    scene = Scene(roster=BY_HAND, opened=NIGHT)
    scene.confirm("sev2")
    scene.come("ada", "bo")
    sends(scene)
    return scene


def reminders(scene: Scene, minutes: int) -> list[tuple[datetime, LastWordReminder]]:
    """What comes within that time, looked at each minute and written down."""
    found = []
    for _ in range(minutes):
        scene.passes(1)
        for due in last_word_reminders(scene.incident, scene.roster, TIMING, scene.now):
            found.append((scene.now, due))
            scene.happen(
                e.LastWordReminded(
                    audience=due.audience, person=due.person, method="email-1", proof="taken"
                )
            )
    return found


def ends(scene: Scene) -> None:
    """Service is restored at 03:10, and the incident closes ten minutes later."""
    scene.passes(10)
    scene.happen(RECOVERED)
    tells(scene)
    scene.passes(10)
    scene.happen(CLOSED)
    tells(scene)


def test_whoever_was_there_is_reminded_three_times_and_never_woken(scene: Scene) -> None:
    ends(scene)
    assert untold(scene.incident) == ("public",)
    told = reminders(scene, 7 * 24 * 60)
    assert [at.strftime("%d %H:%M") for at, _ in told] == ["02 03:25", "02 09:00", "02 13:00"]
    assert [(due.person, due.update, due.number) for _, due in told] == [
        ("ada", "public.2", 1),
        ("ada", "public.2", 2),
        ("ada", "public.2", 3),
    ]
    assert len(told) == MOST_REMINDERS
    assert not last_word_owed(scene.incident, scene.roster)
    assert untold(scene.incident) == ("public",), "it still stands on the page"


def test_once_service_is_restored_no_lead_is_called_for_the_good_news(scene: Scene) -> None:
    scene.passes(10)
    scene.happen(RECOVERED)
    asked = []
    for _ in range(10):
        asked += [event.person for event in of(e.UpdateAssigned, tells(scene))]
        scene.passes(3)
    assert asked == ["ada", "bo"], "who is there, each once; cy sleeps"
    scene.happen(CLOSED)
    assert of(e.PageQueued, tells(scene)) == []


def test_what_was_sent_needs_no_reminder(scene: Scene) -> None:
    ends(scene)
    sends(scene)
    sent = scene.incident.updates.by_name["public.2"]
    assert sent.text.startswith("Restored: checkout.")
    assert untold(scene.incident) == ()
    assert reminders(scene, 24 * 60) == []
    assert tells(scene) == [], "to say the same once more is nobody's task"


def test_the_draft_that_waits_after_the_closing_is_the_last_word(scene: Scene) -> None:
    ends(scene)
    waiting = scene.incident.updates.open_draft("public")
    assert waiting is not None
    assert waiting.text == ("Restored: checkout. The problem lasted from 02:56 UTC to 03:10 UTC.")


def test_a_person_dismisses_it_with_a_reason(scene: Scene) -> None:
    ends(scene)
    given = commanding.given(scene.incident, DismissLastWord("public", " all called us "), "bo")
    assert given == (e.LastWordDismissed(audience="public", person="bo", reason="all called us"),)
    scene.does("bo", *given)
    assert untold(scene.incident) == ()
    assert reminders(scene, 24 * 60) == []
    assert tells(scene) == []
    with pytest.raises(NotPossible, match="'public' waits for no word that it is over"):
        commanding.given(scene.incident, DismissLastWord("public", "again"), "bo")


def test_a_relapse_undoes_the_dismissal(scene: Scene) -> None:
    scene.passes(10)
    scene.happen(RECOVERED)
    given = commanding.given(scene.incident, DismissLastWord("public", "a blink"), "ada")
    scene.does("ada", *given)
    assert untold(scene.incident) == ()
    scene.passes(1)
    scene.happen(e.Relapsed(text="x"))
    assert untold(scene.incident) == ()
    scene.passes(1)
    scene.happen(RECOVERED)
    assert untold(scene.incident) == ("public",)


def test_who_was_never_told_of_it_waits_for_no_last_word() -> None:
    scene = confirmed_scene(BY_HAND)
    scene.come("ada")
    tells(scene)
    scene.happen(RECOVERED, CLOSED)
    assert untold(scene.incident) == ()


def test_what_goes_out_by_itself_reminds_nobody() -> None:
    scene = confirmed_scene(AUTOMATIC)
    tells(scene)
    scene.passes(1)
    scene.happen(RECOVERED)
    assert untold(scene.incident) == ()


def test_where_nobody_responded_the_lead_reads_of_it_in_the_morning(scene: Scene) -> None:
    scene.leaves("ada")
    scene.leaves("bo")
    ends(scene)
    told = reminders(scene, 12 * 60)
    assert [(at.strftime("%H:%M"), due.person) for at, due in told] == [
        ("09:00", "bo"),
        ("13:00", "bo"),
    ]
    assert FIRST_REMINDER == 15 * MINUTE


def test_the_page_says_what_is_missing(scene: Scene) -> None:
    ends(scene)
    scene.happen(e.ReviewWritten(path="reviews/x.md"))
    assert coming(scene.incident, None, scene.now) == (
        "somebody tells public that it is over, or says why not: stopgap update 0301-1409"
    )
    sends(scene)
    assert coming(scene.incident, None, scene.now) == "nothing; the review is there"
