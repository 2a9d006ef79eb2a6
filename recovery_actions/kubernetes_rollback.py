"""`kubernetes_rollback`: bring back the pod template that was measured healthy, and wait for it.

    - action: kubernetes_rollback
      with: {namespace: prod, deployment: checkout}

As `kubectl rollout undo`, but never merely one back, never over somebody else's deployment, and
never against whoever else manages the workload. ConfigMaps, Secrets and databases stay as they
are. It needs get and patch on the workload, list on replicasets (or controllerrevisions) and on
pods; delete on pods, if stuck pods of a StatefulSet are to be cleared away; and list on events,
to say why pods of a StatefulSet or DaemonSet cannot be made.

What the next deployment must do: take the bad change out of its files, for it brings whatever
they say. Where the workload is applied on the server's side (`kubectl apply --server-side`, Helm
4), the fields that the rollback took are given back to whoever applies it, so that nothing is in
conflict. `kubectl apply` of old does not take away what only the older template has; the outcome
names it.

Safe to kill at every point. What a successor finds, and what it makes of it:

    template   label `stopgap.dev/step`    it means               run, again
    from       not ours                    not patched yet        patches, waits
    to         ours, rollout goes on       patched                gives back, waits
    to         ours, rollout ended         done                   waits for nothing
    anything else                          somebody deployed      refuses

The template counts as `to` with what admission makes of it: see `ownership.still_asked`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Permanent
from recovery_actions.kubernetes import canary, guards, objects, patches, stages
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.blocked import Unblocker
from recovery_actions.kubernetes.canary import CanaryShare
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.names import WorkloadParams
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.revisions import (
    WorkloadRevision,
    WorkloadState,
    known_live,
    read_state,
    workload_history,
)
from recovery_actions.kubernetes.rollback_request import RollbackRequest
from recovery_actions.kubernetes.rollout import progress_overdue, rollout_status
from recovery_actions.kubernetes.waiting import HoldTime, Rollout, RolloutLimit
from recovery_actions.kubernetes.workload_action import WorkloadAction, refused_by_cluster
from recovery_actions.reasons import NotReady, ending, with_sentence

_IN_TIME = 0.95
"""The part of a step's time that a rollback in parts uses, so that it ends in its own words."""

_TRIES = 5
"""How often a dry run is tried that met a conflict in which nothing of ours had changed."""


class KubernetesRollbackParams(WorkloadParams):
    """The workload. `to_revision` is a person's own choice instead of what was measured.

    `rollout` is how long the rollout may take; `hold` how long to see whether it is undone. With
    `canary: 25%` so many pods go back first, the metrics are looked at as after a step, and the
    rest follows once it shows that it helps; else the first ones are taken back. `within` of the
    step then has to hold both parts of the rollout, and `verify: settle` and two windows between.
    Where a deployment got stuck, so that as many pods are of the older revision still, all goes
    back at once.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"namespace": "prod", "deployment": "checkout"}]}
    )

    to_revision: int | None = Field(default=None, ge=1)
    canary: CanaryShare | None = None
    rollout: RolloutLimit = timedelta(minutes=10)
    hold: HoldTime = timedelta(seconds=10)


class KubernetesRollback(WorkloadAction[KubernetesRollbackParams]):
    """Go back to the newest revision that was measured healthy while it was live."""

    name = "kubernetes_rollback"
    risk = (
        "can be undone by a rollout of the newer revision; the workload's pods are "
        "replaced, and no database goes back with them"
    )
    Params: type[BaseModel] = KubernetesRollbackParams
    goes_back = True

    async def preflight(
        self, params: KubernetesRollbackParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `no_such_workload`, `forbidden`, `paused`, `on_delete`, `scaled_to_zero`,
        `partition_holds_all`,
        `managed_by_gitops`, `being_deleted`, `changed_meanwhile`, `no_history`, `no_healthy_item`,
        `revision_missing`, `already_live`, `declared_migration`, `not_in_parts` or
        `dry_run_failed`.
        """
        try:
            state = await read_state(self._client, params.workload)
            if obstacle := _obstacle(state):
                return obstacle
            live = known_live(state)
            to = await _destination(params, context, state, live)
            if isinstance(to, Refused):
                return to
            share = params.canary if context.stages is not None else None
            parts = canary.canary_intent(state, to, share)
            if isinstance(parts, Refused):
                return parts
            return await self._tried(context, state, live, to, parts)
        except (Missing, Forbidden) as error:
            return refused_by_cluster(error, "the rollback")

    async def run(
        self, params: KubernetesRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Patch, then wait. Refuses as preflight does. Fails with `patch_failed`,
        `unreachable`, `progress_deadline_exceeded`, `rollout_timeout`, `reverted`, `paused` or
        `stage_stopped`; `unknown` with `unreachable` or `rollout_unknown`.
        """
        client = self._client.acting(context.must_act)
        request = RollbackRequest(intent, context.token)
        unblocker = Unblocker(client, params.workload, self._pace, intent["from"])
        rollout = self._rollout(client, params, request, context, unblocker)
        parts = self._in_parts(params, rollout, intent, context)
        if parts is not None and await parts.was_undone():
            return await parts.undo("as was ruled before a restart")
        applied = await apply_patch(
            client,
            params.workload,
            lambda: self._look(params, request, context),
            self._pace,
            "rolled back",
            request.landed,
        )
        if isinstance(applied, Outcome):
            return with_sentence(applied, parts.left if parts is not None else "")
        await context.progress(f"{intent['to']} is asked for")
        unblocker.older = request.older
        notes = await request.hand_back(client, params.workload, self._pace)
        if parts is not None:
            if stopped := await parts.stand(applied):
                return stopped
            more = await request.hand_back(client, params.workload, self._pace)
            notes = list(dict.fromkeys([*notes, *more]))
        rollout.stale = applied
        ended = await rollout.follow()
        text = f"{params.workload.title} was rolled back from {intent['from']} to {intent['to']}"
        if unblocker.deleted:
            notes.insert(0, f"deleted to that end: {', '.join(unblocker.deleted)}")
        return ended.outcome("rolled_back", text, _facts(intent), notes)

    async def check(
        self, params: KubernetesRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """Look at the template. Patched without the rollout's end, or before the fields were
        given back, is `half_done`: running again goes on from there. Raises Temporary or
        Permanent.
        """
        try:
            state = await read_state(self._client, params.workload)
        except Missing:
            return "unknown"
        begun = (canary.is_midway, canary.is_undone)
        if any(true(state.raw, intent, context.token) for true in begun):
            return "half_done"  # it is still to be let go, or to be said how it ended
        request = RollbackRequest(intent, context.token, state.find(intent["to"]))
        if request.is_ours(state.raw):
            status = rollout_status(params.workload.kind, state.raw, intent.get("late", ""))
            ended = status.finished and not request.owes_fields(state.raw)
            return "done" if ended else "half_done"
        return "not_done" if _as_before(state, intent) else "unknown"

    def _rollout(
        self,
        client: ClusterClient,
        params: KubernetesRollbackParams,
        request: RollbackRequest,
        context: ActionContext,
        unblocker: Unblocker,
    ) -> Rollout:
        return Rollout(
            client=client,
            workload=params.workload,
            ours=request.is_ours,
            meddlers=request.meddlers,
            report=context.progress,
            limit=params.rollout,
            hold=params.hold,
            pace=self._pace,
            help_out=unblocker.help_out,
        )

    def _in_parts(
        self,
        params: KubernetesRollbackParams,
        rollout: Rollout,
        intent: Mapping[str, str],
        context: ActionContext,
    ) -> stages.CanaryRollback | None:
        """What brings the first part back by itself; None if all goes back at once."""
        if "canary" not in intent or context.stages is None:
            return None
        return stages.CanaryRollback(
            intent=intent,
            context=context,
            stages=context.stages,
            rollout=rollout,
            within=(context.within or 2 * params.rollout) * _IN_TIME,
        )

    async def _tried(
        self,
        context: ActionContext,
        state: WorkloadState,
        live: WorkloadRevision,
        to: WorkloadRevision,
        parts: Mapping[str, str],
    ) -> Ready | Refused:
        """The dry run: admission, quotas and rights speak before anything changes."""
        for _ in range(_TRIES):
            whole = _patch(state, live.item, to, context)
            patch = canary.in_parts(whole, parts, context.token)
            try:
                would_be = await self._client.patch(
                    state.workload.resource, patch.kind, patch.body, dry_run=True
                )
            except VersionConflict:
                state = await read_state(self._client, state.workload)
                if (now := state.live) is None or now.item != live.item:
                    return NotReady("changed_meanwhile", _changed(state, live.item))
                continue
            except Permanent as error:
                return refused_by_cluster(error, "the rollback")
            intent = {
                "from": live.item,
                "to": to.item,
                "from_revision": str(live.number),
                "to_revision": str(to.number),
                "uid": objects.uid_of(state.raw),
                "template": objects.digest(objects.template_of(would_be)),
                "late": progress_overdue(state.raw),
                **parts,
            }
            text = f"roll {state.workload.title} back from {live.title} to {to.title}"
            text += canary.canary_text(parts)
            if guards.of_helm(state.raw):
                text += "; Helm installed it: helm_rollback would take back its whole release"
            return Ready(text, intent)
        text = f"{state.workload.title} changes too fast for a dry run; look who else works on it"
        return NotReady("changed_meanwhile", text)

    async def _look(
        self, params: KubernetesRollbackParams, request: RollbackRequest, context: ActionContext
    ) -> Found | Refused | Outcome:
        """What there is to do at the moment of acting."""
        intent = request.intent
        state = await read_state(self._client, params.workload)
        if gone := guards.taken_away(params.workload, state.raw):
            return gone  # its revisions may be gone already
        live, to = state.live, state.find(intent["to"])
        request.to = to or request.to
        request.older = {one.item for one in state.revisions} - {intent["to"]}
        if request.is_ours(state.raw):
            return Found(intent.get("late", ""))
        if live is None or not _as_before(state, intent):
            facts = {"live": live.item if live else ""}
            text = _changed(state, intent["from"])
            return ending(result="refused", reason="changed_meanwhile", detail=text, facts=facts)
        if to is None:
            return _revision_missing(state, intent["to"])
        if obstacle := _obstacle(state) or guards.declared_migration(state, live, to):
            return obstacle
        request.before = state.raw
        whole = _patch(state, intent["from"], to, context)
        patch = canary.in_parts(whole, intent, context.token)
        return Found(progress_overdue(state.raw), patch)


def _obstacle(state: WorkloadState) -> Refused | None:
    """What stands in the way whichever revision we go back to."""
    return (
        guards.taken_away(state.workload, state.raw)
        or guards.managed_by_gitops(state.workload, state.raw)
        or guards.standing_still(state.workload, state.raw)
    )


async def _destination(
    params: KubernetesRollbackParams,
    context: ActionContext,
    state: WorkloadState,
    live: WorkloadRevision,
) -> WorkloadRevision | Refused:
    """The revision to go back to, or why there is none."""
    if context.expected not in {"", live.item}:
        return NotReady("changed_meanwhile", _changed(state, context.expected))
    if len(state.revisions) < 2:
        return NotReady(
            "no_history",
            f"{state.workload.title} keeps no other revision than {live.title}; deploy a good "
            "version by hand, and look at spec.revisionHistoryLimit",
        )
    if params.to_revision is not None:
        to = state.numbered(params.to_revision)
        description = f"revision {params.to_revision}"
    else:
        candidate = await context.choose(live.item, workload_history(state))
        if candidate.reason == "no_healthy_item":
            return NotReady("no_healthy_item", candidate.text)
        to, description = state.find(candidate.item), candidate.item
    if to is None:
        return _revision_missing(state, description)
    if to.item == live.item or objects.digest(to.template) == objects.digest(live.template):
        return NotReady("already_live", f"{to.title} is live already in {state.workload.title}")
    return guards.declared_migration(state, live, to) or to


def _patch(
    state: WorkloadState, before: str, to: WorkloadRevision, context: ActionContext
) -> Patch:
    notes = {
        patches.INCIDENT: context.incident,
        patches.STEP: context.token,
        patches.ROLLED_BACK_FROM: before,
        patches.ROLLED_BACK_TO: to.item,
    }
    return patches.rollback_patch(state, to, notes)


def _as_before(state: WorkloadState, intent: Mapping[str, str]) -> bool:
    """Whether it stands as preflight saw it; an item that was away and came back has not."""
    live = state.live
    return (
        objects.uid_of(state.raw) == intent["uid"]
        and live is not None
        and (live.item, str(live.number)) == (intent["from"], intent["from_revision"])
    )


def _changed(state: WorkloadState, before: str) -> str:
    live = state.live
    now = (
        live.title if live else f"{objects.images(objects.template_of(state.raw))}, just deployed,"
    )
    if live is not None and live.item == before:
        now = f"{live.title} once more"
    return (
        f"{before} was live in {state.workload.title} when this was decided, and {now} is live "
        "now: somebody else has changed it, so it was left alone"
    )


def _revision_missing(state: WorkloadState, description: str) -> Refused:
    retained = ", ".join(f"{one.number} ({one.item})" for one in state.revisions[-10:])
    return NotReady(
        "revision_missing",
        f"{description} is no longer kept in {state.workload.title}; kept are the revisions "
        f"{retained}: deploy the version by hand, and look at spec.revisionHistoryLimit",
    )


def _facts(intent: Mapping[str, str]) -> dict[str, str]:
    return {key: intent[key] for key in ("from", "to", "from_revision", "to_revision")}
