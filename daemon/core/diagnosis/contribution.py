"""Which values of which label carry the loss; silent where none stands out.

Adtributor (Bhagwan et al., NSDI 2014) ranks the values of each label by their explanatory power
(the part of the change that they make) and surprise (Jensen–Shannon divergence), for measures
that are sums. A success rate is none, so the change is first parted (Kitagawa 1955) into what the
values' own rates make and what their changed shares of the traffic make: where the latter is most
of it, the mix changed (Simpson's paradox), and no value is blamed.

Adtributor always names somebody. Here a value is named only if it surely fails more than it did
and than the others do, by intervals that are corrected for the number of values looked at
(Bonferroni) and for overdispersion, and if with it gone the rest is much nearer to as ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from daemon.core.diagnosis.breakdown import MIN_JUDGED, Breakdown, ValueCounts, dispersion
from daemon.core.values.significance import Z99, Interval, difference

FALSE_NAMING = 0.01
"""The probability with which any value at all may be named by chance."""
EXPLAINED = 0.8
"""The values that are named make at least this part of the added failures."""
LIFT = 4.0
"""They lose at least so many times what the rest loses."""
MOST_NAMED = 3
"""More values than this are no name."""
MIN_FAILURES = 10.0
"""Fewer added failures than this name nobody."""
MIX = 0.5
"""From this part of the loss on, the mix is what changed."""
_MIX_SURELY = 0.25
"""And at least this part of it by the 99 % interval."""
_AS_SURPRISING = 0.9
"""Labels nearly as surprising as the best one are equals; of these, fewer values are better."""

AttributionVerdict = Literal["guilty", "mix", "nothing"]
SilentReason = Literal[
    "no_label", "loss_not_significant", "nothing_stands_out", "too_little_traffic", "mix_changed"
]


@dataclass(frozen=True)
class Carrier:
    """The values of one label that carry the loss.

    `traffic`: their share of the events now; `explained`: their share of the added failures;
    `level` and `rest`: the shares of success with them and without them; `usual`: their own
    before. `surprise`: the Jensen–Shannon divergence, in bits, of where the failures are from
    where the traffic is. `new`: there was hardly any traffic with them before the onset.
    """

    label: str
    values: tuple[str, ...]
    traffic: float
    explained: float
    level: float
    usual: float | None
    rest: float
    surprise: float
    new: bool = False


@dataclass(frozen=True)
class MixChange:
    """A value whose share of the traffic moved, and which always failed otherwise than the rest.

    `part`: which part of the loss the whole change of the mix explains.
    """

    label: str
    value: str
    before: float
    now: float
    fails: float
    part: float


@dataclass(frozen=True)
class Attribution:
    """What the labels say. `carriers`: the best one first, the others name the same events in
    other words. `tested`: how many values of how many labels were looked at."""

    found: AttributionVerdict
    reason: SilentReason | Literal["stands_out"]
    carriers: tuple[Carrier, ...] = ()
    mix: MixChange | None = None
    tested: int = 0
    labels: tuple[str, ...] = ()
    dispersion: float = 1.0


def attribute(breakdowns: Sequence[Breakdown]) -> Attribution:
    """What the breakdowns say together. Those of failures alone are none of them."""
    known = [b for b in breakdowns if b.comparable and not b.failures_only]
    labels = tuple(b.label for b in known)
    tested = sum(len(b.judged) for b in known)
    spread = dispersion(known)

    def silent(reason: SilentReason) -> Attribution:
        return Attribution("nothing", reason, (), None, tested, labels, spread)

    if not known:
        return silent("no_label")
    if not tested or all(b.added_in_all < MIN_FAILURES and not _worse(b, spread) for b in known):
        return silent("too_little_traffic")
    if not any(_worse(b, spread) for b in known):
        return silent("loss_not_significant")
    mixes = [found for b in known if (found := _mix(b, spread)) is not None]
    if mixes:
        mix = max(mixes, key=lambda m: m.part)
        return Attribution("mix", "mix_changed", (), mix, tested, labels, spread)
    quantile = NormalDist().inv_cdf(1 - FALSE_NAMING / (2 * tested))
    carriers = [c for b in known if (c := _carrier(b, spread, quantile)) is not None]
    if not carriers:
        return silent("nothing_stands_out")
    return Attribution("guilty", "stands_out", _ranked(carriers), None, tested, labels, spread)


def surprise(expected: float, observed: float) -> float:
    """The Jensen–Shannon divergence, in bits, of two shares of one and the rest (0…1)."""
    return sum(
        _term(p, q) for p, q in ((expected, observed), (1 - expected, 1 - observed)) if p + q > 0
    )


def _term(p: float, q: float) -> float:
    middle = (p + q) / 2
    return sum(x * math.log2(x / middle) for x in (p, q) if x > 0) / 2


def _worse(breakdown: Breakdown, spread: float) -> bool:
    """Whether the whole service surely fails more than before."""
    if min(breakdown.then[1], breakdown.after[1]) < MIN_JUDGED:
        return False
    return _gap(breakdown.after, breakdown.then, spread, Z99).low > 0


def _carrier(breakdown: Breakdown, spread: float, quantile: float) -> Carrier | None:
    """The few values that carry the loss by this label; None if there are none."""
    whole = breakdown.added_in_all
    if whole < MIN_FAILURES:
        return None
    chosen: list[ValueCounts] = []
    for part in sorted(breakdown.judged, key=breakdown.added, reverse=True)[:MOST_NAMED]:
        if breakdown.added(part) < MIN_FAILURES or not _stands_out(
            breakdown, part, chosen, spread, quantile
        ):
            break
        chosen.append(part)
        if sum(breakdown.added(one) for one in chosen) >= EXPLAINED * whole:
            return _named(breakdown, chosen)
    return None


def _stands_out(
    breakdown: Breakdown,
    part: ValueCounts,
    besides: Sequence[ValueCounts],
    spread: float,
    quantile: float,
) -> bool:
    """Whether it surely fails more than it did, and than the others do."""
    rest = _less(breakdown.after, part, *besides)
    if rest[1] < MIN_JUDGED:
        return False
    before = breakdown.then if part.new else part.then
    if before[1] < MIN_JUDGED:
        return False
    own = _gap(part.after, before, spread, quantile)
    others = _gap(part.after, rest, spread, quantile)
    return own.low > 0 and others.low > 0


def _named(breakdown: Breakdown, chosen: Sequence[ValueCounts]) -> Carrier | None:
    """What is said of the values; None if the rest loses too much for that."""
    whole = breakdown.added_in_all
    added = sum(breakdown.added(part) for part in chosen)
    bad, total = _sum([part.after for part in chosen])
    rest_bad, rest_total = _less(breakdown.after, *chosen)
    loss, rest_loss = added / total, max(0.0, whole - added) / rest_total
    if loss < LIFT * rest_loss:
        return None
    traffic, explained = total / breakdown.after[1], min(1.0, added / whole)
    known = [part.then for part in chosen if not part.new]
    before = _sum(known)
    return Carrier(
        label=breakdown.label,
        values=tuple(part.value for part in chosen),
        traffic=traffic,
        explained=explained,
        level=1 - bad / total,
        usual=1 - before[0] / before[1] if before[1] > 0 else None,
        rest=1 - rest_bad / rest_total,
        surprise=surprise(traffic, explained),
        new=not known,
    )


def _ranked(found: Sequence[Carrier]) -> tuple[Carrier, ...]:
    """The most surprising first; among equals, the one with fewer values."""
    best = max(c.surprise for c in found)
    return tuple(
        sorted(
            found,
            key=lambda c: (
                c.surprise < _AS_SURPRISING * best,
                len(c.values),
                -c.surprise,
            ),
        )
    )


def _mix(breakdown: Breakdown, spread: float) -> MixChange | None:
    """The change of the mix, if that is most of the loss."""
    (bad, total), usual = breakdown.after, breakdown.usual
    if min(total, breakdown.then[1]) <= 0:
        return None
    loss = bad / total - usual
    if loss <= 0:
        return None
    known = [part for part in breakdown.parts if not part.new]
    moved = sum(part.after[1] / total * (breakdown.expected(part) - usual) for part in known)
    variance = sum(
        (part.after[1] / total) ** 2 * spread * max(f * (1 - f), 1 / part.then[1]) / part.then[1]
        for part in known
        for f in (breakdown.expected(part),)
    )
    if moved < MIX * loss or moved - Z99 * math.sqrt(variance) < _MIX_SURELY * loss:
        return None

    def effect(part: ValueCounts) -> float:
        shift = part.after[1] / total - part.then[1] / breakdown.then[1]
        return shift * (breakdown.expected(part) - usual)

    most = max(known, key=effect)
    return MixChange(
        label=breakdown.label,
        value=most.value,
        before=most.then[1] / breakdown.then[1],
        now=most.after[1] / total,
        fails=breakdown.expected(most),
        part=min(1.0, moved / loss),
    )


def _gap(
    now: tuple[float, float], before: tuple[float, float], spread: float, quantile: float
) -> Interval:
    """How much more of the one fails; overdispersion makes events count for less."""
    return difference(
        now[0] / spread, now[1] / spread, before[0] / spread, before[1] / spread, quantile
    )


def _sum(counts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(b for b, _ in counts), sum(t for _, t in counts)


def _less(whole: tuple[float, float], *parts: ValueCounts) -> tuple[float, float]:
    bad, total = _sum([part.after for part in parts])
    return max(0.0, whole[0] - bad), max(0.0, whole[1] - total)
