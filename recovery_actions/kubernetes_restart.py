"""`kubernetes_restart`: replace every pod of a workload by a new one, a few at a time.

    - action: kubernetes_restart
      with: {namespace: prod, deployment: checkout}

As `kubectl rollout restart`, with the same precondition as a rollback: a deployment by somebody
else in between wins. The step's token in the template says afterwards whether it was done, so
that a second run restarts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta

from pydantic import BaseModel, ConfigDict

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Permanent
from recovery_actions.kubernetes import guards, objects, patches
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.blocked import Unblocker
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Missing, VersionConflict
from recovery_actions.kubernetes.names import Workload, WorkloadParams
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.revisions import known_live, read_state
from recovery_actions.kubernetes.rollout import progress_overdue, rollout_status
from recovery_actions.kubernetes.waiting import HoldTime, Rollout, RolloutLimit
from recovery_actions.kubernetes.workload_action import (
    WorkloadAction,
    changed_under_dry_run,
    refused_by_cluster,
)
from recovery_actions.reasons import NotReady


class KubernetesRestartParams(WorkloadParams):
    """The workload; `rollout` and `hold` as in kubernetes_rollback."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"namespace": "prod", "deployment": "checkout"}]}
    )

    rollout: RolloutLimit = timedelta(minutes=10)
    hold: HoldTime = timedelta(seconds=10)


class KubernetesRestart(WorkloadAction[KubernetesRestartParams]):
    """Replace the pods one after another, as the workload's own strategy says."""

    name = "kubernetes_restart"
    risk = (
        "nothing is switched, so there is nothing to undo; the workload's pods are "
        "replaced one after the other"
    )
    Params: type[BaseModel] = KubernetesRestartParams

    async def preflight(
        self, params: KubernetesRestartParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `no_such_workload`, `being_deleted`, `forbidden`, `paused`, `on_delete`,
        `scaled_to_zero`, `changed_meanwhile` or `dry_run_failed`.
        """
        workload = params.workload
        try:
            raw = await self._client.get(workload.resource)
            if obstacle := _obstacle(workload, raw):
                return obstacle
            if refused := await expected_live(self._client, workload, context):
                return refused
            patch = _patch(raw, context)
            await self._client.patch(workload.resource, patch.kind, patch.body, dry_run=True)
        except VersionConflict as error:
            return changed_under_dry_run(error)
        except Permanent as error:
            return refused_by_cluster(error, "the restart")
        template = objects.template_of(raw)
        return Ready(
            f"restart the pods of {workload.title} ({objects.images(template)})",
            {
                "uid": objects.uid_of(raw),
                "template": objects.digest(template),
                "image": objects.images(template),
                "late": progress_overdue(raw),
            },
        )

    async def run(
        self, params: KubernetesRestartParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Patch, then wait. Refuses as preflight does. Fails with `patch_failed`,
        `unreachable`, `progress_deadline_exceeded`, `rollout_timeout`, `reverted` or `paused`;
        `unknown` with `unreachable` or `rollout_unknown`.
        """
        workload, client = params.workload, self._client.acting(context.must_act)
        applied = await apply_patch(
            client,
            workload,
            lambda: self._look(workload, intent, context),
            self._pace,
            "restarted",
        )
        if isinstance(applied, Outcome):
            return applied
        await context.progress("the restart is asked for")
        rollout = Rollout(
            client=client,
            workload=workload,
            ours=lambda raw: _is_ours(raw, intent, context.token),
            report=context.progress,
            limit=params.rollout,
            hold=params.hold,
            pace=self._pace,
            stale=applied,
            help_out=Unblocker(client, workload, self._pace).help_out,
        )
        ended = await rollout.follow()
        text = f"the pods of {workload.title} were restarted"
        return ended.outcome("restarted", text, {"image": intent["image"]})

    async def check(
        self, params: KubernetesRestartParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """Look for the step's token in the template. With it, but without the rollout's end, it
        is `half_done`: running again goes on with the waiting.
        """
        try:
            raw = await self._client.get(params.workload.resource)
        except Missing:
            return "unknown"
        if _is_ours(raw, intent, context.token):
            status = rollout_status(params.workload.kind, raw, intent.get("late", ""))
            return "done" if status.finished else "half_done"
        return "not_done" if _as_before(raw, intent) else "unknown"

    async def _look(
        self, workload: Workload, intent: Mapping[str, str], context: ActionContext
    ) -> Found | Refused:
        """What there is to do at the moment of acting."""
        raw = await self._client.get(workload.resource)
        if _is_ours(raw, intent, context.token):
            return Found(intent.get("late", ""))
        if not _as_before(raw, intent):
            return _changed(workload, raw, intent["image"])
        return _obstacle(workload, raw) or Found(progress_overdue(raw), _patch(raw, context))


async def expected_live(
    client: ClusterClient, workload: Workload, context: ActionContext
) -> Refused | None:
    """`changed_meanwhile` if another item is live than the step was meant for."""
    if not context.expected:
        return None
    live = known_live(await read_state(client, workload))
    if live.item == context.expected:
        return None
    text = f"this was meant for {context.expected}, but {live.title} is live in {workload.title}"
    return NotReady("changed_meanwhile", f"{text}; look who deployed")


def _obstacle(workload: Workload, raw: Raw) -> Refused | None:
    return guards.taken_away(workload, raw) or guards.standing_still(workload, raw)


def _patch(raw: Raw, context: ActionContext) -> Patch:
    at = context.now.astimezone(UTC).isoformat(timespec="seconds")
    return patches.restart_patch(raw, {patches.RESTARTED_AT: at, patches.RESTART: context.token})


def _is_ours(raw: Raw, intent: Mapping[str, str], token: str) -> bool:
    written = objects.part(raw, "spec", "template", "metadata", "annotations")
    return objects.uid_of(raw) == intent["uid"] and written.get(patches.RESTART) == token


def _as_before(raw: Raw, intent: Mapping[str, str]) -> bool:
    same = objects.digest(objects.template_of(raw)) == intent["template"]
    return same and objects.uid_of(raw) == intent["uid"]


def _changed(workload: Workload, raw: Raw, before: str) -> Refused:
    now = objects.images(objects.template_of(raw))
    return NotReady(
        "changed_meanwhile",
        f"{workload.title} ran {before} when this was decided, and has another template now "
        f"({now}): somebody else has changed it, so it was left alone",
    )
