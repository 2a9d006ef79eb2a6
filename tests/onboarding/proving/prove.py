"""Proof by execution: does a proposed rule confirm the problem when its alert fires, and not when
it is quiet?

Of each alert's expression alone states are found, on a real Prometheus, under which it fires and
under which it does not. From these, worlds are made: an hour in which all is well, and then, some
minutes ago, either. Stopgap's own measurement judges the proposal in each.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from daemon.adapters.prometheus import Prometheus
from daemon.core.measurement.problem import Problem
from daemon.core.rules.rule import Rule, load
from daemon.measuring.define import define
from daemon.measuring.queries import Survey
from daemon.onboarding.prometheus_rules import Alerting
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import RuleDraft, draft_rules
from tests.acceptance import servers
from tests.onboarding.proving.queries import WORLD, WorldMetrics, inlined, within
from tests.onboarding.proving.search import (
    SCRAPE,
    TURNING,
    Line,
    Shape,
    guesses,
    lines,
    moments,
    shape,
    stretch,
)
from tests.onboarding.proving.series import GONE, Course, State

NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC).timestamp()
"""A Wednesday at noon."""
GUESSES, GUESSES_FAR = 72, 24
LOOKED_AT = 12
FAR = 2 * 3600
PAST = 55 * 60
ONSET = 8 * 60
MAX_AGE = timedelta(minutes=3)
BUSY = 10.0
"""So many events a second the rarest kind has, where counts are proven."""
AFTER = 15
"""So many seconds after the last sample Stopgap may evaluate."""
PARALLEL = 12


@dataclass(frozen=True)
class Case:
    """An alert, and the rule that was proposed for its name; `others`: what the alerts of the
    same name fire by."""

    alert: Alerting
    draft: RuleDraft
    rule: Rule
    shape: Shape
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """What is so in one world: a state, what it was before, and of another group beside it."""

    name: str
    case: Case
    fires: bool
    state: State
    before: State
    onset: float
    beside: State | None
    group: Mapping[str, str]


@dataclass
class Verdicts:
    """What came of one alert: a line for each world that was tried."""

    case: Case
    confirmed: list[tuple[World, Problem]] = field(default_factory=list)
    quiet: list[tuple[World, Problem]] = field(default_factory=list)
    trouble: str = ""

    @property
    def complete(self) -> bool:
        """Whether it was tried both ways."""
        return bool(self.confirmed and self.quiet)

    @property
    def wrong(self) -> list[tuple[World, Problem]]:
        """The worlds in which the rule judged otherwise than the alert."""
        missed = [(w, found) for w, found in self.confirmed if found.verdict != "confirmed"]
        return missed + [(w, found) for w, found in self.quiet if found.verdict == "confirmed"]


def cases(
    alerts: Sequence[Alerting], recordings: RecordingRules, labels: Iterable[str] | None = None
) -> list[Case]:
    """Each alert with its proposal."""
    known = None if labels is None else list(labels)
    drafts = draft_rules(alerts, recordings, team="shop", labels=known)
    found = []
    for draft in drafts:
        [(rule, _)] = load(draft.text, draft.path)
        same = [a for a in alerts if all(m.matches({"alertname": a.name}) for m in rule.match)]
        queries = tuple(inlined(alert.query, recordings) for alert in same)
        for alert, expression in zip(same, queries, strict=True):
            made = shape(len(found), expression, rule.group_by)
            found.append(Case(alert, draft, rule, made, queries))
    return found


# ── a Prometheus with these series ───────────────────────────────────────────────────────────


@contextmanager
def loaded(folder: Path, made: Iterable[Line]) -> Iterator[str]:
    """The address of a real Prometheus that has these series and nothing else."""
    folder.mkdir(parents=True)
    by_metric: dict[str, list[str]] = defaultdict(list)
    for line in made:
        inner = ",".join(f"{name}={_quoted(v)}" for name, v in sorted(line.labels.items()))
        head = f"{line.metric}{{{inner}}}"
        by_metric[line.metric] += (f"{head} {value!r} {at:.3f}\n" for at, value in line.samples)
    with (folder / "series.om").open("w") as file:
        for metric in sorted(by_metric):
            file.writelines(by_metric[metric])
        file.write("# EOF\n")
    tool = servers.processes.program("PROMTOOL_BIN", "promtool")
    made_blocks = subprocess.run(
        [
            *(tool, "tsdb", "create-blocks-from", "--max-block-duration=8760h", "openmetrics"),
            *("series.om", "data"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made_blocks.returncode == 0, made_blocks.stderr
    flags = ("--storage.tsdb.retention.time=30y", "--query.lookback-delta=5m")
    with servers.prometheus(folder, "global: {}\n", *flags) as url:
        yield url


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


async def _ask(session: aiohttp.ClientSession, url: str, path: str, **asked: Any) -> Any:
    async with session.post(f"{url}/api/v1/{path}", data=asked) as answer:
        body = await answer.json()
    return body["data"]["result"] if body["status"] == "success" else None


# ── states under which it fires, and under which it does not ─────────────────────────────────


def _laid_out(case: Case, states: Sequence[State]) -> Iterator[Line]:
    length = stretch(case.shape)
    for number, state in enumerate(states):
        end = NOW - length * (len(states) - 1 - number)
        for source, courses in zip(case.shape.sources, state.courses, strict=True):
            times = moments(source, end)
            world = {WORLD: f"s{case.shape.number}"}
            yield from lines(case.shape, source, courses, times, end, {}, world)


@dataclass(frozen=True)
class Found:
    """States under which an alert fires, and under which it does not; the labels of its group."""

    firing: list[State]
    quiet: list[State]
    group: Mapping[str, str]


async def _search(folder: Path, every: Sequence[Case]) -> dict[int, Found]:
    """For each alert, the states under which it fires, and those under which it does not."""
    found = await _tried(folder / "first", every, 1)
    missing = [
        c for c in every if not (found[c.shape.number].firing and found[c.shape.number].quiet)
    ]
    if missing:
        found |= await _tried(folder / "again", missing, 5)
    return found


async def _tried(folder: Path, every: Sequence[Case], times: int) -> dict[int, Found]:
    tried = {
        case.shape.number: guesses(
            case.shape,
            (GUESSES if stretch(case.shape) < FAR else GUESSES_FAR) * times,
            case.shape.number + times,
        )
        for case in every
    }
    laid_out = itertools.chain.from_iterable(
        _laid_out(case, tried[case.shape.number]) for case in every
    )
    found: dict[int, Found] = {}
    gate = asyncio.Semaphore(PARALLEL)

    async def one(session: aiohttp.ClientSession, url: str, case: Case) -> None:
        number = case.shape.number
        states, length = tried[number], stretch(case.shape)
        query = within(case.shape.expression, f"s{number}")
        begin = NOW - length * (len(states) - 1)
        async with gate:
            answer = await _ask(
                session, url, "query_range", query=query, start=begin, end=NOW, step=length
            )
            others = [e for e in case.others if e != case.shape.expression]
            also = [
                one
                for e in others
                for one in await _ask(
                    session,
                    url,
                    "query_range",
                    query=within(e, f"s{number}"),
                    start=begin,
                    end=NOW,
                    step=length,
                )
                or ()
            ]
            if answer is None:  # one state of many may be refused; then each is asked alone
                answer = await _one_by_one(session, url, query, begin, length, len(states))
        fires = [(round((float(at) - begin) / length), s) for s in answer for at, _ in s["values"]]
        loud = {round((float(at) - begin) / length) for s in also for at, _ in s["values"]}
        labels = min(fires, key=lambda pair: pair[0])[1]["metric"] if fires else {}
        firing = {number for number, _ in fires}
        found[number] = Found(
            [state for n, state in enumerate(states) if n in firing],
            [state for n, state in enumerate(states) if n not in firing | loud],
            {name: labels.get(name, value) for name, value in case.shape.group.items()},
        )

    with loaded(folder, laid_out) as url:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(one(session, url, case) for case in every))
    return found


async def _one_by_one(
    session: aiohttp.ClientSession, url: str, query: str, begin: float, length: float, count: int
) -> list[Any]:
    found = []
    for number in range(count):
        at = begin + number * length
        answer = await _ask(session, url, "query", query=query, time=at) or ()
        found += ({"metric": one["metric"], "values": [one["value"]]} for one in answer)
    return found


# ── worlds ───────────────────────────────────────────────────────────────────────────────────


def _steps(state: State) -> list[float]:
    return [c.numbers[-1] for one in state.courses for c in one if c.shape in TURNING]


def _busy(state: State) -> State:
    """The same with much traffic: a share says little of few events."""
    rates = [c.numbers[0] for one in state.courses for c in one if c.shape == "rate"]
    factor = BUSY / min((rate for rate in rates if rate > 0), default=BUSY)
    return State(
        tuple(
            tuple(Course("rate", (c.numbers[0] * factor,)) if c.shape == "rate" else c for c in one)
            for one in state.courses
        )
    )


def _worlds(case: Case, found: Found, most: int) -> Iterator[World]:
    """Some that fire and some that are quiet; each was quiet before."""
    firing, quiet = found.firing, found.quiet
    near = sorted(
        itertools.product(firing[:LOOKED_AT], quiet[: 2 * LOOKED_AT]),
        key=lambda pair: pair[0].differs(pair[1]),
    )
    fires, well = near[0]
    number = case.shape.number

    def world(
        name: str, is_firing: bool, state: State, before: State, beside: State | None = None
    ) -> World:
        if case.draft.kind == "counts":
            state, before = (_busy(one) for one in (state, before))
        steps = _steps(state)
        lag = case.shape.reach if case.shape.reach < FAR or not steps else 0.0
        onset = NOW - (min(steps) if steps else max(ONSET, lag + 120))
        other = beside if case.shape.group else None
        return World(f"{number}-{name}", case, is_firing, state, before, onset, other, found.group)

    yield world("f0", True, fires, well, well)
    others = [one for one in firing if one != fires]
    # What passes its level on the way may do so too late to be what is wanted.
    more = most if _steps(fires) or "slope" in repr(fires) else most - 1
    for index, state in enumerate(others[:more], 1):
        before = min(quiet, key=state.differs)
        yield world(f"f{index}", True, state, before)
    others = list(dict.fromkeys([well, *(quiet for fired, quiet in near if fired == fires)]))
    chosen = [*others[:most], others[len(others) // 2]]
    for index, state in enumerate(dict.fromkeys(chosen)):
        yield world(f"q{index}", False, state, well, None if index else fires)


def _told(case: Case) -> Iterator[World]:
    """By Prometheus's own word: the alert fires, and it does not."""
    nothing = State(tuple((GONE,) for _ in case.shape.sources))
    for name, fires in (("f0", True), ("q0", False)):
        number = f"{case.shape.number}-{name}"
        yield World(number, case, fires, nothing, nothing, NOW - ONSET, None, case.shape.group)


def _lines(world: World) -> Iterator[Line]:
    case = world.case
    extra = {WORLD: world.name}
    jobs: set[str] = set()
    watched = set()
    for index, source in enumerate(case.shape.sources):
        times = moments(source, NOW, PAST)
        jobs.add(source.labels.get("job", ""))
        watched.add(source.metric)
        yield from lines(
            case.shape,
            source,
            world.state.courses[index],
            times,
            NOW,
            {},
            extra,
            world.before.courses[index],
            world.onset,
        )
        if world.beside is not None:
            varied = [label for label in source.labels if label in case.shape.telling]
            if varied and all(_free(case, label) for label in case.shape.telling):
                other = {label: f"too-{source.labels[label]}" for label in varied}
                courses = world.beside.courses[index]
                yield from lines(case.shape, source, courses, times, NOW, other, extra)
    ticks = [NOW - SCRAPE * k for k in range(int(PAST / SCRAPE) + 1)][::-1]
    if "up" not in watched:
        for job in jobs:
            yield Line("up", {"job": job, **extra} if job else extra, [(t, 1.0) for t in ticks])
    elif "absent" in case.shape.expression:  # it scrapes others, too: itself, as a rule
        yield Line("up", {"job": "itself", **extra}, [(t, 1.0) for t in ticks])
    if case.draft.kind == "alerts" and world.fires:
        labels = {"alertname": case.alert.name, "alertstate": "firing", **world.group}
        yield Line("ALERTS", {**labels, **extra}, [(t, 1.0) for t in ticks if t >= world.onset])


def _free(case: Case, label: str) -> bool:
    """Whether no selector asks for a value of the label."""
    return f'{label}="' not in case.shape.expression and f"{label}=~" not in case.shape.expression


async def prove(
    folder: Path, every: Sequence[Case], recordings: RecordingRules, most: int = 2
) -> list[Verdicts]:
    """Try each alert's proposal in `most` worlds in which the alert fires, and a few more in
    which it does not."""
    searched = [case for case in every if case.draft.kind != "alerts"]
    states = await _search(folder / "search", searched)
    verdicts = {case.shape.number: Verdicts(case) for case in every}
    for case in searched:
        found = states[case.shape.number]
        if not (found.firing and found.quiet):
            wanted = "is quiet" if found.firing else "fires"
            verdicts[case.shape.number].trouble = f"no state was found in which it {wanted}"
    for tries in (most, 6):  # what is at an edge of its level may not be as it is meant
        open_ones = [v.case for v in verdicts.values() if not (v.trouble or v.complete)]
        worlds: list[World] = []
        for case in open_ones:
            if case.draft.kind == "alerts":
                worlds += _told(case)
            else:
                worlds += _worlds(case, states[case.shape.number], tries)
        if worlds:
            await _judge(folder / f"proof{tries}", worlds, recordings, verdicts)
    for verdict in verdicts.values():
        if not (verdict.trouble or verdict.complete):
            verdict.trouble = "no world of it is as it was meant"
    return list(verdicts.values())


async def _judge(
    folder: Path,
    worlds: Sequence[World],
    recordings: RecordingRules,
    verdicts: Mapping[int, Verdicts],
) -> None:
    """Let Stopgap measure in each of the worlds that are as they were meant."""
    gate = asyncio.Semaphore(PARALLEL)
    made = itertools.chain.from_iterable(map(_lines, worlds))
    with loaded(folder, made) as url:
        prometheus = Prometheus(url, timeout=20, concurrency=PARALLEL)

        async def one(session: aiohttp.ClientSession, world: World) -> None:
            async with gate:
                if not await _as_meant(session, url, world):
                    return
                metrics = WorldMetrics(prometheus, recordings, world.name)
                now = datetime.fromtimestamp(NOW, UTC)
                spec, group = world.case.rule.problem, world.group
                problem = await define(Survey(metrics, spec, group, now, MAX_AGE), ())
            of = verdicts[world.case.shape.number]
            (of.confirmed if world.fires else of.quiet).append((world, problem))

        try:
            async with aiohttp.ClientSession() as session:
                await asyncio.gather(*(one(session, world) for world in worlds))
        finally:
            prometheus.close()


async def _as_meant(session: aiohttp.ClientSession, url: str, world: World) -> bool:
    """Whether the alert of this group fires in the last minutes, or in none of them; with others
    of its name, none of them may fire in a quiet world."""
    if world.case.draft.kind == "alerts":
        return True
    span, step = (75, 5) if world.fires else (330, 5)
    end = NOW + AFTER
    own = world.case.shape.expression
    answer: list[Any] = []
    for expression in [own] if world.fires else dict.fromkeys([own, *world.case.others]):
        query = within(expression, world.name)
        found = await _ask(
            session, url, "query_range", query=query, start=end - span, end=end, step=step
        )
        if found is None:
            return False
        answer += found
    group = world.group
    times = Counter(
        float(at)
        for series in answer
        if all(series["metric"].get(n, v) == v for n, v in group.items())
        for at, _ in series["values"]
    )
    return len(times) == span // step + 1 if world.fires else not times
