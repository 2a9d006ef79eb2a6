"""Standing permissions: who allowed which exact content of a step to run by itself, until when.

They live in `approvals.yaml` beside the rules and are written by `stopgap approve`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal

import yaml
from pydantic import Field

from daemon.core.recovery.approved_content import changes_since, changes_text, seen_fields
from daemon.core.recovery.binding_content import accepted_hashes, content_hash
from daemon.core.rules.rule import Rule
from daemon.core.values.units import Frozen, Moment

ApprovalState = Literal["valid", "not_approved", "approval_void", "approval_expired"]

_HEADING = """\
# Which recovery steps may run by themselves. Written by `stopgap approve`; each entry is bound
# to the exact content of its step, so an edited step must be approved again. `saw` is what stood
# there, so that an edit can be named; what voids the approval is that `content` is another.
"""


class Approval(Frozen):
    """One person's permission for one step (`step` counts from 1) of a rule.

    It holds as long as `content` does (`accepted_hashes`); `saw` tells by field what stood there
    (`seen_fields`), and is empty in entries of an earlier version of this program.
    """

    rule: str
    step: int = Field(ge=1)
    action: str
    content: str = Field(pattern="^[0-9a-f]{64}$")
    by: str
    at: Moment
    until: Moment
    saw: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def of(cls, rule: Rule, step: int, by: str, at: datetime, until: datetime) -> Approval:
        """The permission for the step as it stands."""
        spec = rule.step(step)
        return cls(
            rule=rule.rule,
            step=step,
            action=spec.action,
            content=content_hash(rule, spec),
            by=by,
            at=at,
            until=until,
            saw=seen_fields(rule, spec),
        )


class Approvals(Frozen):
    """The whole file."""

    approvals: tuple[Approval, ...] = ()

    def current(self, rule: Rule, step: int) -> Approval | None:
        """The entry for this very content of the step; of several, the one that ends last."""
        return _current(self._of(rule, step), accepted_hashes(rule, rule.step(step)))

    def state_of(self, rule: Rule, step: int, now: datetime) -> tuple[ApprovalState, str]:
        """Whether this step may run by itself now, and the sentence that says why (not)."""
        entries = self._of(rule, step)
        command = f"`stopgap approve {rule.rule} --step {step}`"
        if not entries:
            return "not_approved", f"nobody has approved it to run by itself; see {command}"
        contents = accepted_hashes(rule, rule.step(step))
        entry = _current(entries, contents)
        if entry is None:
            return "approval_void", f"{_changed_text(entries, contents, rule, step)}; see {command}"
        until = f"{entry.until:%Y-%m-%d %H:%M} UTC"
        if entry.until <= now:
            return "approval_expired", f"the approval by {entry.by} ended {until}; see {command}"
        changed = _changed_text(entries, contents, rule, step)
        text = f"pre-approved by {entry.by} until {until}"
        return "valid", f"{text}; {changed}" if changed else text

    def changed_text(self, rule: Rule, step: int) -> str:
        """What was changed since the step was approved, and which of it voids the approval, in
        words; empty if nothing was, or nobody has approved it."""
        return _changed_text(
            self._of(rule, step), accepted_hashes(rule, rule.step(step)), rule, step
        )

    def _of(self, rule: Rule, step: int) -> list[Approval]:
        return [a for a in self.approvals if (a.rule, a.step) == (rule.rule, step)]

    def with_(self, approval: Approval) -> Approvals:
        """The file with this entry in the place of an older one for the same step."""
        others = [a for a in self.approvals if (a.rule, a.step) != (approval.rule, approval.step)]
        return Approvals(approvals=(*others, approval))

    def to_yaml(self) -> str:
        """The text of the file."""
        content = {
            "approvals": [
                a.model_dump(mode="json", exclude=None if a.saw else {"saw"})
                for a in self.approvals
            ]
        }
        return _HEADING + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _current(entries: Sequence[Approval], contents: Collection[str]) -> Approval | None:
    """Of the entries of a step that is these contents the one that counts."""
    fitting = (a for a in entries if a.content in contents)
    return max(fitting, key=lambda a: a.until, default=None)


def _changed_text(
    entries: Sequence[Approval], contents: Collection[str], rule: Rule, step: int
) -> str:
    """`Approvals.changed_text`, of a step that has these entries and is these contents."""
    entry = _current(entries, contents) or (entries[-1] if entries else None)
    if entry is None:
        return ""
    same = entry.content in contents
    # Beside what the content holds only the mode was seen: mostly nothing need be compared.
    if same and entry.saw.get("mode", rule.mode) == rule.mode:
        return ""
    changes = changes_since(entry.saw, rule, rule.step(step)) if entry.saw else []
    since = f"{entry.by} approved it on {entry.at:%Y-%m-%d}"
    if changes:
        return f"changed since {since}: {changes_text(changes)}"
    return "" if same else f"it was changed after {since}"


def unknown_steps(approvals: Approvals, rules: Sequence[Rule]) -> list[tuple[int, str]]:
    """(index, what is wrong) of entries that name a rule or a step that is not there."""
    steps = {rule.rule: len(rule.recover) for rule in rules}
    found = []
    for index, entry in enumerate(approvals.approvals):
        if entry.rule not in steps:
            found.append((index, f"there is no rule {entry.rule!r}; remove the entry"))
        elif entry.step > steps[entry.rule]:
            found.append((index, f"{entry.rule} has no step {entry.step}; remove the entry"))
    return found
