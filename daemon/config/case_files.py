"""The files of cases: found, read and checked against the rules they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.config.rules_folder import CASES, yaml_files
from daemon.core.cases.case_checks import case_mistakes
from daemon.core.cases.rule_case import Place, RuleCase
from daemon.core.rules.rule import Rule
from daemon.core.values.yaml_document import FileMistake, Mistakes, YamlDocument, documents


@dataclass(frozen=True)
class CaseFile:
    """A file of cases, one a YAML document; `mistakes`: what is wrong with it in itself."""

    path: Path
    cases: tuple[tuple[RuleCase, YamlDocument], ...] = ()
    mistakes: tuple[FileMistake, ...] = ()

    @property
    def rules_dir(self) -> Path | None:
        """The folder of the rules that its cases are about: the one in which a folder `cases`
        holds the file. None if there is none."""
        return next((home.parent for home in self.path.parents if home.name == CASES), None)


def find_case_files(paths: Sequence[Path]) -> list[CaseFile]:
    """The files of these paths, each a file or a folder, each once, and read. What is not there is
    a mistake."""
    found: dict[Path, None] = {}
    missing: list[CaseFile] = []
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(yaml_files(path)))
        elif path.exists():
            found[path] = None
        else:
            missing.append(CaseFile(path, mistakes=(_mistake(path, "is not there"),)))
    return [*missing, *map(_read, found)]


def checked(
    file: CaseFile, rules: Mapping[str, Rule], people: Sequence[str]
) -> tuple[FileMistake, ...]:
    """What its cases say that does not fit the rules and the roster."""
    return tuple(
        document.mistake(place, text)
        for case, document in file.cases
        for place, text in case_mistakes(case, rules.get(case.rule), people)
    )


def line_of(document: YamlDocument, place: Place) -> int:
    """The line on which a place of a case stands; of one that is not there, what is around it."""
    return document.mistake(place, "").line


def _read(path: Path) -> CaseFile:
    try:
        read = documents(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        text = f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
        return CaseFile(path, mistakes=(_mistake(path, text),))
    except OSError as error:
        return CaseFile(path, mistakes=(_mistake(path, f"cannot be read: {error.strerror}"),))
    except Mistakes as error:
        return CaseFile(path, mistakes=error.mistakes)
    cases: list[tuple[RuleCase, YamlDocument]] = []
    wrong: list[FileMistake] = []
    for document in read:
        if document.data is None:
            continue  # nothing but comments
        try:
            cases.append((document.read(RuleCase), document))
        except Mistakes as error:
            wrong += error.mistakes
    if not cases and not wrong:
        wrong.append(_mistake(path, "holds no case; `stopgap test --schema` tells the format"))
    return CaseFile(path, tuple(cases), tuple(wrong))


def _mistake(path: Path, text: str) -> FileMistake:
    return FileMistake(file=str(path), line=1, place="", text=text)
