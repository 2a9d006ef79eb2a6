"""What somebody saw of a step when they approved it, and what of that has changed since.

The hash of the content decides whether the approval holds; the fields that are kept beside it
tell people which edit it was. Long values, and whatever may be a secret, are kept as a digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.core.recovery.binding_content import binding_content
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.units import printable

NOT_BINDING = frozenset({"mode"})
"""The fields whose change is told, and voids nothing."""
_LONGEST = 80
"""So many characters of a value are shown as they are."""
_SECRET = re.compile(
    r"secret|token|passw|pwd|credential|auth|bearer|cookie|key|private|header|body|\benv\b",
    re.IGNORECASE,
)
"""What a parameter has in its name or its value if it may be a secret: that is never shown."""
_PLAIN = re.compile(r"[\w./:,$ %+-]*")
"""What a parameter is made of that is shown: no list, for the words of a command may hold
anything, and no address with a user or a query in it."""
_TOLD = 4
"""So many changes are named in a sentence."""
_UNSET = "(not set)"


@dataclass(frozen=True)
class FieldChange:
    """A field that is another than at the approval. `before` and `after` are short texts, and
    `binds` tells whether the change voids the approval."""

    field: str
    before: str
    after: str

    @property
    def binds(self) -> bool:
        """Whether the change voids the approval."""
        return self.field not in NOT_BINDING

    def __str__(self) -> str:
        return f"`{self.field}` {self.before} → {self.after}"


def may_be_secret(name: str, value: Any) -> bool:
    """Whether a parameter of that name and value may be a secret, or have one in it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _SECRET.search(name) is not None or _SECRET.search(text) is not None


def seen_fields(rule: Rule, step: StepSpec) -> dict[str, str]:
    """What somebody who approves the step sees of it, field by field (`verify.hold`,
    `step.with.directory`), each as a short text."""
    content = {**binding_content(rule, step), "mode": rule.mode}
    return dict(sorted(_leaves(content, "")))


def changes_since(saw: Mapping[str, str], rule: Rule, step: StepSpec) -> list[FieldChange]:
    """Which fields are others than those that were seen, the binding ones first."""
    now = seen_fields(rule, step)
    changed = [
        FieldChange(name, saw.get(name, _UNSET), now.get(name, _UNSET))
        for name in sorted(saw.keys() | now.keys())
        if saw.get(name) != now.get(name)
    ]
    return sorted(changed, key=lambda change: not change.binds)


def changes_text(changes: Sequence[FieldChange]) -> str:
    """The changes in words: which of them bind, and which do not; empty without any."""
    binding = [change for change in changes if change.binds]
    others = [change for change in changes if not change.binds]
    parts = [f"{_listed(binding)}: {'bind' if len(binding) > 1 else 'binds'}"] if binding else []
    parts += [f"{_listed(others)}: does not bind"] if others else []
    return "; ".join(parts)


def _listed(changes: Sequence[FieldChange]) -> str:
    more = len(changes) - _TOLD
    told = ", ".join(map(str, changes[:_TOLD]))
    return f"{told} and {more} more" if more > 0 else told


def _leaves(value: Any, path: str, hidden: bool = False) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            place = f"{path}.{name}" if path else str(name)
            secret = hidden or (_is_parameter(place) and _SECRET.search(str(name)) is not None)
            yield from _leaves(inner, place, secret)
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield path, _short(text, hidden or (_is_parameter(path) and not _showable(text)))


def _is_parameter(path: str) -> bool:
    return path.startswith(("step.with.", "changes."))


def _showable(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and _SECRET.search(text) is None


def _short(text: str, hidden: bool) -> str:
    if not text:
        return "(empty)"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    if hidden:
        return f"#{digest}"
    shown = printable(text)
    if len(shown) > _LONGEST or shown != text:
        return f"{shown[:_LONGEST]}… #{digest}"
    return shown
