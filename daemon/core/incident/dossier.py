"""What a diagnosis has found out: findings, each with its query, and the dossier they stand in.

A finding that somebody else adds is the same thing with another `source`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from daemon.core.values.units import AnyVersion, Frozen, Moment, printable

FindingKind = Literal[
    "suspect",
    "contribution",
    "mix",
    "failure_kind",
    "nothing_stands_out",
    "moved",
    "alert",
    "change",
    "concurrent",
    "alike",
    "external",
]
"""`suspect`: the change that is weighed likeliest. `contribution`: label values that carry the
loss; `mix`: the traffic that moved between them; `failure_kind`: what kind of failure it is;
`nothing_stands_out`: why no value is named. `moved`: a series that moved at the onset. `alert`: one
that began to fire then; `change`: one that was made elsewhere; `concurrent`: another incident that
began then. `alike`: an earlier incident. `external`: somebody else's."""
HypothesisState = Literal["open", "supported", "ruled_out"]
FINDING_LENGTH = 500
"""Characters of a finding's sentence; the daemon's own are shorter."""
QUERY_LENGTH = 2000
"""Characters of a query that is cited."""
CURVE_POINTS = 120
"""Points of a curve that is kept in the journal."""
MOST_FINDINGS = 40
"""Findings of a dossier."""


class FindingCurve(Frozen):
    """What a finding shows over time: `own` is that of its subject, `rest` that of all others.

    One value each `step` seconds from `begin` on, None where there is none. `unit`: `share` of
    success, or the metric's own.
    """

    begin: Moment
    step: float = Field(gt=0)
    own: tuple[float | None, ...] = Field(max_length=CURVE_POINTS)
    rest: tuple[float | None, ...] = Field(default=(), max_length=CURVE_POINTS)
    unit: Literal["share", "metric"] = "share"


class DiagnosisFinding(Frozen):
    """One claim about the cause, and what it rests on.

    `subject`: what it is about, such as `zone=eu-1b`. `source`: `stopgap`, or who else found it.
    `numbers` are those of the sentence. `incident`: the id of the one that it is about.
    """

    kind: Annotated[FindingKind, AnyVersion]
    text: str = Field(max_length=FINDING_LENGTH)
    source: str = Field(default="stopgap", max_length=100)
    subject: str = Field(default="", max_length=300)
    query: str = Field(default="", max_length=QUERY_LENGTH)
    link: str = Field(default="", max_length=500)
    incident: str = ""
    numbers: dict[str, float] = Field(default_factory=dict)
    curve: FindingCurve | None = None

    def describe(self) -> str:
        """It as one line; texts of others are made harmless."""
        cited = f" [{self.link}]" if self.link else ""
        return printable(f"{self.text}{cited}")


class Dossier(Frozen):
    """What was gathered at once. The impaired time [begin, end] is compared with the baseline.

    `findings`: the weightiest first. `limits`: what could not be looked at, and why. `queries` and
    `seconds`: what it took of the budget.
    """

    begin: Moment
    end: Moment
    baseline_from: Moment | None = None
    baseline_until: Moment | None = None
    findings: tuple[DiagnosisFinding, ...] = Field(default=(), max_length=MOST_FINDINGS)
    limits: tuple[str, ...] = ()
    queries: int = 0
    seconds: float = 0.0

    @property
    def leading(self) -> DiagnosisFinding | None:
        """The weightiest finding."""
        return self.findings[0] if self.findings else None
