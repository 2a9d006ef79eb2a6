"""Rule files for the alerts that a Prometheus has, in the mode `observe`, to be gone over by a
person. What Prometheus says is by others: names become safe file names, texts become one line.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.core.rules import rule as rules
from daemon.core.rules import rule_checks
from daemon.core.rules.label_names import reference, wrong_label_name
from daemon.core.values.yaml_document import Mistakes
from daemon.onboarding.prometheus_rules import Alerting
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_text import SPOKEN_OF, file_name, rule_text
from daemon.onboarding.shapes.measure import (
    MeasureKind,
    by_alerts,
    can_have_label,
    measure,
    selector_labels,
)

_NEVER_GROUPS = frozenset({"alertname", "alertstate", "le", "__name__", "severity"})


@dataclass(frozen=True)
class RuleDraft:
    """A rule file: its `path` in the folder of the rules, its name and its text, how it measures,
    of how many alerting rules it was made, and `why` it only counts, if it does."""

    path: str
    rule: str
    text: str
    kind: MeasureKind
    alerts: int
    why: str = ""


def draft_rules(
    alerts: Sequence[Alerting],
    recordings: RecordingRules,
    *,
    team: str,
    labels: Collection[str] | None = None,
    taken: Collection[str] = (),
    proposed_by: str = "stopgap init --from-prometheus",
    server: str = "",
) -> list[RuleDraft]:
    """One rule file for each name of an alert; each of them passes `stopgap check`. A name that
    no rule can have as its own is left out.

    `labels` are all label names that Prometheus has, None if unknown. `taken` are names of rules
    that exist. `proposed_by`: the command that the files name as their author. `server`: the
    one of `prometheus.servers` that they come from; empty: the one that rules need not name.
    """
    named: dict[str, list[Alerting]] = {}
    for alert in alerts:
        named.setdefault(alert.name, []).append(alert)
    names, found = set(taken), []
    for same in named.values():
        # The severest of several stands for all: its threshold is the one that matters most.
        chosen = sorted(same, key=lambda alert: alert.level)
        rule = _free(file_name(same[0].name), names)
        proposal = _proposal(rule, chosen, recordings, team, labels, proposed_by, server)
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
    server: str,
) -> RuleDraft | None:
    first = same[0]
    path = f"{file_name(first.group)}/{rule}.yaml"
    group_by, unsure = _group_by(same, recordings, labels)
    measured = measure(first.name, [alert.query for alert in same], group_by, recordings, labels)
    counted = by_alerts(
        first.name, {label: reference(label) for label in group_by}, "no sound rule came of it"
    )
    for attempt in (measured, counted):
        text = rule_text(rule, same, attempt, group_by, unsure, team, proposed_by, server)
        if _sound(text):
            return RuleDraft(path, rule, text, attempt.kind, len(same), attempt.why)
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
    named = SPOKEN_OF.findall(annotations)
    return [label for label in named if can_have_label(alert.query, label)], True


def _free(name: str, taken: Collection[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
