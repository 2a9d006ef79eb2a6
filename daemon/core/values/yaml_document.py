"""YAML that remembers its lines, so that every mistake can be shown where it stands."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from daemon.core.values.pattern_words import PATTERN_WORDS
from daemon.core.values.units import Frozen, format_duration

Path = tuple[str | int, ...]
_M = TypeVar("_M", bound=BaseModel)
_V = TypeVar("_V")

MOST_PLACES = 50_000
"""More keys and items than any rule file has; aliases of aliases reach it in a few lines."""
MOST_NESTED = 50
"""Brackets within brackets: the time that the library takes grows with the square of their depth,
and it holds up the event loop meanwhile."""
_LIST = '; write it as JSON: ["a", "b"]'
_MAPPING = '; write it as JSON: {"key": "value"}'
_LINES = "Input should be `key: value` lines"
_SHAPES = {"tuple_type": "Input should be a list", "dict_type": _LINES, "model_type": _LINES}
"""What the library says in the words of Python, in those of YAML."""
_AS_JSON = {"tuple_type": _LIST, "dict_type": _MAPPING, "model_type": _MAPPING}


class FileMistake(Frozen):
    """One mistake in a file: where it stands, and how to mend it. `line` 0: in no file, but in
    what `file` names."""

    file: str
    line: int
    place: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.place}: {self.text}" if self.place else f"{where}: {self.text}"


class Mistakes(ValueError):
    """All mistakes that were found at once."""

    def __init__(self, mistakes: Sequence[FileMistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class YamlDocument:
    """One YAML document: plain data, and the line (from 1) of each place in it.

    `origins`: the variables that set places instead of the file. What they hold is never shown.
    """

    file: str
    data: Any
    lines: Mapping[Path, int] = field(default_factory=dict)
    origins: Mapping[Path, str] = field(default_factory=dict)

    def mistake(self, path: Sequence[str | int], text: str) -> FileMistake:
        """A mistake at a place: in the variable that set it, or on the line of the nearest place
        that exists in the file."""
        at, place = _as_written(path, self.data), ".".join(str(part) for part in path)
        origin = _nearest(at, self.origins)
        if origin is not None:
            return FileMistake(file=origin, line=0, place=place, text=text)
        line = _nearest(at, self.lines) or 1
        around = at if at in self.lines else at[:-1] or at
        sets = [name for set_, name in self.origins.items() if set_[: len(around)] == around]
        if sets:
            text = f"{text} (the environment sets {', '.join(dict.fromkeys(sets))})"
        return FileMistake(file=self.file, line=line, place=place, text=text)

    def read(self, model: type[_M]) -> _M:
        """Validate into a model. Raises Mistakes with every mistake that it has."""
        if not isinstance(self.data, dict):
            raise Mistakes([self.mistake((), "expected `key: value` lines at the top level")])
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            problems = error.errors(include_url=False)
            found = [
                self._mistake(problem, model)
                for problem in problems
                if not _follows(problem, problems)
            ]
            raise Mistakes(list(dict.fromkeys(found))) from None

    def _mistake(self, problem: Any, model: type[BaseModel]) -> FileMistake:
        place = _place(problem["loc"], self.data)
        if not _nearest(place, self.origins):
            return self.mistake(place, _explain(problem, model, _shown(problem)))
        hidden = str(problem["msg"]).replace(repr(problem.get("input")), "this")
        return self.mistake(place, _explain({**problem, "msg": hidden}, model, _mend(problem)))


class _Loader(yaml.SafeLoader):
    """The library's, which stops where brackets are nested too deeply."""

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:  # noqa: N803
        if self.flow_level >= MOST_NESTED:
            problem = f"brackets are nested more than {MOST_NESTED} deep"
            raise yaml.scanner.ScannerError(None, None, problem, self.get_mark())
        super().fetch_flow_collection_start(TokenClass)


def documents(text: str, file: str) -> list[YamlDocument]:
    """All YAML documents of a text. Raises Mistakes if it is not YAML or repeats a key."""
    found = []
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            lines: dict[Path, int] = {}
            repeated = list(_walk(node, (), lines, file))
            if repeated:
                raise Mistakes(repeated)
            found.append(YamlDocument(file, _construct(node), lines))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        text = f"not YAML: {error.problem or error.context or 'unreadable'}"
        raise Mistakes([FileMistake(file=file, line=line, place="", text=text)]) from None
    except RecursionError:
        text = "not YAML: nested too deeply, or an anchor refers to itself"
        raise Mistakes([FileMistake(file=file, line=1, place="", text=text)]) from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, Mistakes):
            raise
        raise Mistakes(
            [FileMistake(file=file, line=1, place="", text=f"not YAML: {error}")]
        ) from None
    return found


def one_document(text: str, file: str) -> YamlDocument:
    """The single document of a file; an empty file is an empty mapping. Raises Mistakes."""
    found = documents(text, file)
    if len(found) > 1:
        raise Mistakes([found[1].mistake((), "one YAML document is expected in this file")])
    return found[0] if found and found[0].data is not None else YamlDocument(file, {})


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _walk(node: Any, path: Path, lines: dict[Path, int], file: str) -> Iterator[FileMistake]:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > MOST_PLACES:
        text = "the file is too large, or its aliases multiply; split it"
        raise Mistakes([FileMistake(file=file, line=1, place="", text=text)])
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            if name in seen:
                yield FileMistake(
                    file=file, line=line, place=name, text="this key stands here twice"
                )
            seen.add(name)
            lines[(*path, name)] = line
            yield from _walk(value, (*path, name), lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _walk(value, (*path, index), lines, file)


def _as_written(path: Sequence[str | int], data: Any) -> Path:
    """The place with the keys as they stand in the file: a number that is a key is a text there."""
    found: list[str | int] = []
    for part in path:
        found.append(str(part) if isinstance(data, dict) else part)
        inside = isinstance(data, dict) and part in data
        listed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        data = data[part] if inside or listed else None
    return tuple(found)


def _place(loc: Sequence[str | int], data: Any) -> Path:
    """The part of a validation error's location that exists in the file, plus a missing key.

    pydantic adds names of its own (union members, validators), which people never wrote.
    """
    place: list[str | int] = []
    for depth, part in enumerate(loc):
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            place.append(part)
            data = data[part]
        elif isinstance(data, dict) and depth == len(loc) - 1:
            place.append(part)
    return tuple(place)


def _follows(problem: Any, problems: Sequence[Any]) -> bool:
    """Whether it only says that nothing is left because of mistakes told one by one."""
    loc = problem["loc"]
    inner = any(p["loc"][: len(loc)] == loc and p["loc"] != loc for p in problems)
    return problem["type"] == "too_short" and inner


def _nearest(path: Path, known: Mapping[Path, _V]) -> _V | None:
    """What is known of the place, or else of the nearest one around it."""
    while path and path not in known:
        path = path[:-1]
    return known.get(path)


def _explain(problem: Any, model: type[BaseModel], given: str) -> str:
    kind, message = problem["type"], str(problem["msg"])
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, 1)
        hint = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
        return f"unknown key; {hint}"
    if kind == "too_short":
        return "is empty; at least one is needed"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        message = PATTERN_WORDS.get(problem["ctx"]["pattern"], message)
    message = _SHAPES.get(kind, message)
    if kind == "model_type":
        message += f" (known here: {', '.join(_known_keys(model, problem['loc']))})"
    return f"{message[0].lower()}{message[1:]}{given}"


def _shown(problem: Any) -> str:
    given = problem.get("input")
    got = format_duration(given) if isinstance(given, timedelta) else repr(given)
    return f"; it is {got[:80]}"


def _mend(problem: Any) -> str:
    """Of a value in the environment, which may be a secret: how it is written at all."""
    return _AS_JSON.get(problem["type"], "")


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys of the model at a location, followed through the published schema."""
    whole = model.model_json_schema(by_alias=True)
    schema: Any = whole
    for part in loc:
        schema = _child(whole, schema, part)
    options = [_resolved(whole, option) for option in (schema, *schema.get("anyOf", ()))]
    return sorted({key for option in options for key in option.get("properties", {})})


def _child(whole: Any, schema: Any, part: str | int) -> Any:
    for option in [schema, *schema.get("anyOf", [])]:
        found = _resolved(whole, option)
        if isinstance(part, int) and "items" in found:
            return found["items"]
        if part in found.get("properties", {}):
            return found["properties"][part]
        if isinstance(found.get("additionalProperties"), dict):
            return found["additionalProperties"]
    return schema


def _resolved(whole: Any, schema: Any) -> Any:
    reference = schema.get("$ref")
    return whole["$defs"][reference.rpartition("/")[2]] if reference else schema
