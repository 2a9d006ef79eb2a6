"""Alertmanager's matcher syntax, and an index that finds the rules of an alert.

Syntax (source: Alertmanager's `pkg/labels/parse.go`): `name op value` with `=`, `!=`, `=~`, `!~`;
the value bare or double-quoted with the escapes `\\\\`, `\\"` and `\\n`; before any other character
a backslash stands for itself, so `=~"web\\.example"` needs no second one. Since Alertmanager 0.27
a name may also be any other text, quoted where it has one of its signs in it (its UTF-8 mode,
`matcher/parse`): `"service.name"="checkout"`; both sides then have the escapes of Go. Regular
expressions are anchored at both ends, and an absent label equals the empty string.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, Literal, TypeVar, cast

from daemon.core.rules.label_names import label_text, unquoted
from daemon.core.values.units import Frozen

Operator = Literal["=", "!=", "=~", "!~"]
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_UTF8_MATCHER = re.compile(
    r"""\s*(?:"((?:[^"\\]|\\.)+)"|([^\s{}!=~,\\"'`]+))\s*(=~|=|!=|!~)\s*(.*?)\s*""", re.DOTALL
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_BARE_FORBIDDEN = frozenset("{},")

_T = TypeVar("_T")


class Matcher(Frozen):
    """One condition on one label."""

    name: str
    op: Operator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet the condition."""
        actual = labels.get(self.name, "")
        if self.op == "=":
            return actual == self.value
        if self.op == "!=":
            return actual != self.value
        # RE2, which Alertmanager uses, knows the ASCII classes only.
        found = re.fullmatch(self.value, actual, re.ASCII) is not None
        return found if self.op == "=~" else not found


def parse_matcher(text: str) -> Matcher:
    """Read one matcher. Raises ValueError that says what is wrong and how it should look."""
    match, utf8 = _MATCHER.fullmatch(text), _UTF8_MATCHER.fullmatch(text)
    if match is not None:
        name, op, raw = match.groups()
        value = _value(raw, text)
    elif utf8 is not None:
        quoted, bare, op, raw = utf8.groups()
        name = bare if quoted is None else unquoted(quoted)
        inner = _QUOTED.fullmatch(raw)
        value = _value(raw, text) if inner is None else unquoted(inner[1])
    else:
        raise ValueError(f'{text!r} is not a matcher; write it like alertname="HighErrors"')
    if op in {"=~", "!~"}:
        try:
            re.compile(value, re.ASCII)
        except (re.error, OverflowError) as error:
            raise ValueError(f"{text!r}: not a regular expression: {error}") from None
        except RecursionError:
            raise ValueError(f"{text!r}: its regular expression is nested too deeply") from None
    return Matcher(name=name, op=cast(Operator, op), value=value)


def spell_matcher(matcher: Matcher) -> str:
    """The matcher as it is written, with its value quoted."""
    # Only what is read again: any other escape would become a part of the value.
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{label_text(matcher.name)}{matcher.op}"{value}"'


def _value(raw: str, text: str) -> str:
    quoted = _QUOTED.fullmatch(raw)
    if quoted is not None:
        return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[0]), quoted[1])
    if '"' in raw:
        raise ValueError(f'{text!r}: the quotes do not close; escape inner quotes as \\"')
    if _BARE_FORBIDDEN & set(raw):
        raise ValueError(f"{text!r}: put the value in double quotes")
    return _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[0]), raw)


class MatcherIndex(Generic[_T]):
    """Finds the items whose matchers all hold, without trying every item.

    Items are filed under their most telling equality matcher (the one that shares its label and
    value with the fewest others); only those filed under one of the alert's own labels, and the
    few without an equality, are tried.
    """

    def __init__(self, items: Iterable[tuple[Sequence[Matcher], _T]]) -> None:
        listed = list(items)
        crowd: dict[tuple[str, str], int] = defaultdict(int)
        for matchers, _ in listed:
            for key in _keys(matchers):
                crowd[key] += 1
        # By the label's name, then by its value.
        self._filed: dict[str, dict[str, list[tuple[int, Sequence[Matcher], _T]]]] = {}
        self._unfiled: list[tuple[int, Sequence[Matcher], _T]] = []
        for order, (matchers, item) in enumerate(listed):
            keys = _keys(matchers)
            row = (order, matchers, item)
            if keys:
                name, value = min(keys, key=lambda key: (crowd[key], key))
                self._filed.setdefault(name, {}).setdefault(value, []).append(row)
            else:
                self._unfiled.append(row)

    def find(self, labels: Mapping[str, str]) -> list[_T]:
        """All items that match, in the order in which they were given."""
        found = [row for row in self._unfiled if _all_match(row[1], labels)]
        for name, value in labels.items():
            by_value = self._filed.get(name)
            if by_value is not None and value in by_value:
                found += [row for row in by_value[value] if _all_match(row[1], labels)]
        if len(found) > 1:
            found.sort(key=lambda row: row[0])
        return [item for _, _, item in found]


def _keys(matchers: Sequence[Matcher]) -> list[tuple[str, str]]:
    return [(m.name, m.value) for m in matchers if m.op == "=" and m.value]


def _all_match(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
