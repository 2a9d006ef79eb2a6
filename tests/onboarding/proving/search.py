"""States under which an alert fires, and states under which it does not, as Prometheus sees them.

The states that are tried follow each other in time, each within a stretch of its own, so that one
range query tells of all of them whether the alert would fire.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.onboarding.proving.series import (
    Course,
    Guess,
    Labels,
    Source,
    State,
    relabelled,
    sources,
)

SCRAPE = 30.0
"""Seconds between the samples of a world."""
CLOCKS = re.compile(r"\b(?:hour|minute|month|year|day_of_\w+|days_in_month)\(")
TURNING = frozenset({"step", "turn", "left"})


@dataclass(frozen=True)
class Shape:
    """An alert under proof. `expression` has no recorded names in it any more; `group` are the
    labels of its incidents, each with its value here."""

    number: int
    expression: str
    sources: tuple[Source, ...]
    group: Mapping[str, str]
    buckets: tuple[float, ...] = ()

    @property
    def telling(self) -> set[str]:
        """The labels of the series by which groups are told apart."""
        made = relabelled(self.expression)
        return {source for label in self.group for source in made.get(label, (label,))}

    @property
    def reach(self) -> float:
        """So many seconds back the expression looks."""
        return max((s.offset + s.reach for s in self.sources), default=0.0)


def shape(number: int, expression: str, group_by: Sequence[str]) -> Shape:
    """The alert with the series that it looks at."""
    found = tuple(sources(expression, group_by))
    group = {
        label: next((s.labels[label] for s in found if label in s.labels), f"{label}1")
        for label in group_by
    }
    guess = Guess(expression, found, Random(number))  # noqa: S311 - no secret
    bounds = sorted({n * f for n in guess.named if n > 0 for f in (0.5, 2)}) or [1.0]
    asked = {float(s.labels["le"]) for s in found if s.labels.get("le", "+Inf") != "+Inf"}
    return Shape(number, expression, found, group, tuple(sorted({*bounds[:12], *asked})))


def guesses(shape: Shape, most: int, seed: int) -> list[State]:
    """States to try, always the same ones for a seed."""
    guess = Guess(shape.expression, shape.sources, Random(seed))  # noqa: S311 - no secret
    if not shape.sources:
        return []
    found = [guess.first()]
    while len(found) < most:
        fresh = guess.random.random() < 0.4
        found.append(guess.first() if fresh else guess.next(guess.random.choice(found)))
    return found


def stretch(shape: Shape) -> float:
    """The seconds that one state needs to itself, whole minutes; a week if it asks for the time of
    the day."""
    if CLOCKS.search(shape.expression):
        return 7 * 86400.0
    return math.ceil((shape.reach + 660) / 60) * 60


# ── samples ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Line:
    """One series: name, labels and its samples, (Unix time, value) each."""

    metric: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


def moments(source: Source, end: float, fine: float = 0.0) -> list[float]:
    """The times at which an expression looks at a source when it is evaluated at `end`, and for
    `fine` seconds before."""
    step = min(max(source.reach / 7, 15.0), 60.0 if source.reach < 7200 else 240.0)
    times = {end - source.offset - k * step for k in range(int(source.reach / step) + 2)}
    if source.offset:
        times |= {end - k * step for k in range(int(source.reach / step) + 2)}
    if fine:
        times = {end - k * SCRAPE for k in range(int(fine / SCRAPE) + 1)}
        past = source.offset + source.reach
        if past > fine:  # what an evaluation some time ago looked at
            step = 60.0 if past < 7 * 3600 else 240.0
            times |= {end - k * step for k in range(int((past + fine) / step) + 1)}
    return sorted(times)


def lines(
    shape: Shape,
    source: Source,
    courses: Sequence[Course],
    times: Sequence[float],
    end: float,
    group: Labels,
    extra: Mapping[str, str],
    before: Sequence[Course] | None = None,
    onset: float = 0.0,
) -> Iterator[Line]:
    """The series of a source; until the onset they did what `before` says."""
    count = max(len(courses), len(before or ()))
    for number in range(count):
        now = courses[number] if number < len(courses) else Course("gone")
        then = (
            now if before is None else (before[number] if number < len(before) else Course("gone"))
        )
        labels = {**source.labels, **group, **extra}
        if count > 1:
            labels["replica"] = str(number)
            labels |= {name: f"{number}{labels[name]}" for name in source.free if count % 2 == 0}
        if source.kind == "histogram":
            for le in (*shape.buckets, math.inf):
                slow = le < shape.buckets[-1]
                made = _samples(_bucket(now, slow), _bucket(then, slow), times, end, onset)
                bound = "+Inf" if le == math.inf else f"{le:g}"
                yield Line(source.metric, {**labels, "le": bound}, made)
        else:
            yield Line(source.metric, labels, _samples(now, then, times, end, onset))


def _bucket(course: Course, small: bool) -> Course:
    """What a bucket counts: the slow ones are in the greatest alone, the others in all."""
    if course.shape != "slow":
        return course
    rate, share = course.numbers
    return Course("rate", (rate * (1 - share) if small else rate,))


def _samples(
    now: Course, then: Course, times: Sequence[float], end: float, onset: float
) -> list[tuple[float, float]]:
    found = []
    counted = 1000.0
    last = times[0] if times else 0.0
    for number, at in enumerate(times):
        # What turns some time ago does so by itself.
        course = now if at >= onset or now.shape in TURNING else then
        if course.shape in {"rate", "turn"}:
            turned = course.shape == "turn" and at > end - course.numbers[2]
            counted += course.numbers[1 if turned else 0] * (at - last)
            value: float | None = counted
        else:
            value = _value(course, at, end, number)
        last = at
        if value is not None:
            found.append((at, value))
    return found


def _value(course: Course, at: float, end: float, number: int) -> float | None:
    numbers = course.numbers
    if course.shape == "level":
        return numbers[0]
    if course.shape == "age":
        return at - numbers[0]
    if course.shape == "slope":
        return numbers[0] + numbers[1] * (at - end)
    if course.shape == "flap":
        return numbers[number % 2]
    if course.shape == "left":
        return numbers[0] if at < end - numbers[1] else None
    if course.shape == "step":
        return numbers[1] if at >= end - numbers[2] else numbers[0]
    return None
