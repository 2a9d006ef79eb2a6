"""The rule folder: rule files, `roster.yaml`, `approvals.yaml`, `freezes.yaml`, read and checked
as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.config.drill_files import DRILLS, NO_DRILLS, DrillFiles, read_drills
from daemon.core.people.roster import Roster
from daemon.core.people.roster_checks import check_roster
from daemon.core.recovery import approvals as approving
from daemon.core.recovery import freeze_windows
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.rules import rule as ruling
from daemon.core.rules import rule_checks
from daemon.core.rules.known_names import KnownNames
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.query_templates import JudgeFor
from daemon.core.rules.rule import Rule
from daemon.core.values.yaml_document import FileMistake, Mistakes, YamlDocument, one_document

ROSTER = "roster.yaml"
APPROVALS = "approvals.yaml"
FREEZES = "freezes.yaml"
CASES = "cases"
"""The folder of the cases, beside the rules."""
_PROBE = datetime(2026, 1, 1, tzinfo=UTC)
"""Any moment; a calendar that can be read there can be read at all."""


@dataclass(frozen=True)
class Ruleset:
    """Everything that was read; what could not be read is among the mistakes. Those of drills are
    kept apart: they keep no rule from being in force."""

    rules: tuple[tuple[Rule, YamlDocument], ...]
    roster: Roster | None
    approvals: Approvals
    freezes: FreezeWindows
    mistakes: tuple[FileMistake, ...]
    drills: DrillFiles = NO_DRILLS

    def sound(self) -> tuple[list[Rule], Roster, Approvals]:
        """The parts, if there is no mistake. Raises Mistakes."""
        if self.mistakes or self.roster is None:
            raise Mistakes(self.mistakes)
        return [rule for rule, _ in self.rules], self.roster, self.approvals


def yaml_files(folder: Path) -> list[Path]:
    """The YAML files of a folder and those in it, by name.

    Not those in hidden folders: a mounted ConfigMap keeps each file a second time, in `..2026_…`.
    """
    found = [*folder.rglob("*.yaml"), *folder.rglob("*.yml")]
    return sorted(
        file for file in found if not any(part.startswith(".") for part in _folders(file, folder))
    )


def rule_files(folder: Path) -> list[Path]:
    """The YAML files of a folder of rules, without the cases and the drills in it."""
    apart = {CASES, DRILLS}
    return [file for file in yaml_files(folder) if apart.isdisjoint(_folders(file, folder))]


def _folders(file: Path, folder: Path) -> tuple[str, ...]:
    return file.relative_to(folder).parts[:-1]


def drill_files(folder: Path) -> list[Path]:
    """The files of the drills in a folder of rules, or of the folder of drills itself."""
    if folder.name == DRILLS:
        return yaml_files(folder)
    return [file for file in yaml_files(folder) if DRILLS in _folders(file, folder)]


def read_ruleset(
    paths: Iterable[Path],
    actions: Mapping[str, Any],
    watches: Mapping[str, Any],
    names: KnownNames | None = None,
    judge_for: JudgeFor = lambda _: judge_query,
) -> Ruleset:
    """Read folders and single files; a file's roster and approvals lie beside it. `names`: those
    that the settings give; None if nobody knows the settings. `judge_for` says of each server
    whether it would take a query."""
    files: dict[Path, None] = {}
    mistakes: list[FileMistake] = []
    homes: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            homes[path] = None
            files.update(dict.fromkeys(rule_files(path)))
        elif path.exists():
            homes[path.parent] = None
            files[path] = None
        else:
            text = "there is no such file or folder; `stopgap init` writes one to begin with"
            mistakes.append(_mistake(path, text))
    read: list[tuple[Rule | None, YamlDocument]] = []
    for file in files:
        if file.name in {ROSTER, APPROVALS, FREEZES}:
            continue
        try:
            for rule, document, wrong in ruling.read_rule(_text(file), str(file)):
                read.append((rule, document))
                mistakes += wrong
        except Mistakes as error:
            mistakes += error.mistakes
    rules = [(rule, document) for rule, document in read if rule is not None]
    roster = _roster(homes, mistakes)
    approvals = _approvals(homes, rules, mistakes, bool(mistakes))
    teams = roster.teams if roster else None
    mistakes += rule_checks.check_rules(read, actions, watches, teams, names, judge_for)
    freezes = _freezes(homes, roster, mistakes)
    ordered = sorted(set(mistakes), key=lambda m: (m.file, m.line, m.text))
    drills = read_drills(
        [file for home in homes if home.is_dir() for file in drill_files(home)],
        {rule.rule: rule for rule, _ in rules},
        roster,
        partial=bool(mistakes),
    )
    return Ruleset(tuple(rules), roster, approvals, freezes, tuple(ordered), drills)


def _roster(homes: Iterable[Path], mistakes: list[FileMistake]) -> Roster | None:
    for home in homes:
        file = home / ROSTER
        if not file.exists():
            continue
        try:
            document = one_document(_text(file), str(file))
            roster = document.read(Roster)
        except Mistakes as error:
            mistakes += error.mistakes
            return None
        mistakes += check_roster(roster, document)
        return roster
    for home in homes:
        text = "is missing: without it nobody can be called; write one beside the rules"
        mistakes.append(_mistake(home / ROSTER, text))
    return None


def _approvals(
    homes: Iterable[Path],
    rules: Iterable[tuple[Rule, YamlDocument]],
    mistakes: list[FileMistake],
    partial: bool,
) -> Approvals:
    entries: list[approving.Approval] = []
    known = [rule for rule, _ in rules]
    for home in homes:
        file = home / APPROVALS
        if not file.exists():
            continue
        try:
            document = one_document(_text(file), str(file))
            read = document.read(Approvals)
        except Mistakes as error:
            mistakes += error.mistakes
            continue
        entries += read.approvals
        # With rules that could not be read, an entry may belong to one of those.
        for index, text in [] if partial else approving.unknown_steps(read, known):
            mistakes.append(document.mistake(("approvals", index), text))
    return Approvals(approvals=tuple(entries))


def _freezes(
    homes: Iterable[Path], roster: Roster | None, mistakes: list[FileMistake]
) -> FreezeWindows:
    """The freeze windows, with the texts of the calendars that they name."""
    windows: list[freeze_windows.Window] = []
    calendars: dict[str, str] = {}
    for home in homes:
        file = home / FREEZES
        if not file.exists():
            continue
        try:
            document = one_document(_text(file), str(file))
            read = document.read(FreezeWindows)
        except Mistakes as error:
            mistakes += error.mistakes
            continue
        wrong = (
            freeze_windows.check_freeze_windows(read, roster.teams) if roster is not None else []
        )
        for index, window in enumerate(read.windows):
            if window.calendar is None:
                continue
            try:
                calendars[window.calendar] = _text(home / window.calendar)
                list(window.spans(_PROBE, _PROBE + freeze_windows.LONGEST_WINDOW, calendars))
            except Mistakes as error:
                wrong.append((index, f"{window.calendar} {error.mistakes[0].text}"))
                continue
            except ValueError as error:
                wrong.append((index, f"{window.calendar}: {error}"))
                continue
            windows.append(window)
        windows += [window for window in read.windows if window.calendar is None]
        mistakes += [document.mistake(("windows", index), text) for index, text in wrong]
    return FreezeWindows(windows=tuple(windows), calendars=calendars)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        text = f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise Mistakes([_mistake(file, text)]) from None
    except OSError as error:
        raise Mistakes([_mistake(file, f"cannot be read: {error.strerror}")]) from None


def _mistake(file: Path, text: str) -> FileMistake:
    return FileMistake(file=str(file), line=1, place="", text=text)
