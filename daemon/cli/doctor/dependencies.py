"""Checks of what the recovery steps would change: there, fit for it, and ours to change.

Nothing is changed: each step's own preflight looks, and of a Kubernetes workload the rights are
tried by a dry run of a patch that changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from daemon import app
from daemon.cli.doctor.context import Installation, parted
from daemon.core.changes.change import Candidate
from daemon.core.changes.suspects import Change
from daemon.core.ports.actions import ActionContext, Ready
from daemon.core.rules.query_templates import names_in
from daemon.core.values.outcome import Permanent, Temporary
from daemon.onboarding.findings import Finding, good, judge_preflight, warning, wrong
from recovery_actions.kubernetes.client import JSON_PATCH, ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing
from recovery_actions.kubernetes.installed import missing_client
from recovery_actions.kubernetes.names import Workload, WorkloadParams
from recovery_actions.reasons import ActionReason

RIGHTS = (
    "give its account get and patch on the workload, and list on replicasets (or "
    "controllerrevisions) and pods, in a Role of that namespace; delete on pods lets it clear a "
    "stuck StatefulSet, and list on events lets it say why pods cannot be made"
)
_OF_THE_CLUSTER: frozenset[ActionReason] = frozenset({"forbidden", "no_such_workload"})
"""The refusals that `check_kubernetes` speaks of already."""


@dataclass(frozen=True)
class _Step:
    """A step with plain parameters, and of which rule."""

    rule: str
    number: int
    action: str
    params: Any

    @property
    def place(self) -> str:
        return f"rule {self.rule}"

    @property
    def title(self) -> str:
        return f"step {self.number} ({self.action})"


async def check_actions(installation: Installation) -> AsyncIterator[Finding]:
    """What the preflight of each step says while nothing is broken."""
    fit = 0
    for step in _steps(installation):
        if isinstance(step, Finding):
            yield step
            continue
        well, finding = await _looked_at(installation, step)
        fit += well
        if finding is not None:
            yield finding
    if fit:
        yield good(
            "actions", f"the preflight of {fit} step{'' if fit == 1 else 's'} finds no fault"
        )


async def _looked_at(installation: Installation, step: _Step) -> tuple[bool, Finding | None]:
    """Whether the step is fit, and what there is to say; the other check speaks of the cluster."""
    in_cluster = hasattr(step.params, "workload")
    try:
        seen = await installation.actions[step.action].preflight(step.params, _context())
    except (Temporary, Permanent) as error:
        if in_cluster:
            return False, None
        text, mend = parted(error)
        return False, wrong(step.place, f"{step.title}: {text}", mend or "it could not run")
    if isinstance(seen, Ready):
        return True, None
    if in_cluster and seen.reason in _OF_THE_CLUSTER:
        return False, None
    finding = judge_preflight(step.place, step.title, seen.reason, seen.text)
    return finding is None, finding


async def check_kubernetes(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each workload that a rule names is there, and ours to watch and to change."""
    if missing_client() is not None:
        return  # the rules say so
    client = installation.workshop.shared(ClusterClient)
    well = []
    for workload, changes in _workloads(installation).items():
        finding = await _tried(client, workload, changes=changes)
        if finding is not None:
            yield finding
        else:
            well.append(workload.title)
    if well:
        yield good("kubernetes", f"{', '.join(well)}: there, and our rights suffice")


async def _tried(client: ClusterClient, workload: Workload, *, changes: bool) -> Finding | None:
    """What stands in the way, or None. With `changes` a dry run shows whether we may patch."""
    place = f"kubernetes {workload.cluster} {workload.namespace}".replace("  ", " ")
    try:
        await client.get(workload.resource)
        # A JSON patch that only tests: admission and rights are asked, nothing would change.
        test = [{"op": "test", "path": "/metadata/name", "value": workload.name}]
        if changes:
            await client.patch(workload.resource, JSON_PATCH, test, dry_run=True)
    except Forbidden as error:
        return wrong(place, parted(error)[0], RIGHTS)
    except Missing:
        return wrong(place, f"there is no {workload.title}", "correct its name in the rule")
    except (Temporary, Permanent) as error:
        text, mend = parted(error)
        return wrong(place, text, mend or "look at `kubernetes:` in stopgap.yaml")
    return None


def _steps(installation: Installation) -> Iterator[_Step | Finding]:
    for rule in installation.rules:
        for number, spec in enumerate(rule.recover, 1):
            action = installation.actions.get(spec.action)
            if action is None:
                continue  # the rules say so
            if names_in(spec.params):
                text = f"step {number} ({spec.action}) takes names from the alert's labels"
                mend = "it cannot be tried beforehand; begin with `mode: observe`"
                yield warning(f"rule {rule.rule}", text, mend)
                continue
            try:
                params = action.Params.model_validate(spec.params)
            except ValidationError:
                continue  # the rules say so
            if action.allowed(params) is not None:
                continue  # the rules say so, as of a client that is not installed
            yield _Step(rule.rule, number, spec.action, params)


def _workloads(installation: Installation) -> dict[Workload, bool]:
    """The workloads that rules name, and whether a step would change them."""
    found: dict[Workload, bool] = {}
    for rule in installation.rules:
        watched = rule.changes.get("kubernetes")
        if watched and not names_in(watched):
            try:
                found.setdefault(WorkloadParams.model_validate(watched).workload, False)
            except ValidationError:
                continue  # the rules say so
    for step in _steps(installation):
        workload = getattr(step.params, "workload", None) if isinstance(step, _Step) else None
        if isinstance(workload, Workload):
            found[workload] = True
    return found


def _context() -> ActionContext:
    async def nothing(_: str) -> None:
        return None

    async def none(live: str, history: Sequence[Change] = ()) -> Candidate:
        return Candidate(reason="no_healthy_item", text="nothing is chosen by a check")

    return ActionContext(token="doctor", now=app.now(), choose=none, progress=nothing)  # noqa: S106
