"""Which of the incidents that were open before a start are looked at first."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core.ports.journal import Head
from daemon.core.values.drill_key import is_drill_incident


def most_urgent_first(heads: Iterable[Head]) -> list[str]:
    """The incidents to which nobody has come and that go on, those first whose next look is longest
    overdue; then the others likewise, and drills last."""
    ordered = sorted(heads, key=lambda h: (*_waits_less(h), h.wake_at or h.opened_at, h.incident))
    return [head.incident for head in ordered]


def _waits_less(head: Head) -> tuple[bool, bool]:
    facts = head.outcome
    attended = facts is not None and (facts.acknowledged_at or facts.restored_at) is not None
    return is_drill_incident(head.incident), attended
