"""A threshold that would have told earlier, found by replaying the incident by lower ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from statistics import median
from typing import NamedTuple

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
"""The share of the recorded time before in which a threshold may be exceeded."""
_ENOUGH = timedelta(hours=6)
"""Of less than that nobody knows what is ordinary noise, so nothing is proposed."""


class _Confirmed(NamedTuple):
    """When a problem was confirmed, and since when it was there."""

    at: datetime
    onset: datetime


class _Usual(NamedTuple):
    """How much worse than usual each window of the time before was: shares, from 0 up. `spans`:
    how much time they are."""

    losses: Sequence[float]
    spans: timedelta

    def above(self, drop: float) -> int:
        """How many of them a threshold would have told."""
        return sum(loss >= drop for loss in self.losses)

    def quiet(self, drop: float) -> bool:
        """Whether that threshold fires on what is no incident hardly ever, as far as is known."""
        return self.spans >= _ENOUGH and self.above(drop) <= _QUIET * len(self.losses)


def late_threshold(
    entries: Sequence[e.Entry], house: House, texts: RuleTexts
) -> Iterator[Standard]:
    """A lower `confirm: drop`, if the incident would have been confirmed earlier by it, and the
    time before its onset, of which ENOUGH has to be known, would not."""
    rule = house.rules.get(fold(entries).rule)
    if rule is None or rule.problem.confirm.drop is None:
        return
    try:
        kept, opened = recorded_samples(entries), fold(entries).opened_at
        now = _confirmed(entries, house)
        present = now.at if now is not None else None
        found: dict[float, datetime] = {}
        usual: dict[float, _Usual] = {}
        for drop in _candidates(rule.problem.confirm.drop):
            then = _confirmed(entries, _with(house, rule, drop))
            if then is None or not _earlier(present, then.at):
                continue
            usual[drop] = _losses_before(kept, min(opened, then.onset))
            if usual[drop].quiet(drop):
                found[drop] = then.at
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
        why = _why(drop, present, found[drop], usual[drop])
        yield Standard("threshold", rule.rule, path, why, before, after)


def _candidates(drop: float) -> list[float]:
    return [float(f"{drop * part:.1g}") for part in _LOWER if float(f"{drop * part:.1g}") < drop]


def _with(house: House, rule: Rule, drop: float) -> House:
    confirm = rule.problem.confirm.model_copy(update={"drop": drop})
    problem = rule.problem.model_copy(update={"confirm": confirm})
    changed = rule.model_copy(update={"problem": problem})
    return replace(house, rules={**house.rules, rule.rule: changed})


def _confirmed(entries: Sequence[e.Entry], house: House) -> _Confirmed | None:
    """When the problem is confirmed by these rules; None if never. Raises NotReplayable."""
    name = fold(entries).rule
    for journal in replayed(entries, house).journals.values():
        for entry in journal if opened_by(journal, name) else ():
            event = entry.event
            if isinstance(event, e.ProblemDefined) and event.problem.verdict == "confirmed":
                return _Confirmed(entry.at, event.problem.onset_bounds[0] or entry.at)
    return None


def _earlier(present: datetime | None, at: datetime) -> bool:
    return present is None or present - at >= WORTH


def _losses_before(kept: e.SamplesRecorded, onset: datetime) -> _Usual:
    """What was usual well before the onset."""
    bad, total = (
        {
            at: (value, one.window)
            for one in kept.series
            if one.query == name
            for at, value in one.samples()
            if at < onset.timestamp() - one.window.total_seconds() * 10
        }
        for name in ("bad", "total")
    )
    counted = {at: (count, window) for at, (count, window) in total.items() if count > 0}
    shares = [bad[at][0] / count if at in bad else 0.0 for at, (count, _) in counted.items()]
    usual = median(shares) if shares else 0.0
    spans = sum((window for _, window in counted.values()), timedelta(0))
    return _Usual([max(share - usual, 0.0) for share in shares], spans)


def _with_drop(text: str, document: int, drop: float) -> str:
    return replace_scalar(text, (document, "problem", "confirm", "drop"), f"{drop * 100:.6g}%")


def _why(drop: float, present: datetime | None, at: datetime, usual: _Usual) -> str:
    if present is None:
        text = f"it was never confirmed; by a drop of {percent(drop)} it would have been"
    else:
        earlier = format_duration(timedelta(seconds=round((present - at).total_seconds())))
        text = f"by a drop of {percent(drop)} it would have been confirmed {earlier} earlier"
    hours, above = usual.spans // timedelta(hours=1), usual.above(drop)
    others = f"{above} of {len(usual.losses)} measurements" if above else "nothing else"
    return f"{text}, and in the {hours} hours that were kept from before {others} would"
