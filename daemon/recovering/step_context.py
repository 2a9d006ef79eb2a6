"""What a step is carried out with, and what stands in its way before it is tried."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from daemon.core.changes.live_periods import Life
from daemon.core.changes.suspects import HealthMark
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.ports.actions import Action, PartDone
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Freeze, Limits
from daemon.core.recovery.plan import Outlook, scope_of, viewed_steps
from daemon.core.recovery.stages import PartReading
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule, StepSpec
from daemon.instrumentation import UNTRACED, Tracer
from daemon.repository import IncidentRepository

Actions = Mapping[str, Action]


@dataclass(frozen=True)
class Findings:
    """What the metrics say at the moment of acting.

    `answers` maps queries to their answers in short; `outage` says why they are not believed;
    `alerting` services began to alert lately; `upstream_alerting`: something that the rule depends
    on is among the alerts that began with the problem.
    """

    reading: RecoveryReading | None
    answers: Mapping[str, str]
    outage: str
    alerting: int = 0
    upstream_alerting: bool = False


@dataclass(frozen=True)
class StepContext:
    """What a step is carried out with.

    `closed`: the freeze that stands by the calendar for these scopes. `look` measures the
    incident's problem anew; `judge_revisions` asks the metrics how items did while they were live;
    `read_part` measures a step that stopped midway.
    `withdrawn`: why the rule of that name has lost its autonomy; empty if it has not.
    """

    actions: Actions
    limits: Limits
    rules: Callable[[], Mapping[str, Rule]]
    dependencies: Callable[[], RuleDependencies]
    approvals: Callable[[], Approvals]
    closed: Callable[[Sequence[str], datetime], Freeze | None]
    look: Callable[[Rule, Incident], Awaitable[Findings]]
    judge_revisions: Callable[[Rule, Incident, Sequence[Life]], Awaitable[Mapping[str, HealthMark]]]
    read_part: Callable[[Rule, Incident, PartDone], Awaitable[PartReading]]
    withdrawn: Callable[[str], str] = lambda _: ""
    tracer: Tracer = UNTRACED


@dataclass(frozen=True)
class Aim:
    """A step made concrete for one incident."""

    action: Action
    params: Any
    target: str


def aim(spec: StepSpec, labels: Mapping[str, str], actions: Actions) -> Aim | Outlook:
    """The step with this incident's labels filled in, or an Outlook that says what is unfit."""
    action = actions.get(spec.action)
    if action is None:
        return Outlook(unfit="unknown_action", unfit_text=f"there is no action {spec.action!r}")
    try:
        params = action.Params.model_validate(render_params(dict(spec.params), labels))
    except UnsafeLabel as error:
        return Outlook(unfit="unsafe_label", unfit_text=str(error))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Outlook(unfit="bad_parameters", unfit_text=f"{place}: {first['msg']}")
    refused = action.allowed(params)
    if refused is not None:
        return Outlook(unfit="not_allowed", unfit_text=refused)
    target = action.target(params)
    if not target.strip() or "*" in target:
        text = f"{target!r} is no single target; an empty or wildcard target is never acted on"
        return Outlook(unfit="no_single_target", unfit_text=text)
    return Aim(action, params, target)


def misfit(spec: StepSpec, labels: Mapping[str, str], actions: Actions) -> str:
    """Why the catalogue cannot carry out the step for an incident with these labels, in words;
    empty if it can."""
    aimed = aim(spec, labels, actions)
    if not isinstance(aimed, Outlook):
        return ""
    known = f"; known: {', '.join(sorted(actions))}"
    return f"{aimed.unfit_text}{known if aimed.unfit == 'unknown_action' else ''}"


async def outlook(
    repository: IncidentRepository, rule: Rule, incident: Incident, step_context: StepContext
) -> dict[int, Outlook]:
    """What stands in the way of each step that is looked at, as store and calendar see it now."""
    views, now = {}, repository.clock()
    scope = scope_of(incident, rule, step_context.dependencies())
    closed = step_context.closed(scope.freezes, now)
    suspect = incident.suspicion.change if incident.suspicion else None
    for number, spec in viewed_steps(incident, rule, step_context.limits, now).items():
        aimed = aim(spec, incident.group_labels, step_context.actions)
        if isinstance(aimed, Outlook):
            views[number] = aimed
            continue
        # A suspect that another system reported, or a version metric, has a subject of its own.
        blamed = suspect.subject if suspect and suspect.aim == aimed.target else aimed.target
        guard, history = await asyncio.gather(
            repository.journal.guard(aimed.target, incident.id, scope, step_context.limits, now),
            repository.journal.changes(blamed),
        )
        guard = replace(guard, freeze=guard.freeze or closed)
        live = history[-1].item if history else ""
        views[number] = Outlook(target=aimed.target, guard=guard, live=live)
    return views
