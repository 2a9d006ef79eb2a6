"""An incident once more, by the rules of today: what would be decided otherwise?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.cases.comparison import opened_by
from daemon.core.cases.decisions import ComparedDecision, compare, decisions
from daemon.core.cases.recorded_case import (
    NotReplayable,
    case_of,
    in_earnest,
    outside_reasons,
    recorded_pieces,
    recorded_samples,
)
from daemon.core.cases.rule_case import GivenMove, RuleCase
from daemon.core.incident.events import Entry, SamplesRecorded, StepPrepared
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from daemon.core.rules.query_templates import TemplateError, UnsafeLabel, render_query
from daemon.core.rules.rule import Rule
from daemon.replaying.case_runner import CaseRun, GivenMetrics, House, run_case

_LONGER = timedelta(minutes=5)
"""So much longer than it lasted it is replayed, for what is decided later now."""


@dataclass(frozen=True)
class IncidentReplay:
    """What came of it. `notes`: what the replay could not know, or had to leave out.

    `acted_at`: when something was done to the world then; what the samples show after it came of
    that, whatever is decided now.
    """

    incident: str
    rule: str
    compared: Sequence[ComparedDecision]
    notes: Sequence[str]
    acted_at: datetime | None

    @property
    def differs(self) -> bool:
        """Whether anything is decided otherwise."""
        return any(one.fate != "same" for one in self.compared)


class RecordedMetrics(GivenMetrics):
    """The samples that were kept of an incident, of all its queries and times."""

    def __init__(self, case: RuleCase, rule: Rule, kept: SamplesRecorded) -> None:
        super().__init__(case, rule)
        self._answers.change(recorded_pieces(kept, case.begins, rule.problem))


def replay(entries: Sequence[Entry], house: House) -> IncidentReplay:
    """Replay a closed incident. Raises NotReplayable."""
    entries = in_earnest(entries)
    incident = fold(entries)
    rule, case, notes = recorded_case(entries, house)
    run = _played(rule, case, entries, house)
    ours = [journal for journal in run.journals.values() if opened_by(journal, rule.rule)]
    if not ours:
        notes.append(f"no incident opens by {rule.rule} now: does its `match` hold for the alerts?")
    compared = compare(decisions(entries), decisions(ours[0] if ours else ()))
    acted = [entry.at for entry in entries if isinstance(entry.event, StepPrepared)]
    return IncidentReplay(incident.id, rule.rule, compared, notes, acted[0] if acted else None)


def replayed(entries: Sequence[Entry], house: House) -> CaseRun:
    """What the daemon does in it by these rules, a while beyond its end. Raises NotReplayable."""
    rule, case, _ = recorded_case(entries, house)
    return _played(rule, case, entries, house)


def _played(rule: Rule, case: RuleCase, entries: Sequence[Entry], house: House) -> CaseRun:
    longer = case.model_copy(update={"until": case.end + _LONGER})
    return run_case(longer, house, RecordedMetrics(case, rule, recorded_samples(entries)))


def recorded_case(entries: Sequence[Entry], house: House) -> tuple[Rule, RuleCase, list[str]]:
    """The incident as a case that these rules can play, and what had to be left out. Raises
    NotReplayable."""
    entries = in_earnest(entries)
    incident = fold(entries)
    rule = house.rules.get(incident.rule)
    if rule is None:
        what = f"its rule {incident.rule!r}" if incident.rule else "it had no rule, so none"
        raise NotReplayable(f"{what} is not among the rules of today: {', '.join(house.rules)}")
    case, notes = case_of(entries, rule), _notes(incident, rule, recorded_samples(entries))
    people = [move for move in case.people if _known(move, house)]
    if len(people) < len(case.people):
        gone = sorted({m.who for m in case.people} - {m.who for m in people})
        notes.append(f"what {', '.join(gone)} did is left out: not in the roster of today")
    notes += [
        f"step {step} did not start then ({reason}: {text}); what other incidents, freezes and the "
        "monitoring said is not kept, so here nothing of that hinders it"
        for step, (reason, text) in outside_reasons(entries).items()
    ]
    actions = {n: one for n, one in case.actions.items() if n <= len(rule.recover)}
    return rule, case.model_copy(update={"people": tuple(people), "actions": actions}), notes


def _known(move: GivenMove, house: House) -> bool:
    return move.who in house.roster.people


def _notes(incident: Incident, rule: Rule, kept: SamplesRecorded) -> list[str]:
    """What of the samples does not fit today's rule, or is missing."""
    notes = [f"not all samples could be kept: {kept.trouble}"] if kept.trouble else []
    asked = incident.confirmed.queries if incident.confirmed is not None else ()
    problem = rule.problem
    templates = [("bad", problem.bad), ("total", problem.total)]
    templates += [("value", query) for query in problem.values]
    for name, template in templates:
        if template is not None and asked and not _was_asked(template, incident, rule, asked):
            notes.append(
                f"`{name}` asks otherwise now than then; the samples that were kept answer what "
                "was asked then"
            )
    return notes


def _was_asked(template: str, incident: Incident, rule: Rule, asked: Sequence[str]) -> bool:
    """Whether the query was asked in the incident, with whatever window."""
    windows = dict.fromkeys(rule.problem.windows)
    labels = incident.group_labels
    try:
        if any(render_query(template, labels, window) in asked for window in windows):
            return True
        # The windows may have changed since; what is around them may not.
        shortest = next(iter(windows))
        parts = template.split("$window")
        rendered = [render_query(part, labels, shortest) for part in parts]
    except (TemplateError, UnsafeLabel):
        return False
    return any(all(part in query for part in rendered) for query in asked)
