"""What Alertmanager lists and does not tell of: outages after a silence, ends under one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.alertmanager import Alert
from daemon.core.incident.state import Incident
from daemon.core.reconciliation.listing import Listing, Silence
from daemon.core.values.label_length import MAX_LABEL_BYTES, bounded
from daemon.core.values.outcome import Temporary
from tests import commanding
from tests.fakes import START, FakeAlertmanager
from tests.stories.stage import Stage, alert

GROUP = {"alertname": "CheckoutSuccessRateLow"}


def listing(
    started: float = 120, *, service: str = "shop", receiver: str = "stopgap", **more: Any
) -> Listing:
    """What is listed of `alert(…)`: its start cut to milliseconds."""
    told = Alert.model_validate(alert(service=service, started=started))
    return Listing(told, receiver, GROUP, **more)


SILENCED: dict[str, Any] = {"state": "suppressed", "silences": ("s1",)}
UNTIL = START + timedelta(hours=2)


@pytest.fixture
def peer(stage: Stage) -> FakeAlertmanager:
    """An Alertmanager with one silence, whose receiver is known from earlier days."""
    found = FakeAlertmanager()
    found.silences["s1"] = Silence(UNTIL, "ada", "a move")
    stage.alertmanagers.append(found)
    stage.notes.words["alertmanager-receivers"] = ("stopgap",)
    return found


@pytest.fixture
def unruled(stage: Stage) -> Stage:
    """No rule matches, so the word of Alertmanager is all there is."""
    stage.rules.clear()
    return stage


def calls(stage: Stage) -> int:
    return sum(len(phone.pages) for phone in stage.phones.values())


async def the_only(stage: Stage) -> Incident:
    (found,) = await stage.incidents()
    return found


async def test_the_outage_after_a_silence_is_paged(unruled: Stage, peer: FakeAlertmanager) -> None:
    async with unruled.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(300)
        peer.listed = [listing(**SILENCED)]
        await daemon.at(600)
        peer.listed = []  # it ends under the silence, and nobody tells
        await daemon.at(1800)
        before = await the_only(unruled)
        assert before.closed is not None
        assert before.closed.reason == "alerts_resolved"
        said = calls(unruled)
        peer.listed = [listing(1810)]  # it fires anew, and nobody tells that either
        await daemon.at(1810 + 62)
        _, again = await unruled.incidents()
        assert again.closed is None
        assert again.opened.key == before.opened.key
        assert calls(unruled) == said + 1
        await daemon.at(3600)
        assert len(await unruled.incidents()) == 2


async def test_what_fires_again_with_its_first_start_is_paged(
    unruled: Stage, peer: FakeAlertmanager
) -> None:
    """vmalert dates back, Alertmanager makes one alert of both: its webhook says what it said."""
    async with unruled.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(185)
        await daemon.acknowledges("ada")
        await daemon.at(600)
        await daemon.receives(alert(status="resolved", ended=600))
        await daemon.at(1800)
        assert (await the_only(unruled)).closed is not None
        said = calls(unruled)
        await daemon.receives(alert())
        peer.listed = [listing(updated_at=START + timedelta(seconds=590))]
        await daemon.at(1900)
        await the_only(unruled)  # a peer that missed the end still lists it
        peer.listed = [listing(updated_at=START + timedelta(seconds=1890))]
        await daemon.at(1962)
        _, again = await unruled.incidents()
        assert again.closed is None
        assert calls(unruled) == said + 1


async def test_an_end_under_a_silence_is_told_after_two_looks(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    stage.service.errors[:] = [(-7200.0, 0.01)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing(**SILENCED)]
        await daemon.receives(alert())
        await daemon.at(305)
        peer.listed = []
        await daemon.at(331)
        assert not (await daemon.incident()).all_resolved
        await daemon.at(361)
        incident = await daemon.incident()
        assert incident.all_resolved
        (ended,) = incident.alerts.values()
        assert ended.ends_at == START + timedelta(seconds=300), "when it was listed last"
        await daemon.at(1800)
        closed = (await daemon.incident()).closed
    assert closed is not None
    assert closed.reason == "not_confirmed"


async def test_an_end_is_heard_though_we_were_restarted_meanwhile(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing(**SILENCED)]
        await daemon.receives(alert())
        await daemon.at(220)
    peer.listed = []
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert (await daemon.incident()).all_resolved


async def test_after_our_restart_a_peer_that_is_away_may_be_the_one_that_lists_it(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    stage.alertmanagers.append(FakeAlertmanager("http://other"))
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing(**SILENCED)]
        await daemon.receives(alert())
        await daemon.at(220)
    peer.away = Temporary("it cannot be reached")
    async with stage.daemon() as daemon:
        await daemon.at(600)
        assert not (await daemon.incident()).all_resolved
        peer.away, peer.listed = None, []
        await daemon.at(700)
        assert (await daemon.incident()).all_resolved


async def test_what_no_alertmanager_ever_listed_is_not_ended(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(900)
        assert not (await daemon.incident()).all_resolved


async def test_an_alert_that_is_routed_elsewhere_now_has_not_ended(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(220)
        peer.listed, peer.elsewhere = [], {"fp-shop"}
        await daemon.at(900)
        assert not (await daemon.incident()).all_resolved


@pytest.mark.parametrize("how", ["restarted", "away"])
async def test_an_alertmanager_that_lost_everything_ends_nothing(
    stage: Stage, peer: FakeAlertmanager, how: str
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(220)
        if how == "restarted":
            peer.listed, peer.age = [], timedelta(seconds=5)
        else:
            peer.away = Temporary("Alertmanager cannot be reached")
        await daemon.at(700)
        assert not (await daemon.incident()).all_resolved
        peer.listed, peer.age, peer.away = [listing()], timedelta(hours=1), None
        await daemon.at(900)
        assert (await daemon.kinds()).count("AlertsReceived") == 1


async def test_one_missing_look_ends_nothing(stage: Stage, peer: FakeAlertmanager) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        for begin in range(215, 900, 60):
            await daemon.at(begin)
            peer.listed = []
            await daemon.at(begin + 30)
            peer.listed = [listing()]
        assert (await daemon.kinds()).count("AlertsReceived") == 1


async def test_in_a_cluster_active_on_one_peer_is_active_and_a_dead_peer_ends_nothing(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    other = FakeAlertmanager("http://other")
    stage.alertmanagers.append(other)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(400)
        assert not (await daemon.incident()).all_resolved
        peer.away = Temporary("it cannot be reached")
        await daemon.at(800)
        assert not (await daemon.incident()).all_resolved
        peer.away, peer.listed = None, []
        await daemon.at(900)
        assert (await daemon.incident()).all_resolved


async def test_with_a_peer_down_what_the_other_lists_is_taken_in(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    other = FakeAlertmanager("http://other")
    other.away = Temporary("it cannot be reached")
    stage.alertmanagers.append(other)
    peer.listed = [listing()]
    async with stage.daemon() as daemon:
        await daemon.at(200)
        assert (await daemon.incident()).alerts.keys() == {"fp-shop"}


async def test_at_the_start_what_began_while_we_were_down_is_taken_in_at_once(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    peer.listed = [listing(-600), listing(-600, service="basket", **SILENCED)]
    async with stage.daemon() as daemon:
        await daemon.at(2)
        assert (await daemon.incident()).group_labels == {"service": "shop"}
        assert calls(stage) == 1


async def test_what_waits_in_the_inbox_is_not_taken_in_twice(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    peer.listed = [listing(-600)]
    async with stage.daemon() as daemon:
        await daemon.receives(alert(started=-599.9996))
        await daemon.at(200)
        assert (await daemon.kinds()).count("AlertsReceived") == 1


async def test_what_is_told_in_time_is_not_taken_in(stage: Stage, peer: FakeAlertmanager) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(179)
        peer.listed = [listing(178)]
        await daemon.at(190)  # a look; Alertmanager still waits for its group
        assert await stage.incidents() == []
        await daemon.receives(alert(started=178))
        await daemon.at(400)
        assert (await daemon.kinds()).count("AlertsReceived") == 1


async def test_an_alert_with_a_label_that_is_too_long_is_taken_in_once(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    good = listing(-600)
    labels = {**good.alert.labels, "query": "x" * (MAX_LABEL_BYTES + 1)}
    too_long = good.alert.model_copy(update={"labels": labels, "fingerprint": "fp-long"})
    peer.listed = [good, replace(good, alert=too_long)]
    async with stage.daemon() as daemon:
        await daemon.at(60)
        assert (await daemon.incident()).alerts.keys() == {"fp-shop", "fp-long"}
        assert (await daemon.incident()).alerts["fp-long"].labels == bounded(labels)
        await daemon.at(160)
        assert (await daemon.kinds()).count("AlertsReceived") == 1
        peer.listed = [good]
        await daemon.at(260)
        standing = (await daemon.incident()).alerts
        assert {name: one.status for name, one in standing.items()} == {
            "fp-shop": "firing",
            "fp-long": "resolved",
        }


async def test_an_incident_that_cannot_be_read_blinds_nobody_for_the_others(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(220)
        (lost,) = stage.journal.entries
    stage.journal.entries[lost].clear()  # its head is left, as after a rescue of a damaged store
    peer.listed = [listing(), listing(service="basket")]
    async with stage.daemon() as daemon:
        await daemon.at(300)
        (other,) = stage.journal.entries.keys() - {lost}
        assert (await daemon.repository.load(other)).group_labels == {"service": "basket"}


@pytest.mark.parametrize("state", ["suppressed", "unprocessed"])
async def test_what_is_kept_quiet_on_purpose_opens_nothing(
    stage: Stage, peer: FakeAlertmanager, state: Any
) -> None:
    peer.listed = [listing(-600, state=state)]
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert await stage.incidents() == []


async def test_a_receiver_that_may_be_muted_by_the_clock_opens_nothing(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    peer.listed, peer.timed = [listing(-600)], frozenset({"stopgap"})
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert await stage.incidents() == []


async def test_alerts_of_other_receivers_are_left_to_them(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    peer.listed = [listing(-600, receiver="others")]
    async with stage.daemon() as daemon:
        await daemon.at(300)
        assert await stage.incidents() == []


async def test_a_receiver_is_learned_by_an_alert_that_came_by_it_and_is_listed_so(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    stage.notes.words.clear()
    basket = listing(120, service="basket")
    async with stage.daemon() as daemon:
        peer.listed = [basket]
        await daemon.at(180)
        assert await stage.incidents() == []
        # Somebody else's receiver of the same name: the alert that came is not listed.
        await daemon.receives(alert(service="elsewhere"))
        await daemon.at(300)
        assert len(await stage.incidents()) == 1
        peer.listed = [basket, listing()]
        await daemon.receives(alert(started=120.0004))
        await daemon.at(340)
        assert stage.notes.words["alertmanager-receivers"] == ("stopgap",)
        services = {found.group_labels["service"] for found in await stage.incidents()}
        assert services == {"elsewhere", "shop", "basket"}


async def test_the_settings_may_name_the_receiver(stage: Stage, peer: FakeAlertmanager) -> None:
    stage.notes.words.clear()
    stage.receiver = "pager"
    peer.listed = [listing(-600), listing(-600, service="basket", receiver="pager")]
    async with stage.daemon() as daemon:
        await daemon.at(60)
        assert (await daemon.incident()).group_labels == {"service": "basket"}


async def test_what_a_person_closed_while_it_fires_is_not_opened_again_by_a_list(
    unruled: Stage, peer: FakeAlertmanager
) -> None:
    async with unruled.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.does(commanding.close, "ada", "known", who="ada")
        await daemon.at(4000)
        assert len(await unruled.incidents()) == 1
        peer.listed = [listing(4010)]
        await daemon.at(4100)
        assert len(await unruled.incidents()) == 2


async def test_what_was_cut_short_stays_so_though_an_alert_of_it_was_seen_to_end(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert(), truncated=3)
        await daemon.at(220)
        peer.listed = []
        await daemon.at(300)
        incident = await daemon.incident()
        assert {known.status for known in incident.alerts.values()} == {"resolved"}
        assert incident.incomplete
        assert not incident.all_resolved


async def test_what_is_known_to_have_ended_is_not_taken_in_from_a_peer_that_missed_it(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.receives(alert("resolved", ended=199))
        await daemon.at(600)
        assert (await daemon.incident()).all_resolved


async def test_what_was_missed_and_is_back_is_taken_in_again(
    unruled: Stage, peer: FakeAlertmanager
) -> None:
    async with unruled.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(220)
        peer.listed = []
        await daemon.at(300)
        assert (await daemon.incident()).all_resolved
        peer.listed = [listing()]
        await daemon.at(400)
        assert not (await daemon.incident()).all_resolved


async def test_who_silenced_it_until_when_and_why_is_told_once(
    stage: Stage, peer: FakeAlertmanager
) -> None:
    async with stage.daemon() as daemon:
        await daemon.at(180)
        peer.listed = [listing()]
        await daemon.receives(alert())
        await daemon.at(220)
        peer.listed = [listing(**SILENCED)]
        await daemon.at(500)
        (told,) = (await daemon.incident()).suppressed
        assert (told.how, told.by, told.until, told.reason) == ("silenced", "ada", UNTIL, "a move")
        assert (await daemon.kinds()).count("AlertsSuppressed") == 1
        peer.silences["s1"] = replace(peer.silences["s1"], until=UNTIL + timedelta(hours=1))
        await daemon.at(540)
        assert (await daemon.kinds()).count("AlertsSuppressed") == 2
        peer.listed = [listing()]
        await daemon.at(600)
        assert (await daemon.incident()).suppressed == ()
        assert (await daemon.kinds()).count("AlertsSuppressed") == 3


async def test_a_restart_of_prometheus_calls_nobody_again(stage: Stage) -> None:
    """It ends every alert and fires it anew, and the metrics show that nothing has changed."""
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.acknowledges("ada")
        await daemon.at(240)
        await daemon.receives(alert("resolved", ended=240))
        await daemon.at(260)
        await daemon.receives(alert(started=255))
        await daemon.at(600)
        incident = await daemon.incident()
        assert incident.confirmed is not None
        again = [p for p in incident.pages if p.startswith(("refired", "relapse", "r1"))]
        assert again == []


async def test_a_new_outage_after_a_measured_recovery_calls_again(stage: Stage) -> None:
    stage.approved = False
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(200)
        await daemon.acknowledges("ada")
        stage.service.fails(0.01, 240)
        await daemon.at(400)
        await daemon.receives(alert("resolved", ended=390))
        await daemon.at(800)
        assert (await daemon.incident()).phase == "watching"
        said = calls(stage)
        stage.service.fails(0.2, 801)
        await daemon.at(830)
        await daemon.receives(alert(started=825))
        await daemon.at(960)
        incident = await daemon.incident()
        assert incident.relapses == 1
        assert calls(stage) > said
        assert not any(page.startswith("refired") for page in incident.pages)
