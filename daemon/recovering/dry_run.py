"""The dry run of a step that people are asked about: its preflight, written down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.ports.actions import Ready, Refused
from daemon.core.recovery.plan import Outlook, content_of, plan_of
from daemon.core.rules.rule import Rule
from daemon.core.values.units import printable
from daemon.recovering.action_calls import ActionEnded
from daemon.recovering.attempt import Attempt
from daemon.recovering.step_context import Aim, StepContext, aim
from daemon.repository import IncidentRepository

WITHIN = timedelta(seconds=30)
"""A dry run that takes longer is told as one that did not pass."""
_LABEL = 80
"""Characters of a button."""


async def dry_run(
    repository: IncidentRepository,
    incident: str,
    rule: Rule,
    number: int,
    step_context: StepContext,
) -> None:
    """Try the step as far as it changes nothing, and write down what came of it."""
    current = await repository.load(incident)
    if number not in plan_of(current, rule):
        return
    spec = plan_of(current, rule)[number]
    aimed = aim(spec, current.group_labels, step_context.actions)
    if isinstance(aimed, Outlook):
        return  # the plan passes it over
    params = aimed.params.model_dump(mode="json", by_alias=True)
    as_if = replace(current.step(number), action=spec.action, target=aimed.target, params=params)
    imagined = replace(current, steps={**current.steps, number: as_if})
    attempt = Attempt(repository, step_context, rule, number, aimed.action)
    answer = await _tried(attempt, imagined)
    found = e.StepRehearsed(
        step=number,
        action=spec.action,
        target=aimed.target,
        content=content_of(current, rule, number),
        passed=isinstance(answer, Ready),
        label=_label(answer, aimed) if isinstance(answer, Ready) else "",
        text=printable(answer.summary if isinstance(answer, Ready) else answer.text),
        reason="" if isinstance(answer, Ready) else answer.reason,
    )

    def note(now: Incident) -> Sequence[e.Event]:
        return (found,) if now.closed is None and now.step(number).awaits_approval else ()

    await repository.record(incident, note)


async def _tried(attempt: Attempt, imagined: Incident) -> Ready | Refused:
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            return await attempt.preflight(imagined)
    except TimeoutError:
        return Refused("deadline_exceeded", "its preflight did not end in time")
    except ActionEnded as end:
        return Refused(end.outcome.reason, end.outcome.detail)


def _label(ready: Ready, aimed: Aim) -> str:
    """What it would do, for a button: its own words, or what it switches between."""
    switched = {"from", "to"} <= ready.intent.keys()
    between = f"{ready.intent['from']} → {ready.intent['to']} on {aimed.target}" if switched else ""
    label = printable(ready.label or between or ready.summary).replace("`", "")
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
