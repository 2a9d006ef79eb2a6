"""What is wrong with how a rule measures its problem: the keys of one kind beside those of another.

It looks at the rule as written, so that the mistake stands where it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from daemon.core.rules.threshold_spec import RulePlace, wrong_threshold


def _target(problem: Mapping[str, Any]) -> Iterator[tuple[RulePlace, str]]:
    """What is wrong with the kind of number that the target is."""
    target, place = problem.get("target"), ("problem", "target")
    share = isinstance(target, str) and target.strip().endswith("%")
    if "value" in problem and share:
        yield place, "for a `value` it is in the metric's own unit, like 0.3 for 300 ms in seconds"
    elif "bad" in problem and not _can_be_success_rate(target):
        yield place, f"{target!r} is no success rate; write it like 99.9%"


def _given(section: object) -> dict[str, Any]:
    """The keys of a section that have a value; one without is not given."""
    keys = section if isinstance(section, dict) else {}
    return {key: value for key, value in keys.items() if value is not None}


def _can_be_success_rate(target: object) -> bool:
    """What is no number at all is told by the field itself."""
    text = str(target).strip()
    try:
        rate = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return True
    return 0 < rate <= 1


def wrong_kind(data: Any) -> Iterator[tuple[RulePlace, str]]:
    """What is wrong with the choice between two counts, a value and a threshold, as (place in the
    rule, text with the mend). `data` is the rule as written."""
    problem = data.get("problem") if isinstance(data, dict) else None
    if not isinstance(problem, dict):
        return
    problem, confirm = _given(problem), _given(problem.get("confirm"))
    if "threshold" in problem:
        yield from wrong_threshold(problem, confirm, _given(data.get("verify")))
        return
    yield from _target(problem)
    place = ("problem", "confirm")
    if ("bad" in problem) == ("value" in problem):
        text = "give either `bad` and `total` (two counts), or `value`; one of the two"
        yield ("problem",), text
    elif "bad" in problem:
        if "total" not in problem:
            yield ("problem", "bad"), "needs `total` beside it: a ratio is two counts"
        if "drop" not in confirm:
            yield place, "needs `drop:`, the loss of success rate that matters"
        if "rise" in confirm or "by" in confirm:
            yield place, "`rise` and `by` belong to `value`; for counts use `drop`"
    else:
        if "rise" not in confirm and "by" not in confirm:
            yield (
                place,
                "needs `rise:` (relative to the baseline) or `by:` for a value, or a `threshold`",
            )
        for key in ("drop", "failing"):
            if key in confirm:
                yield place, f"`{key}` belongs to `bad` and `total`; for a value use `rise`"
        if "total" not in problem and "traffic" in confirm:
            yield place, "`traffic` needs `total:`, the query that counts the events"
