"""The files of drills: found beside the rules, read, and checked against rules and roster."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.core.drills.calendar import ScheduledDrill
from daemon.core.drills.scenario import DrillScenario
from daemon.core.drills.scenario_checks import scenario_mistakes
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import Rule
from daemon.core.values.yaml_document import FileMistake, Mistakes, YamlDocument, documents

DRILLS = "drills"
"""The folder of the scenarios, beside the rules."""
SELF_DRILL = "self-drill"
"""The name of the daemon's drill of itself, which no file can have."""


@dataclass(frozen=True)
class DrillFiles:
    """The scenarios that have no mistake, by name, and what is wrong with the others."""

    scenarios: Mapping[str, DrillScenario]
    files: Mapping[str, str]
    mistakes: tuple[FileMistake, ...] = ()


NO_DRILLS = DrillFiles({}, {})


def read_drills(
    files: Sequence[Path],
    rules: Mapping[str, Rule],
    roster: Roster | None,
    *,
    partial: bool = False,
) -> DrillFiles:
    """Read the files; each holds one scenario or several, parted by `---`. `partial`: there are
    rules that could not be read, so a rule that is not there is no mistake of a drill's."""
    scenarios: dict[str, DrillScenario] = {}
    found: dict[str, str] = {}
    mistakes: list[FileMistake] = []
    for file in files:
        read, wrong = _read(file)
        mistakes += wrong
        for scenario, document in read:
            if partial and scenario.rule and scenario.rule not in rules:
                continue
            name = scenario.drill
            wrong = [
                document.mistake(place, text)
                for place, text in scenario_mistakes(scenario, rules.get(scenario.rule), roster)
            ]
            if name in found or name == SELF_DRILL:
                taken = found.get(name, "the daemon's own")
                text = f"the name {name!r} is taken by {taken}; choose another"
                wrong.append(document.mistake(("drill",), text))
            found.setdefault(name, str(file))
            mistakes += wrong
            if not wrong:
                scenarios[name] = scenario
    return DrillFiles(scenarios, found, tuple(mistakes))


def unknown_in_schedule(
    schedule: Sequence[ScheduledDrill], known: Container[str]
) -> list[FileMistake]:
    """What the calendar of the settings has that is not there."""
    return [
        FileMistake(
            file="stopgap.yaml",
            line=0,
            place=f"drills.schedule.{number}.drill",
            text=f"there is no drill {one.drill!r}; `stopgap drill list` has those that there are",
        )
        for number, one in enumerate(schedule)
        if one.drill not in known
    ]


def _read(file: Path) -> tuple[list[tuple[DrillScenario, YamlDocument]], list[FileMistake]]:
    """The scenarios of a file that can be read, and the mistakes of the others."""
    read: list[tuple[DrillScenario, YamlDocument]] = []
    wrong: list[FileMistake] = []
    try:
        for document in documents(file.read_text(encoding="utf-8"), str(file)):
            if document.data is None:
                continue  # nothing but comments
            try:
                read.append((document.read(DrillScenario), document))
            except Mistakes as error:
                wrong += error.mistakes
    except UnicodeDecodeError as error:
        wrong.append(_mistake(file, f"is not UTF-8 text (byte {error.start}); save it as UTF-8"))
    except OSError as error:
        wrong.append(_mistake(file, f"cannot be read: {error.strerror}"))
    except Mistakes as error:
        wrong += error.mistakes
    return read, wrong


def _mistake(file: Path, text: str) -> FileMistake:
    return FileMistake(file=str(file), line=1, place="", text=text)
