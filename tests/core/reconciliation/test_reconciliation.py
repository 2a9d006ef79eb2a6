"""What a list of Alertmanager's means, apart from any loop; `tests/stories` tells it as stories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.core.alertmanager import Alert, milliseconds, parse_delivery, quoted_receiver
from daemon.core.incident import events as e
from daemon.core.incident.events import suppression
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.reconciliation.deliveries import ended, taken_in
from daemon.core.reconciliation.judgement import (
    EndedAlert,
    LastListed,
    Memory,
    knows,
    missing,
    remembering,
    settled_down,
    tally,
)
from daemon.core.reconciliation.listing import (
    Listing,
    PeerListing,
    Silence,
    merge_listings,
    timed_receivers,
)
from daemon.core.reconciliation.suppressions import suppressions
from tests.core.build import ALERTS, MINUTE, NOW, SECOND, ago, make_alert, make_incident

GROUP = {"alertname": "CheckoutFails"}
ALERT = make_alert()
NAME = ALERT.identity
HOUR = timedelta(hours=1)
SETTLE = 10 * MINUTE


def listing(alert: Alert = ALERT, **more: Any) -> Listing:
    return Listing(alert, "stopgap", GROUP, **more)


def look(*listed: Listing, peer: str = "a", age: timedelta = HOUR) -> PeerListing:
    return PeerListing(peer, age, listed)


def later(alert: Alert = ALERT, by: timedelta = MINUTE) -> Alert:
    return alert.model_copy(update={"starts_at": alert.starts_at + by})


def open_one() -> Incident:
    return make_incident(ALERTS)


def over(incident: Incident) -> EndedAlert:
    return EndedAlert(incident, ALERT, NOW)


# ── which firing it is ───────────────────────────────────────────────────────────────────────


def test_a_start_with_fewer_digits_is_the_same_firing() -> None:
    webhook = datetime(2026, 3, 1, 14, 0, 0, 123456, tzinfo=UTC)
    listed = webhook.replace(microsecond=123000)
    assert milliseconds(webhook) == milliseconds(listed) != milliseconds(listed - SECOND)


def test_an_incident_knows_what_fires_there_or_a_later_firing_of_it() -> None:
    incident = open_one()
    assert knows(incident, ALERT)
    assert knows(incident, later(by=-MINUTE)), "a peer that lags behind"
    assert not knows(incident, later())
    assert not knows(
        apply_event(incident, NOW, e.AlertsReceived(alerts=(make_alert("resolved"),))), ALERT
    )
    assert not knows(incident, make_alert(service="other"))


def test_active_on_any_peer_is_active_and_the_latest_start_counts() -> None:
    quiet, loud = listing(state="suppressed"), listing()
    assert merge_listings([look(quiet), look(loud, peer="b")]) == [loud]
    assert merge_listings([look(loud), look(quiet, peer="b")]) == [loud]
    assert merge_listings([look(loud), look(listing(later()), peer="b")]) == [listing(later())]
    elsewhere = Listing(ALERT, "stopgap", {})
    assert merge_listings([look(loud, elsewhere)]) == [loud, elsewhere], (
        "two groups are two incidents"
    )


def test_news_is_left_to_alertmanager_for_one_look() -> None:
    fresh = later(by=ago(0.1) - ALERT.starts_at)
    assert not settled_down(listing(fresh), Memory(), NOW, MINUTE)
    assert settled_down(listing(fresh), Memory(), NOW + MINUTE, MINUTE)
    before = remembering(Memory(), [look(listing(fresh))], [], NOW)
    assert settled_down(listing(fresh), before, NOW, MINUTE)
    other = remembering(Memory(), [look(listing())], [], NOW)
    assert not settled_down(listing(fresh), other, NOW, MINUTE), "that was an earlier firing"


# ── what is over ─────────────────────────────────────────────────────────────────────────────


def seen_at(at: datetime, *by: str) -> Memory:
    return Memory({NAME: LastListed(at, milliseconds(ALERT.starts_at), frozenset(by or "a"))})


def test_only_what_was_listed_or_is_suppressed_can_be_missing() -> None:
    incident = open_one()
    assert missing(Memory(), [incident], NOW) == []
    assert [one.alert for one in missing(seen_at(ago(1)), [incident], NOW)] == [ALERT]
    assert missing(seen_at(NOW), [incident], NOW) == [], "it is listed at this look"
    told = e.AlertsSuppressed(suppressed=(e.Suppression(how="silenced", alerts=(NAME,)),))
    assert len(missing(Memory(), [apply_event(incident, NOW, told)], NOW)) == 1


def test_what_is_missed_twice_in_a_row_is_over_since_it_was_listed_last() -> None:
    incident, memory = open_one(), seen_at(ago(1))
    memory, found = tally(memory, [over(incident)], [look()], SETTLE, NOW)
    assert found == []
    memory, found = tally(memory, [over(incident)], [look()], SETTLE, NOW + MINUTE)
    assert [one.at for one in found] == [ago(1)]
    assert missing(memory, [incident], NOW + 2 * MINUTE) == [], "its end was told already"


def test_an_end_is_never_before_the_start() -> None:
    incident, memory = open_one(), seen_at(ALERT.starts_at - MINUTE)
    memory, _ = tally(memory, [over(incident)], [look()], SETTLE, NOW)
    _, (found,) = tally(memory, [over(incident)], [look()], SETTLE, NOW)
    assert found.at > ALERT.starts_at


@pytest.mark.parametrize(
    "looks",
    [
        (look(age=SETTLE - SECOND),),
        (look(), look(peer="b", age=SECOND)),
        (look(peer="b"),),
    ],
    ids=["fresh", "one is fresh", "who listed it is away"],
)
def test_a_look_that_may_not_know_ends_nothing_and_begins_anew(
    looks: tuple[PeerListing, ...],
) -> None:
    incident, memory = open_one(), seen_at(ago(1))
    memory, _ = tally(memory, [over(incident)], [look()], SETTLE, NOW)
    memory, found = tally(memory, [over(incident)], looks, SETTLE, NOW)
    assert found == []
    _, found = tally(memory, [over(incident)], [look()], SETTLE, NOW)
    assert found == []


def test_what_is_listed_again_is_not_missed_any_more() -> None:
    incident = open_one()
    memory, _ = tally(seen_at(ago(1)), [over(incident)], [look()], SETTLE, NOW)
    memory = remembering(memory, [look(listing())], [incident], NOW)
    assert memory.missed == {}
    assert remembering(memory, [look()], [], NOW).seen == {}, "nothing is kept for ever"


# ── as deliveries ────────────────────────────────────────────────────────────────────────────


def test_what_is_taken_in_reads_as_a_delivery_of_its_group() -> None:
    other = Listing(make_alert(service="b"), "web.hook", {"service": 'b"'})
    first, second = (parse_delivery(body) for body in taken_in([listing(), other], NOW))
    named = ALERT.model_copy(update={"fingerprint": NAME})
    assert (first.group_labels, first.alerts, first.status) == (GROUP, (named,), "firing")
    assert (second.receiver, second.receiver_name) == (r"web\.hook", "web.hook")
    assert first.reconciled
    (again,) = (parse_delivery(body) for body in taken_in([listing()], NOW + MINUTE))
    assert again.identity != first.identity, "what was lost, over and is back is news"


def test_an_end_reads_as_a_delivery_of_its_incident() -> None:
    incident = open_one()
    (found,) = (parse_delivery(body) for body in ended([over(incident)], NOW))
    assert found.group_labels == incident.group_labels
    assert [(a.identity, a.status, a.ends_at) for a in found.alerts] == [(NAME, "resolved", NOW)]


@pytest.mark.parametrize("name", ["web.hook", "a|b", r"c\d", "[x] (y)?*+^${z}", "plain", "ü"])
def test_a_receivers_name_survives_its_quoting(name: str) -> None:
    body = taken_in([Listing(ALERT, name, {})], NOW)[0]
    told = parse_delivery(body)
    assert told.receiver == quoted_receiver(name)
    assert told.receiver_name == name


# ── what is suppressed ───────────────────────────────────────────────────────────────────────


def test_what_suppresses_an_alert_is_told_in_words() -> None:
    until = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
    silences = {"s": Silence(until, "ada", "a move\x1b")}
    listed = {
        NAME: listing(silences=("s", "unknown"), inhibitors=("fp", "gone"), intervals=("nights",)),
        "fp": listing(make_alert(alertname="DatacenterDown")),
    }
    found = suppressions(open_one(), listed, silences)
    text = e.AlertsSuppressed(suppressed=found).describe()
    assert "silenced until 2026-03-01 16:00 UTC by ada: a move ;" in text
    assert "inhibited by DatacenterDown" in text
    assert "inhibited by another alert" in text
    assert "muted by the time interval nights" in text
    assert e.AlertsSuppressed(suppressed=()).describe().endswith("tells of all its alerts again")


def test_silences_with_long_comments_leave_room_for_what_matters() -> None:
    one = e.Suppression(how="silenced", alerts=(NAME,), by="ada", reason="moved " * 500)
    text = suppression((one,) * 40)
    assert text.count("silenced by ada: moved moved") == 5
    assert text.endswith("…; and 35 more")
    assert len(text) < 1300
    assert suppression((one.model_copy(update={"reason": "x" * 200}),)).endswith("xxx")


def test_what_is_not_listed_stays_as_it_was_said_last() -> None:
    told = e.AlertsSuppressed(suppressed=(e.Suppression(how="silenced", alerts=(NAME,), by="ada"),))
    incident = apply_event(open_one(), NOW, told)
    assert suppressions(incident, {}, {}) == told.suppressed
    assert suppressions(incident, {NAME: listing()}, {}) == ()
    resolved = e.AlertsReceived(alerts=(make_alert("resolved"),))
    assert suppressions(apply_event(incident, NOW, resolved), {}, {}) == ()


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (None, set()),
        ({"route": {"receiver": "a", "mute_time_intervals": ["x"]}}, {"a"}),
        (
            {
                "route": {
                    "receiver": "a",
                    "routes": [
                        {"active_time_intervals": ["x"], "routes": [{"receiver": "c"}]},
                        {"receiver": "b", "routes": [{"mute_time_intervals": ["x"]}]},
                    ],
                }
            },
            {"a", "b"},
        ),
    ],
)
def test_the_receivers_of_routes_with_time_intervals(config: Any, found: set[str]) -> None:
    assert timed_receivers(config) == found
