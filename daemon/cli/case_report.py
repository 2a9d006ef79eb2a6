"""How `stopgap test` says what came out: for people, as JSON, and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as Xml

from rich.console import Console

from daemon.cli.terminal import escape
from daemon.config.case_files import line_of
from daemon.core.cases.comparison import Mismatch
from daemon.core.cases.rule_case import RuleCase
from daemon.core.reporting.timeline import timeline_lines
from daemon.core.values.units import format_duration
from daemon.core.values.yaml_document import YamlDocument
from daemon.replaying.case_runner import CaseRun

CaseOutcome = Literal["passed", "failed", "skipped"]
_MARKS: dict[CaseOutcome, str] = {
    "passed": "[green]✓[/green]",
    "failed": "[bold red]✗[/bold red]",
    "skipped": "[yellow]–[/yellow]",
}
_LONGEST = 200
"""So many characters of a line of the story are shown on a terminal: an update's text is long."""
_WHY_SKIPPED = "it gives raw series, which a real Prometheus has to evaluate: --promql"


@dataclass(frozen=True)
class CaseResult:
    """A case, and how it went; one that was skipped has no run."""

    case: RuleCase
    document: YamlDocument
    run: CaseRun | None

    @property
    def outcome(self) -> CaseOutcome:
        """What came of it."""
        if self.run is None:
            return "skipped"
        return "failed" if self.run.mismatches else "passed"

    @property
    def place(self) -> str:
        """file:line of the case."""
        return f"{self.document.file}:{line_of(self.document, ('case',))}"

    def place_of(self, mismatch: Mismatch) -> str:
        """file:line of what was not met."""
        return f"{self.document.file}:{line_of(self.document, mismatch.place)}"

    def story(self) -> list[str]:
        """What the daemon did, line by line, with the time since the beginning of the case."""
        told: list[tuple[datetime, str]] = []
        for entries in self.run.journals.values() if self.run is not None else ():
            told += [(line.at, line.text) for line in reversed(timeline_lines(entries))]
        told.sort(key=lambda one: one[0])
        return [f"{_since(at - self.case.begins):>9}  {text}" for at, text in told]


def print_result(console: Console, result: CaseResult) -> None:
    """One line, and of a case that failed what was expected, what came, and the story."""
    case, run = result.case, result.run
    name = f"{_MARKS[result.outcome]} {escape(case.case)} [dim]({escape(case.rule)})[/dim]"
    _line(console, f"{name}  [dim]{_WHY_SKIPPED}[/dim]" if run is None else name)
    if run is None or not run.mismatches:
        return
    for mismatch in run.mismatches:
        place = escape(result.place_of(mismatch))
        what = ".".join(str(part) for part in mismatch.place)
        _line(console, f"    [bold]{place}[/bold]: {escape(what)} at {_since(mismatch.at)}")
        _line(console, f"      [green]- expected  {escape(mismatch.expected)}[/green]")
        _line(console, f"      [red]+ got       {escape(mismatch.got)}[/red]")
        if mismatch.why:
            _line(console, f"        [dim]{escape(mismatch.why)}[/dim]")
    story = result.story()
    _line(console, "    what the daemon did:" if story else "    the daemon did nothing")
    for line in story:
        shown = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
        _line(console, f"      {escape(shown)}")
    for query in run.unanswered:
        _line(console, f"      [dim]the case says nothing of: {escape(query)}[/dim]")


def print_summary(console: Console, results: Sequence[CaseResult], took: float) -> None:
    """How many passed, failed and were skipped, and how fast."""
    counts = {
        outcome: sum(result.outcome == outcome for result in results)
        for outcome in ("failed", "passed", "skipped")
    }
    parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
    minutes = sum(result.run.minutes for result in results if result.run is not None)
    colour = "bold red" if counts["failed"] else "bold green"
    told = f"[{colour}]{', '.join(parts) or 'no case'}[/{colour}]"
    _line(console, f"{told} in {took:.2f} s ({minutes:,.0f} virtual minutes)")


def as_json(results: Sequence[CaseResult], took: float) -> dict[str, Any]:
    """The same for machines."""
    return {
        "passed": sum(result.outcome == "passed" for result in results),
        "failed": sum(result.outcome == "failed" for result in results),
        "skipped": sum(result.outcome == "skipped" for result in results),
        "seconds": round(took, 3),
        "cases": [
            {
                "case": result.case.case,
                "rule": result.case.rule,
                "place": result.place,
                "outcome": result.outcome,
                "minutes": result.run.minutes if result.run is not None else 0.0,
                "seconds": round(result.run.seconds, 4) if result.run is not None else 0.0,
                "mismatches": [
                    {
                        "place": result.place_of(mismatch),
                        "what": ".".join(str(part) for part in mismatch.place),
                        "at": format_duration(mismatch.at),
                        "expected": mismatch.expected,
                        "got": mismatch.got,
                        "why": mismatch.why,
                    }
                    for mismatch in (result.run.mismatches if result.run is not None else ())
                ],
                "story": result.story() if result.outcome == "failed" else [],
            }
            for result in results
        ],
    }


def write_junit(path: Path, results: Sequence[CaseResult], took: float) -> None:
    """JUnit's XML, which CI servers show: a suite for each file. Raises OSError."""
    root = Xml.Element("testsuites", name="stopgap test", time=f"{took:.3f}")
    files = dict.fromkeys(result.document.file for result in results)
    for file in files:
        ours = [result for result in results if result.document.file == file]
        suite = Xml.SubElement(
            root,
            "testsuite",
            name=file,
            tests=str(len(ours)),
            failures=str(sum(result.outcome == "failed" for result in ours)),
            errors="0",
            skipped=str(sum(result.outcome == "skipped" for result in ours)),
            time=f"{sum(r.run.seconds for r in ours if r.run is not None):.3f}",
        )
        for result in ours:
            _junit_case(suite, result)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _junit_case(suite: Xml.Element, result: CaseResult) -> None:
    run = result.run
    case = Xml.SubElement(
        suite,
        "testcase",
        name=_xml(result.case.case),
        classname=result.case.rule,
        file=result.document.file,
        line=str(line_of(result.document, ("case",))),
        time=f"{run.seconds if run is not None else 0:.3f}",
    )
    if run is None:
        Xml.SubElement(case, "skipped", message=_WHY_SKIPPED)
        return
    for mismatch in run.mismatches:
        said = f"expected {mismatch.expected}, got {mismatch.got}"
        failure = Xml.SubElement(case, "failure", type="mismatch", message=_xml(said))
        where = f"{result.place_of(mismatch)}: {'.'.join(map(str, mismatch.place))}"
        lines = [f"{where} at {_since(mismatch.at)}", f"- expected  {mismatch.expected}"]
        failure.text = _xml("\n".join([*lines, f"+ got       {mismatch.got}", mismatch.why]))
    if run.mismatches:
        Xml.SubElement(case, "system-out").text = _xml("\n".join(result.story()))


def _xml(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def _since(at: timedelta) -> str:
    """A time since the beginning, to the tenth of a second: 1h2m3.4s."""
    seconds = round(at.total_seconds() * 10) / 10
    whole, tenth = divmod(round(seconds * 10), 10)
    text = format_duration(timedelta(seconds=whole))
    if not tenth:
        return text
    minutes, rest = divmod(whole, 60)
    head = format_duration(timedelta(minutes=minutes)) if minutes else ""
    return f"{head}{rest}.{tenth}s"


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)
