"""`make simulate`: run many seeds, replay one, or show which planted bugs are found.

python -m tests.simulation --seeds 10000 --jobs 2
python -m tests.simulation --seed 4711
python -m tests.simulation --planted --seeds 500
"""

from __future__ import annotations

import argparse
import os
import sys

import click

from tests.simulation import planted_bugs
from tests.simulation.drawing import scenario_of
from tests.simulation.referee import INVARIANTS
from tests.simulation.runs import Summary, run_many
from tests.simulation.scenario import FAULT_KINDS
from tests.simulation.shrink import shrink
from tests.simulation.simulation import Outcome, simulate

SHOWN = 20
"""So many failing seeds are named."""


def main(arguments: list[str]) -> int:
    """0 if all held."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # What a set is iterated in would differ from run to run.
        os.environ["PYTHONHASHSEED"] = "0"
        command = [sys.executable, "-m", "tests.simulation", *arguments]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves
    options = _parser().parse_args(arguments)
    if options.planted:
        return planted_bugs.show(options.seeds, options.jobs, options.only)
    if options.seed is not None:
        return _replay(options.seed, with_shrinking=not options.whole)
    summary = run_many(range(options.first, options.first + options.seeds), options.jobs, _progress)
    _report(summary)
    if summary.failures and not options.whole:
        _shrunk(simulate(scenario_of(min(summary.failures))))
    return 1 if summary.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--seed", type=int, help="replay this one, in words")
    parser.add_argument("--whole", action="store_true", help="do not shrink what fails")
    parser.add_argument("--planted", action="store_true", help="with each planted bug")
    parser.add_argument("--only", default="", help="only the planted bugs with this in their name")
    return parser


def _progress(summary: Summary) -> None:
    if sys.stderr.isatty():
        rate = summary.seeds / summary.seconds
        text = f"\r{summary.seeds} seeds, {rate:.1f} a second, {len(summary.failures)} failed "
        click.echo(text, err=True, nl=False)


def _report(summary: Summary) -> None:
    rate = summary.seeds / summary.seconds
    click.echo(f"\n{summary.seeds} seeds in {summary.seconds:.0f} s: {rate:.1f} a second")
    click.echo(f"{summary.steps} callbacks, {summary.crashes} crashes survived")
    click.echo(f"\n{len(summary.kinds)} kinds of events:")
    for kind, count in summary.kinds.most_common():
        click.echo(f"  {count:8} {kind}")
    click.echo("\nfaults that something ran into, by seeds:")
    for kind in FAULT_KINDS:
        click.echo(f"  {summary.met[kind]:8} {kind}")
    click.echo("\ninvariants, by seeds in which they did not hold:")
    for invariant in INVARIANTS:
        failed = sum(broken == invariant for broken, _ in summary.failures.values())
        click.echo(f"  {failed:8} {invariant}")
    for seed, (invariant, text) in sorted(summary.failures.items())[:SHOWN]:
        click.echo(f"seed {seed}: {invariant}: {text}")


def _replay(seed: int, *, with_shrinking: bool) -> int:
    outcome = simulate(scenario_of(seed), traced=True)
    _show(outcome)
    if outcome.violation is not None and with_shrinking:
        _shrunk(outcome)
    return 1 if outcome.violation is not None else 0


def _shrunk(failed: Outcome) -> None:
    click.echo(f"\nseed {failed.scenario.seed} fails; it is made smaller …")
    smallest = shrink(failed)
    _show(simulate(smallest.scenario, traced=True))


def _show(outcome: Outcome) -> None:
    scenario = outcome.scenario
    stores = "SQL" if scenario.sql else "memory"
    click.echo(f"seed {scenario.seed}: order {scenario.order!r}, stores in {stores}, ", nl=False)
    click.echo(f"{scenario.replicas} replicas, approved {scenario.approved}, hold {scenario.hold}")
    for item in scenario.script:
        click.echo(f"  script  {item}")
    for fault in scenario.faults:
        click.echo(f"  fault   {fault}")
    click.echo("\n".join(outcome.trace))
    click.echo(f"digest {outcome.digest}; {outcome.steps} callbacks; ", nl=False)
    click.echo(outcome.violation or "every invariant held")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
