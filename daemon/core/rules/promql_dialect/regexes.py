"""Regular expressions as Go, and so Prometheus, reads them: RE2's syntax, fully anchored.

google-re2 is the C++ twin of Go's `regexp/syntax`; where the two differ is told here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

from daemon.core.rules.promql_dialect.servers import LOOSE_REGEX, NAMED_GROUP, Feature

_MOST_BYTES = 80 << 20
"""What a compiled expression may take: as much as Go's limit of 3.3 million instructions."""
_SPECIAL = frozenset("\\.+*?()|[]{}^$")
_LOOK = re.compile(r"\(\?<?[=!]")
_NAME = re.compile(r"(?<!\\)\(\?P?<([^>=!]*)>")
_GO_NAME = re.compile(r"[A-Za-z0-9_]+")
_PERL_NAME = re.compile(r"(?<!\\)\(\?<(?![=!])")


def _options() -> re2.Options:
    chosen = re2.Options()
    chosen.log_errors = False
    chosen.dot_nl = True
    chosen.max_mem = _MOST_BYTES
    return chosen


def regex_mistake(text: str) -> str:
    """What is wrong with a regular expression in every version, with the mend; or empty.

    A byte that is no UTF-8 stands in `text` as Python's surrogateescape has it.
    """
    return _looked_at(text)[0]


def regex_features(text: str) -> Iterable[Feature]:
    """What in a right regular expression not every version reads."""
    if _PERL_NAME.search(text):
        yield NAMED_GROUP
    if _broken(text) or _left_open(text):
        yield LOOSE_REGEX


def matches_empty(text: str) -> bool:
    """Whether a right regular expression matches a label that is absent or empty."""
    return _looked_at(text)[1]


@lru_cache(maxsize=512)
def _looked_at(text: str) -> tuple[str, bool]:
    """What is wrong with it, and whether it matches nothing at all."""
    if _broken(text):
        known = "the regular expression holds bytes that are no UTF-8"
        return (known if _SPECIAL & set(text) else ""), False
    try:
        compiled = re2.compile(text, _options())
        return _mistake(text, compiled), compiled.fullmatch("") is not None
    except re2.error as error:
        return f"the regular expression {text[:80]!r} is refused: {_reason(error, text)}", False
    finally:
        re2.purge()  # it keeps a hundred compiled ones, which may be megabytes each


def _mistake(text: str, compiled: Any) -> str:
    wrong = [name for name in _NAME.findall(text) if not _GO_NAME.fullmatch(name)]
    if wrong and compiled.groupindex:
        return f"the group {wrong[0]!r} of a regular expression: letters, digits and _ only"
    if re.search(r"(?<!\\)(?:\\\\)*\\C", text):
        return "\\C in a regular expression matches half a character; Prometheus refuses it"
    return ""


def _left_open(text: str) -> bool:
    """Whether a \\Q in it quotes what is put behind it, too."""
    if "\\Q" not in text:
        return False
    try:
        re2.compile(f"^(?:{text})$", _options())
    except re2.error:
        return True
    return False


def _broken(text: str) -> bool:
    """Whether it holds half of a character."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _reason(error: Exception, text: str) -> str:
    first = error.args[0] if error.args else ""
    said = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
    if _LOOK.search(text):
        return f"{said}; RE2 has no look-ahead or look-behind: add a matcher with !~ instead"
    if "(?P=" in text or re.search(r"\\[1-9]", text):
        return f"{said}; RE2 has no back-references"
    return said
