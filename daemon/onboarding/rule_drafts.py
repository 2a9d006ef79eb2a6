"""Rule files for the alerts that a Prometheus has, in the mode `observe`, to be gone over by a
person. What Prometheus says is by others: names become safe file names, texts become one line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import yaml

from daemon.core.rules import rule as rules
from daemon.core.rules import rule_checks
from daemon.core.rules.label_names import wrong_label_name
from daemon.core.values.units import format_duration, printable
from daemon.core.values.yaml_document import Mistakes
from daemon.onboarding.measure_expression import (
    MeasureDraft,
    MeasureKind,
    measure,
    ranges_of,
    selector_labels,
)
from daemon.onboarding.measure_expression import unreadable as by_alerts
from daemon.onboarding.prometheus_rules import ONE_MINUTE, Alerting
from daemon.onboarding.recording_rules import RecordingRules

_LEAST_WINDOW, _LONG = timedelta(seconds=1), timedelta(minutes=5)
_SPOKEN_OF = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NEVER_GROUPS = frozenset({"alertname", "alertstate", "le", "__name__", "severity"})
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RESERVED = frozenset({"roster", "approvals", "freezes"})
_TEXT, _QUERY = 160, 100


@dataclass(frozen=True)
class RuleDraft:
    """A rule file: its `path` in the folder of the rules, its name and its text, how it measures,
    and of how many alerting rules it was made."""

    path: str
    rule: str
    text: str
    kind: MeasureKind
    alerts: int


def draft_rules(
    alerts: Sequence[Alerting],
    recordings: RecordingRules,
    *,
    team: str,
    labels: Collection[str] | None = None,
    taken: Collection[str] = (),
    proposed_by: str = "stopgap init --from-prometheus",
) -> list[RuleDraft]:
    """One rule file for each name of an alert; each of them passes `stopgap check`. A name that
    no rule can have as its own is left out.

    `labels` are all label names that Prometheus has, None if unknown. `taken` are names of rules
    that exist. `proposed_by`: the command that the files name as their author.
    """
    named: dict[str, list[Alerting]] = {}
    for alert in alerts:
        named.setdefault(alert.name, []).append(alert)
    names, found = set(taken), []
    for same in named.values():
        # The severest of several stands for all: its threshold is the one that matters most.
        chosen = sorted(same, key=lambda alert: alert.level)
        rule = _free(_slug(same[0].name), names)
        proposal = _proposal(rule, chosen, recordings, team, labels, proposed_by)
        if proposal is not None:
            names.add(rule)
            found.append(proposal)
    return found


def _proposal(
    rule: str,
    same: Sequence[Alerting],
    recordings: RecordingRules,
    team: str,
    labels: Collection[str] | None,
    proposed_by: str,
) -> RuleDraft | None:
    first = same[0]
    path = f"{_slug(first.group)}/{rule}.yaml"
    group_by, unsure = _group_by(same, recordings, labels)
    measured = measure(first.name, first.query, group_by, recordings)
    for attempt in (measured, by_alerts(first.name)):
        text = f"{_author(proposed_by)}\n{_text(rule, same, attempt, group_by, unsure, team)}"
        if _sound(text):
            return RuleDraft(path, rule, text, attempt.kind, len(same))
    return None


def _sound(text: str) -> bool:
    try:
        loaded = rules.load(text, "")
    except Mistakes:
        return False
    return not rule_checks.check_rules(list(loaded), {}, {}, None)


# ── what an incident is made for ─────────────────────────────────────────────────────────────


def _group_by(
    same: Sequence[Alerting], recordings: RecordingRules, known: Collection[str] | None
) -> tuple[tuple[str, ...], bool]:
    """The labels that all of these alerts have, and whether that is a guess."""
    answers = [_labels(alert, recordings) for alert in same]
    common, unsure = answers[0][0], any(guess for _, guess in answers)
    for found, _ in answers[1:]:
        common = [name for name in common if name in found]
    usable = [
        name
        for name in dict.fromkeys(common)
        if name not in _NEVER_GROUPS
        and not wrong_label_name(name)
        and (known is None or name in known)
        and all(name in firing for alert in same for firing in alert.active)
        and not any(name in alert.labels for alert in same)
    ]
    return tuple(usable), unsure


def _labels(alert: Alerting, recordings: RecordingRules) -> tuple[list[str], bool]:
    labels = selector_labels(alert.query, recordings)
    if labels is not None:
        return list(labels), False
    annotations = " ".join(alert.annotations.values())
    return _SPOKEN_OF.findall(annotations), True


# ── the text ─────────────────────────────────────────────────────────────────────────────────


def _text(
    rule: str,
    same: Sequence[Alerting],
    found: MeasureDraft,
    group_by: Sequence[str],
    unsure: bool,
    team: str,
) -> str:
    lines = [
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


def _author(command: str) -> str:
    return f"# Proposed by `{command}`; go over it before you trust it."


def _comments(same: Sequence[Alerting], found: MeasureDraft) -> Iterator[str]:
    for alert in same:
        severity = alert.labels.get("severity", "")
        rated = f", severity {_line(severity)}" if severity else ""
        yield f"# From the alert {_line(alert.name)} of the group {_line(alert.group)}{rated}:"
        yield f"#   {_line(alert.query, 2000)}"
    for url in dict.fromkeys(filter(None, (a.annotations.get("runbook_url") for a in same))):
        yield f"# Runbook: {_line(url)}"
    if len({alert.query for alert in same}) > 1:
        yield "# The first of them is measured; the others only call people, as part of it."
    for note in found.notes:
        yield f"# Review: {_line(note, 500)}."


def _described(alert: Alerting) -> Iterator[str]:
    for name in ("summary", "description", "message"):
        text = alert.annotations.get(name, "")
        if text.strip():
            yield f"description: {_scalar(_line(_PLACEHOLDER.sub(_named, text)))}"
            return


def _named(match: re.Match[str]) -> str:
    label = _SPOKEN_OF.search(match[1])
    return f"<{label[1]}>" if label else "…"


def _problem(same: Sequence[Alerting], found: MeasureDraft) -> Iterator[str]:
    first = same[0]
    yield "problem:"
    yield f"  symptom: {_scalar(_symptom(first.name, found))}"
    for name, query in found.queries.items():
        yield from _query(name, query)
    if found.kind == "value":
        yield f"  direction: {found.direction}"
    short, long = _windows(first)
    yield (
        f"  windows: [{format_duration(short)}, {format_duration(long)}]"
        "   # the short one should hold four scrapes"
    )
    if long * 3 > timedelta(minutes=45):
        yield f"  baseline: {format_duration(long * 9)}"
    level = f"sev{first.level}"
    if found.kind == "counts" and found.limit is not None:
        drop = f"{found.limit * 100:.6g}%"
        yield (
            f"  confirm: {{drop: {drop}, traffic: 30/m}}"
            "   # the alert's threshold, against what is usual"
        )
        yield f"  severity: {{{_levels(first.level, found.limit)}}}"
    elif found.kind == "value" and found.limit is not None:
        by, why = _by(found.limit, found.direction)
        yield f"  confirm: {{by: {by:.6g}}}   # so much worse than usual: {why}"
        yield f"  severity: {{{level}: 1%}}   # of the usual value; add the levels that matter"
    else:
        yield "  confirm: {by: 1}   # one more than usual"
        yield f"  severity: {{{level}: 1%}}"


def _by(limit: float, direction: str) -> tuple[float, str]:
    """How much worse than usual matters, going by the alert's threshold, and why."""
    for ceiling in (1, 100):
        if direction == "higher_is_better" and ceiling / 2 <= limit < ceiling:
            return ceiling - limit, f"what the alert's threshold lacks of {ceiling}"
    return abs(limit) / 2, f"half of the alert's threshold, {limit:.6g}"


def _levels(level: int, limit: float) -> str:
    levels = {f"sev{level}": limit}
    if level > 1 and limit * 4 < 1:
        levels[f"sev{level - 1}"] = limit * 4
    return ", ".join(f"{name}: {levels[name] * 100:.6g}%" for name in sorted(levels))


def _query(name: str, query: str) -> Iterator[str]:
    if len(query) > _QUERY and query.isprintable():
        yield f"  {name}: |"
        yield f"    {query}"
    else:
        yield f"  {name}: {_scalar(query)}"


def _windows(alert: Alerting) -> tuple[timedelta, timedelta]:
    """The expression's own range if it is short; else what four evaluations fit into."""
    ranges = ranges_of(alert.query)
    if ranges and _LEAST_WINDOW <= ranges[0] < ONE_MINUTE:
        return ranges[0], ranges[0] * 2
    short = max(ONE_MINUTE, min(alert.interval, timedelta(hours=1)) * 4)
    return short, max(_LONG, short * 2)


def _symptom(name: str, found: MeasureDraft) -> str:
    phrase = " ".join(_HUMP.sub(" ", printable(name)).replace("_", " ").split()).casefold()
    phrase = re.sub(r" (?:too )?(?:low|high)$", "", phrase[:90]).strip() or "alert"
    if found.kind == "counts":
        return (
            phrase
            if "success" in phrase or "availab" in phrase
            else f"{phrase}: share that is well"
        )
    if found.kind == "value":
        return phrase
    return f"{phrase}: how many"


def _matcher(name: str) -> str:
    """Alertmanager's syntax: it knows these three escapes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'alertname="{escaped}"'


def _slug(text: str) -> str:
    """A name of letters, digits and dashes: CamelCase as camel-case."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    dashed = re.sub(r"[^a-z0-9]+", "-", _HUMP.sub("-", ascii_only).casefold())
    plain = dashed.strip("-")[:55].strip("-")
    return f"{plain}-rule" if plain in _RESERVED else plain or "alert"


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


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
