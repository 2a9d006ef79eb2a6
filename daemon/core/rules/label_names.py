"""How a label is named: in PromQL, in Alertmanager's matchers, and as `$name` in a rule.

Names of letters, digits and `_` (legacy names) are written as they are. Any other, such as
OpenTelemetry's `service.name`, is quoted in PromQL since Prometheus 3.0 and in matchers since
Alertmanager 0.27; in a rule it is `${service.name}`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping

LEGACY_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
LABEL_REFERENCE = rf"\$(?:({LEGACY_NAME})|\{{([^{{}}0-9][^{{}}]*)\}})"
"""A `$name` or `${name}`, in one of two groups. `${1}` is none: `label_replace` knows it."""
_LEGACY = re.compile(LEGACY_NAME)
_REFERENCE = re.compile(LABEL_REFERENCE)
SERVICE_LABELS = ("service", "service.name")
"""The labels that say which service something is of: by habit, and by OpenTelemetry."""
_LONGEST = 200
_SURROGATES = (0xD800, 0xDFFF)
_GO_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL
)
_GO_LETTERS: Mapping[str, str] = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}


def is_legacy(name: str) -> bool:
    """Whether every version of Prometheus and Alertmanager knows such a name, unquoted."""
    return _LEGACY.fullmatch(name) is not None


def escape_string(text: str, mark: str = '"') -> str:
    """The text within a string literal of PromQL, between two of `mark`."""
    found = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return found.replace("\n", "\\n").replace("\r", "\\r")


def service_in(labels: Mapping[str, str]) -> tuple[str, str]:
    """The label that says which service this is, and that service; ("", "") if none does."""
    found = ((name, labels[name]) for name in SERVICE_LABELS if labels.get(name))
    return next(found, ("", ""))


def label_text(name: str) -> str:
    """The label as PromQL and Alertmanager's matchers write it: quoted if it is no legacy name."""
    return name if is_legacy(name) else f'"{escape_string(name)}"'


def reference(name: str) -> str:
    """The label as a rule's queries and parameters name it: `$service`, `${service.name}`."""
    return f"${name}" if is_legacy(name) else f"${{{name}}}"


def referenced(text: str) -> list[str]:
    """The labels that are named so in a text, in order."""
    return [plain or braced for plain, braced in _REFERENCE.findall(text)]


def named_parts(text: str) -> list[tuple[str, str]]:
    """The text taken apart, in order: (what stands there, "") and ("", the label named there)."""
    parts: list[tuple[str, str]] = []
    begin = 0
    for found in _REFERENCE.finditer(text):
        parts += [(text[begin : found.start()], ""), ("", found[1] or found[2])]
        begin = found.end()
    return [part for part in (*parts, (text[begin:], "")) if any(part)]


def wrong_label_name(name: str) -> str:
    """What keeps a rule from naming such a label, with the mend; empty if nothing does."""
    if is_legacy(name):
        return ""
    if not name or not name.isprintable() or name != name.strip() or len(name) > _LONGEST:
        return (
            f"{name[:_LONGEST]!r} is no label name; it is letters, digits and _, or any text such "
            f"as service.name of at most {_LONGEST} characters"
        )
    if set("{}$\"'`\\") & set(name) or name[0].isdecimal():
        return f"{name!r} cannot be named as {reference(name)}; relabel it to another name"
    return ""


def unquoted(text: str) -> str:
    """What stands between the quotes of a string literal of Go, as Alertmanager and Prometheus
    read it; a backslash before any other character stands for itself."""
    return _GO_ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is None and match[4] is None:
        return _GO_LETTERS.get(match[5], match[0])
    number = int(code, 16) if code is not None else int(match[4], 8)
    beyond = number > sys.maxunicode or _SURROGATES[0] <= number <= _SURROGATES[1]
    return match[0] if beyond else chr(number)
