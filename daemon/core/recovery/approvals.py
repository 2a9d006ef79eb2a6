"""Standing permissions: who allowed which exact content of a step to run by itself, until when.

They live in `approvals.yaml` beside the rules and are written by `stopgap approve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import yaml
from pydantic import Field

from daemon.core.rules.rule import Rule
from daemon.core.values.units import Frozen, Moment

ApprovalState = Literal["valid", "not_approved", "approval_void", "approval_expired"]

_HEADING = """\
# Which recovery steps may run by themselves. Written by `stopgap approve`; each entry is bound
# to the exact content of its step, so an edited step must be approved again.
"""


class Approval(Frozen):
    """One person's permission for one step (`step` counts from 1) of a rule."""

    rule: str
    step: int = Field(ge=1)
    action: str
    content: str = Field(pattern="^[0-9a-f]{64}$")
    by: str
    at: Moment
    until: Moment


class Approvals(Frozen):
    """The whole file."""

    approvals: tuple[Approval, ...] = ()

    def current(self, rule: Rule, step: int) -> Approval | None:
        """The entry for this very content of the step; of several, the one that ends last."""
        content = rule.content_hash(step)
        entries = [a for a in self._of(rule, step) if a.content == content]
        return max(entries, key=lambda a: a.until, default=None)

    def state_of(self, rule: Rule, step: int, now: datetime) -> tuple[ApprovalState, str]:
        """Whether this step may run by itself now, and the sentence that says why (not)."""
        entries = self._of(rule, step)
        command = f"`stopgap approve {rule.rule} --step {step}`"
        if not entries:
            return "not_approved", f"nobody has approved it to run by itself; see {command}"
        entry = self.current(rule, step)
        if entry is None:
            who = entries[-1].by
            return "approval_void", f"it was changed after {who} approved it; see {command}"
        until = f"{entry.until:%Y-%m-%d %H:%M} UTC"
        if entry.until <= now:
            return "approval_expired", f"the approval by {entry.by} ended {until}; see {command}"
        return "valid", f"pre-approved by {entry.by} until {until}"

    def _of(self, rule: Rule, step: int) -> list[Approval]:
        return [a for a in self.approvals if (a.rule, a.step) == (rule.rule, step)]

    def with_(self, approval: Approval) -> Approvals:
        """The file with this entry in the place of an older one for the same step."""
        others = [a for a in self.approvals if (a.rule, a.step) != (approval.rule, approval.step)]
        return Approvals(approvals=(*others, approval))

    def to_yaml(self) -> str:
        """The text of the file."""
        content = {"approvals": [a.model_dump(mode="json") for a in self.approvals]}
        return _HEADING + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


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
