"""What was found out, in sentences with numbers, the weightiest first; and the hypotheses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from daemon.core.diagnosis.breakdown import Breakdown, ValueCounts
from daemon.core.diagnosis.contribution import (
    FALSE_NAMING,
    MOST_NAMED,
    Attribution,
    Carrier,
    MixChange,
    SilentReason,
)
from daemon.core.diagnosis.levels import LevelsFound
from daemon.core.diagnosis.moved import SeriesMoves
from daemon.core.incident import events as e
from daemon.core.incident.diagnosis import IncidentDiagnosis
from daemon.core.incident.dossier import (
    CURVE_POINTS,
    QUERY_LENGTH,
    DiagnosisFinding,
    FindingCurve,
    FindingKind,
)
from daemon.core.values.significance import Bin, counted
from daemon.core.values.units import percent, printable, quantity

MOST_MOVED = 8
"""So many series that moved are told."""
_LIKELY: tuple[FindingKind, ...] = ("contribution", "mix", "suspect", "concurrent")
"""What a hypothesis can be made of, and in which order."""
_SILENT: Mapping[SilentReason | str, str] = {
    "no_label": "no label has two values to compare",
    "loss_not_significant": "the loss is too small to part it",
    "too_little_traffic": "there are too few events to part them",
    "nothing_stands_out": f"no {MOST_NAMED} of them or fewer carry the loss",
}


def attribution_findings(
    found: Attribution, breakdowns: Sequence[Breakdown], queries: Mapping[str, str]
) -> list[DiagnosisFinding]:
    """Who carries the loss, or why nobody is named. `queries`: that of each label."""
    if found.mix is not None:
        return [_mix(found.mix, queries)]
    if not found.carriers:
        return [_silent(found)]
    best, *others = found.carriers
    known = {breakdown.label: breakdown for breakdown in breakdowns}
    told = [_contribution(best, found, known[best.label], queries)]
    if others:
        names = "; ".join(f"{_name(c)} ({percent(_shared(best, c))})" for c in others[:3])
        text = f"at least so much of these failures is at values of other labels, too: {names}"
        query = queries.get(others[0].label, "")
        told.append(_finding("contribution", text, subject=_name(others[0]), query=query))
    return told


def level_findings(found: LevelsFound, queries: Mapping[str, str]) -> list[DiagnosisFinding]:
    """Whose level turned worse, or that nobody's alone did."""
    looked = _values(found)
    if not found.worse:
        where = f"{looked} ({', '.join(found.labels)})" if found.labels else "no label"
        text = (
            "no label value stands out: none alone turned worse; it is all of them, or the mix of "
            f"the traffic; looked at {printable(where)}"
        )
        numbers = {"values": float(found.tested)}
        return [_finding("nothing_stands_out", text, numbers=numbers)]
    told = []
    for one in found.worse[:2]:
        subject = _joined(one.label, one.values)
        text = (
            f"{subject} turned worse: {quantity(one.before)} → {quantity(one.after)}; the median "
            f"of the others {quantity(one.rest_before)} → {quantity(one.rest)} ({looked} looked "
            f"at, Bonferroni at {percent(FALSE_NAMING)})"
        )
        numbers = {
            "before": one.before,
            "after": one.after,
            "rest": one.rest,
            "values": float(found.tested),
        }
        query = queries.get(one.label, "")
        told.append(_finding("contribution", text, subject=subject, query=query, numbers=numbers))
    return told


def failure_kinds(breakdown: Breakdown) -> DiagnosisFinding | None:
    """What kind of failure was added (the status code), if most of them are of one kind."""
    before = sum(part.then[0] for part in breakdown.parts)
    bins = max((len(part.before) for part in breakdown.parts), default=0)
    now = max((len(part.now) for part in breakdown.parts), default=0)
    if not bins or not now:
        return None
    added = {part.value: part.after[0] - part.then[0] * now / bins for part in breakdown.parts}
    whole = sum(part.after[0] for part in breakdown.parts) - before * now / bins
    if whole < 10:
        return None
    value = max(added, key=lambda one: added[one])
    share = min(1.0, added[value] / whole)
    if share < 0.8:
        return None
    text = f"the added failures are {breakdown.label}={printable(value)} ({percent(share)} of them)"
    return _finding(
        "failure_kind", text, subject=f"{breakdown.label}={value}", numbers={"explained": share}
    )


def moved_findings(found: SeriesMoves) -> list[DiagnosisFinding]:
    """The series that moved at the onset, the best fit first."""
    corrected = (
        f"of {found.candidates} series looked at; corrected for by Benjamini–Hochberg at "
        f"{percent(FALSE_NAMING)}"
    )
    return [
        _finding(
            "moved",
            f"{printable(one.name)} moved at the onset: {quantity(one.before)} → "
            f"{quantity(one.after)}; a step there explains {percent(one.fit)} of it ({corrected})",
            subject=one.name,
            query=one.query,
            numbers={"before": one.before, "after": one.after, "fit": one.fit, "p": one.p},
        )
        for one in found.moved[:MOST_MOVED]
    ]


def hypotheses_from(
    known: IncidentDiagnosis, findings: Sequence[DiagnosisFinding]
) -> list[e.HypothesisAdded]:
    """The hypotheses that the findings suggest and that nobody has made yet, likeliest first."""
    made: list[e.HypothesisAdded] = []
    taken = {one.text for one in known.hypotheses.values()}
    number = len(known.hypotheses)
    for kind in _LIKELY:
        first = next((f for f in findings if f.kind == kind and f.subject), None)
        if first is None or (text := _supposed(first)) in taken:
            continue
        number += 1
        cited = f"{first.text} — {first.query}" if first.query else first.text
        made.append(e.HypothesisAdded(hypothesis=f"h{number}", text=text, evidence=(cited,)))
    return made


def _supposed(finding: DiagnosisFinding) -> str:
    about = finding.subject
    return {
        "contribution": f"the fault is at {about}",
        "mix": f"the traffic changed, not the service: more of {about}",
        "suspect": f"the change {about} caused it",
        "concurrent": f"it came with {about}",
    }[finding.kind]


def _contribution(
    best: Carrier, found: Attribution, breakdown: Breakdown, queries: Mapping[str, str]
) -> DiagnosisFinding:
    usual = f", before {percent(best.usual)}" if best.usual is not None else ""
    new = ", new since the onset" if best.new else usual
    text = (
        f"{_name(best)}: {percent(best.traffic)} of the traffic, {percent(best.explained)} of the "
        f"added failures; it succeeds at {percent(best.level)}{new}; without it "
        f"{percent(best.rest)} ({_values(found)} looked at, "
        f"Bonferroni at {percent(FALSE_NAMING)})"
    )
    return _finding(
        "contribution",
        text,
        subject=_name(best),
        query=queries.get(best.label, ""),
        numbers={
            "traffic": best.traffic,
            "explained": best.explained,
            "level": best.level,
            "rest": best.rest,
            "surprise": best.surprise,
            "values": float(found.tested),
        },
        curve=_curve(best, breakdown),
    )


def _mix(mix: MixChange, queries: Mapping[str, str]) -> DiagnosisFinding:
    subject = f"{mix.label}={mix.value}"
    text = (
        f"the mix changed: {printable(subject)} has {percent(mix.now)} of the traffic, before "
        f"{percent(mix.before)}, and {percent(mix.fails)} of it fail as ever; that explains "
        f"{percent(mix.part)} of the loss, so no value is blamed"
    )
    numbers = {"before": mix.before, "now": mix.now, "fails": mix.fails, "part": mix.part}
    return _finding("mix", text, subject=subject, query=queries.get(mix.label, ""), numbers=numbers)


def _values(found: Attribution | LevelsFound) -> str:
    """How many values of how many labels were looked at."""
    labels = len(found.labels)
    return f"{found.tested} values of {labels} label{'' if labels == 1 else 's'}"


def _shared(best: Carrier, other: Carrier) -> float:
    """The least part of the best one's added failures that is at the other, too: if both have
    nearly all of them, they are where both hold."""
    return max(0.0, best.explained + other.explained - 1) / best.explained


def _silent(found: Attribution) -> DiagnosisFinding:
    looked = f"{_values(found)} ({', '.join(found.labels)})"
    where = looked if found.labels else "no label"
    text = f"no label value stands out: {_SILENT[found.reason]}; looked at {printable(where)}"
    return _finding("nothing_stands_out", text[:500], numbers={"values": float(found.tested)})


def _curve(best: Carrier, breakdown: Breakdown) -> FindingCurve | None:
    """The share of success with the values and without them, bin by bin."""
    own = [part for part in breakdown.parts if part.value in best.values]
    rest = [part for part in (*breakdown.parts, breakdown.remainder) if part not in own]
    ends = sorted({b.end for part in own + rest for b in (*part.before, *part.now)})
    if len(ends) < 2:
        return None
    step = min(b - a for a, b in pairwise(ends))
    count = round((ends[-1] - ends[0]) / step) + 1
    skipped = max(0, count - CURVE_POINTS)
    begin = ends[0] + skipped * step

    def levels(parts: Sequence[ValueCounts]) -> tuple[float | None, ...]:
        grouped: dict[int, list[Bin]] = {}
        for part in parts:
            for b in (*part.before, *part.now):
                grouped.setdefault(round((b.end - begin) / step), []).append(b)
        found = [counted(grouped.get(i, ())) for i in range(count - skipped)]
        return tuple(round(1 - bad / total, 6) if total > 0 else None for bad, total in found)

    return FindingCurve(
        begin=datetime.fromtimestamp(begin, UTC), step=step, own=levels(own), rest=levels(rest)
    )


def _name(carrier: Carrier) -> str:
    """The values as one name, harmless and short."""
    return _joined(carrier.label, carrier.values)


def _joined(label: str, values: Sequence[str]) -> str:
    return f"{label}={', '.join(printable(value)[:80] for value in values)}"


def _finding(
    kind: FindingKind,
    text: str,
    *,
    subject: str = "",
    query: str = "",
    numbers: Mapping[str, float] | None = None,
    curve: FindingCurve | None = None,
) -> DiagnosisFinding:
    # JSON has no infinity: an entry with one could not be read again.
    known = {name: value for name, value in (numbers or {}).items() if math.isfinite(value)}
    rounded = {name: float(f"{value:.6g}") for name, value in known.items()}
    return DiagnosisFinding(
        kind=kind,
        text=text[:500],
        subject=printable(subject)[:300],
        query=query[:QUERY_LENGTH],
        numbers=rounded,
        curve=curve,
    )
