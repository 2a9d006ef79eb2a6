"""A rollback in two parts: some pods go back first, and the rest once it shows that it helps.

A Deployment is paused as soon as enough of its pods are new; a StatefulSet is given the partition
that lets no more pods go. Whether it goes on is not for an action to know: `ActionContext.stages`
says so. What a successor finds after a kill, and what it makes of it:

    pause or partition   ruled       it means                       run, again
    none                 nothing     patched, not stopped yet       stops it when it is that far
    ours                 nothing     the first part is back         asks for the ruling
    ours                 go on       killed before it went on       goes on, waits
    none                 go on       it goes on                     waits
    any                  stop        killed before it was undone    puts the template back, waits
    none, `taken back`   any         it is undone                   waits

The annotation `stopgap.dev/stage` says on the workload itself why it is paused, for whoever finds
it without us.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from daemon.core.ports.actions import ActionContext, PartDone, Refused, StageRuling, Stages
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import Share
from recovery_actions.kubernetes import objects, patches
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.blocked import Unblocker
from recovery_actions.kubernetes.client import JSON_PATCH
from recovery_actions.kubernetes.names import APPS, Resource
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.revisions import WorkloadState, observed_changes, read_state
from recovery_actions.kubernetes.rollout import partition, progress_overdue, wanted_replicas
from recovery_actions.kubernetes.waiting import Rollout, RolloutEnd
from recovery_actions.reasons import NotReady, ending

CanaryShare = Annotated[Share, Field(gt=0, lt=1)]
"""The part of the pods that goes back first."""

_PAUSED = "first part back, the rest waits"
_GOING_ON = "goes on"
_TRIES = 5
"""How often it is looked whether an earlier run took it back."""

_PART_BY = 0.3
"""The part of the time within which the first pods have to be back; half of what is left then is
for the ruling, and the rest for going on or for taking it back."""

_Intent = Mapping[str, str]


def canary_intent(state: WorkloadState, share: float | None) -> dict[str, str] | Refused:
    """What the intent has to say of the first part: how many pods of how many, and from where on a
    StatefulSet's pods were updated before. Empty if all go back at once."""
    if share is None:
        return {}
    workload = state.workload
    strategy = objects.part(state.raw, "spec", "strategy").get("type")
    if workload.kind == "daemonset" or strategy == "Recreate":
        how = "a DaemonSet cannot stop midway" if workload.kind == "daemonset" else "Recreate"
        text = f"{workload.title} cannot go back in parts ({how}); leave out `canary`"
        return NotReady("not_in_parts", text)
    aside = partition(state.raw) if workload.kind == "statefulset" else 0
    pods = max(wanted_replicas(state.raw) - aside, 0)
    first = math.ceil(pods * share)
    if first >= pods:
        return {}  # so few pods have no part
    return {"canary": str(first), "pods": str(pods), "partition": str(aside)}


def in_parts(patch: Patch, raw: Raw, intent: _Intent) -> Patch:
    """The rollback's patch, so that a StatefulSet takes back its first part alone."""
    if "canary" not in intent or not isinstance(patch.body, dict):
        return patch
    first = wanted_replicas(raw) - int(intent["canary"])
    return _with_partition(patch, first)


def canary_text(intent: _Intent) -> str:
    """What of it is done first, for the summary; empty if all is done at once."""
    if "canary" not in intent:
        return ""
    return f"; first {intent['canary']} of {intent['pods']} pods, the rest once it shows to help"


def is_undone(raw: Raw, intent: _Intent, token: str) -> bool:
    """Whether this step has taken its own rollback back."""
    notes = objects.annotations_of(raw)
    return objects.uid_of(raw) == intent["uid"] and notes.get(patches.STAGE) == _undone(token)


def is_midway(raw: Raw, intent: _Intent) -> bool:
    """Whether it stands where a rollback in parts has stopped it."""
    if "canary" not in intent:
        return False
    if objects.part(raw, "spec", "updateStrategy").get("rollingUpdate") is not None:
        return partition(raw) > int(intent["partition"])
    paused = objects.part(raw, "spec").get("paused") is True
    return paused and objects.annotations_of(raw).get(patches.STAGE) == _PAUSED


@dataclass
class CanaryRollback:
    """A rollback that has been patched, up to where it goes on by itself, or is undone.

    `rollout` follows it to its end; `within` is the time for all of it.
    """

    intent: _Intent
    context: ActionContext
    stages: Stages
    rollout: Rollout
    within: timedelta

    def __post_init__(self) -> None:
        self.client, self.workload = self.rollout.client, self.rollout.workload
        self.pace = self.rollout.pace
        self._begin = self.pace.clock()

    async def was_undone(self) -> bool:
        """Whether an earlier run has taken it back already."""
        for _ in range(_TRIES):
            raw = await self._read()
            if raw is not None:
                return is_undone(raw, self.intent, self.context.token)
            await self.pace.sleep(1.0)
        return False  # the patch will find it out of reach, too

    async def stand(self, stale: str) -> Outcome | None:
        """Bring the first part back, have it ruled on, and go on (None) or take it back. `stale`:
        see `rollout_status`."""
        self.rollout.stale = stale
        ruling = await self._ruled()
        if ruling is None:
            end = await self._first_part()
            if end is not None and end.reason in {"reverted", "rollout_unknown"}:
                return end.outcome("rolled_back", self._title(), _facts(self.intent))
            if end is not None and end.result == "done":
                return None  # it was quicker than we
            part = await self._part()
            if end is not None:
                ruling = StageRuling(False, f"the first part did not come back: {end.text}")
            else:
                await self.context.progress(part.text)
                ruling = await self.stages.rule_on(part, self._left() / 2)
        if ruling.go_on:
            return await self._go_on()
        return await self.undo(ruling.text)

    async def undo(self, why: str) -> Outcome:
        """Put the template back that was live before, and wait for that."""
        applied = await apply_patch(
            self.client, self.workload, self._look_undo, self.pace, "put back as it was"
        )
        if isinstance(applied, Outcome):
            return applied
        await self.context.progress(f"{self.intent['from']} is asked for again: {why}")
        back = Rollout(
            client=self.client,
            workload=self.workload,
            ours=lambda raw: is_undone(raw, self.intent, self.context.token),
            report=self.context.progress,
            limit=max(self._left(), timedelta(minutes=1)),
            hold=timedelta(0),
            pace=self.pace,
            stale=applied,
            help_out=Unblocker(self.client, self.workload, self.intent["to"]).help_out,
        )
        ended = await back.follow()
        text = f"{self.workload.title} went back to {self.intent['to']} in part, was stopped "
        text += f"({why}) and is at {self.intent['from']} again"
        if ended.result != "done":
            text += f", where {ended.text}"
        facts = _facts(self.intent)
        return ending(result="failed", reason="stage_stopped", detail=text, facts=facts)

    async def _ruled(self) -> StageRuling | None:
        """What was ruled before a restart. The journal is asked until it answers, for a step that
        was stopped must not go on."""
        while True:
            try:
                return await self.stages.ruled()
            except Temporary:
                await self.pace.sleep(1.0)

    # ── the first part ────────────────────────────────────────────────────────────────────────

    async def _first_part(self) -> RolloutEnd | None:
        """Wait until the first part is back, and hold it there; None if it is. `done` means that
        all is back already, anything else that the part did not come back."""
        if self.workload.kind == "statefulset":
            end = await self.rollout.follow(limit=self._left() * _PART_BY)
            raw = await self._read()
            whole = raw is not None and not is_midway(raw, self.intent)
            return end if whole or end.result != "done" else None
        raw = await self._read()
        if raw is not None and is_midway(raw, self.intent):
            return await self._available()
        first = int(self.intent["canary"])
        end = await self.rollout.follow(
            # Before the controller has seen the change, its counters are those of what was live.
            until=lambda seen: observed_changes(seen) and _updated(seen) >= first,
            limit=self._left() * _PART_BY,
        )
        if end.reason or not end.midway:
            return end
        held = await apply_patch(
            self.client, self.workload, self._look_pause, self.pace, "paused after the first part"
        )
        if isinstance(held, Outcome):
            return RolloutEnd("failed", "reverted", held.detail)
        return await self._available()

    async def _available(self) -> RolloutEnd | None:
        """Wait until the pods of the first part are available."""
        until = self.pace.clock() + self._left().total_seconds() * _PART_BY
        first = int(self.intent["canary"])
        seen = "nothing was seen of them"
        while self.pace.clock() < until:
            try:
                state = await read_state(self.client, self.workload)
                if not self.rollout.ours(state.raw):
                    return RolloutEnd("failed", "reverted", "somebody has changed it since")
                ready = await self._ready(state)
            except Temporary as error:
                seen = str(error)
            except Permanent as error:
                return RolloutEnd("unknown", "rollout_unknown", str(error))
            else:
                if ready >= first:
                    return None
                seen = f"{ready} of its {first} pods are available"
            await self.pace.sleep(1.0)
        return RolloutEnd("failed", "rollout_timeout", seen)

    async def _ready(self, state: WorkloadState) -> int:
        """So many pods of the ReplicaSet that came back are available."""
        if state.live is None:
            return 0
        one = Resource(APPS, "replicasets", self.workload.namespace, state.live.item)
        found = await self.client.get(one)
        return objects.number(objects.part(found, "status"), "availableReplicas")

    async def _part(self) -> PartDone:
        raw = await self._read()
        count = _updated(raw) if raw is not None else int(self.intent["canary"])
        pods = int(self.intent["pods"])
        verb = "is" if count == 1 else "are"
        text = f"{count} of {pods} pods {verb} back at {self.intent['to']}"
        share = min(max(count, 1) / pods, 0.99)
        return PartDone(text, share, self.intent["to"])

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self.client.get(self.workload.resource)
        except (Temporary, Permanent):
            return None  # whoever follows it says so

    # ── going on ──────────────────────────────────────────────────────────────────────────────

    async def _go_on(self) -> Outcome | None:
        applied = await apply_patch(
            self.client, self.workload, self._look_go_on, self.pace, "let go on"
        )
        return applied if isinstance(applied, Outcome) else None

    def _left(self) -> timedelta:
        spent = timedelta(seconds=self.pace.clock() - self._begin)
        return max(self.within - spent, timedelta(seconds=10))

    def _title(self) -> str:
        return f"{self.workload.title} was rolled back in part"

    # ── looks at the moment of acting ─────────────────────────────────────────────────────────

    async def _look_pause(self) -> Found | Outcome:
        raw = await self.client.get(self.workload.resource)
        if not self.rollout.ours(raw):
            return self._meddled(raw)
        if is_midway(raw, self.intent):
            return Found(progress_overdue(raw))
        body = [_op("add", "/spec/paused", True), _note(_PAUSED)]
        return Found(progress_overdue(raw), Patch(JSON_PATCH, [*patches.unchanged(raw), *body]))

    async def _look_go_on(self) -> Found | Outcome:
        raw = await self.client.get(self.workload.resource)
        if not self.rollout.ours(raw):
            return self._meddled(raw)
        late = progress_overdue(raw)
        if not is_midway(raw, self.intent):
            return Found(late)
        if self.workload.kind == "statefulset":
            where = "/spec/updateStrategy/rollingUpdate/partition"
            body = [_op("add", where, int(self.intent["partition"])), _note(_GOING_ON)]
        else:
            body = [_op("remove", "/spec/paused"), _note(_GOING_ON)]
        return Found(late, Patch(JSON_PATCH, [*patches.unchanged(raw), *body]))

    async def _look_undo(self) -> Found | Refused | Outcome:
        state = await read_state(self.client, self.workload)
        raw = state.raw
        if is_undone(raw, self.intent, self.context.token):
            return Found(progress_overdue(raw))
        if not self.rollout.ours(raw):
            return self._meddled(raw)
        former = state.find(self.intent["from"])
        if former is None:
            text = f"{self.intent['from']} is no longer kept in {self.workload.title}"
            return NotReady("revision_missing", f"{text}; it stands midway: deploy by hand")
        notes = {
            patches.INCIDENT_ANNOTATION: self.context.incident,
            patches.STEP: self.context.token,
            patches.ROLLED_BACK_FROM: self.intent["to"],
            patches.ROLLED_BACK_TO: former.item,
            patches.CHANGE_CAUSE: f"stopgap took back its rollback to {self.intent['to']}",
            patches.STAGE: _undone(self.context.token),
        }
        patch = patches.rollback_patch(state, former, notes)
        if isinstance(patch.body, dict):
            patch = _with_partition(patch, int(self.intent["partition"]))
        elif objects.part(raw, "spec").get("paused") is True:
            patch = Patch(patch.kind, [*patch.body, _op("remove", "/spec/paused")])
        return Found(progress_overdue(raw), patch)

    def _meddled(self, raw: Raw) -> Outcome:
        images = objects.images(objects.template_of(raw))
        text = f"{self._title()}, but somebody has changed it since: it runs {images} now"
        return ending(result="failed", reason="reverted", detail=text, facts=_facts(self.intent))


def _undone(token: str) -> str:
    """The note of a rollback that its own step has taken back; an older one says nothing."""
    return f"taken back by {token}"


def _updated(raw: Raw) -> int:
    return objects.number(objects.part(raw, "status"), "updatedReplicas")


def _with_partition(patch: Patch, first: int) -> Patch:
    assert isinstance(patch.body, dict)  # noqa: S101 - a StatefulSet's patch is a merge
    spec = dict(patch.body.get("spec") or {})
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": first}}
    return Patch(patch.kind, {**patch.body, "spec": {**spec, "updateStrategy": strategy}})


def _op(op: Literal["add", "remove"], path: str, value: object = None) -> dict[str, Any]:
    return {"op": op, "path": path, **({} if op == "remove" else {"value": value})}


def _note(text: str) -> dict[str, Any]:
    return _op("add", f"/metadata/annotations/{patches.STAGE.replace('/', '~1')}", text)


def _facts(intent: _Intent) -> dict[str, str]:
    return {key: intent[key] for key in ("from", "to")}
