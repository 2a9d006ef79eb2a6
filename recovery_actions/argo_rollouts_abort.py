"""`argo_rollouts_abort`: stop a canary of Argo Rollouts; the stable version serves everything.

    - action: argo_rollouts_abort
      with: {namespace: prod, rollout: checkout}

What `kubectl argo rollouts abort` does, with a precondition: that canary, and that stable
version. The template still asks for the new version, so the Rollout is Degraded until somebody
sets it back; it does not begin anew by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.changes.suspects import Change
from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Duration, format_duration, printable
from recovery_actions.kubernetes.client import JSON_PATCH, ClusterClient, Object
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.installed import missing_client
from recovery_actions.kubernetes.names import (
    InCluster,
    Namespace,
    ObjectName,
    Resource,
    target_root,
)
from recovery_actions.kubernetes.objects import number, parse_moment, part, several, string
from recovery_actions.reasons import NotReady, as_outcome, ending
from recovery_actions.waiting import Countdown, Pause
from recovery_actions.workshop import Workshop

GROUP = "argoproj.io/v1alpha1"
_EVERY = timedelta(seconds=2)
"""Between two looks at the canary's end."""


class ArgoRolloutsAbortParams(InCluster):
    """`timeout`: how long the traffic may take to leave the canary."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"namespace": "prod", "rollout": "checkout"}]}
    )

    namespace: Namespace
    rollout: ObjectName
    timeout: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0), le=timedelta(hours=1))

    @property
    def title(self) -> str:
        """For a sentence: 'Rollout prod/checkout', and of which cluster if that has a name."""
        place = f" of cluster {self.cluster}" if self.cluster else ""
        return f"Rollout {self.namespace}/{self.rollout}{place}"


@dataclass(frozen=True)
class StatusOf(Resource):
    """The status of an object, which has rights of its own."""

    @property
    def path(self) -> str:
        """The path of the subresource."""
        return f"{super().path}/status"


@dataclass(frozen=True)
class Canary:
    """A Rollout as we see it. `canary` and `stable` are pod hashes."""

    canary: str
    stable: str
    aborted: bool
    phase: str
    message: str
    left: bool
    """Whether the traffic has left the canary, as far as the Rollout tells."""


class ArgoRolloutsAbort:
    """Abort the canary that goes on, back to the stable ReplicaSet."""

    name = "argo_rollouts_abort"
    risk = "can be undone by a retry of the rollout; only the canary's share of the traffic moves"
    Params: type[BaseModel] = ArgoRolloutsAbortParams
    goes_back = True

    def __init__(self, workshop: Workshop, pause: Pause = asyncio.sleep) -> None:
        self._client = workshop.shared(ClusterClient)
        self._pause = pause

    def allowed(self, params: ArgoRolloutsAbortParams) -> str | None:
        """Why it cannot be done here: without its client. What may be done, the cluster says."""
        return missing_client()

    def target(self, params: ArgoRolloutsAbortParams) -> str:
        """'kubernetes:', the namespace and the Rollout."""
        return f"{target_root(params.cluster)}{params.namespace}/rollout/{params.rollout}"

    async def show(
        self, params: ArgoRolloutsAbortParams, context: ActionContext
    ) -> Mapping[str, str]:
        """The canary, the stable version, and the state of the Rollout."""
        raw = await self._client.get(_resource(params))
        seen, status = _canary(raw), part(raw, "status")
        shown = {
            "canary": seen.canary,
            "stable": seen.stable,
            "aborted": "yes" if seen.aborted else "no",
            "phase": f"{seen.phase} {seen.message}".strip(),
            "step": str(status.get("currentStepIndex", "")),
            "pods": f"{number(status, 'updatedReplicas')} of {number(status, 'replicas')} new",
        }
        return {key: value for key, value in shown.items() if value}

    async def preflight(
        self, params: ArgoRolloutsAbortParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `no_such_rollout`, `forbidden`, `not_rolling`, `already_aborted`,
        `changed_meanwhile` or `stable_not_healthy`.
        """
        try:
            raw = await self._client.get(_resource(params))
        except (Missing, Forbidden) as error:
            return _unreadable(error)
        seen = _canary(raw)
        if refused := _obstacle(params, seen):
            return refused
        if context.expected not in {"", seen.canary}:
            text = (
                f"{context.expected} was to be aborted, but the canary is {seen.canary}; "
                "look who deployed"
            )
            return NotReady("changed_meanwhile", text)
        # What is stable was served before the canary. That nobody has measured it is no reason
        # to leave a bad canary alone; that something else was measured healthy is.
        candidate = await context.choose(seen.canary, self._history(params, raw))
        if candidate.reason == "measured_healthy" and candidate.item != seen.stable:
            text = (
                f"aborting would go back to {seen.stable}, but what was measured healthy is "
                f"{candidate.item}; look which one is good"
            )
            return NotReady("stable_not_healthy", text)
        known = "measured healthy" if candidate.reason == "measured_healthy" else "not measured"
        return Ready(
            f"abort the canary {seen.canary} of {params.title}, back to the stable "
            f"{seen.stable} ({known})",
            {"from": seen.canary, "to": seen.stable},
        )

    async def run(
        self, params: ArgoRolloutsAbortParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Abort, then wait until the traffic has left the canary. Refuses as preflight does;
        fails with `abort_timeout` or `reverted`; `unknown` with `lost_sight`.
        """
        try:
            seen = _canary(await self._client.get(_resource(params)))
            landed = _landed(seen, intent)
            if landed == "unknown":
                return as_outcome(_changed(params, seen, intent))
            if landed == "not_done":
                await self._abort(params, intent, context)
                await context.progress(f"the canary {intent['from']} is aborted")
        except (Missing, Forbidden) as error:
            return as_outcome(_unreadable(error))
        except VersionConflict:
            text = f"{params.title} changed just then, so it was left alone"
            return as_outcome(NotReady("changed_meanwhile", text))
        return await self._follow(params, intent, context)

    async def check(
        self, params: ArgoRolloutsAbortParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """By the Rollout's status; `half_done` while traffic is still leaving the canary."""
        return _landed(_canary(await self._client.get(_resource(params))), intent)

    async def _abort(
        self, params: ArgoRolloutsAbortParams, intent: Mapping[str, str], context: ActionContext
    ) -> None:
        client = self._client.acting(context.must_act)
        patch: list[dict[str, object]] = [
            {"op": "test", "path": "/status/currentPodHash", "value": intent["from"]},
            {"op": "test", "path": "/status/stableRS", "value": intent["to"]},
            {"op": "add", "path": "/status/abort", "value": True},
        ]
        whole = _resource(params)
        status = StatusOf(
            whole.group, whole.plural, whole.namespace, whole.name, cluster=whole.cluster
        )
        try:
            await client.patch(status, JSON_PATCH, patch)
        except Missing:
            # An older CustomResourceDefinition has no subresource; kubectl does the same then.
            await client.patch(whole, JSON_PATCH, patch)

    async def _follow(
        self, params: ArgoRolloutsAbortParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        patience = Countdown(params.timeout, _EVERY, self._pause)
        last_stage = trouble = ""
        while True:
            try:
                seen = _canary(await self._client.get(_resource(params)))
            except (Temporary, Permanent) as error:
                trouble = str(error)
            else:
                trouble, landed = "", _landed(seen, intent)
                if landed in {"unknown", "not_done"}:
                    text = f"somebody has undone the abort: {_changed(params, seen, intent).text}"
                    return ending(result="failed", reason="reverted", detail=text)
                if landed == "done":
                    text = f"{params.title} serves {intent['to']} alone; its template still asks "
                    text += f"for {intent['from']}, so deploy what is good before the next change"
                    facts = dict(intent)
                    return ending(result="done", reason="aborted", detail=text, facts=facts)
                if (stage := f"{seen.phase} {seen.message}".strip()) not in {"", last_stage}:
                    await context.progress(stage)
                    last_stage = stage
            if not await patience.lasts():
                limit = format_duration(params.timeout)
                if trouble:
                    text = f"the abort was ordered; its end could not be seen: {trouble}"
                    return ending(result="unknown", reason="lost_sight", detail=text)
                text = f"the traffic has not left {intent['from']} within {limit} ({last_stage})"
                return ending(result="failed", reason="abort_timeout", detail=text)

    def _history(self, params: ArgoRolloutsAbortParams, raw: Object) -> list[Change]:
        """When the canary came, if the Rollout tells."""
        seen = _canary(raw)
        starts = [
            parse_moment(one.get("lastTransitionTime"))
            for one in several(part(raw, "status"), "conditions")
            if one.get("type") == "Completed" and one.get("status") == "False"
        ]
        begun = starts[0] if starts else None
        if begun is None:
            return []
        return [
            Change(
                subject=self.target(params),
                item=seen.canary,
                previous=seen.stable,
                at=begun,
                seen_by="argo-rollouts",
            )
        ]


def _resource(params: ArgoRolloutsAbortParams) -> Resource:
    return Resource(GROUP, "rollouts", params.namespace, params.rollout, cluster=params.cluster)


def _canary(raw: Object) -> Canary:
    status = part(raw, "status")
    stable = string(status, "stableRS")
    weights = part(status, "canary", "weights")
    active = string(part(status, "blueGreen"), "activeSelector")
    if weights:
        left = number(part(weights, "canary"), "weight") == 0
    elif active:
        left = active == stable
    else:
        left = number(status, "updatedReplicas") == 0
    return Canary(
        canary=string(status, "currentPodHash"),
        stable=stable,
        aborted=status.get("abort") is True,
        phase=printable(string(status, "phase")),
        message=printable(string(status, "message"))[:200],
        left=left and bool(string(status, "abortedAt")),
    )


def _obstacle(params: ArgoRolloutsAbortParams, seen: Canary) -> Refused | None:
    if not seen.stable or not seen.canary or seen.canary == seen.stable:
        text = f"no canary of {params.title} goes on, so there is nothing to abort"
        return NotReady("not_rolling", text)
    if seen.aborted:
        text = f"the canary {seen.canary} of {params.title} is aborted already"
        return NotReady("already_aborted", text)
    return None


def _landed(seen: Canary, intent: Mapping[str, str]) -> Landed:
    if (seen.canary, seen.stable) != (intent["from"], intent["to"]):
        return "unknown"
    if not seen.aborted:
        return "not_done"
    return "done" if seen.left else "half_done"


def _changed(params: ArgoRolloutsAbortParams, seen: Canary, intent: Mapping[str, str]) -> Refused:
    text = (
        f"the canary of {params.title} was {intent['from']} beside {intent['to']} when this was "
        f"decided, and is {seen.canary or '?'} beside {seen.stable or '?'} now"
    )
    return NotReady("changed_meanwhile", text)


def _unreadable(error: Missing | Forbidden) -> Refused:
    forbidden = isinstance(error, Forbidden)
    return NotReady("forbidden" if forbidden else "no_such_rollout", str(error))
