"""The story of one bad deployment, told live; each stage is checked, and must come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from chaos import Chaos
from sandbox import CommandFailed, NotInTime, Sandbox
from telling import Teller
from timeline import Entry, Timeline

ALERT = "CheckoutSuccessRateLow"
BASELINE_SAMPLES = 25  # one a second
SUCCESSES = 'http_requests_total{service="shop",route="/checkout",code="200"}'
FAILURES = 'http_requests_total{service="shop",route="/checkout",code="500"}'
REACTION_SECONDS = 2.0
KEYBOARD_SECONDS = 10.0


class StageMissing(Exception):
    """A stage of the story did not happen; the text names it."""


class Sighting(NamedTuple):
    """That something has happened: when, and in a sentence."""

    at: datetime
    text: str


Check = Callable[[], Awaitable[Sighting | None]]


class Story:
    """Plays on a sandbox that has started. `kill_at`: the kind of event that the daemon dies at.

    Other stories have another `prepare`, `middle` and `proof`; `approved` are the steps that may
    run by themselves.
    """

    ending_text = "everything was done exactly once"
    approved: tuple[int, ...] = (1,)

    def __init__(self, sandbox: Sandbox, teller: Teller, kill_at: str) -> None:
        self.sandbox = sandbox
        self.teller = teller
        self.timeline = Timeline(sandbox, teller)
        self.chaos = Chaos(sandbox, teller, kill_at) if kill_at else None
        self.times: list[tuple[str, datetime]] = []

    async def play(self) -> Path:
        """From a healthy shop to the review; returns its path. Raises StageMissing."""
        await self.prologue()
        try:
            async with asyncio.TaskGroup() as beside:
                tasks = [
                    beside.create_task(self.timeline.follow()),
                    beside.create_task(self.answer_phone()),
                ]
                if self.chaos:
                    tasks.append(beside.create_task(self.chaos.strike()))
                await self.middle()
                review = await self.ending()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # the first; the others followed from it
        return review

    def prepare(self) -> None:
        """Change what is laid out, before anything is started."""

    async def middle(self) -> None:
        """From the healthy shop to the end of the incident. Raises StageMissing."""
        await self.deployment()
        await self.call()
        await self.recovery()

    # ── the stages ───────────────────────────────────────────────────────────────────────────

    async def prologue(self) -> None:
        """The rules are checked, the rollback is approved, the shop is healthy under load."""
        self.teller.heading("A shop, its customers, its monitoring, and Stopgap")
        self.teller.scene(await self.sandbox.stopgap("check", "rules"))
        for step in self.approved:
            arguments = ("rules/checkout.yaml", "--step", str(step), "--by", "ada", "--days", "30")
            self.teller.scene(await self.sandbox.stopgap("approve", *arguments))
        await self.start_daemons()
        await self.stage("healthy baseline", self.healthy)

    async def start_daemons(self) -> None:
        """The daemon takes alerts."""
        await self.sandbox.start_daemon()
        self.teller.scene(f"the daemon listens on {self.sandbox.url('stopgap')}")

    async def deployment(self) -> None:
        """Release v2 goes live, and fails for some of the customers."""
        self.teller.heading("A deployment: v2, with a discount for the loyalty club")
        try:
            self.teller.scene(await self.sandbox.deploy("v2"))
        except CommandFailed as error:
            raise StageMissing(f"deployment of v2: {error}") from None
        await self.stage("deployment of v2", lambda: self.runs("v2"))

    async def call(self) -> None:
        """Somebody is called, and is told what is broken and by how much."""
        self.teller.heading("The incident")
        await self.stage("alert fired", self.fired)
        await self.stage("incident opened", self.at("IncidentOpened"))
        await self.stage("phone rang", self.rang)
        await self.stage("problem quantified", self.at("ProblemDefined", self.confirmed))
        await self.stage("commander appointed", self.at("CommanderAppointed"))

    async def recovery(self) -> None:
        """The deployment is rolled back, once, and the metrics prove that it helped."""
        await self.stage("rollback started", self.at("StepStarted"))
        await self.stage("rollback finished", self.rolled_back)
        await self.stage("recovery verified", self.at("StepVerified", self.recovered))
        await self.stage("incident closed", self.at("IncidentClosed", self.closed_well))

    async def ending(self) -> Path:
        """The review is written, and everything was done exactly once."""
        await self.stage("review written", self.at("ReviewWritten"))
        path = self.sandbox.folder / str(self.timeline.found("ReviewWritten")[0]["event"]["path"])
        if not path.is_file():
            raise StageMissing(f"review written: the journal names {path}, which is not there")
        await self.proof()
        self.teller.stage(self.ending_text)
        return path

    async def proof(self) -> None:
        """What must be true of the journal and of the world in the end. Raises StageMissing."""
        await self.exactly_once()

    async def untouched(self, release: str) -> None:
        """That release is live, and nobody but the deployments switched anything. Raises
        StageMissing."""
        switches = [line["release"] for line in self.sandbox.shop_log("switched")]
        if not await self.runs(release) or switches[-1] != release:
            raise StageMissing(f"{release} should be live; shop/current was switched to {switches}")
        self.teller.scene(f"nothing was touched: {release} is live")

    async def exactly_once(self) -> None:
        """By the journal and by what was really done to the shop. Raises StageMissing."""
        if self.chaos:
            await self.sandbox.until(f"the daemon to be killed at {self.chaos.kind}", self.struck)
        ready = partial(self.sandbox.answers, "stopgap")
        await self.sandbox.until("the daemon to be ready", ready)
        await self.timeline.look()
        self.once("rollbacks on the timeline", len(self.timeline.found("StepStarted")))
        self.once("reviews on the timeline", len(self.timeline.found("ReviewWritten")))
        switches = self.sandbox.shop_log("switched")
        self.once("switches of shop/current after the deployment", len(switches) - 1)
        if not self.chaos:  # a restart that a crash interrupted may have to be repeated
            starts = self.sandbox.shop_log("started")
            self.once("restarts of the shop after the deployment", len(starts) - 2)

    def durations(self) -> list[tuple[str, str]]:
        """The stages after the deployment in the order they came, with the seconds after it."""
        deployed = datetime.fromisoformat(self.sandbox.shop_log("switched")[0]["at"])
        later = sorted((at - deployed, name) for name, at in self.times if at > deployed)
        return [(name, f"{after.total_seconds():6.1f} s") for after, name in later]

    async def outcome(self) -> list[tuple[str, str]]:
        """What the incident was, in a few facts."""
        answer = await self.sandbox.api("GET", f"incidents/{self.timeline.incident}")
        incident = answer["incident"]
        impact = incident["problem"]["impact"]
        return [
            ("problem", incident["statement"]),
            ("severity", incident["severity"]),
            *((item["name"], f"{item['value']:,.0f}") for item in impact if item["value"]),
            ("suspect", incident["suspect"]),
            ("commander", incident["commander"]),
        ]

    # ── checking ─────────────────────────────────────────────────────────────────────────────

    async def stage(self, name: str, check: Check) -> None:
        """Wait for a stage, tell it, and note when it was. Raises StageMissing."""
        try:
            with self.teller.waiting(name):
                seen = await self.sandbox.until(name, check)
        except NotInTime as late:
            raise StageMissing(f"{name}: it did not happen; {late}") from None
        self.teller.stage(name if self.timeline.tells(seen.text) else f"{name}: {seen.text}")
        self.times.append((name, seen.at))

    def at(self, kind: str, fits: Callable[[Entry], bool] = bool) -> Check:
        """A check for an entry of that kind on the timeline."""

        async def check() -> Sighting | None:
            for entry in self.timeline.found(kind):
                if fits(entry["event"]):
                    return Sighting(datetime.fromisoformat(entry["at"]), entry["text"])
            return None

        return check

    def once(self, what: str, count: int) -> None:
        """Raises StageMissing unless it was exactly one."""
        if count != 1:
            raise StageMissing(f"everything done once: there were {count} {what}")

    async def healthy(self) -> Sighting | None:
        """Enough seconds of checkouts in Prometheus, and none has failed."""
        seconds = await self.sandbox.query(f"count_over_time({SUCCESSES}[5m])") or 0
        failed = await self.sandbox.query(f"sum(increase({FAILURES}[5m]))") or 0
        if seconds < BASELINE_SAMPLES or failed:
            return None
        rate = await self.sandbox.query(f"60 * rate({SUCCESSES}[20s])") or 0
        text = f"{seconds:.0f} s of it, {rate:,.0f} checkouts a minute, none failed"
        return Sighting(datetime.now(UTC), text)

    async def runs(self, release: str) -> Sighting | None:
        """That release is linked, and answers."""
        linked = (self.sandbox.folder / "shop" / "current").resolve().name
        running = await self.sandbox.running_release()
        if not linked == running == release:
            return None
        return Sighting(datetime.now(UTC), f"shop/current → {release}")

    async def fired(self) -> Sighting | None:
        """The alert fires in Prometheus."""
        at = await self.sandbox.fired_at(ALERT)
        return Sighting(at, ALERT) if at else None

    async def rang(self) -> Sighting | None:
        """The phone rang for this incident."""
        for page in self.sandbox.pages():
            if page["incident"] == self.timeline.incident:
                text = f"{page['person']} reads “{page['text']}”"
                return Sighting(datetime.fromisoformat(page["at"]), text)
        return None

    async def rolled_back(self) -> Sighting | None:
        """The step says that it is done, and it is true."""
        done = await self.at("StepFinished", self.done)()
        return done if done and await self.runs("v1") else None

    @staticmethod
    def confirmed(event: Entry) -> bool:
        """The measurement confirmed the problem."""
        return bool(event["problem"]["verdict"] == "confirmed")

    @staticmethod
    def done(event: Entry) -> bool:
        """The step did what it was to do."""
        return bool(event["outcome"]["result"] == "done")

    @staticmethod
    def recovered(event: Entry) -> bool:
        """The metrics say that the step restored service."""
        return bool(event["verdict"] == "recovered")

    @staticmethod
    def closed_well(event: Entry) -> bool:
        """The incident closed because service recovered."""
        return bool(event["reason"] == "recovered")

    async def struck(self) -> bool:
        """The daemon was killed as ordered."""
        return self.chaos is not None and self.chaos.struck

    # ── beside the stages ────────────────────────────────────────────────────────────────────

    async def answer_phone(self) -> None:
        """Acknowledge as Ada: the person at the keyboard, or else the sandbox's own person."""
        await self.sandbox.until("the phone to ring", self.rang)
        if sys.stdin.isatty() and self.teller.fancy:
            self.teller.scene("you are Ada: press Enter to acknowledge (or wait, and it is done)")
            await _enter_pressed(KEYBOARD_SECONDS)
        else:
            await asyncio.sleep(REACTION_SECONDS)

        async def acknowledged() -> bool:
            await self.sandbox.api("POST", f"incidents/{self.timeline.incident}/ack")
            return True

        await self.sandbox.until("the acknowledgement to be taken", acknowledged)


async def _enter_pressed(seconds: float) -> None:
    """Return when Enter is pressed on the terminal, or after so many seconds."""
    loop = asyncio.get_running_loop()
    pressed = asyncio.Event()

    def read() -> None:
        sys.stdin.readline()
        pressed.set()

    loop.add_reader(sys.stdin, read)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(pressed.wait(), seconds)
    finally:
        loop.remove_reader(sys.stdin)
