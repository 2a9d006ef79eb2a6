"""An acknowledgement silences the incident's group in Alertmanager, and nothing is lost by that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.core.reconciliation.listing import Listing
from daemon.core.rules.matchers import spell_matcher
from daemon.core.values.outcome import Temporary
from tests import commanding
from tests.fakes import START, FakeAlertmanager
from tests.stories.stage import Stage, alert
from tests.stories.test_reconciliation import listing

HOUR = timedelta(hours=1)


@pytest.fixture
def peer(stage: Stage) -> FakeAlertmanager:
    """An Alertmanager where acknowledged groups are silenced for an hour at a time."""
    found = FakeAlertmanager()
    stage.alertmanagers.append(found)
    stage.notes.words["alertmanager-receivers"] = ("stopgap",)
    stage.silence_for = HOUR
    stage.approved = False
    return found


def until(seconds: float) -> object:
    return START + timedelta(seconds=seconds)


async def test_it_is_set_linked_both_ways_extended_and_lifted_when_command_falls_vacant(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        assert peer.ours == {}, "nobody has acknowledged it"
        await daemon.acknowledges("ada")
        await daemon.at(190)
        incident = await daemon.incident()
        (silencing,) = peer.ours.values()
        assert sorted(map(spell_matcher, silencing.matchers)) == [
            'alertname="CheckoutSuccessRateLow"',
            'env="prod"',
            'service="shop"',
        ]
        assert silencing.until == until(185 + 3600)
        assert silencing.comment.startswith(f"Stopgap {incident.id}: acknowledged by ada")
        assert f"https://stopgap/incidents/{incident.id}" in silencing.comment
        assert incident.silence is not None
        assert incident.silence.link == "http://alertmanager/#/silences/ours-1"
        for at in range(800, 2900, 600):  # signs of life
            await daemon.at(at)
            await daemon.does(commanding.say, "hm", who="ada")
        await daemon.at(2900)
        assert list(peer.ours) == ["ours-1"], "the same one"
        assert peer.ours["ours-1"].until == until(185 + 45 * 60 + 3600)
        await daemon.does(commanding.unacknowledge, "ada", "cli", who="ada")
        await daemon.at(2905)
        assert peer.ours == {}
        assert (await daemon.incident()).silence is None


async def test_a_silence_of_ours_is_no_end_and_nobodys_doing(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(700)
        incident = await daemon.incident()
        assert peer.ours
        assert incident.suppressed == ()
        assert incident.alerts["fp-shop"].status == "firing"
        another: Listing = listing(640)
        told = another.alert.model_copy(update={"fingerprint": "fp-other"})
        peer.listed = [listing(), Listing(told, "stopgap", another.group_labels)]
        await daemon.at(800)
        assert "fp-other" in (await daemon.incident()).alerts, "what it keeps back is taken in"
        peer.listed = []
        await daemon.at(900)
        assert (await daemon.incident()).all_resolved, "an end under it is told"


async def test_a_lost_answer_and_a_crash_make_no_second_one(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    peer.loses_answers = True
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(190)
    peer.loses_answers = False
    async with stage.daemon() as daemon:
        await daemon.at(300)
        incident = await daemon.incident()
    assert list(peer.ours) == ["ours-1"]
    assert incident.silence is not None
    assert incident.silence.silence == "ours-1"
    assert not incident.silence.pending


async def test_it_is_lifted_at_the_end_though_alertmanager_is_away_just_then(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(190)
        peer.away = Temporary("it restarts")
        await daemon.does(commanding.close, "ada", "it was a test", who="ada")
        await daemon.at(195)
        assert peer.ours
        peer.away = None
        await daemon.at(300)
    assert peer.ours == {}


async def test_nothing_is_silenced_unless_the_setting_says_so(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    stage.silence_for = None
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(300)
        assert (await daemon.incident()).silence is None
    assert peer.ours == {}
