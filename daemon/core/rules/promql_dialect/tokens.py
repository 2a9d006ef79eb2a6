"""The tokens of a PromQL query: strings with what they hold, names, numbers, durations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
"""What labels in parentheses follow."""
OPERATORS = frozenset({"and", "or", "unless", "atan2", "bool", "offset", *GROUPING})
"""The words that are no metric where an operator may stand."""
EXTENDED = frozenset({"anchored", "smoothed"})
"""What may follow a range, since Prometheus 3.7."""

_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_NUMBER = r"0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?[\d_]+)?"
_NAME = r"[A-Za-z_:][\w:]*"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)"""
    rf"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
    rf"""|(?P<duration>{_DURATION}(?!\w))|(?P<number>(?:{_NUMBER})(?!\w))|(?P<name>{_NAME})"""
    r"""|(?P<other>=~|!~|==|!=|<=|>=|</|>/|.)""",
    re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(
    r"\\(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"
    r"|(?P<octal>[0-7]{3})|(?P<letter>.))",
    re.DOTALL,
)
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}


class TokenKind(Enum):
    """What a token is."""

    SPACE = "space"
    STRING = "string"
    DURATION = "duration"
    NUMBER = "number"
    NAME = "name"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query as written; white space and comments are pieces, too."""

    kind: TokenKind
    text: str


def query_tokens(query: str) -> Iterator[Token]:
    """The pieces of a query; together they are the query."""
    for match in _TOKEN.finditer(query):
        yield Token(TokenKind(match.lastgroup), match[0])


def string_value(literal: str) -> str:
    """What a string literal holds, as Go reads it; a byte that is no UTF-8 as surrogateescape.

    Raises ValueError with the mend.
    """
    mark, inner = literal[0], literal[1:-1]
    if mark == "`":
        return inner
    held = bytearray()
    end = 0
    for match in _ESCAPE.finditer(inner):
        held += inner[end : match.start()].encode()
        held += _unescaped(match, mark)
        end = match.end()
    return (held + inner[end:].encode()).decode(errors="surrogateescape")


def _unescaped(match: re.Match[str], mark: str) -> bytes:
    octal, letter = match["octal"], match["letter"]
    if match["x"]:
        return bytes([int(match["x"], 16)])
    if match["u"] or match["U"]:
        code = int(match["u"] or match["U"], 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"{match[0]} in a string is no character")
        return chr(code).encode()
    if octal and int(octal, 8) < 256:
        return bytes([int(octal, 8)])
    if letter == mark:
        return mark.encode()
    if letter in _LETTERS:
        return bytes([_LETTERS[letter]])
    raise ValueError(
        f"{match[0]} is no escape of a string; double the backslash (\\{match[0]}), "
        "or write the string in backticks"
    )


def string_literal(value: str) -> str:
    """A literal of that value that every parser reads; what is no UTF-8 becomes U+FFFD."""
    plain = value.encode(errors="surrogateescape").decode(errors="replace")
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("\n", "\\n").replace("\r", "\\r")
