"""A rollback in two parts: some pods go back first, and the rest once it shows that it helps.

A Deployment surges by just the first part and is then paused; a StatefulSet is given the partition
that lets no more pods go. Whether it goes on is not for an action to know: `ActionContext.stages`
says so. From the first patch on until it is let go, the label `stopgap.dev/stage` says whose
it is, for a successor and for whoever finds it without us. What that makes of it:

    template   label         ruled       run, again
    from       none          nothing     patches
    to         midway        nothing     holds it when the first part is back, asks for the ruling
    to         midway        go on       lets it go, waits
    to         goes on       go on       waits
    to         midway        stop        puts the template back, waits
    from       taken back    any         waits
    another's  midway        any         lets it go, and leaves the rest alone
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from daemon.core.ports.actions import ActionContext, PartDone, Refused, StageRuling, Stages
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from recovery_actions.kubernetes import objects, patches
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.blocked import Unblocker, first_part_ready
from recovery_actions.kubernetes.canary import (
    is_midway,
    is_undone,
    taken_back_note,
    with_partition,
)
from recovery_actions.kubernetes.errors import Forbidden
from recovery_actions.kubernetes.guards import partition_holds_all
from recovery_actions.kubernetes.holding import RolloutHold
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.ownership import still_asked
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.revisions import WorkloadState, observed_changes, read_state
from recovery_actions.kubernetes.rollback_request import RollbackRequest
from recovery_actions.kubernetes.rollout import (
    partition,
    progress_overdue,
    rollout_status,
    wanted_replicas,
)
from recovery_actions.kubernetes.waiting import Rollout, RolloutEnd
from recovery_actions.reasons import ActionReason, NotReady, ending

_BACK_WITHIN = timedelta(minutes=2)
"""So long it is waited for what is taken back: what was live may itself never become ready."""
_TRIES = 5
"""How often it is looked whether an earlier run took it back."""

_PART_BY = 0.3
"""The part of the time within which the first pods have to be back; half of what is left then is
for the ruling, and the rest for going on or for taking it back."""

_Intent = Mapping[str, str]


@dataclass
class CanaryRollback:
    """A rollback that has been patched, up to where it goes on by itself, or is undone.

    `rollout` follows it to its end; `within` is the time for all of it. `left` says what had to be
    left midway before a run; empty if nothing was.
    """

    intent: _Intent
    context: ActionContext
    stages: Stages
    rollout: Rollout
    within: timedelta
    left: str = ""

    def __post_init__(self) -> None:
        self.client, self.workload = self.rollout.client, self.rollout.workload
        self.pace = self.rollout.pace
        self.hold = RolloutHold(self.intent, self.context, self.rollout)
        self._begin = self.pace.clock()
        self._undoing = RollbackRequest(self.intent, self.context.token, takes_back=True)

    async def was_undone(self) -> bool:
        """Whether an earlier run has taken it back already. What is midway and no longer ours is
        let go on the way."""
        for _ in range(_TRIES):
            raw = await self._read()
            if raw is not None:
                if is_midway(raw, self.intent, self.context.token) and not self.rollout.ours(raw):
                    self.left = await self.hold.let_go()
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
            if end is not None and end.reason == "reverted":
                held = await self.hold.let_go()
                return end.outcome("rolled_back", self.hold.title, _facts(self.intent), [held])
            part = await self._part()
            if (end is None and part.share >= 1) or (end is not None and end.result == "done"):
                # The others had never left, or it was quicker than we.
                return await self.hold.go_on()
            if end is not None:
                ruling = StageRuling(False, f"the first part did not come back: {end.text}")
            else:
                await self.context.progress(part.text)
                ruling = await self.stages.rule_on(part, self._left() / 2)
        if ruling.go_on:
            return await self.hold.go_on()
        return await self.undo(ruling.text)

    async def undo(self, why: str) -> Outcome:
        """Put the template back that was live before, and wait for that."""
        applied = await apply_patch(
            self.client,
            self.workload,
            self._look_undo,
            self.pace,
            "put back as it was",
            self._undoing.landed,
        )
        if isinstance(applied, Outcome):
            return await self.hold.left_alone(applied)
        await self.context.progress(f"{self.intent['from']} is asked for again: {why}")
        notes = await self._undoing.hand_back(self.client, self.workload, self.pace)
        back = Rollout(
            client=self.client,
            workload=self.workload,
            ours=self._is_back,
            meddlers=self._undoing.meddlers,
            report=self.context.progress,
            limit=min(max(self._left(), timedelta(seconds=30)), _BACK_WITHIN),
            hold=timedelta(0),
            pace=self.pace,
            stale=applied,
            help_out=Unblocker(self.client, self.workload, self.pace, self.intent["to"]).help_out,
        )
        ended = await back.follow()
        text = f"{self.workload.title} went back to {self.intent['to']} in part, was stopped "
        text += f"({why}) and "
        if ended.reason == "reverted":
            text += f"put back to {self.intent['from']}, but {ended.text}"
        elif ended.result == "done":
            text += f"is at {self.intent['from']} again"
        else:
            text += f"is at {self.intent['from']} again, where {ended.text}"
        text = "; ".join([text, *filter(None, notes)])
        facts = _facts(self.intent)
        # Whoever has changed it is at work there, so nothing else begins without a person.
        reason: ActionReason = "reverted" if ended.reason == "reverted" else "stage_stopped"
        return ending(result="failed", reason=reason, detail=text, facts=facts)

    def _is_back(self, raw: Raw) -> bool:
        """Whether it asks for what was live before, and because of this step."""
        if not is_undone(raw, self.intent, self.context.token):
            return False
        former = self._undoing.asked
        if former is None:
            return True  # by now it is not kept, so nothing tells
        same = objects.digest(objects.template_of(raw)) in {
            objects.digest(former),
            self._undoing.made,
        }
        return same or still_asked(raw, former)

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
        raw = await self._read()
        if raw is not None and objects.part(raw, "spec").get("paused") is True:
            return await self._available()
        first = int(self.intent["canary"])
        end = await self.rollout.follow(
            # Before the controller has seen the change, its counters are those of what was live.
            until=lambda seen: observed_changes(seen) and _updated(seen) >= first,
            limit=self._left() * _PART_BY,
        )
        if end.reason or (not end.midway and not await self._is_held()):
            return end
        if self.workload.kind == "statefulset":
            return await self._available()
        if (held := await self.hold.pause()) is not None:
            meddled = held.reason == "reverted"
            text = held.detail.removeprefix(f"{self.hold.title}, but ")
            return RolloutEnd("failed", "reverted" if meddled else "patch_failed", text)
        return await self._available()

    async def _is_held(self) -> bool:
        """Whether a StatefulSet's rollout has ended because its partition holds the rest; also if
        that cannot be seen, for nothing goes on blindly."""
        if self.workload.kind != "statefulset":
            return False
        raw = await self._read()
        return raw is None or partition(raw) == int(self.intent["hold"])

    async def _available(self) -> RolloutEnd | None:
        """Wait until the pods of the first part are available."""
        until = self.pace.clock() + self._left().total_seconds() * _PART_BY
        first = int(self.intent["canary"])
        seen = "nothing was seen of them"
        while self.pace.clock() < until:
            try:
                state = await read_state(self.client, self.workload)
                if not self.rollout.ours(state.raw):
                    return RolloutEnd("failed", "reverted", self.rollout.changed_by(state.raw))
                if still := partition_holds_all(self.workload, state.raw):
                    return RolloutEnd("failed", "rollout_timeout", still.text)
                ready = await self._ready(state)
                hint = "" if ready >= first else await self.rollout.hint(state.raw)
            except Temporary as error:
                seen = str(error)
            except Permanent as error:
                return RolloutEnd("unknown", "rollout_unknown", str(error))
            else:
                if ready >= first:
                    return None
                seen = f"{ready} of its {first} pods are available"
                seen += f"; {hint}" if hint else ""
            await self.pace.sleep(1.0)
        return RolloutEnd("failed", "rollout_timeout", seen)

    async def _ready(self, state: WorkloadState) -> int:
        """So many pods of the revision that came back are available, and were to go first."""
        if self.workload.kind == "statefulset":
            pods = self.workload.beside("", "pods")
            try:
                listed = await self.client.items(pods, objects.selector_of(state.raw))
            except Forbidden:
                done = rollout_status("statefulset", state.raw, self.rollout.stale).finished
                return int(self.intent["canary"]) if done else 0
            # What admission has changed is a revision of its own.
            now = state.live.item if state.live else self.intent["to"]
            return first_part_ready(state.raw, listed, now)
        return 0 if state.live is None else state.live.available

    async def _part(self) -> PartDone:
        """How much of it is back; a share of 1 if nothing else is left to go back."""
        raw, pods = await self._read() or {}, int(self.intent["pods"])
        if raw:  # an autoscaler may have been at work
            pods = max(wanted_replicas(raw) - int(self.intent["partition"]), 1)
        back = _updated(raw) or int(self.intent["canary"])
        serving = objects.number(objects.part(raw, "status"), "replicas")
        text = f"{back} of {pods} pods {'is' if back == 1 else 'are'} back at {self.intent['to']}"
        share = 1.0 if back >= pods else back / max(pods, serving)
        return PartDone(text, share, self.intent["to"])

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self.client.get(self.workload.resource)
        except (Temporary, Permanent):
            return None  # whoever follows it says so

    def _left(self) -> timedelta:
        spent = timedelta(seconds=self.pace.clock() - self._begin)
        return max(self.within - spent, timedelta(seconds=10))

    async def _look_undo(self) -> Found | Refused | Outcome:
        state = await read_state(self.client, self.workload)
        raw, former = state.raw, state.find(self.intent["from"])
        self._undoing.to = former
        if is_undone(raw, self.intent, self.context.token):
            return Found(progress_overdue(raw))
        if not self.rollout.ours(raw):
            return self.hold.meddled(raw)
        if former is None:
            text = f"{self.intent['from']} is no longer kept in {self.workload.title}"
            return NotReady("revision_missing", f"{text}, so it cannot be taken back")
        notes = {
            patches.INCIDENT: self.context.incident,
            patches.STEP: self.context.token,
            patches.ROLLED_BACK_FROM: self.intent["to"],
            patches.ROLLED_BACK_TO: former.item,
            patches.STAGE: taken_back_note(self.context.token),
        }
        self._undoing.before = raw
        patch = patches.rollback_patch(state, former, notes)
        if isinstance(patch.body, dict):
            held = partition(raw) == int(self.intent["hold"])
            first = int(self.intent["partition"]) if held else partition(raw)
            patch = with_partition(patch, first, taken_back_note(self.context.token))
        else:
            patch = Patch(patch.kind, [*patch.body, *self.hold.release(raw)])
        return Found(progress_overdue(raw), patch)


def _updated(raw: Raw) -> int:
    return objects.number(objects.part(raw, "status"), "updatedReplicas")


def _facts(intent: _Intent) -> dict[str, str]:
    return {key: intent[key] for key in ("from", "to")}
