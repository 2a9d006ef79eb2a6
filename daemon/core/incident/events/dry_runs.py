"""That a step which people are asked about was tried as far as it changes nothing."""

from __future__ import annotations

from typing import ClassVar, Literal

from daemon.core.incident.events.base import BaseEvent, EventGroup


class StepRehearsed(BaseEvent):
    """The preflight of a step that waits for the Commander, so that they see what they approve.

    `content` is what the step was then (`plan.content_of`). `label` says what it would do in a few
    words, for a button: `v2 → v1 on shop`; `text` in a sentence, or why it would be refused.
    `reason` is empty if it `passed`, else the action's own word.
    """

    group: ClassVar[EventGroup] = "recovery"

    kind: Literal["StepRehearsed"] = "StepRehearsed"
    step: int
    action: str
    target: str
    content: str
    passed: bool
    label: str = ""
    text: str = ""
    reason: str = ""

    def describe(self) -> str:
        if self.passed:
            return f"dry run of step {self.step} passed: it would {self.text}"
        return f"dry run of step {self.step} did not pass ({self.reason}): {self.text}"
