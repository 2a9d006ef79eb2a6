"""The fold of the diagnosis: dossiers, hypotheses, findings of others."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import datetime
from typing import assert_never, get_args

from daemon.core.incident import events as e
from daemon.core.incident.diagnosis import Hypothesis, IncidentDiagnosis
from daemon.core.incident.dossier import HypothesisState
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_diagnosis(incident: Incident, at: datetime, event: e.DiagnosisEvent) -> Incident:
    """The incident after one more event of its diagnosis."""
    return replace(incident, causes=_after(incident.causes, at, event))


def _after(known: IncidentDiagnosis, at: datetime, event: e.DiagnosisEvent) -> IncidentDiagnosis:
    match event:
        case e.DiagnosisOrdered():
            return changed(known, ordered_at=at, ordered_by=event.person)
        case e.DossierGathered():
            return changed(known, dossier=event.dossier, dossier_at=at, gathered=known.gathered + 1)
        case e.HypothesisAdded():
            added = Hypothesis(
                event.hypothesis,
                event.text,
                made_by=event.person,
                owner=event.owner,
                evidence=event.evidence,
            )
            return _with(known, added)
        case e.HypothesisJudged():
            return _with(known, _judged(known.hypotheses.get(event.hypothesis), event))
        case e.HypothesisAssigned():
            one = known.hypotheses.get(event.hypothesis)
            return _with(known, one and changed(one, owner=event.owner))
        case e.FindingAdded():
            found = changed(known, findings=(*known.findings, event.finding))
            one = known.hypotheses.get(event.hypothesis)
            text = f"{event.finding.source}: {event.finding.describe()}"
            return _with(found, one and changed(one, evidence=(*one.evidence, text)))
        case e.HelpRequested():
            return changed(known, needed={**known.needed, event.team: event})
        case _:
            assert_never(event)


def _judged(one: Hypothesis | None, event: e.HypothesisJudged) -> Hypothesis | None:
    if one is None:
        return None
    # A later version may know more states; to this one such a hypothesis is open.
    known = event.state if event.state in get_args(HypothesisState) else "open"
    said = f"{event.person}: {event.evidence}"
    evidence = (*one.evidence, said) if event.evidence else one.evidence
    return changed(one, state=known, evidence=evidence)


def _with(known: IncidentDiagnosis, one: Hypothesis | None) -> IncidentDiagnosis:
    """With this state of a hypothesis; one that nobody has made is none."""
    if one is None:
        return known
    return changed(known, hypotheses={**known.hypotheses, one.name: one})
