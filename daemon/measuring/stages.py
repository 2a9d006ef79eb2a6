"""Measure a step that stopped midway: all of the service, and what is back alone."""

from __future__ import annotations

import asyncio

from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.measurement.recovery_reading import read_recovery
from daemon.core.ports.actions import PartDone
from daemon.core.recovery.stages import PartReading
from daemon.core.rules.rule import Rule
from daemon.measuring.diagnose import counts_by_label
from daemon.measuring.queries import Survey
from daemon.measuring.verify import read_recovery_now


async def read_part(survey: Survey, rule: Rule, problem: Problem, part: PartDone) -> PartReading:
    """One reading of the whole, as a verification takes it; and of the part's item by the counts
    that the rule's `suspects: revisions:` has of it. `problem` is the confirmed one."""
    whole, own = await asyncio.gather(
        read_recovery_now(survey, rule.verify, problem), _own(survey, rule, problem, part)
    )
    # Where the whole cannot be measured, what is fresh of a part is not to be believed either.
    return PartReading(whole, own if whole.reason != "samples_stale" else None)


async def _own(
    survey: Survey, rule: Rule, problem: Problem, part: PartDone
) -> RecoveryReading | None:
    comparing = rule.suspects.revisions
    if comparing is None or not part.item or problem.kind != "counts":
        return None
    counted = (await counts_by_label(survey, comparing, survey.spec.windows[0])).get(part.item)
    if counted is None:
        return None
    traffic = problem.baseline_traffic
    expected = None if traffic is None else traffic * part.share
    of_part = problem.model_copy(update={"baseline_traffic": expected})
    return read_recovery(survey.spec, rule.verify, of_part, None, counted, survey.now)
