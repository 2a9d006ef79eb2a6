"""A threshold that would have told earlier, found by replaying the incident by lower ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from statistics import median

from daemon.core.cases.comparison import opened_by
from daemon.core.cases.recorded_case import NotReplayable, recorded_samples
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration, percent
from daemon.core.values.yaml_edit import replace_scalar
from daemon.replaying.case_runner import House
from daemon.replaying.replay import replayed
from daemon.standardizing.proposals import RuleTexts, Standard, edited_rule

_LOWER = (0.7, 0.5, 0.3, 0.2)
"""The parts of the present threshold that are tried."""
WORTH = timedelta(minutes=1)
"""Nobody changes a rule to be told less than that earlier."""
_MOST_OF_IT = 0.8
"""Of those that tell nearly as early the highest is proposed: it is wrong the least."""
_QUIET = 0.001
"""The share of the recorded days before in which a threshold may be exceeded."""


def late_threshold(
    entries: Sequence[e.Entry], house: House, texts: RuleTexts
) -> Iterator[Standard]:
    """A lower `confirm: drop`, if the incident would have been confirmed earlier by it, and the day
    before, as far as it was kept, would not."""
    rule = house.rules.get(fold(entries).rule)
    if rule is None or rule.problem.confirm.drop is None:
        return
    try:
        usual = _losses_before(recorded_samples(entries), fold(entries).opened_at)
        present = _confirmed_at(entries, house)
        found = {
            drop: at
            for drop in _candidates(rule.problem.confirm.drop)
            if _quiet(usual, drop)
            and (at := _confirmed_at(entries, _with(house, rule, drop))) is not None
            and _earlier(present, at)
        }
    except NotReplayable:
        return
    if not found:
        return
    earliest = min(found.values())
    reference = present or max(found.values()) + WORTH
    good = [d for d, at in found.items() if reference - at >= _MOST_OF_IT * (reference - earliest)]
    drop = max(good)
    edited = edited_rule(texts, rule.rule, partial(_with_drop, drop=drop))
    if edited is not None:
        path, before, after = edited
        yield Standard(
            "threshold", rule.rule, path, _why(drop, present, found[drop]), before, after
        )


def _candidates(drop: float) -> list[float]:
    return [float(f"{drop * part:.1g}") for part in _LOWER if float(f"{drop * part:.1g}") < drop]


def _with(house: House, rule: Rule, drop: float) -> House:
    confirm = rule.problem.confirm.model_copy(update={"drop": drop})
    problem = rule.problem.model_copy(update={"confirm": confirm})
    changed = rule.model_copy(update={"problem": problem})
    return replace(house, rules={**house.rules, rule.rule: changed})


def _confirmed_at(entries: Sequence[e.Entry], house: House) -> datetime | None:
    """When the problem is confirmed by these rules; None if never. Raises NotReplayable."""
    name = fold(entries).rule
    for journal in replayed(entries, house).journals.values():
        for entry in journal if opened_by(journal, name) else ():
            event = entry.event
            if isinstance(event, e.ProblemDefined) and event.problem.verdict == "confirmed":
                return entry.at
    return None


def _earlier(present: datetime | None, at: datetime) -> bool:
    return present is None or present - at >= WORTH


def _losses_before(kept: e.SamplesRecorded, opened: datetime) -> list[float]:
    """How much worse than usual each window of the time before was: shares, from 0 up."""
    bad, total = (
        {
            at: value
            for one in kept.series
            if one.query == name
            for at, value in one.samples()
            if at < opened.timestamp() - one.window.total_seconds() * 10
        }
        for name in ("bad", "total")
    )
    shares = [bad.get(at, 0.0) / count for at, count in total.items() if count > 0]
    usual = median(shares) if shares else 0.0
    return [max(share - usual, 0.0) for share in shares]


def _quiet(losses: Sequence[float], drop: float) -> bool:
    return sum(loss >= drop for loss in losses) <= _QUIET * len(losses)


def _with_drop(text: str, document: int, drop: float) -> str:
    return replace_scalar(text, (document, "problem", "confirm", "drop"), f"{drop * 100:.6g}%")


def _why(drop: float, present: datetime | None, at: datetime) -> str:
    if present is None:
        return f"it was never confirmed; by a drop of {percent(drop)} it would have been"
    earlier = format_duration(timedelta(seconds=round((present - at).total_seconds())))
    return (
        f"by a drop of {percent(drop)} it would have been confirmed {earlier} earlier, and in the "
        "time that was kept from before nothing else would"
    )
