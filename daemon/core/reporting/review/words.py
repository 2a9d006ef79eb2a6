"""The words of a review: numbers, durations and moments as people write them in a wiki."""

from __future__ import annotations

import re
from datetime import timedelta

from daemon.core.incident.step_state import StepState
from daemon.core.rules.rule import ProblemKind
from daemon.core.values.units import percent, printable, quantity

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_ZONE = re.compile(r"(\b\d\d:\d\d(?::\d\d)?) UTC\b")
_CODE = re.compile(r" \([a-z]+(?:_[a-z]+)+\)")


def in_words(value: timedelta) -> str:
    """A duration by its two largest units: '3 minutes and 35 seconds'."""
    left = max(round(value.total_seconds()), 0)
    parts = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(plural(count, name))
        elif parts:
            break
    return " and ".join(parts[:2]) or "less than a second"


def after(value: timedelta) -> str:
    """How much later: 'at once', 'after 20 seconds'."""
    return "at once" if value < timedelta(seconds=1) else f"after {in_words(value)}"


def plural(count: int, noun: str) -> str:
    """'1 call', '2 calls'."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def about(value: float) -> str:
    """A number that was worked out, to three digits: 12,437 is 'about 12,400'."""
    if value < 1:
        return "less than one"
    return f"about {quantity(float(f'{value:.3g}'))}"


def level_words(value: float, kind: ProblemKind) -> str:
    """A level of the symptom: a share for counts, else a number in the metric's own unit."""
    return percent(value) if kind == "counts" else quantity(value)


def listed(items: list[str]) -> str:
    """'ada', 'ada and bo', 'ada, bo and cy'."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def without_zone(text: str) -> str:
    """Moments without their zone, which a document names once."""
    return _ZONE.sub(r"\1", text)


def without_codes(text: str) -> str:
    """A sentence of the daemon's without the reasons that it holds for programs, and without the
    marks of code, which not every place shows as such."""
    return _CODE.sub("", text).replace("`", "")


def as_sentence(text: str) -> str:
    """With a full stop, if it ends without any mark."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?:…" else f"{text}."


def step_name(step: StepState) -> str:
    """What a step does, where: 'rollback on shop'."""
    action = (step.action or f"step {step.number}").replace("_", " ")
    return f"{action} on {printable(step.target)}" if step.target else action


def started(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]
