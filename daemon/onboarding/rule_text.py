"""The text of a proposed rule file, with what a person should know beside it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import yaml

from daemon.core.values.units import format_duration, printable
from daemon.onboarding.prometheus_rules import ONE_MINUTE, Alerting
from daemon.onboarding.shapes.condition import FiringCondition, Leaf, promql_number
from daemon.onboarding.shapes.measure import MeasureDraft, MeasureKind, ranges_of
from daemon.onboarding.shapes.ratios import Ratio

SPOKEN_OF = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)")
"""A label in an annotation's template."""
_LEAST_WINDOW, _LONG = timedelta(seconds=1), timedelta(minutes=5)
_USUAL_BASELINE = timedelta(minutes=45)
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RESERVED = frozenset({"roster", "approvals", "freezes"})
_TEXT, _QUERY = 160, 100
_MEASURED: Mapping[MeasureKind, str] = {
    "counts": "Measured: how many events fail, and of how many, against what is usual",
    "threshold": "Measured: what the alert compares; level and side are the alert's own",
    "states": "Measured: how many series are in the state that the alert names",
    "expression": "Counted: how many series the alert's expression is true of",
    "alerts": "Counted: how many of its alerts fire",
}


def rule_text(
    rule: str,
    same: Sequence[Alerting],
    found: MeasureDraft,
    group_by: Sequence[str],
    unsure: bool,
    team: str,
    proposed_by: str,
    server: str = "",
) -> str:
    """The rule file of the alerts of one name, the severest first. `unsure`: `group_by` is a
    guess. `proposed_by`: the command that the file names as its author. `server`: of
    `prometheus.servers`, which measures it; empty: the one that rules need not name."""
    lines = [
        f"# Proposed by `{proposed_by}`; go over it before you trust it.",
        *_comments(same, found),
        "",
        f"rule: {_scalar(rule)}",
        *_described(same[0]),
        f"match: [{_flow(_matcher(same[0].name))}]",
    ]
    if group_by:
        hint = "   # one incident for each combination; fewer may be better"
        hint = hint if len(group_by) > 2 else ""
        hint = "   # guessed from the annotations: does every alert have them?" if unsure else hint
        lines.append(f"group_by: [{', '.join(map(_flow, group_by))}]{hint}")
    else:
        lines.append("# group_by: [service]   # one incident for each; else one for all of them")
    lines += [
        f"team: {_scalar(team)}   # who owns it, from roster.yaml",
        "mode: observe   # nothing is done; what would have been done is written down",
        *([f"prometheus: {_scalar(server)}   # where it is measured"] if server else ()),
        "",
        *_problem(same, found),
        "",
        "# How service would be restored; in `observe` it is written down, not done. The actions:",
        "# `stopgap actions`. Without `recover`, people are called and the problem is measured.",
        "# recover:",
        "#   - action: kubernetes_rollback",
        "#     with: {namespace: prod, deployment: checkout}",
        "#     when: suspect_change   # needs `changes:`, where deployments are seen",
    ]
    return "\n".join(lines) + "\n"


def _comments(same: Sequence[Alerting], found: MeasureDraft) -> Iterator[str]:
    for alert in same:
        severity = alert.labels.get("severity", "")
        rated = f", severity {_line(severity)}" if severity else ""
        yield f"# From the alert {_line(alert.name)} of the group {_line(alert.group)}{rated}:"
        yield f"#   {_line(alert.query, 2000)}"
    for url in dict.fromkeys(filter(None, (a.annotations.get("runbook_url") for a in same))):
        yield f"# Runbook: {_line(url)}"
    reason = f", for {_line(found.why, 300)}: it calls people, no more" if found.why else ""
    yield f"# {_MEASURED[found.kind]}{reason}."
    for note in (*found.notes, *_severities(same, found)):
        yield f"# Review: {_line(note, 500)}."


def _severities(same: Sequence[Alerting], found: MeasureDraft) -> Iterator[str]:
    """That alerts of one name differ in severity, and no number tells which of them it is."""
    if len({alert.level for alert in same}) > 1 and not _by_level(same, found.passed):
        yield (
            f"its alerts differ in severity, and all count as the severest, sev{same[0].level}; "
            "a rule for each, with `severity` in `match`, tells them apart"
        )


def _described(alert: Alerting) -> Iterator[str]:
    for name in ("summary", "description", "message"):
        text = alert.annotations.get(name, "")
        if text.strip():
            yield f"description: {_scalar(_line(_PLACEHOLDER.sub(_named, text)))}"
            return


def _named(match: re.Match[str]) -> str:
    label = SPOKEN_OF.search(match[1])
    return f"<{label[1]}>" if label else "…"


def _problem(same: Sequence[Alerting], found: MeasureDraft) -> Iterator[str]:
    yield "problem:"
    yield f"  symptom: {_scalar(_symptom(same[0].name, found))}"
    if found.ratio is not None:
        yield from _counts(same, found, found.ratio)
    elif found.condition is not None:
        yield from _threshold(same, found, found.condition)


def _counts(same: Sequence[Alerting], found: MeasureDraft, ratio: Ratio) -> Iterator[str]:
    yield from _query("bad", ratio.bad)
    yield from _query("total", ratio.total)
    windows = _windows(same)
    yield (
        f"  windows: [{', '.join(map(format_duration, windows))}]"
        "   # the short one should hold four scrapes"
    )
    # What came before it began to fire must not be taken for what is usual.
    yield from _baseline(3 * (windows[-1] + max(alert.held_for for alert in same)))
    yield f"  target: {_share(1 - ratio.limit)}   # what is usual, while nothing is known of it"
    failing, drop = _share(ratio.limit), _share(ratio.limit / 10)
    yield f"  confirm: {{failing: {failing}, drop: {drop}}}"
    yield "  # `failing` is the alert's own level; `drop`: so much worse than usual, at the least"
    yield f"  severity: {{{_losses(same, found.passed)}}}"


def _threshold(
    same: Sequence[Alerting], found: MeasureDraft, condition: FiringCondition
) -> Iterator[str]:
    if isinstance(condition, Leaf):
        yield from _query("value", condition.query)
        yield f"  threshold: {{{_bounds(condition)}}}   # the alert's own"
    else:
        yield "  threshold:   # the alert's own levels"
        yield from _joined(condition, "    ")
    yield "  windows: [1m, 5m]"
    yield from _baseline(2 * max(alert.held_for for alert in same))
    yield f"  severity: {{{_passed(same, found.passed)}}}"


def _joined(condition: FiringCondition, indent: str) -> Iterator[str]:
    """The lines of an entry of `all` or `any`, or of the whole."""
    if isinstance(condition, Leaf):
        yield f"{indent}value: {_scalar(condition.query)}"
        yield from (f"{indent}{name}: {promql_number(level)}" for name, level in condition.bounds)
        return
    yield f"{indent}{condition.how}:"
    for part in condition.parts:
        first, *others = _joined(part, f"{indent}    ")
        yield f"{indent}  - {first.lstrip()}"
        yield from others


def _bounds(leaf: Leaf) -> str:
    return ", ".join(f"{name}: {promql_number(level)}" for name, level in leaf.bounds)


def _baseline(least: timedelta) -> Iterator[str]:
    if least > _USUAL_BASELINE:
        yield f"  baseline: {format_duration(least)}   # the alert looks back far, or waits long"


def _passed(same: Sequence[Alerting], passed: Sequence[float]) -> str:
    """The alert's level whenever it fires; a severer alert's from its own level on."""
    shares = _by_level(same, passed) or {same[0].level: 0.0}
    return ", ".join(f"sev{level}: {_share(shares[level])}" for level in sorted(shares))


def _by_level(same: Sequence[Alerting], shares: Sequence[float]) -> dict[int, float]:
    """The least share of the alerts of each level; empty unless the severer ones have the greater
    shares."""
    found: dict[int, float] = {}
    for alert, share in zip(same, shares, strict=False):
        found[alert.level] = min(share, found.get(alert.level, share))
    falling = [found[level] for level in sorted(found)]
    return found if falling == sorted(set(falling), reverse=True) else {}


def _share(share: float) -> str:
    return f"{share * 100:.6g}%"


def _losses(same: Sequence[Alerting], limits: Sequence[float]) -> str:
    """Each alert's level from the loss on that it means, if what is usual is just below the least
    of the limits; and one level more where many times the severest limit fail."""
    by_level = _by_level(same, limits) or {same[0].level: min(limits)}
    least = min(by_level.values())
    levels = {level: max(limit - least, least / 10) for level, limit in by_level.items()}
    severest = min(by_level)
    if severest > 1 and by_level[severest] * 4 < 1:
        levels[severest - 1] = by_level[severest] * 4
    return ", ".join(f"sev{level}: {_share(levels[level])}" for level in sorted(levels))


def _query(name: str, query: str) -> Iterator[str]:
    if len(query) > _QUERY and query.isprintable():
        yield f"  {name}: |"
        yield f"    {query}"
    else:
        yield f"  {name}: {_scalar(query)}"


def _windows(same: Sequence[Alerting]) -> list[timedelta]:
    """The expression's own range, which fits how often it is scraped, and a part of it, to see
    that it goes on: what the alert has summed up may be over."""
    ranges = [found for alert in same for found in ranges_of(alert.query)[:1]]
    long = max(min(ranges, default=_LONG), _LEAST_WINDOW)
    if long < 2 * ONE_MINUTE:
        return [long]
    short = max(long / 12, min(long / 2, _LONG))
    return [timedelta(seconds=round(short.total_seconds())), long]


def _symptom(name: str, found: MeasureDraft) -> str:
    phrase = " ".join(_HUMP.sub(" ", printable(name)).replace("_", " ").split()).casefold()
    phrase = re.sub(r" (?:too )?(?:low|high)$", "", phrase[:90]).strip() or "alert"
    if found.kind == "counts":
        return (
            phrase
            if "success" in phrase or "availab" in phrase
            else f"{phrase}: share that is well"
        )
    return f"{phrase}: how many" if found.kind in {"states", "expression", "alerts"} else phrase


def _matcher(name: str) -> str:
    """Alertmanager's syntax: it knows these three escapes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'alertname="{escaped}"'


def file_name(text: str) -> str:
    """A name of letters, digits and dashes: CamelCase as camel-case."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    dashed = re.sub(r"[^a-z0-9]+", "-", _HUMP.sub("-", ascii_only).casefold())
    plain = dashed.strip("-")[:55].strip("-")
    return f"{plain}-rule" if plain in _RESERVED else plain or "alert"


def _line(text: str, most: int = _TEXT) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= most else f"{line[: most - 2]} …"


def _scalar(text: str) -> str:
    """A YAML scalar on one line."""
    return _dumped(text).removesuffix("\n").removesuffix("...").strip("\n")


def _flow(text: str) -> str:
    """A YAML scalar inside [ ]."""
    return _dumped([text]).strip()[1:-1]


def _dumped(value: str | list[str]) -> str:
    # NEL is a line's end to YAML, and PyYAML writes it as it is unless it escapes everything.
    plain = "\x85" not in "".join(value)
    return str(yaml.safe_dump(value, allow_unicode=plain, width=10**9, default_flow_style=True))
