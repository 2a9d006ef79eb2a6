"""`kubernetes_scale`: another number of replicas, within bounds and never none.

    - action: kubernetes_scale
      with: {namespace: prod, deployment: checkout, by: "+50%", min: 2, max: 12}

It leaves a workload alone that a HorizontalPodAutoscaler scales: that would take it back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Permanent
from recovery_actions.kubernetes import guards, objects, patches
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.blocked import Unblocker
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.names import (
    AUTOSCALING,
    KIND_NAMES,
    ScalableParams,
    Workload,
)
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.ownership import hand_back_fields
from recovery_actions.kubernetes.rollout import progress_overdue, wanted_replicas
from recovery_actions.kubernetes.waiting import Rollout, RolloutLimit
from recovery_actions.kubernetes.workload_action import (
    WorkloadAction,
    changed_under_dry_run,
    refused_by_cluster,
)
from recovery_actions.kubernetes_restart import expected_live
from recovery_actions.reasons import NotReady

_MOST = 10_000
_BY = re.compile(r"([+-])([0-9]{1,5})(%?)")


def _by(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:+d}"  # YAML reads +2 as a number
    if value is not None and not (isinstance(value, str) and _change(value)):
        raise ValueError("it is not a change; write it like +2, -1, +50% or -25%")
    return value


def _change(text: str) -> tuple[int, bool] | None:
    """The signed amount, and whether it is in percent; None if it is none, or nothing."""
    found = _BY.fullmatch(text)
    if found is None or int(found[2]) == 0:
        return None
    return int(found[1] + found[2]), found[3] == "%"


By = Annotated[str, BeforeValidator(_by)]


class KubernetesScaleParams(ScalableParams):
    """The workload, and either `replicas` or `by` ("+50%", "+2", "-1"), within `min` and `max`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"namespace": "prod", "deployment": "checkout", "by": "+50%", "min": 2, "max": 8}
            ]
        }
    )

    replicas: int | None = Field(default=None, ge=1, le=_MOST)
    by: By | None = None
    min: int = Field(ge=1, le=_MOST)
    max: int = Field(ge=1, le=_MOST)
    rollout: RolloutLimit = timedelta(minutes=10)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.replicas is None) == (self.by is None):
            raise ValueError("name exactly one of replicas, by")
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) is more than max ({self.max})")
        if self.replicas is not None and not self.min <= self.replicas <= self.max:
            raise ValueError(f"replicas ({self.replicas}) is not between min and max")
        return self

    def aim(self, now: int) -> int:
        """The number of replicas to have, given how many there are."""
        if self.replicas is not None:
            return self.replicas
        amount, percent = _change(self.by or "") or (0, False)
        change = abs(amount) * now / 100 if percent else abs(amount)
        desired = now + math.ceil(change) if amount > 0 else now - math.ceil(change)
        return min(max(desired, self.min), self.max)

    def goes_the_way(self, now: int, aim: int) -> bool:
        """Whether that is a change, and not the opposite of the one that was asked for."""
        if self.by is not None:
            return aim > now if self.by.startswith("+") else aim < now
        return aim != now


class KubernetesScale(WorkloadAction[KubernetesScaleParams]):
    """Set the number of replicas, and wait until they are there."""

    name = "kubernetes_scale"
    risk = "can be undone by scaling back; only the number of replicas changes"
    Params: type[BaseModel] = KubernetesScaleParams

    async def preflight(
        self, params: KubernetesScaleParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `no_such_workload`, `being_deleted`, `forbidden`, `scaled_to_zero`,
        `already_scaled`, `at_bound`, `autoscaled`, `changed_meanwhile` or `dry_run_failed`.
        """
        workload = params.workload
        try:
            raw = await self._client.get(workload.resource)
            now, note = wanted_replicas(raw), ""
            aim = params.aim(now)
            if obstacle := _obstacle(params, raw, aim):
                return obstacle
            if refused := await expected_live(self._client, workload, context):
                return refused
            autoscaled = await self._autoscaled(workload)
            if isinstance(autoscaled, Refused):
                return autoscaled
            patch = patches.scale_patch(raw, now, aim)
            await self._client.patch(workload.resource, patch.kind, patch.body, dry_run=True)
        except VersionConflict as error:
            return changed_under_dry_run(error)
        except Permanent as error:
            return refused_by_cluster(error, "the scaling")
        note = autoscaled
        if (keeper := guards.keeper(raw)) is not None:
            note += f"; {keeper.name} manages it and may take this back"
        return Ready(
            f"scale {workload.title} from {now} to {aim} replicas{note}",
            {"uid": objects.uid_of(raw), "replicas_before": str(now), "replicas": str(aim)},
        )

    async def run(
        self, params: KubernetesScaleParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Patch, then wait. Refuses as preflight does. Fails with `patch_failed`,
        `unreachable`, `rollout_timeout` or `reverted`; `unknown` with `unreachable` or
        `rollout_unknown`.
        """
        workload, client = params.workload, self._client.acting(context.must_act)
        before: list[Raw] = []
        applied = await apply_patch(
            client, workload, lambda: self._look(params, intent, before), self._pace, "scaled"
        )
        if isinstance(applied, Outcome):
            return applied
        await context.progress(f"{intent['replicas']} replicas are asked for")
        notes = [await self._handed_back(client, workload, raw) for raw in before[-1:]]
        rollout = Rollout(
            client=client,
            workload=workload,
            ours=lambda raw: _is_ours(raw, intent),
            report=context.progress,
            limit=params.rollout,
            hold=timedelta(0),
            pace=self._pace,
            stale=applied,
            help_out=Unblocker(client, workload, self._pace).help_out,
        )
        ended = await rollout.follow()
        had, after = intent["replicas_before"], intent["replicas"]
        text = f"{workload.title} was scaled from {had} to {after} replicas"
        return ended.outcome("scaled", text, {"replicas": after}, notes)

    async def _handed_back(self, client: ClusterClient, workload: Workload, before: Raw) -> str:
        """Give the number of replicas back to whoever applies it."""
        template = objects.template_of(before)
        return await hand_back_fields(client, workload, template, before, self._pace)

    async def check(
        self, params: KubernetesScaleParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """Compare the number of replicas that the workload asks for."""
        try:
            raw = await self._client.get(params.workload.resource)
        except Missing:
            return "unknown"
        if _is_ours(raw, intent):
            return "done"
        return "not_done" if _as_before(raw, intent) else "unknown"

    async def _autoscaled(self, workload: Workload) -> Refused | str:
        """`autoscaled`, or a word for the summary if that cannot be seen."""
        scalers = workload.beside(AUTOSCALING, "horizontalpodautoscalers")
        try:
            found = await self._client.items(scalers)
        except (Forbidden, Missing):
            return "; whether an autoscaler would take this back, we may not see"
        for one in found:
            aim = objects.part(one, "spec", "scaleTargetRef")
            if (aim.get("kind"), aim.get("name")) == (KIND_NAMES[workload.kind], workload.name):
                name = objects.name_of(one)
                return NotReady(
                    "autoscaled",
                    f"the HorizontalPodAutoscaler {name} scales {workload.title} and would take "
                    f"this back; change its bounds: kubectl edit hpa {name} "
                    f"{workload.flags}",
                )
        return ""

    async def _look(
        self, params: KubernetesScaleParams, intent: Mapping[str, str], seen: list[Raw]
    ) -> Found | Refused:
        """What there is to do at the moment of acting; what is to be patched is put to `seen`."""
        workload = params.workload
        raw = await self._client.get(workload.resource)
        if _is_ours(raw, intent):
            return Found(progress_overdue(raw))
        if not _as_before(raw, intent):
            return _changed(workload, raw, intent)
        before, after = int(intent["replicas_before"]), int(intent["replicas"])
        seen.append(raw)
        return guards.taken_away(workload, raw) or Found(
            progress_overdue(raw), patches.scale_patch(raw, before, after)
        )


def _obstacle(params: KubernetesScaleParams, raw: Raw, aim: int) -> Refused | None:
    workload, now = params.workload, wanted_replicas(raw)
    if gone := guards.taken_away(workload, raw):
        return gone
    if now == 0:
        text = f"{workload.title} is scaled to zero, which somebody must have meant; scale it up"
        return NotReady("scaled_to_zero", f"{text} by hand: kubectl scale {workload.command}")
    if params.goes_the_way(now, aim):
        return None
    if params.by is None:
        return NotReady("already_scaled", f"{workload.title} has {now} replicas already")
    text = f"{workload.title} has {now} replicas, and between {params.min} and {params.max} there"
    return NotReady("at_bound", f"{text} is no room for {params.by}; raise or lower the bound")


def _is_ours(raw: Raw, intent: Mapping[str, str]) -> bool:
    same = objects.uid_of(raw) == intent["uid"]
    return same and str(wanted_replicas(raw)) == intent["replicas"]


def _as_before(raw: Raw, intent: Mapping[str, str]) -> bool:
    same = objects.uid_of(raw) == intent["uid"]
    return same and str(wanted_replicas(raw)) == intent["replicas_before"]


def _changed(workload: Workload, raw: Raw, intent: Mapping[str, str]) -> Refused:
    return NotReady(
        "changed_meanwhile",
        f"{workload.title} had {intent['replicas_before']} replicas when this was decided, and "
        f"has {wanted_replicas(raw)} now: somebody else has scaled it, so it was left alone",
    )
