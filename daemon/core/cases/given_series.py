"""What a case gives for the queries of its rule: what each would answer, over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from daemon.core.cases.curves import (
    CurvePiece,
    continued,
    counter_pieces,
    rate_pieces,
    share_pieces,
    since,
    value_pieces,
)
from daemon.core.cases.notation import parse_notation
from daemon.core.rules.rule import ProblemSpec
from daemon.core.values.units import Frozen

_NOTATION = "one value for each interval, as promtool writes them: '5x60 0+10x60 _x2 stale'"


def _checked(text: str) -> str:
    parse_notation(text)
    return text


def _finite(text: str) -> str:
    points = [point for point in parse_notation(text) if isinstance(point, float)]
    if any(not math.isfinite(point) or point < 0 for point in points):
        raise ValueError("counts are numbers from 0 up; what cannot be read is `_` or `stale`")
    return text


Notation = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "description": _NOTATION}),
]
CountNotation = Annotated[
    str,
    AfterValidator(_finite),
    WithJsonSchema({"type": "string", "description": f"{_NOTATION}; from 0 up"}),
]


class CountSeries(Frozen):
    """What a query of counts (`bad`, `total`) counts, in one of four ways.

    `per_minute`, `per_second`: how many events there are, in each interval. `share`: which share
    of `total` (of `bad` alone). `counter`: the sum of the counters themselves, which grows. What
    the query answers for a window is made of it, from scrapes, as `increase()` does it.
    """

    per_minute: CountNotation | None = None
    per_second: CountNotation | None = None
    share: CountNotation | None = None
    counter: CountNotation | None = None

    @model_validator(mode="after")
    def _one_way(self) -> CountSeries:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of `per_minute`, `per_second`, `share`, `counter`")
        return self

    def pieces(self, interval: float, total: list[CurvePiece] | None = None) -> list[CurvePiece]:
        """Its rate in events a second, over seconds. `total` is needed for a share."""
        if self.counter is not None:
            return counter_pieces(parse_notation(self.counter), interval)
        text = self.per_minute or self.per_second or self.share or ""
        unit = 60.0 if self.per_minute is not None else 1.0
        found = rate_pieces(parse_notation(text), interval, unit)
        if self.share is None:
            return found
        return share_pieces(found, total or [CurvePiece(0.0, 0.0)])


class ComparedSeries(Frozen):
    """The counts of one value of the label that `suspects:` compares."""

    bad: CountSeries
    total: CountSeries


class GivenSeries(Frozen):
    """For each query of the rule, by the key under which it stands there. `values`: what the
    queries of a threshold's conditions answer, each once, in the order of the rule."""

    bad: CountSeries | None = None
    total: CountSeries | None = None
    value: Notation | None = None
    values: tuple[Notation, ...] = ()
    impact: dict[str, Notation] = Field(default_factory=dict)
    sentiment: dict[str, Notation] = Field(default_factory=dict)
    revisions: dict[str, ComparedSeries] = Field(default_factory=dict)
    siblings: dict[str, ComparedSeries] = Field(default_factory=dict)


Measure = tuple[str, ...]
"""What a curve is of: ("bad",), ("values", "2"), ("impact", "orders lost"), ("revisions", "v41",
"total")."""
Pieces = Mapping[Measure, list[CurvePiece]]


def several_values(count: int) -> tuple[Measure, ...]:
    """What the curves are of where each condition of a threshold has its own query."""
    return tuple(("values", str(number)) for number in range(1, count + 1))


def measures_of(spec: ProblemSpec) -> tuple[Measure, ...]:
    """What the curve of each of the rule's values (`ProblemSpec.values`) is of."""
    return (("value",),) if spec.value is not None else several_values(len(spec.values))


def pieces_of(given: GivenSeries, interval: timedelta) -> dict[Measure, list[CurvePiece]]:
    """Every series given, over seconds."""
    step = interval.total_seconds()
    found: dict[Measure, list[CurvePiece]] = {}
    if given.total is not None:
        found[("total",)] = given.total.pieces(step)
    if given.bad is not None:
        found[("bad",)] = given.bad.pieces(step, found.get(("total",)))
    if given.value is not None:
        found[("value",)] = value_pieces(parse_notation(given.value), step)
    for measure, text in zip(several_values(len(given.values)), given.values, strict=True):
        found[measure] = value_pieces(parse_notation(text), step)
    for kind, named in (("impact", given.impact), ("sentiment", given.sentiment)):
        for name, text in named.items():
            found[(kind, name)] = value_pieces(parse_notation(text), step)
    for kind, compared in (("revisions", given.revisions), ("siblings", given.siblings)):
        for name, both in compared.items():
            total = both.total.pieces(step)
            found[(kind, name, "total")] = total
            found[(kind, name, "bad")] = both.bad.pieces(step, total)
    return found


def changed(
    before: Pieces, at: float, given: GivenSeries, interval: timedelta
) -> dict[Measure, list[CurvePiece]]:
    """What was until `at`, and from then on what is given; what is not given goes on. A share is
    one of the total that there is from then on."""
    step = interval.total_seconds()
    later = pieces_of(given, interval)
    found = {
        measure: continued(pieces, at, later[measure]) if measure in later else pieces
        for measure, pieces in before.items()
    }
    if given.bad is not None and given.bad.share is not None and given.total is None:
        bad = given.bad.pieces(step, since(before.get(("total",), []), at))
        found[("bad",)] = continued(before.get(("bad",), []), at, bad)
    return found
