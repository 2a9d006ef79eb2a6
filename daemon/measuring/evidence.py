"""The evidence for a decision: the problem, and which change is to blame for it.

It is taken once when an incident begins, and again while nothing was started: traffic may have
been too thin for an onset, and what was deployed may be told late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.core.changes.precedent import Precedent
from daemon.core.changes.recent import recent_changes
from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.measurement.reassessment import better_founded
from daemon.core.recovery.growth import reassessed
from daemon.core.rules.rule import Rule
from daemon.measuring.define import define
from daemon.measuring.diagnose import weigh_changes
from daemon.measuring.explain import fallen_traffic
from daemon.measuring.queries import Survey


async def assess(
    survey: Survey,
    rule: Rule,
    changes: Sequence[Change],
    blind: str = "",
    trouble: Sequence[Precedent] = (),
) -> e.ProblemDefined:
    """Measure, and weigh the changes; `blind`: why they cannot be seen; `trouble`: when the same
    problem stood before and was over.

    While nothing is confirmed the suspicion only names what changed lately, and traffic that fell.
    """
    problem = await define(survey, changes, trouble)
    suspicion: Suspicion | None = None
    if problem.verdict == "confirmed":
        if rule.changes or changes or blind:
            suspicion = await _weighed(survey, rule, changes, problem, blind)
    else:
        fall = await fallen_traffic(replace(survey, query_log={}), changes, problem)
        if fall or changes:
            why = fall or "nobody is blamed before the metrics confirm the problem"
            suspicion = recent_changes(changes, survey.now, why)
    return e.ProblemDefined(problem=problem, suspicion=suspicion)


async def reassess(
    survey: Survey,
    rule: Rule,
    incident: Incident,
    changes: Sequence[Change],
    trouble: Sequence[Precedent],
) -> e.ProblemReassessed | None:
    """Measure a confirmed problem again, and weigh the changes; None if nothing is new.

    What recovery is verified against stays what was first confirmed, unless the later measurement
    is better founded (`better_founded`).
    """
    known = incident.confirmed
    if known is None or not (rule.changes or changes):
        return None
    later = await define(survey, changes, trouble)
    adopted = later if better_founded(rule.problem, known, later) else None
    suspicion = await _weighed(survey, rule, changes, adopted or known, known=incident.suspicion)
    return reassessed(incident, adopted, suspicion)


async def _weighed(
    survey: Survey,
    rule: Rule,
    changes: Sequence[Change],
    problem: Problem,
    blind: str = "",
    known: Suspicion | None = None,
) -> Suspicion:
    quiet = replace(survey, query_log={})
    found = await weigh_changes(quiet, rule, changes, problem, blind, known)
    if problem.onset is not None or found.shared or blind:
        return found
    return recent_changes(changes, survey.now, found.text)
