"""`stopgap update`: what is listed, what is sent, and that it is what was read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.test_cli_double import EVIL, ID, ONE, Double, channel, listening, update, view

SENT = update(
    "internal.1",
    "Checkout fails.\n" + "More. " * 30,
    sent="2026-11-23T14:05:03+00:00",
    by="bo",
    channels=[channel("chat", "delivered"), channel("mail", "given_up")],
)
DRAFT = update(
    "internal.2",
    f"First line.\n{EVIL}\nLast line.",
    revision=3,
    person="bo",
    because="the severity rose",
)
PUBLIC = update("customers.1", "We are on it.")
UPDATES = f"{ONE}/updates"


@pytest.fixture
async def daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    async with listening(monkeypatch) as double:
        double.incident = view(updates=[SENT, DRAFT, PUBLIC])
        yield double


async def test_without_an_action_the_waiting_drafts_are_shown_in_full(daemon: Double) -> None:
    ended = await daemon.runs("update", ID)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("internal.1, sent to internal at 14:05:03 UTC by bo: Checkout fails")
    assert lines[0].endswith(" …")
    assert lines[1:] == [
        "  chat: delivered, mail: given up",
        "internal.2, a draft for internal (the severity rose); bo is asked to send it",
        "    First line.",
        "     [31mred  [bold]:fire:",
        "    Last line.",
        f"  stopgap update {ID} send internal.2",
        "customers.1, a draft for customers",
        "    We are on it.",
        f"  stopgap update {ID} send customers.1",
    ]
    assert daemon.asked == [("GET", UPDATES, None)]


async def test_a_snooze_is_listed_while_it_lasts(daemon: Double) -> None:
    daemon.incident = view(updates=[SENT])
    daemon.snoozed = {
        "internal": "2026-01-01T00:00:00+00:00",
        "customers": "9999-01-01T00:20:00+00:00",
    }
    ended = await daemon.runs("update", ID)
    assert "customers is put off until 00:20:00 UTC" in ended.out
    assert "internal is put off" not in ended.out


async def test_no_updates_are_said_with_what_to_do(daemon: Double) -> None:
    daemon.incident = view()
    ended = await daemon.runs("update", ID)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"no updates yet; `stopgap update {ID} draft AUDIENCE` makes one\n"


async def test_the_list_for_machines(daemon: Double) -> None:
    ended = await daemon.runs("update", ID, "--json")
    assert json.loads(ended.out) == {"updates": [SENT, DRAFT, PUBLIC], "snoozed": {}}
    assert "\x1b" not in ended.out


async def test_a_draft_is_sent_as_it_was_shown(daemon: Double) -> None:
    ended = await daemon.runs("update", ID, "send", "internal.2")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("First line.\n [31mred  [bold]:fire:\nLast line.\n\n")
    assert "update internal.2 goes out now" in ended.out
    assert daemon.asked == [
        ("GET", UPDATES, None),
        ("POST", f"{UPDATES}/internal.2/send", {"revision": 3}),
    ]


@pytest.mark.parametrize("words", [(), ("We", "are on it")])
async def test_a_draft_that_has_changed_meanwhile_is_not_sent(
    daemon: Double, words: tuple[str, ...]
) -> None:
    text = "the draft has changed since you read it; look again"
    daemon.refusal = (409, "Not possible now", text)
    ended = await daemon.runs("update", ID, "send", "internal.2", *words)
    assert ended.code == 1
    assert daemon.asked[-1][-1]["revision"] == 3
    assert ended.err == f"stopgap: Not possible now: {text}\n"
    assert "goes out" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "asked", "told"),
    [
        (
            ["edit", "internal.1", "Corrected:\nit", "was 4 %"],
            ("PUT", f"{UPDATES}/internal.1", {"text": "Corrected:\nit was 4 %"}),
            "update internal.1 is changed",
        ),
        (
            ["draft", "customers"],
            ("POST", UPDATES, {"audience": "customers"}),
            "customers.1, a draft for customers\n    We are on it.\n",
        ),
        (
            ["snooze", "internal", "--for", "15m", "all", "know"],
            ("POST", f"{ONE}/snooze", {"audience": "internal", "for": "15m", "reason": "all know"}),
            "no update to internal is due for 15m",
        ),
        (
            ["snooze", "internal", "--for", "1h"],
            ("POST", f"{ONE}/snooze", {"audience": "internal", "for": "1h", "reason": ""}),
            "no update to internal is due for 1h",
        ),
        (
            ["dismiss", "customers", "all", "were", "called"],
            ("POST", f"{ONE}/dismiss", {"audience": "customers", "reason": "all were called"}),
            "nobody is reminded any more that customers got no word that it is over",
        ),
    ],
)
async def test_an_action_is_one_request(
    daemon: Double, arguments: list[str], asked: Any, told: str
) -> None:
    ended = await daemon.runs("update", ID, *arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(told)
    assert daemon.asked == [asked]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ack", ""], "which incident? `stopgap incidents` lists them"),
        (["show", ".."], "which incident? `stopgap incidents` lists them"),
        (["step", "..", "1", "veto"], "which incident? `stopgap incidents` lists them"),
        (["update", ID, "edit", "..", "words"], "there is nothing that is called '..'"),
        (["answer", ID, ".", "yes"], "there is nothing that is called '.'"),
        (["say", ID, "a\udcffb"], "what you typed has bytes that are not UTF-8; type it again"),
        (["freeze", "\udcff"], "what you typed has bytes that are not UTF-8; type it again"),
        (["rules", "--url", "127.0.0.1:9393"], "'127.0.0.1:9393' is no address of a daemon; write"),
        (["rules", "--url", "http://["], "'http://[' is no address of a daemon; write it like"),
    ],
)
async def test_what_names_nothing_is_not_asked_for(
    daemon: Double, arguments: list[str], told: str
) -> None:
    ended = await daemon.runs(*arguments)
    assert (ended.code, ended.out, daemon.asked) == (1, "", [])
    assert ended.err.startswith(f"stopgap: {told}")


@pytest.mark.parametrize("words", [("We", "are on it"), ("",)])
async def test_ones_own_words_go_with_the_draft_that_was_read(
    daemon: Double, words: tuple[str, ...]
) -> None:
    ended = await daemon.runs("update", ID, "send", "internal.2", *words)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("update internal.2 goes out now")
    sent = {"revision": 3, "text": " ".join(words)}
    assert daemon.asked == [("GET", UPDATES, None), ("POST", f"{UPDATES}/internal.2/send", sent)]


async def test_a_draft_for_machines(daemon: Double) -> None:
    ended = await daemon.runs("update", ID, "draft", "internal", "--json")
    assert json.loads(ended.out) == {"updates": [DRAFT]}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("internal.1", f"was sent already; `stopgap update {ID} edit internal.1 TEXT` changes it"),
        ("nothing", "no update 'nothing'; these wait to be sent: internal.2, customers.1"),
        ("\x1b[2J", "there is no update ' [2J'"),
    ],
)
async def test_what_is_no_draft_is_not_sent(daemon: Double, name: str, told: str) -> None:
    ended = await daemon.runs("update", ID, "send", name)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err
    assert [method for method, *_ in daemon.asked] == ["GET"]


async def test_where_nothing_waits_that_is_said(daemon: Double) -> None:
    daemon.incident = view(updates=[SENT])
    ended = await daemon.runs("update", ID, "send", "internal.9")
    assert ended.code == 1
    assert f"none waits. `stopgap update {ID} draft AUDIENCE` makes one" in ended.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument"),
        ([ID, "publish"], "'publish' is not one of"),
        ([ID, "send"], "stopgap update ID send UPDATE"),
        ([ID, "snooze"], "stopgap update ID snooze AUDIENCE"),
        ([ID, "dismiss", "customers"], "why? stopgap update ID dismiss AUDIENCE REASON"),
        ([ID, "edit", "internal.1"], "what should it say?"),
        ([ID, "draft", "internal", "words"], "your own words go to `send UPDATE TEXT`"),
        ([ID, "snooze", "internal"], "Give --for"),
        ([ID, "snooze", "internal", "--for", "soon"], "'soon' is not a duration"),
        ([ID, "send", "internal.2", "--for", "15m"], "--for goes with snooze"),
        ([ID, "--for", "15m"], "--for goes with snooze"),
    ],
)
async def test_wrong_usage_asks_the_daemon_nothing(
    daemon: Double, arguments: list[str], told: str
) -> None:
    ended = await daemon.runs("update", *arguments)
    assert (ended.code, ended.out, daemon.asked) == (2, "", [])
    assert told in ended.err
    assert "Usage: " in ended.err


@pytest.mark.parametrize("action", ["edit", "draft", "snooze"])
async def test_a_refusal_is_told_in_the_daemons_words_and_harmless(
    daemon: Double, action: str
) -> None:
    more = {"edit": ["text"], "draft": [], "snooze": ["--for", "15m"]}[action]
    daemon.refusal = (409, "Not possible now", f"no audience {EVIL}")
    ended = await daemon.runs("update", ID, action, "elsewhere", *more)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "stopgap: Not possible now: no audience  [31mred  [bold]:fire:\n"
