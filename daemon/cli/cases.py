"""`test`: the cases of the rules, played in virtual time."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import structlog

from daemon.app.rule_cases import RawMetrics
from daemon.cli import case_report
from daemon.cli.case_report import CaseResult
from daemon.cli.client import (
    CommandFailure,
    config_option,
    has_settings,
    json_option,
    settings_from,
)
from daemon.cli.houses import house_of
from daemon.cli.rules import published_schema
from daemon.cli.terminal import terminal
from daemon.config.case_files import CaseFile, checked, find_case_files
from daemon.config.rules_folder import CASES
from daemon.config.settings import Settings
from daemon.core.cases.rule_case import RuleCase
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import FileMistake
from daemon.replaying.case_runner import CaseRun, House, run_case


@click.command("test")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@config_option
@json_option
@click.option("--filter", "wanted", metavar="TEXT", help="Only cases whose name or rule has it.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Write JUnit XML there, too, for CI servers.",
)
@click.option(
    "--promql",
    is_flag=True,
    help="Play those with raw series, too: a real Prometheus on this machine evaluates them.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show what the daemon logs, on standard error.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a case file, for editors.")
def test_command(
    paths: tuple[Path, ...],
    config: Path | None,
    as_json: bool,
    wanted: str | None,
    junit: Path | None,
    promql: bool,
    verbose: bool,
    schema: bool,
) -> None:
    """Play the cases of the rules in virtual time, and say what came out otherwise.

    PATHS are files of cases or folders; without any, `cases/` in the folder of the rules. The
    daemon's own code decides; no server is asked (but for --promql a Prometheus that is started
    for it), and nothing is done to the world. Exit code 1: a case failed, or is written wrongly.

    \b
    Example: stopgap test
    Example: stopgap test rules/cases/checkout.yaml --filter rollback
    """
    if schema:
        click.echo(json.dumps(published_schema(RuleCase, "Stopgap case of a rule"), indent=2))
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if verbose else logging.CRITICAL
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    began = time.perf_counter()
    settings = settings_from(config)
    home = _near(settings.rules_dir / CASES)
    if not paths and not home.exists():
        raise CommandFailure(
            f"no case is written yet: they stand in {home}; rules/README.md tells how, and "
            "`stopgap review ID --case` makes one of an incident"
        )
    files = find_case_files(paths or (home,))
    restricted = has_settings(config)
    played = _play(files, settings, restricted=restricted, promql=promql, wanted=wanted or "")
    console = None if as_json else terminal()
    results: list[CaseResult] = []
    shown = ""
    for result in played:
        results.append(result)
        if console is not None:
            if result.document.file != shown:
                shown = result.document.file
                console.print(shown, markup=False, soft_wrap=True)
            case_report.print_result(console, result)
    took = time.perf_counter() - began
    if console is not None:
        case_report.print_summary(console, results, took)
    else:
        click.echo(json.dumps(case_report.as_json(results, took)))
    if junit is not None:
        _write_junit(junit, results, took)
    _judge(results, wanted)


def _near(path: Path) -> Path:
    """The path as short as it can be said from here."""
    near = Path(os.path.relpath(path))
    return near if len(str(near)) < len(str(path)) else path


def _play(
    files: Sequence[CaseFile], settings: Settings, *, restricted: bool, promql: bool, wanted: str
) -> Iterator[CaseResult]:
    """The results, one by one. Raises CommandFailure before the first if a file has mistakes."""
    houses: dict[Path, House] = {}
    wrong: list[FileMistake] = [mistake for file in files for mistake in file.mistakes]
    chosen: list[tuple[CaseFile, House]] = []
    for file in files:
        if not file.cases:
            continue
        home = file.rules_dir or settings.rules_dir
        if home not in houses:
            houses[home] = house_of(settings, home, restricted=restricted)
        house = houses[home]
        wrong += checked(file, house.rules, list(house.roster.people))
        chosen.append((file, house))
    if wrong:
        count = f"{len(wrong)} mistake{'s' if len(wrong) > 1 else ''}"
        raise CommandFailure("\n".join([count, *map(str, wrong)]))
    for file, house in chosen:
        for case, document in file.cases:
            if not any(wanted.casefold() in text.casefold() for text in (case.case, case.rule)):
                continue
            yield CaseResult(case, document, _run(case, house, promql=promql))


def _run(case: RuleCase, house: House, *, promql: bool) -> CaseRun | None:
    """How the case went; None if it is not played, because it needs a Prometheus."""
    if not case.raw:
        return run_case(case, house)
    if not promql:
        return None
    try:
        with closing(RawMetrics(case)) as metrics:
            return run_case(case, house, metrics)
    except Permanent as error:
        raise CommandFailure(f"{case.case}: {error}") from None


def _write_junit(path: Path, results: Sequence[CaseResult], took: float) -> None:
    try:
        case_report.write_junit(path, results, took)
    except OSError as error:
        raise CommandFailure(f"cannot write {path}: {error.strerror}") from None


def _judge(results: Sequence[CaseResult], wanted: str | None) -> None:
    """Raise CommandFailure unless there was something to play, and all of it passed."""
    if not results:
        what = f"no case has {wanted!r} in its name or rule" if wanted else "there is no case"
        raise CommandFailure(f"{what}; rules/README.md tells how one is written")
    failed = sum(result.outcome == "failed" for result in results)
    if failed:
        raise CommandFailure(f"{failed} case{'s' if failed > 1 else ''} failed")
