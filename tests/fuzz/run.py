"""Feeds the targets, each input in bounded time; an input is known by seed, target and number."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

LONGEST_SECONDS = 5.0
"""Of the processor, for one input: others on the machine change nothing about it."""


class Hung(BaseException):
    """An input took too long. No target's `except` takes it for a refusal."""


@dataclass(frozen=True)
class Finding:
    """An input that a target should have refused otherwise."""

    target: str
    seed: int
    number: int
    sent: bytes
    error: BaseException

    def __str__(self) -> str:
        why = f"{type(self.error).__name__}: {str(self.error)[:200]}"
        return (
            f"{self.target} number {self.number}: {why}\n  input: {self.sent[:300]!r}\n"
            f"  again: make fuzz SEED={self.seed} ONLY={self.target} NUMBER={self.number}"
        )


@dataclass(frozen=True)
class Tally:
    """What came of one target. `slowest` in seconds, and the number of that input."""

    inputs: int
    refused: int
    seconds: float
    slowest: float
    slowest_number: int
    findings: tuple[Finding, ...]


def input_of(target: Target, seed: int, number: int) -> bytes:
    """The input of that number."""
    source = random.Random(f"{seed}/{target.name}/{number}")  # noqa: S311 - it is to be repeated
    return mutated(target.corpus, target.words, source)


def share_of(target: Target, inputs: int) -> int:
    """How many of all inputs it gets."""
    return max(1, inputs * target.share // sum(one.share for one in TARGETS))


def fuzz(target: Target, seed: int, numbers: range, most: int = 5) -> Tally:
    """Feed it these inputs; ends early after `most` findings."""
    refused, slowest, which, findings = 0, 0.0, 0, list[Finding]()
    began = time.perf_counter()
    with _alarmed():
        for number in numbers:
            sent = input_of(target, seed, number)
            at = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, LONGEST_SECONDS)
            try:
                target.read(sent)
            except target.refuses:
                refused += 1
            except (Exception, Hung) as error:
                findings.append(Finding(target.name, seed, number, sent, error))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            took = time.process_time() - at
            if took > slowest:
                slowest, which = took, number
            if len(findings) >= most:
                break
    seconds = time.perf_counter() - began
    return Tally(len(numbers), refused, seconds, slowest, which, tuple(findings))


@contextmanager
def _alarmed() -> Iterator[None]:
    def ring(_: int, __: FrameType | None) -> None:
        raise Hung(f"took more than {LONGEST_SECONDS:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    try:
        yield
    finally:
        signal.signal(signal.SIGPROF, before)
