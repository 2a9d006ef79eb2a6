"""A group of ten thousand alerts: the work grows with the alerts and holds nobody up.

Counted, not timed: how often something is worked out, and how often others have their turn.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core import alertmanager
from daemon.core.alertmanager import Alert, Delivery, NotADelivery, parse_delivery
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.rules.rule import RuleBook, load
from daemon.intake import reading, slices
from daemon.intake.intake import Intake
from daemon.intake.slices import parse_in_slices
from daemon.repository import IncidentRepository
from daemon.web.site.incident import MOST_ALERTS
from tests.contract.rig import ADA, HOOK, rigged
from tests.fakes import START, MemoryInbox, MemoryJournal
from tests.stories.stage import RULE, alert, body


def group(count: int, **changes: Any) -> bytes:
    """A group of so many alerts of one service; `changes` go into each."""
    alerts = [{**alert(), "fingerprint": f"{n:016x}", **changes} for n in range(count)]
    for number, one in enumerate(alerts):
        one["labels"] = {**one["labels"], "pod": f"shop-{number}"}
    return body(*alerts)


def whole(generator: Any) -> Delivery:
    """What the slices make."""
    while True:
        try:
            next(generator)
        except StopIteration as done:
            delivery: Delivery = done.value
            return delivery


def told(parse: Callable[[bytes], Delivery], sent: bytes) -> Delivery | str:
    """What is read; or of a refusal, which field it names."""
    try:
        return parse(sent)
    except NotADelivery as error:
        return str(error).partition("version 4: ")[2].partition(": ")[0] or str(error)


def in_slices(sent: bytes) -> Delivery:
    return whole(parse_in_slices(sent))


WORDS = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
ALERTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(WORDS, WORDS, max_size=3),
        "startsAt": st.sampled_from(
            ["2026-03-01T14:03:20.123456789Z", "2026-03-01T15:00:00+01:00"]
        ),
    },
    optional={"fingerprint": st.sampled_from(["", "a", "b"]), "later": JSON, "annotations": JSON},
)
BODIES = st.fixed_dictionaries(
    {"version": st.just("4"), "groupKey": WORDS, "receiver": WORDS, "status": st.just("firing")},
    optional={"later": JSON, "alerts": st.lists(ALERTS, max_size=7) | JSON},
)


@given(sent=BODIES, indent=st.sampled_from([None, 1]), escaped=st.booleans())
def test_in_slices_the_same_is_read_and_the_same_is_refused(
    sent: dict[str, Any], indent: int | None, escaped: bool
) -> None:
    raw = json.dumps(sent, indent=indent, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(slices, "SLICE", 2)
        assert told(in_slices, raw) == told(parse_delivery, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"[]",
        b"null",
        b"{",
        b"{} {}",
        b"\xff\xfe",
        b'{"alerts": [',
        b'{"alerts": [{}, ',
        b'{"alerts": [{},]}',
        b'{"alerts": [{} {}]}',
        b'{"alerts": [{}}',
        b'{"alerts" [{}]}',
        b'{"alerts": {}}',
        b'{"alerts": [NaN]}',
        b"{alerts: []}",
        b'{"a": "\\ud800", "alerts": []}',
        b"[" * 100_000,
        b'{"a": ' + b"[" * 100_000,
        b'{"alerts": [' + b"[" * 100_000,
        b'{"a": ' + b"1" * 5_000 + b"}",
        group(3).replace(b'"pod": "shop-2"', b'"pod": 2'),
        group(3).replace(b"}]", b"}, 7]"),
        group(2, labels={"alertname": "A", "x": "x" * 20_000}),
        group(2).replace(b'"alerts": [', b'"alerts": [5], "alerts": ['),
        group(2).replace(b'"alerts"', b'"\\u0061lerts"'),
    ],
)
def test_what_is_broken_is_refused_either_way(raw: bytes) -> None:
    if raw.startswith(b'{"a": 1'):
        assert told(in_slices, raw) == "the body"
        return
    assert told(in_slices, raw) == told(parse_delivery, raw)


def test_a_mistake_in_a_later_slice_is_named_by_its_place_in_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "SLICE", 2)
    sent = group(9).replace(b'"pod": "shop-7"', b'"pod": 7')
    with pytest.raises(NotADelivery, match=r"alerts\.7\.labels\.pod: "):
        in_slices(sent)


def test_no_slice_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Noting:
        def validate_json(self, portion: str, *, strict: bool) -> Any:
            sizes.append(len(json.loads(portion)))
            return alerts.validate_json(portion, strict=strict)

    alerts = slices._ALERTS
    monkeypatch.setattr(slices, "_ALERTS", Noting())
    assert len(in_slices(group(1100)).alerts) == 1100
    assert sizes == [slices.SLICE] * 4 + [100]


class House:
    """The intake over memory, and a count of the others' turns while it works."""

    def __init__(self) -> None:
        self.journal, self.inbox = MemoryJournal(), MemoryInbox()
        repository = IncidentRepository(self.journal, lambda: START + timedelta(minutes=5))
        rules = RuleBook(rule for rule, _ in load(RULE, "checkout.yaml"))
        self.intake = Intake(self.inbox, repository, lambda: rules, None, timedelta(hours=1))
        self.turns = 0

    async def takes(self, sent: bytes, *, restarted: bool = False) -> None:
        """Receive a delivery and work it off; perhaps the process was another one meanwhile."""
        others = asyncio.create_task(self._count())
        try:
            await self.intake.receive(sent)
            if restarted:
                self.intake._parsed.clear()
            async with asyncio.TaskGroup() as group_:
                assert await self.intake._work(group_)
        finally:
            others.cancel()

    async def _count(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    @property
    def entries(self) -> list[e.Entry]:
        """The journal of the one incident."""
        (entries,) = self.journal.entries.values()
        return entries


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of these was worked out."""
    counts: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            counts[name] += 1
            return function(*args, **more)

        return call

    of_alert = Alert.identity.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Alert, "identity", property(counting("alert", of_alert)))
    of_delivery = counting("delivery", alertmanager._content_hash)
    monkeypatch.setattr(alertmanager, "_content_hash", of_delivery)
    monkeypatch.setattr(alertmanager, "_canonical", counting("hash", alertmanager._canonical))
    monkeypatch.setattr(Alert, "__eq__", counting("compare", Alert.__eq__))
    return counts


@pytest.mark.parametrize("fingerprint", ["given", ""])
async def test_the_work_grows_with_the_alerts_and_not_with_their_square(
    counted: Counter[str], fingerprint: str
) -> None:
    counts = []
    for size in (200, 400):
        counted.clear()
        changes = {} if fingerprint else {"fingerprint": ""}
        context = House()
        await context.takes(group(size, **changes))
        await context.takes(group(size, startsAt=START.isoformat(), **changes))
        counts.append(dict(counted))
    once, twice = counts
    assert once["delivery"] == twice["delivery"] == 2
    for name in ("alert", "hash"):
        assert twice[name] <= 2 * once[name], name
    assert once["alert"] <= 200 * 2 * 10
    assert once["hash"] <= 2 + (0 if fingerprint else 2 * 200)
    assert "compare" not in twice


@pytest.mark.parametrize("restarted", [False, True])
async def test_others_have_their_turns_while_a_large_group_is_worked_off(
    monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    monkeypatch.setattr(reading, "LARGE", 1000)
    context = House()
    await context.takes(group(5000), restarted=restarted)
    readings = 2 if restarted else 1
    assert context.turns >= readings * 2 * (5000 // slices.SLICE) + 5000 // reading.TURN


async def test_large_bodies_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGE", 1000)
    running, most = [0], [0]
    parse = slices.parse_in_slices

    def noting(sent: bytes) -> Any:
        running[0] += 1
        most[0] = max(most[0], running[0])
        read = yield from parse(sent)
        running[0] -= 1
        return read

    monkeypatch.setattr(reading, "parse_in_slices", noting)
    context = House()
    await asyncio.gather(*(context.intake.receive(group(600 + n)) for n in range(4)))
    assert (most, len(context.inbox.waiting)) == ([1], 4)


async def test_no_entry_of_the_journal_holds_more_than_a_bounded_number() -> None:
    context = House()
    await context.takes(group(2500))
    received = [x.event for x in context.entries if isinstance(x.event, e.AlertsReceived)]
    assert [len(event.alerts) for event in received] == [1000, 1000, 500]
    assert len(fold(context.entries).alerts) == 2500


def test_what_fires_is_told_before_what_ended() -> None:
    """Else all would be over for a moment, and what fires would fire "again"."""
    sent = parse_delivery(group(1500)).alerts
    over = [a.model_copy(update={"status": "resolved"}) for a in sent[:1200]]
    first, second = e.received([*over, *sent[1200:]], incomplete=True)
    assert [a.status for a in first.alerts[:301]] == ["firing"] * 300 + ["resolved"]
    assert (len(second.alerts), second.incomplete) == (500, True)
    assert e.received([], incomplete=True) == (e.AlertsReceived(alerts=(), incomplete=True),)


async def test_the_page_shows_some_and_says_where_all_are() -> None:
    async with rigged() as rig:
        assert (
            await rig.client.post("/api/v1/alerts", data=group(220), headers=HOOK)
        ).status == 200
        async with asyncio.TaskGroup() as group_:
            assert await rig.intake._work(group_)
        answer = await rig.client.get(f"/incidents/{rig.id}", headers=ADA)
        page = await answer.text()
        assert answer.status == 200
        assert page.count('pod="shop-') <= MOST_ALERTS
        assert "Alerts: 221" in page
        assert f"… and {221 - MOST_ALERTS} more" in page
        assert len((await rig.asks("GET", rig.path, ADA))[1]["incident"]["alerts"]) == 221
