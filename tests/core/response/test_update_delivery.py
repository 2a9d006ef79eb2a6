"""Bringing updates to their channels: retries, edits, and what is overtaken."""

from __future__ import annotations

import pytest

from daemon.core.decision import Publish
from daemon.core.incident import events as e
from daemon.core.response.command import NotPossible
from daemon.core.response.update_schedule import UPDATE_TRIES, updates_due
from tests import commanding
from tests.core.build import HOUSE, MINUTE, NOW, SECOND, make_roster
from tests.core.scene import Scene

ONE = make_roster(audiences={"team": {"channels": ["room"], "send": "automatic"}})


def released(scene: Scene, update: str = "team.1", text: str = "it fails") -> None:
    """An update goes out to the team."""
    scene.happen(
        e.UpdateDrafted(
            update=update,
            audience="team",
            revision=1,
            stage="early",
            text=text,
            because="x",
            facts="x",
            automatic=True,
        ),
        e.UpdateReleased(update=update, text=text, person=""),
    )


def published(update: str = "team.1", channel: str = "room", version: int = 1) -> e.UpdatePublished:
    return e.UpdatePublished(
        update=update, version=version, channel=channel, proof="ok", reference="ts1"
    )


def refused(version: int = 1, *, last: bool = False, channel: str = "room") -> e.UpdateFailed:
    return e.UpdateFailed(update="team.1", version=version, channel=channel, error="x", last=last)


def to_bring(scene: Scene) -> list[Publish]:
    return list(updates_due(scene.incident, scene.roster, "", scene.now).effects)


def test_an_update_goes_to_every_channel_of_its_audience() -> None:
    scene = Scene(roster=HOUSE)
    assert to_bring(scene) == []
    released(scene)
    assert to_bring(scene) == [Publish("team.1", "room", 1), Publish("team.1", "mail", 1)]
    scene.happen(published())
    assert to_bring(scene) == [Publish("team.1", "mail", 1)]
    scene.happen(published(channel="mail"))
    assert to_bring(scene) == []


def test_a_draft_goes_nowhere() -> None:
    scene = Scene(roster=HOUSE)
    scene.happen(*commanding.draft_now(scene.incident, HOUSE, "team", "", scene.now))
    assert to_bring(scene) == []


def test_a_channel_that_fails_is_tried_again_after_growing_pauses_and_given_up() -> None:
    scene = Scene(roster=ONE)
    released(scene)
    pauses = []
    for number in range(1, UPDATE_TRIES + 1):
        assert to_bring(scene) == [Publish("team.1", "room", 1)]
        scene.happen(refused(last=number == UPDATE_TRIES))
        assert to_bring(scene) == []
        again = updates_due(scene.incident, ONE, "", scene.now).wake_at
        if number == UPDATE_TRIES:
            assert again is None
            break
        assert again is not None
        pauses.append((again - scene.now) / SECOND)
        scene.now = again
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
    scene.passes(600)
    assert to_bring(scene) == []


def test_one_channel_that_fails_keeps_no_other_waiting() -> None:
    scene = Scene(roster=HOUSE)
    released(scene)
    scene.happen(refused(), published(channel="mail"))
    assert to_bring(scene) == []
    scene.passes(0.25)
    assert to_bring(scene) == [Publish("team.1", "room", 1)]


def test_an_update_that_was_overtaken_is_let_go() -> None:
    """The channel was away: it gets the newest word, not all that it has missed."""
    scene = Scene(roster=ONE)
    released(scene)
    scene.happen(refused())
    scene.passes(10)
    released(scene, "team.2", "it still fails")
    assert to_bring(scene) == [Publish("team.2", "room", 1)]
    scene.happen(published("team.2"))
    scene.passes(600)
    assert to_bring(scene) == []


def test_an_edit_reaches_the_channels_that_have_the_update() -> None:
    scene = Scene(roster=HOUSE)
    released(scene)
    scene.happen(published())
    scene.passes(1)
    released(scene, "team.2", "it still fails")
    scene.happen(published("team.2"), published("team.2", "mail"))
    scene.does("eve", *commanding.edit(scene.incident, "team.1", "eve", " it failed "))
    assert to_bring(scene) == [Publish("team.1", "room", 2)], "mail has never had it"
    scene.happen(published(version=2))
    assert to_bring(scene) == []
    assert scene.incident.updates.by_name["team.1"].text == "it failed"


def test_an_update_that_was_changed_on_its_way_goes_out_as_changed() -> None:
    scene = Scene(roster=ONE)
    released(scene)
    scene.does("eve", *commanding.edit(scene.incident, "team.1", "eve", "other words"))
    assert to_bring(scene) == [Publish("team.1", "room", 2)]


def test_another_text_is_tried_anew_where_the_one_before_was_given_up() -> None:
    scene = Scene(roster=ONE)
    released(scene)
    for number in range(1, UPDATE_TRIES + 1):
        scene.happen(refused(last=number == UPDATE_TRIES))
    scene.does("eve", *commanding.edit(scene.incident, "team.1", "eve", "other words"))
    assert to_bring(scene) == [Publish("team.1", "room", 2)], "at once"
    assert scene.incident.updates.by_name["team.1"].delivery("room").failures == 0
    scene.happen(refused(version=2))
    assert to_bring(scene) == []
    scene.passes(0.25)
    assert to_bring(scene) == [Publish("team.1", "room", 2)]
    scene.happen(refused(version=2, last=True))
    scene.passes(60)
    assert to_bring(scene) == []


def test_after_a_success_the_failures_are_forgotten() -> None:
    scene = Scene(roster=ONE)
    released(scene)
    scene.happen(refused(), refused(), published())
    has = scene.incident.updates.by_name["team.1"].delivery("room")
    assert (has.version, has.failures, has.failed_at, has.reference) == (1, 0, None, "ts1")


def test_what_is_closed_is_still_brought_and_edited() -> None:
    scene = Scene(roster=ONE)
    released(scene)
    scene.happen(e.IncidentClosed(reason="by_person", text="x"))
    assert Publish("team.1", "room", 1) in to_bring(scene)
    scene.does("eve", *commanding.edit(scene.incident, "team.1", "eve", "other words"))
    assert Publish("team.1", "room", 2) in to_bring(scene)


def test_a_channel_that_is_new_in_the_roster_gets_the_newest_update() -> None:
    scene = Scene(roster=ONE)
    for number in (1, 2):
        released(scene, f"team.{number}")
        scene.happen(published(f"team.{number}"))
        scene.passes(5)
    scene.roster = HOUSE
    assert to_bring(scene) == [Publish("team.2", "mail", 1)]


def test_sending_and_editing_have_their_order() -> None:
    scene = Scene(roster=ONE)
    scene.happen(*commanding.draft_now(scene.incident, ONE, "team", "", NOW))
    with pytest.raises(NotPossible, match=r"update team\.1 was not sent yet"):
        commanding.edit(scene.incident, "team.1", "eve", "x")
    with pytest.raises(NotPossible, match="there is no update 'x'"):
        commanding.send(scene.incident, "x", "eve", None, None)
    with pytest.raises(NotPossible, match="the update is empty"):
        commanding.send(scene.incident, "team.1", "eve", 1, " \n")
    scene.does("eve", *commanding.send(scene.incident, "team.1", "eve", 1, "words"))
    with pytest.raises(NotPossible, match=r"update team\.1 was sent already"):
        commanding.send(scene.incident, "team.1", "eve", 1, None)
    assert commanding.edit(scene.incident, "team.1", "eve", " words ") == (), "the same words"
    (edited,) = commanding.edit(scene.incident, "team.1", "eve", "x" * 2000)
    assert isinstance(edited, e.UpdateEdited)
    assert (edited.version, len(edited.text)) == (2, 2000)
    assert scene.now + MINUTE > NOW
