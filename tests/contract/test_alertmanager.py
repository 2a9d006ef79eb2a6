"""What the adapter reads in the answers of Alertmanager's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from daemon.adapters.alertmanager import Alertmanager, Alertmanagers, ClusterSilencer
from daemon.app.alertmanager import named
from daemon.core.ports.alerts import Silencing
from daemon.core.reconciliation.listing import Silence
from daemon.core.rules.matchers import Matcher
from daemon.core.values.label_length import bounded
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.alertmanager import FakeAlertmanager, firing
from tests.doubles.serving import nobody_there

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
    with nobody_there() as address:
        away = Alertmanager(http, f"http://{address}", 2)
        for peers in ([away, asked], [asked, away]):
            (found,) = await Alertmanagers(peers).alerts({}, "stopgap")
            assert found.identity == "fp-shop"
        with pytest.raises(Temporary):
            await Alertmanagers([away, away]).alerts({}, "stopgap")


async def test_a_group_whose_label_is_too_long_is_asked_for_by_its_other_labels(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    group, others = ({"service": "shop", "query": letter * 20_000} for letter in "xy")
    shown = [{**firing(group), "fingerprint": "a"}, {**firing(others), "fingerprint": "b"}]
    double.groups = [("stopgap", {"service": "shop"}, shown)]
    (found,) = await asked.alerts(bounded(group), "stopgap")
    assert double.filters == ['service="shop"']
    assert found.identity == "a"
    assert found.labels.items() >= bounded(group).items()


def test_each_peer_has_a_name_on_the_system_page(http: aiohttp.ClientSession) -> None:
    one, two = (Alertmanager(http, f"http://ada:hunter2@{name}:9093", 2) for name in "ab")
    assert named([]) == {"alertmanager": None}
    assert named([one]) == {"alertmanager": one}
    names = {"alertmanager http://a:9093": one, "alertmanager http://b:9093": two}
    assert named([one, two]) == names


# ── silences of ours ─────────────────────────────────────────────────────────────────────────

MATCHERS = (
    Matcher(name="service", op="=", value='a "quoted" one'),
    Matcher(name="env", op="!~", value="dev|test"),
)


async def test_a_silence_is_set_found_by_its_mark_extended_and_ended(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    first = Silencing(MATCHERS, until, "Stopgap 1130-0001: by ada")
    silence, link = await asked.put(first, None)
    assert link == f"{double.url}/#/silences/{silence}"
    kept = double.silences[silence]
    assert kept["matchers"] == [
        {"name": "service", "value": 'a "quoted" one', "isRegex": False, "isEqual": True},
        {"name": "env", "value": "dev|test", "isRegex": True, "isEqual": False},
    ]
    assert (kept["createdBy"], kept["comment"]) == ("stopgap", "Stopgap 1130-0001: by ada")
    assert await asked.standing("Stopgap 1130-0002:") == []
    (standing,) = await asked.standing("Stopgap 1130-0001:")
    longer = replace(first, until=until + timedelta(hours=1))
    assert await asked.put(longer, standing) == (silence, link), "extended, not set anew"
    assert (await asked.silence(silence)).until == longer.until
    await asked.end(silence)
    await asked.end("gone")  # so it stands nowhere, which is what was wanted
    assert await asked.standing("Stopgap 1130-0001:") == []


async def test_a_silence_that_somebody_else_made_is_none_of_ours(
    asked: Alertmanager, double: FakeAlertmanager
) -> None:
    silence, _ = await asked.put(Silencing(MATCHERS, datetime.now(UTC), "Stopgap x: y"), None)
    double.silences[silence]["createdBy"] = "ada"
    assert await asked.standing("Stopgap x:") == []


async def test_of_a_cluster_the_first_that_answers_takes_the_silence(
    http: aiohttp.ClientSession, double: FakeAlertmanager
) -> None:
    with nobody_there() as address:
        away = Alertmanager(http, f"http://{address}", 1)
        silencer = ClusterSilencer([away, Alertmanager(http, double.url, 2)])
        silence, _ = await silencer.put(
            Silencing(MATCHERS, datetime.now(UTC), "Stopgap x: y"), None
        )
        assert list(double.silences) == [silence]
        with pytest.raises(Temporary, match="cannot be reached"):
            await ClusterSilencer([away]).standing("Stopgap x:")
