"""`make fuzz`: INPUTS=1000000 in all, SEED=, ONLY=target, NUMBER=one input of it, JOBS=."""

from __future__ import annotations

import argparse
import faulthandler
import secrets
import sys
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.run import Tally, fuzz, input_of, share_of
from tests.fuzz.targets import TARGETS

PORTION = 500
"""Inputs that a process takes at a time: seconds of work, so that a busy machine is no hang."""
STUCK_SECONDS = 300
"""A portion that takes longer hangs where no alarm is heard; where is told, and it ends."""


def portion(name: str, seed: int, begin: int, end: int) -> tuple[str, Tally]:
    """Some inputs of one target."""
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    target = next(one for one in TARGETS if one.name == name)
    found = name, fuzz(target, seed, range(begin, end))
    faulthandler.cancel_dump_traceback_later()
    return found


def main() -> int:
    """Feed all targets; 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", default="")
    parser.add_argument("--number", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    seed = secrets.randbelow(1 << 32) if given.seed is None else given.seed
    chosen = [one for one in TARGETS if given.only in ("", one.name)]
    if not chosen:
        parser.error(f"targets are {', '.join(one.name for one in TARGETS)}")
    if given.number is not None:
        target, number = chosen[0], given.number
        sys.stdout.write(f"{target.name} {number}: {input_of(target, seed, number)!r}\n")
        target.read(input_of(target, seed, number))
        return 0
    sys.stdout.write(f"seed {seed}\n")
    counts = {
        one.name: given.inputs if given.only else share_of(one, given.inputs) for one in chosen
    }
    tallies: dict[str, list[Tally]] = {name: [] for name in counts}
    with ProcessPoolExecutor(given.jobs) as pool:
        parts = [
            pool.submit(portion, name, seed, begin, min(begin + PORTION, count))
            for name, count in counts.items()
            for begin in range(0, count, PORTION)
        ]
        for part in parts:
            name, tally = part.result()
            tallies[name].append(tally)
            for finding in tally.findings:
                sys.stdout.write(f"{finding}\n")
    return report(tallies)


def report(tallies: dict[str, list[Tally]]) -> int:
    """A line for each target; 1 if there is a finding."""
    sys.stdout.write(
        f"{'target':<12}{'inputs':>10}{'refused':>10}{'a second':>10}{'slowest':>12}\n"
    )
    for name, parts in tallies.items():
        inputs, seconds = sum(one.inputs for one in parts), sum(one.seconds for one in parts)
        refused, slowest = sum(one.refused for one in parts), max(one.slowest for one in parts)
        sys.stdout.write(
            f"{name:<12}{inputs:>10,}{refused:>10,}{inputs / seconds:>10,.0f}{slowest:>10.3f} s\n"
        )
    found = sum(len(one.findings) for parts in tallies.values() for one in parts)
    inputs = sum(one.inputs for parts in tallies.values() for one in parts)
    sys.stdout.write(f"{inputs:,} inputs, {found} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
