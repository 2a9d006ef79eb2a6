"""Reads a query token by token: strings, regular expressions, and syntax of some versions only.

What comes of it is a text that promql-parser (0.12) can read, with the same selectors and types:
newer syntax that the parser does not know is put into older words, once it is noted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from daemon.core.rules.promql_dialect import servers
from daemon.core.rules.promql_dialect.regexes import matches_empty, regex_features, regex_mistake
from daemon.core.rules.promql_dialect.servers import FUNCTIONS, Feature
from daemon.core.rules.promql_dialect.tokens import (
    EXTENDED,
    GROUPING,
    OPERATORS,
    Token,
    TokenKind,
    query_tokens,
    string_literal,
    string_value,
)

_FILL = frozenset({"fill", "fill_left", "fill_right"})
_CLOSES = frozenset({")", "]", "}"})
_REGEX = frozenset({"=~", "!~"})
_SPACED_UNIT = re.compile(r"(?<=^\d)\s+(?=[smhdwy]$)")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS |= {"w": 7 * _UNITS["d"], "y": 365 * _UNITS["d"]}
_LONGEST_MS = (2**63 - 1) // 1_000_000
"""Milliseconds: Go counts a duration in nanoseconds of 63 bits, 292 years."""
_FARTHEST_S = 2.0**63
"""Seconds after `@`, as Prometheus bounds them."""


@dataclass(slots=True)
class Reading:
    """What was read.

    `wrong` is a mistake in every version. `parsable` is for the parser, with each regular
    expression as one that matches the empty text as well as the given one does. `readable` is
    the same with the given ones; only if it is `faithful` does it say just what the query says.
    `only_metricsql` is what no Prometheus reads.
    """

    wrong: str = ""
    features: list[Feature] = field(default_factory=list)
    parsable: str = ""
    readable: str = ""
    faithful: bool = True
    only_metricsql: str = ""
    newer_than_parser: bool = False


def read_promql(query: str) -> Reading:
    """Read the tokens of a query."""
    reader = _Reader(list(query_tokens(query)))
    try:
        reader.read()
    except ValueError as error:
        reader.found.wrong = str(error)
    return reader.found


def _keyword(text: str) -> str:
    """A token as it is looked back at: keywords are written in small or in capital letters."""
    return text.lower() if text.lower() in OPERATORS else text


class _Reader:
    def __init__(self, given: list[Token]) -> None:
        self.found = Reading()
        self._tokens = given
        self._place = 0
        self._before: list[str] = []  # the significant tokens before this one
        self._open: list[str] = []

    def read(self) -> None:
        """Read everything. Raises ValueError for what is wrong in every version."""
        while self._place < len(self._tokens):
            token = self._tokens[self._place]
            self._place += 1
            if token.kind is TokenKind.SPACE:
                self._write(" " if token.text.startswith("#") else token.text)
                continue
            self._take(token)
            self._before.append("]" if token.text == "[" else _keyword(token.text))

    def _take(self, token: Token) -> None:
        if token.kind is TokenKind.STRING:
            self._string(token.text)
        elif token.kind is TokenKind.DURATION:
            self._duration(token.text)
        elif token.kind is TokenKind.NUMBER:
            self._number(token.text)
        elif token.kind is TokenKind.NAME:
            self._name(token.text)
        else:
            self._other(token.text)

    def _write(self, parsable: str, readable: str | None = None) -> None:
        self.found.parsable += parsable
        self.found.readable += parsable if readable is None else readable

    def _note(self, feature: Feature, *, reworded: bool = False) -> None:
        self.found.features.append(feature)
        if reworded:
            self.found.faithful = False

    def _last(self, back: int = 1) -> str:
        return self._before[-back] if len(self._before) >= back else ""

    def _inside(self, opening: str) -> bool:
        return bool(self._open) and self._open[-1] == opening

    def _next(self) -> str:
        """The next significant token."""
        following = (t.text for t in self._tokens[self._place :] if t.kind is not TokenKind.SPACE)
        return next(following, "")

    # ── each kind of token ───────────────────────────────────────────────────────────────────

    def _string(self, literal: str) -> None:
        value = string_value(literal)
        written = string_literal(value)
        if self._last() in {"+", "-"} and self._last(2) in {"", "(", ","}:
            raise ValueError(f"a string has no sign: {self._last()}{literal}")
        if self._inside("{") and self._last() in _REGEX:
            wrong = regex_mistake(value)
            if wrong:
                raise ValueError(wrong)
            self.found.features += regex_features(value)
            self._write('".*"' if matches_empty(value) else '".+"', written)
            return
        if self._inside("{") and self._last() not in {"=", "!="}:
            self._note(servers.QUOTED_NAMES)
        if self._inside("by"):
            if not value:
                raise ValueError("a label without a name to group by; give one")
            self._note(servers.QUOTED_LABELS)
        self._write(written)

    def _duration(self, text: str) -> None:
        parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
        length = sum(int(number) * _UNITS[unit] for number, unit in parts)
        if length > _LONGEST_MS:
            raise ValueError(f"the duration {text} is too long; at most 292 years")
        signed = self._last() in {"+", "-"} and self._last(2) == "offset"
        if not signed and self._last() != "offset":
            self._note(servers.DURATION_NUMBERS)
            text = text if length else "0"
        elif length == 0 or self._last() == "+":
            self._note(servers.LENIENT_DURATIONS, reworded=not length)
            text = text if length else "1s"
        self._write(text)

    def _number(self, text: str) -> None:
        if "_" in text:
            self._underscores(text)
            text = text.replace("_", "")
        hexadecimal = text[:2].lower() == "0x"
        value = float(int(text, 16)) if hexadecimal else float(text)
        if value == float("inf"):
            raise ValueError(f"the number {text} is out of range")
        signed = self._last() in {"+", "-"}
        after = self._last(2) if signed else self._last()
        if after == "@" and value >= _FARTHEST_S:
            raise ValueError(f"the time {text} after @ is out of range; it is in seconds")
        if after == "offset":
            self._note(servers.SECONDS)
            if self._last() == "+" or not value:
                self._note(servers.LENIENT_DURATIONS)
        self._write(text)

    def _underscores(self, text: str) -> None:
        digits = text[2:] if text[:2].lower() == "0x" else text
        if digits.endswith("_") or "__" in digits:
            raise ValueError(f"{text} is no number; a _ stands between two digits")
        self._note(servers.UNDERSCORES)

    def _name(self, text: str) -> None:
        if self._inside("{"):
            if text == "or" and self._last()[:1] in {'"', "'", "`"}:
                self.found.only_metricsql = (
                    "`or` between the matchers of a selector; write two selectors with `or`"
                )
            self._write(text)
            return
        if self._inside("by"):
            if ":" in text:
                self._note(servers.QUOTED_LABELS, reworded=True)
            self._write(text.replace(":", "_"))
            return
        following = self._next()
        if text in EXTENDED:
            self._extended(text)
        elif text in _FILL and following == "(":
            self._note(servers.FILLED, reworded=True)
            self._skip_parentheses()
        elif (text in FUNCTIONS and following == "(") or self._grouped(text, following):
            self._function(text)
        elif text.lower() == "offset" and following == "(":
            self._note(servers.DURATION_ARITHMETIC, reworded=True)
            self._skip_parentheses()
            self._write("offset 5m")
        else:
            self._write(text)

    def _grouped(self, text: str, following: str) -> bool:
        return text in {"limitk", "limit_ratio"} and following in {"by", "without"}

    def _function(self, text: str) -> None:
        if self._last() != "@":
            self._note(FUNCTIONS[text], reworded=text == "holt_winters")
        self._write("double_exponential_smoothing" if text == "holt_winters" else text)

    def _extended(self, text: str) -> None:
        last = self._last()
        named = re.fullmatch(r"[A-Za-z_:][\w:]*", last) and last not in OPERATORS
        if last in _CLOSES or named:
            self._note(servers.EXTENDED_RANGE, reworded=True)
        else:
            self._write(f"{text}_")  # a metric of that name
            self.found.faithful = False

    def _other(self, text: str) -> None:
        if text in {'"', "'", "`"}:
            raise ValueError(f"a string that begins with {text} has no end; close it with {text}")
        if text == "[":
            self._range()
            return
        if text in {"</", ">/"}:
            self._note(servers.TRIMMED, reworded=True)
            self._write(text[0])
            return
        if text in "({":
            grouping = text == "(" and self._last() in GROUPING and not self._inside("{")
            self._open.append("by" if grouping else text)
        elif text in ")}" and self._open:
            self._open.pop()
        self._write(text)

    # ── what is put into other words ─────────────────────────────────────────────────────────

    def _range(self) -> None:
        """A range or a subquery up to its bracket; anything but plain durations is replaced."""
        inner = self._until("]")
        parts = "".join(token.text for token in inner).split(":")
        self._write(f"[{':'.join(self._width(part.strip()) for part in parts)}]")

    def _width(self, text: str) -> str:
        """A duration between brackets, in words that the parser knows."""
        if not text:
            return ""
        spaced, text = text, _SPACED_UNIT.sub("", text)
        if spaced != text:
            self._note(servers.LENIENT_DURATIONS)
        kinds = [t for t in query_tokens(text) if t.kind is not TokenKind.SPACE]
        sign = kinds[0].text if kinds[0].text in {"+", "-"} else ""
        rest = kinds[1:] if sign else kinds
        if len(rest) == 1 and rest[0].kind in {TokenKind.DURATION, TokenKind.NUMBER}:
            return self._plain_width(sign, rest[0])
        if any(token.text in "+-*/%^()" for token in kinds):
            self._note(servers.DURATION_ARITHMETIC, reworded=True)
            return "5m"
        return text

    def _plain_width(self, sign: str, token: Token) -> str:
        number = token.kind is TokenKind.NUMBER
        long = token.text.replace("_", "")
        none = not float(int(long, 16) if long[:2].lower() == "0x" else long) if number else False
        if sign == "-" or none:
            raise ValueError(f"the range [{sign}{token.text}] must be greater than 0")
        if sign:
            self._note(servers.LENIENT_DURATIONS)
        if number:
            self._note(servers.SECONDS)
            if "_" in token.text:
                self._underscores(token.text)
            return long
        parts = re.findall(r"(\d+)(ms|[smhdwy])", token.text)
        if sum(int(count) * _UNITS[unit] for count, unit in parts) > _LONGEST_MS:
            raise ValueError(f"the duration {token.text} is too long; at most 292 years")
        return token.text

    def _until(self, closing: str) -> list[Token]:
        found: list[Token] = []
        while self._place < len(self._tokens):
            token = self._tokens[self._place]
            self._place += 1
            if token.text == closing:
                return found
            found.append(token)
        raise ValueError(f"a [ without its {closing}; close it")

    def _skip_parentheses(self) -> None:
        depth = 0
        while self._place < len(self._tokens):
            text = self._tokens[self._place].text
            self._place += 1
            depth += {"(": 1, ")": -1}.get(text, 0)
            if text == ")" and not depth:
                return
        raise ValueError("a ( without its ); close it")
