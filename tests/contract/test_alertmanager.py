"""What the adapter reads in the answers of Alertmanager's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from daemon.adapters.alertmanager import Alertmanager, Alertmanagers
from daemon.app.builders import named
from daemon.core.reconciliation.listing import Silence
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.alertmanager import FakeAlertmanager, firing

TIMED = """
route:
  receiver: default
  routes:
    - receiver: stopgap
      routes: [{matchers: ['x="y"'], mute_time_intervals: [nights]}]
"""


@pytest.fixture
async def double() -> AsyncIterator[FakeAlertmanager]:
    async with FakeAlertmanager().serving() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def asked(http: aiohttp.ClientSession, double: FakeAlertmanager) -> Alertmanager:
    return Alertmanager(http, double.url, 2)


async def test_a_look_tells_each_group_of_our_receivers_alone(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    group = {"alertname": "Fails"}
    shop, quiet = firing({"service": "shop"}), firing({"service": "quiet"}, silenced="s1")
    double.groups = [
        ("web.hook", group, [shop, quiet]),
        ("webxhook", group, [shop]),
        ("a|b", {"service": "shop"}, [firing({"service": "shop"}, inhibited="fp-quiet")]),
    ]
    look = await asked.look(["web.hook", "a|b"])
    assert [(one.receiver, one.alert.identity, one.state) for one in look.listed] == [
        ("web.hook", "fp-shop", "active"),
        ("web.hook", "fp-quiet", "suppressed"),
        ("a|b", "fp-shop", "suppressed"),
    ]
    first, second, third = look.listed
    assert first.group_labels == group
    assert first.alert.status == "firing"
    assert first.alert.starts_at == datetime(2026, 11, 23, 14, 2, 0, 123000, tzinfo=UTC)
    assert (second.silences, third.inhibitors) == (("s1",), ("fp-quiet",))
    assert timedelta(minutes=59) < look.age < timedelta(minutes=61)
    assert await asked.present() == {"fp-shop", "fp-quiet"}


async def test_without_a_receiver_it_lists_nothing(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    double.groups = [("stopgap", {}, [firing({})])]
    assert (await asked.look([])).listed == ()


async def test_what_time_intervals_mute_is_shown_or_not_known(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    double.config = TIMED
    double.groups = [("stopgap", {}, [firing({})])]
    assert (await asked.look(["stopgap"])).timed == {"stopgap"}
    muted = firing({}, mutedBy=["nights"], state="suppressed")
    double.groups = [("stopgap", {}, [muted])]
    look = await asked.look(["stopgap"])
    assert (look.timed, look.listed[0].intervals) == (frozenset(), ("nights",))


async def test_a_silence_tells_until_when_by_whom_and_why(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    told = {"endsAt": "2026-11-23T16:00:00.000Z", "createdBy": "ada\x1b", "comment": "a move"}
    double.silences["s1"] = told
    until = datetime(2026, 11, 23, 16, tzinfo=UTC)
    assert await asked.silence("s1") == Silence(until, "ada ", "a move")
    with pytest.raises(Permanent):
        await asked.silence("s2")


@pytest.mark.parametrize("mood", [500, 503, 404])
async def test_trouble_is_told(asked: Alertmanager, double: FakeAlertmanager, mood: int) -> None:
    double.mood = mood
    with pytest.raises(Temporary if mood >= 500 else Permanent, match=str(mood)):
        await asked.look(["stopgap"])


async def test_a_list_in_another_format_is_permanent(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    double.groups = [("stopgap", {}, [{"status": {}}])]
    with pytest.raises(Permanent, match="format"):
        await asked.look(["stopgap"])


async def test_what_was_cut_short_is_completed_by_the_first_peer_that_answers(
    http: aiohttp.ClientSession, asked: Alertmanager, double: FakeAlertmanager
) -> None:
    double.groups = [("stopgap", {}, [firing({"service": "shop"})])]
    away = Alertmanager(http, f"http://127.0.0.1:{unused_port()}", 2)
    for peers in ([away, asked], [asked, away]):
        (found,) = await Alertmanagers(peers).alerts({}, "stopgap")
        assert found.identity == "fp-shop"
    with pytest.raises(Temporary):
        await Alertmanagers([away, away]).alerts({}, "stopgap")


def test_each_peer_has_a_name_on_the_system_page(http: aiohttp.ClientSession) -> None:
    one, two = (Alertmanager(http, f"http://ada:hunter2@{name}:9093", 2) for name in "ab")
    assert named([]) == {"alertmanager": None}
    assert named([one]) == {"alertmanager": one}
    names = {"alertmanager http://a:9093": one, "alertmanager http://b:9093": two}
    assert named([one, two]) == names
