"""What the metrics say for and against a suspect change, beyond its time.

Two comparisons are asked: what carries the change with what does not (`Contrast`), and the
service with services that a shared cause would have hit as well (`Sibling`). What cannot be
measured speaks neither for nor against anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from daemon.core.changes.precedent import Precedent
from daemon.core.values.significance import Interval, difference, wilson
from daemon.core.values.units import Frozen, Moment, percent, printable

MIN_EVENTS = 30
"""Of fewer events nothing is said that clears a change, or that calls a revision fine."""

MIN_SIBLINGS = 2
"""One service that turned worse beside ours may be what ours has dragged along."""

DROP = 0.01
"""The loss that matters where the rule names none."""

Counted = tuple[float, float]
"""(bad, total)."""


class Contrast(Frozen):
    """The counts of each item that serves the failing workload, all from after the onset."""

    counts: dict[str, Counted]


class Sibling(Frozen):
    """The counts of another service, before the onset and after it."""

    then: Counted
    now: Counted


class OwnTargetsDown(Frozen):
    """How many of the scrape targets of the service itself are down, of how many, since when;
    None stands for longer than the look-back."""

    down: int
    known: int
    since: Moment | None


class Facts(Frozen):
    """What could be measured.

    `labels` tell the incident's group. `own_down`: None if all targets of the service are up, or
    nobody knows which they are. `drop` is the loss that the rule calls a problem, and
    `usual` the share of failures before the onset; None if it is not known in those terms.
    `precedents`: when it was as bad before.
    """

    contrast: Contrast | None = None
    siblings: dict[str, Sibling] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    own_down: OwnTargetsDown | None = None
    drop: float = DROP
    usual: float | None = None
    precedents: tuple[Precedent, ...] = ()


@dataclass(frozen=True)
class Contrasted:
    """What the comparison of the new with the old says of one change.

    `worse`: the new is surely worse. `alike`: the old fails as much, so the change is not why.
    `clean`: beside a worse new one the old is as ever, so nothing that hits both is why.
    """

    says: Literal["unknown", "worse", "alike", "unclear"] = "unknown"
    clean: bool = False
    text: str = ""
    short: str = ""


@dataclass(frozen=True)
class SiblingComparison:
    """How the siblings fare: the names of the measurable ones."""

    worse: tuple[str, ...] = ()
    fine: tuple[str, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether so many turned worse together that one change of ours hardly explains it."""
        known = len(self.worse) + len(self.fine)
        return known >= MIN_SIBLINGS and 2 * len(self.worse) >= known

    @property
    def spared(self) -> bool:
        """Whether most of them are unaffected."""
        return len(self.fine) > len(self.worse)

    @property
    def text(self) -> str:
        """One sentence; empty if none is measurable."""
        known = len(self.worse) + len(self.fine)
        if not known:
            return ""
        if self.shared:
            return f"{len(self.worse)} of {known} siblings turned worse too: {_few(self.worse)}"
        return f"{len(self.fine)} of {known} siblings unaffected: {_few(self.fine or self.worse)}"


def contrasted(facts: Facts, items: Iterable[str], previous: Iterable[str]) -> Contrasted:
    """Compare what carries one of these names with the one before it, else with all others."""
    counts = facts.contrast.counts if facts.contrast is not None else {}
    new_name = next((item for item in items if item in counts), None)
    if new_name is None:
        return Contrasted()
    others = {name: count for name, count in counts.items() if name != new_name}
    old_name = next((item for item in previous if item in others), None)
    chosen = others.values() if old_name is None else [others[old_name]]
    old = (sum(bad for bad, _ in chosen), sum(total for _, total in chosen))
    new = counts[new_name]
    if min(new[1], old[1]) <= 0:
        return Contrasted()
    return _judged(facts, new, old)


def compare_siblings(siblings: Mapping[str, Sibling], drop: float) -> SiblingComparison:
    """Part the measurable siblings by whether they turned worse."""
    worse: list[str] = []
    fine: list[str] = []
    for name, sibling in sorted(siblings.items()):
        if min(sibling.then[1], sibling.now[1]) >= MIN_EVENTS:
            gap = difference(*sibling.now, *sibling.then)
            (worse if _surely_worse(gap, drop) else fine).append(name)
    return SiblingComparison(tuple(worse), tuple(fine))


def _judged(facts: Facts, new: Counted, old: Counted) -> Contrasted:
    gap = difference(*new, *old)
    ours, theirs = wilson(*new), wilson(*old)
    short = f"new revision fails {percent(ours.estimate)}, old {percent(theirs.estimate)}"
    shown = (
        f"new revision fails {percent(ours.estimate)} ({new[0]:.0f} of {new[1]:.0f}), "
        f"old {percent(theirs.estimate)} ({old[0]:.0f} of {old[1]:.0f})"
    )
    if _surely_worse(gap, facts.drop):
        points = f"worse by {gap.low * 100:.1f} to {gap.high * 100:.1f} points"
        clean = old[1] >= MIN_EVENTS and _as_ever(facts, ours, theirs)
        return Contrasted("worse", clean, f"{shown}: {points}", short)
    usual = facts.usual
    if usual is not None and min(new[1], old[1]) >= MIN_EVENTS:
        both = theirs.low > usual + facts.drop / 2
        if both and gap.high < max(facts.drop / 2, (ours.estimate - usual) / 2):
            return Contrasted("alike", False, f"the old revision fails as much: {shown}", short)
    return Contrasted("unclear", False, f"{shown}: that tells neither for nor against", "")


def _surely_worse(gap: Interval, drop: float) -> bool:
    return gap.low > 0 and gap.estimate >= drop / 2


def _as_ever(facts: Facts, new: Interval, old: Interval) -> bool:
    """Whether the old is surely far from failing like the new, and fails no more than usual."""
    usual = facts.usual or 0.0
    far = old.high - usual < (new.estimate - usual) / 2
    return far and (facts.usual is None or old.low <= usual + facts.drop / 2)


def _few(names: tuple[str, ...], most: int = 4) -> str:
    shown = ", ".join(printable(name)[:60] for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
