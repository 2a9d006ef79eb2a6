"""`stopgap watch`: what is drawn, what is said line by line, and how it waits for the daemon."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType
from rich.live import Live

from daemon.cli.client import CommandFailure, DaemonUnreachable
from daemon.cli.incident_card import Board, IncidentCard, OpenIncidents, gravest_first
from daemon.cli.watch import Lines, LiveScreen, Looker, WatchSnapshot, follow_incidents
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_cli import ROOT
from tests.contract.test_cli_double import EVIL, ID, request, run, step, view
from tests.fakes import START

DUE = "2026-11-23T14:05:00+00:00"


def incident(**more: Any) -> dict[str, Any]:
    """An incident of twelve minutes."""
    opened = (START - timedelta(minutes=12)).isoformat()
    return view(opened_at=opened, paused_by="", steps=[], **more)


def entry(seq: int, text: str, by: str = "stopgap") -> dict[str, Any]:
    """An entry of the timeline."""
    return {"seq": seq, "at": "2026-11-23T14:03:20+00:00", "by": by, "text": text, "kind": "x"}


def drawn(what: RenderableType, width: int = 120, height: int = 40) -> list[str]:
    """What is on a screen of that size, without colours."""
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True)
    with console.capture() as caught:
        console.print(what)
    plain = Console(file=StringIO(), width=width, height=height, no_color=True)
    with plain.capture() as colourless:
        plain.print(what)
    assert "\x1b[31mred" not in caught.get()
    assert "\x1b" not in colourless.get()
    lines = colourless.get().splitlines()
    assert all(len(line) <= width for line in lines)
    return lines


def one_line(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


# ── in words ─────────────────────────────────────────────────────────────────────────────────


def test_the_gravest_come_first_and_what_is_restored_last() -> None:
    rows = [
        {"phase": phase, "severity": severity}
        for phase, severity in (
            ("observing", ""), ("watching", "sev1"), ("deciding", "sev2"), ("defining", "sev1"),
        )
    ]  # fmt: skip
    order = [(row["phase"], row["severity"]) for row in gravest_first(rows)]
    assert order == [
        ("defining", "sev1"), ("deciding", "sev2"), ("observing", ""), ("watching", "sev1"),
    ]  # fmt: skip
    drill = {"phase": "defining", "severity": "sev1", "drill": "1130-0126-abcdef"}
    assert gravest_first([drill, *rows])[-1] == drill


# ── on the screen ────────────────────────────────────────────────────────────────────────────

READINGS = [
    {"item": "a", "text": "quantified", "state": "met", "due_at": DUE, "took": "40s"},
    {"item": "b", "text": "somebody commands", "state": "late", "due_at": DUE, "took": None},
]
FREEZE = {"scope": "global", "by": "bo", "reason": f"a migration {EVIL}"}


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_open_incidents_fit_any_width(width: int) -> None:
    changed = {"doing": f"step 1 runs {EVIL}", "commander": "", "clock": READINGS}
    urgent = {**incident(), **changed, "steps": [step(1, "running", summary="roll back")]}
    board = Board([urgent, incident(severity="")], START, [FREEZE], "no answer since 14:03:05", 3)
    lines = drawn(OpenIncidents(board), width)
    text = one_line(lines)
    for told in (
        "5 open incidents",
        "no answer since 14:03:05",
        "FROZEN global: no recovery action starts",
        "sev2",
        ID,
        "12m",
        "restoring",
        "[31mred [bold]:fire:",
        "checkout success rate 99.1 % → 90.3 %",
        "and 3 more",
    ):
        assert told in text or width == 40, told
    for word in ("sev2", ID, "nobody", "late:", "now:"):
        assert word in text, word
    if width >= 100:
        assert lines[3].split()[:4] == ["severity", "incident", "age", "stage"]


@pytest.mark.parametrize("width", [80, 120])
def test_what_the_terminal_cannot_hold_is_counted(width: int) -> None:
    many = [incident(id=f"night-{n}") for n in range(20)]
    console = Console(
        file=StringIO(), width=width, height=24, force_terminal=True, color_system=None
    )
    with console.capture() as caught:
        console.print(OpenIncidents(Board(many, START, more=5)))
    text = caught.get()
    shown = sum(one["id"] in text for one in many)
    assert 1 <= shown < 20
    assert f"and {25 - shown} more" in text
    assert "25 open incidents" in text
    assert len(text.splitlines()) <= 24


def test_nothing_open_is_said() -> None:
    assert drawn(OpenIncidents(Board(now=START)))[0].startswith("no open incidents")


def test_one_incident_shows_steps_roles_clock_and_the_newest_of_its_timeline() -> None:
    timeline = [entry(n, f"entry {n} {EVIL}", "person:ada") for n in range(1, 200)]
    steps = [
        step(1, "finished", verdict="unchanged", verdict_text="no better"),
        step(2, "running", summary="restart"),
        step(3, refusal="ambiguous_suspects"),
        step(4, action="", waits_for="cooldown"),
    ]
    one = {**incident(), "steps": steps, "clock": READINGS}
    one["requests"] = [request("communicator", "offer", "bo", "bo")]
    lines = drawn(IncidentCard(Board([one], START), timeline), 80, 40)
    text = one_line(lines)
    for told in (
        "1 kubernetes_rollback unchanged no better",
        "2 kubernetes_rollback running restart",
        "3 kubernetes_rollback waiting ambiguous_suspects",
        f"yours to decide: stopgap step {ID} 4 approve, start, skip, or veto",
        f"still to be stopped: stopgap step {ID} 2 veto",
        f"possible: stopgap step {ID} 3 approve, start, skip, or veto",
        "Communicator: vacant",
        f"stopgap answer {ID} communicator.1 yes",
        "✓ quantified: after 40s",
        "✗ somebody commands: late",
    ):
        assert told in text, told
    assert len(lines) <= 40
    assert lines[-1].startswith("14:03:20 ada: entry 199")


# ── the loop ─────────────────────────────────────────────────────────────────────────────────


class Silence(Exception):
    """The test is over."""


class Daemon:
    """Answers by a script: each look is a list of incidents, or an error."""

    def __init__(self, *looks: Any) -> None:
        self.looks = list(looks)
        self.now = START

    def ask(self, path: str) -> Any:
        look = self.looks[0]
        if isinstance(look, Exception):
            raise look
        if path.endswith("/freeze"):
            return {"freezes": []}
        if "?" in path:
            return {"incidents": [d["incident"] for d in look if d["incident"]["status"] == "open"]}
        [found] = [d for d in look if path.rpartition("/")[2] == d["incident"]["id"]]
        return found

    def clock(self) -> datetime:
        return self.now

    def pause(self) -> None:
        self.now += timedelta(seconds=2)
        self.looks.pop(0)
        if not self.looks:
            raise Silence


def followed(daemon: Daemon, only: str | None = None, *, as_json: bool = False) -> list[str]:
    """What was said, line by line, until the script ends."""
    said: list[str] = []
    looker = Looker(daemon.ask, daemon.clock, only)
    lines = Lines(said.append, as_json=as_json)
    with suppress(Silence):
        follow_incidents(looker, lines, daemon.pause, daemon.clock, until_closed=only is not None)
    return said


def detail(*timeline: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"incident": {**incident(), **more}, "timeline": list(timeline)}


A, B, C = entry(1, "opened"), entry(2, f"noted {EVIL}", "person:ada"), entry(3, "closed")


def test_without_a_terminal_each_change_is_one_line() -> None:
    ended = detail(A, B, C, status="closed")
    said = followed(Daemon([detail(A)], [detail(A)], [detail(A, B)], [ended], []))
    assert said == [
        f"{ID} sev2 recovering, Commander ada: checkout success rate 99.1 % → 90.3 %",
        f"{ID} 14:03:20 ada: noted  [31mred  [bold]:fire:",
        f"{ID} 14:03:20 stopgap: closed",
    ]


def test_nothing_open_is_said_once() -> None:
    assert followed(Daemon([], [], [])) == ["no open incidents"]


def test_for_machines_each_change_is_one_object() -> None:
    away = DaemonUnreachable("no answer from the daemon")
    said = followed(Daemon([detail(A)], away, away, [detail(A, B)]), as_json=True)
    told = [json.loads(line) for line in said]
    assert [one["kind"] for one in told] == ["incident", "no_answer", "answers", "entry"]
    assert told[0]["view"]["id"] == told[3]["incident"] == ID
    assert told[1]["since"] == START.isoformat()
    assert told[3]["entry"] == B


def test_a_daemon_that_goes_away_is_waited_for() -> None:
    away = DaemonUnreachable("no answer from the daemon at x")
    said = followed(Daemon(away, [detail(A)], away, away, [detail(A, B)]))
    assert said[0] == "no answer since 14:00:00 UTC: no answer from the daemon at x"
    assert said[1] == "the daemon answers again"
    assert said[3].startswith("no answer since 14:00:02 UTC")
    assert said[4] == "the daemon answers again"
    assert said[5].endswith("red  [bold]:fire:")


def test_one_incident_is_followed_to_its_end() -> None:
    daemon = Daemon([detail(A)], [detail(A, C, status="closed")], [detail(A)])
    said = followed(daemon, ID)
    assert said[-1] == f"{ID} 14:03:20 stopgap: closed"
    assert len(daemon.looks) == 2


def test_a_refusal_is_no_reason_to_wait() -> None:
    with pytest.raises(CommandFailure, match="who are you"):
        followed(Daemon(CommandFailure("who are you?"), []))


def test_more_incidents_than_can_be_looked_at_are_counted() -> None:
    many = [detail(A, id=f"{n}") for n in range(30)]
    seen: list[WatchSnapshot] = []

    class Shown(Lines):
        def show(self, found: WatchSnapshot) -> None:
            seen.append(found)

    daemon, screen = Daemon(many), Shown(print, as_json=False)
    looker = Looker(daemon.ask, daemon.clock, None)
    with suppress(Silence):
        follow_incidents(looker, screen, daemon.pause, daemon.clock, until_closed=False)
    assert (len(seen[0].details), seen[0].more) == (20, 10)


class Kept:
    """Stands for the terminal; keeps what was drawn last."""

    def __init__(self) -> None:
        self.last: Any = ""

    def update(self, view: RenderableType, *, refresh: bool = False) -> None:
        """Draw it."""
        self.last = view


@pytest.mark.parametrize("one", [False, True])
def test_on_a_terminal_what_was_last_known_stays_while_nobody_answers(one: bool) -> None:
    kept = Kept()
    screen = LiveScreen(cast("Live", kept), one=one)
    screen.trouble(START, "is it running?")
    assert "no answer since 14:00:00 UTC: is it running?" in one_line(drawn(kept.last))
    screen.show(WatchSnapshot(START, {ID: detail(A)}))
    assert "no answer" not in one_line(drawn(kept.last))
    screen.trouble(START, "is it running?")
    text = one_line(drawn(kept.last))
    assert "no answer since 14:00:00 UTC" in text
    assert f"{ID}" in text
    screen.show(WatchSnapshot(START, {ID: detail(A, C, status="closed")}))
    assert ("no open incidents" in one_line(drawn(kept.last))) != one


# ── the command ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as rig:
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        yield rig


async def test_a_real_daemon_is_watched_until_the_incident_is_closed(rig: Rig) -> None:
    watching = asyncio.create_task(
        asyncio.to_thread(run, "watch", rig.id, "--every", "200ms", "--json")
    )
    await rig.does("ack", ADA)
    await rig.does("notes", BO, text="the provider confirms")
    await rig.does("close", ADA, reason="a test")
    ended = await watching
    told = [json.loads(line) for line in ended.out.splitlines()]
    assert (ended.code, ended.err) == (0, "")
    assert told[0]["kind"] == "incident"
    assert told[0]["incident"] == rig.id


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--every", "soon"], 2, "is not a duration"),
        (["--every", "1ms"], 2, "choose from 200ms"),
        (["nothing"], 1, "No such incident"),
    ],
)
async def test_what_cannot_be_watched_is_said(
    rig: Rig, arguments: list[str], code: int, told: str
) -> None:
    ended = await asyncio.to_thread(run, "watch", *arguments)
    assert (ended.code, told in ended.err) == (code, True)


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Whoever starts the tests in the background has them, and what they start, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
async def test_ctrl_c_ends_it_well(rig: Rig) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "daemon", "watch", "--every", "200ms"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    assert rig.id in first.decode()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
