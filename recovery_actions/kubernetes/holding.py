"""What holds the rest of a rollback in parts: it is put on, taken away, and never left unsaid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.core.ports.actions import ActionContext
from daemon.core.values.outcome import Outcome, Result
from recovery_actions.kubernetes import objects, patches
from recovery_actions.kubernetes.applying import Found, apply_patch
from recovery_actions.kubernetes.canary import is_midway, operation, stage_note, surging
from recovery_actions.kubernetes.client import JSON_PATCH
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.ownership import hand_back_fields
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.rollout import partition, progress_overdue
from recovery_actions.kubernetes.waiting import Rollout
from recovery_actions.reasons import ending, with_sentence

_LET_GO = "goes-on"


@dataclass
class RolloutHold:
    """The pause of a Deployment, or the partition of a StatefulSet, while `rollout` is in parts."""

    intent: Mapping[str, str]
    context: ActionContext
    rollout: Rollout

    def __post_init__(self) -> None:
        self.client, self.workload = self.rollout.client, self.rollout.workload
        self.pace = self.rollout.pace

    async def pause(self) -> Outcome | None:
        """Keep a Deployment from replacing more pods; the outcome if it could not be."""
        held = await apply_patch(
            self.client, self.workload, self._look_pause, self.pace, "paused after the first part"
        )
        return held if isinstance(held, Outcome) else None

    async def go_on(self) -> Outcome | None:
        """Let the rest go; the outcome if that cannot be."""
        applied = await apply_patch(
            self.client, self.workload, self._look_go_on, self.pace, "let go on"
        )
        return await self.left_alone(applied) if isinstance(applied, Outcome) else None

    async def left_alone(self, outcome: Outcome) -> Outcome:
        """How it ends when it can neither go on nor be taken back. What somebody else has deployed
        meanwhile must not stand still for us; and what does is said."""
        if outcome.reason == "reverted":
            return with_sentence(outcome, await self.let_go())
        text = f"{outcome.detail}; {self._by_hand}"
        result: Result = "unknown" if outcome.result == "unknown" else "failed"
        return Outcome(result=result, reason=outcome.reason, detail=text, facts=outcome.facts)

    async def let_go(self) -> str:
        """Take away what holds it, and nothing else; what people have to do if that fails."""
        done = await apply_patch(self.client, self.workload, self._look_let_go, self.pace, "let go")
        if isinstance(done, Outcome):
            return "" if done.reason == "no_such_workload" else f"{done.detail}; {self._by_hand}"
        return await hand_back_fields(self.client, self.workload, None, None, self.pace)

    @property
    def _by_hand(self) -> str:
        """What lets it go on without us."""
        if self.workload.kind == "deployment":
            before = json.dumps({"spec": {"strategy": json.loads(self.intent["strategy"])}})
            how = f"kubectl rollout resume {self.workload.command}, and its strategy was "
            return f"it stands midway, for the rest to go on: {how}{before}"
        rolling = {"rollingUpdate": {"partition": int(self.intent["partition"])}}
        patch = json.dumps({"spec": {"updateStrategy": rolling}})
        how = f"kubectl patch {self.workload.command} -p '{patch}'"
        return f"it stands midway, for the rest to go on: {how}"

    @property
    def title(self) -> str:
        """What was done, for the beginning of a sentence."""
        return f"{self.workload.title} was rolled back in part"

    async def _look_pause(self) -> Found | Outcome:
        raw = await self.client.get(self.workload.resource)
        if not self.rollout.ours(raw):
            return self.meddled(raw)
        if objects.part(raw, "spec").get("paused") is True:
            return Found(progress_overdue(raw))
        body = [*patches.unchanged(raw), operation("add", "/spec/paused", True)]
        return Found(progress_overdue(raw), Patch(JSON_PATCH, body))

    async def _look_go_on(self) -> Found | Outcome:
        raw = await self.client.get(self.workload.resource)
        if not self.rollout.ours(raw):
            return self.meddled(raw)
        return self._released(raw, patches.unchanged(raw))

    async def _look_let_go(self) -> Found:
        raw = await self.client.get(self.workload.resource)
        return self._released(raw, [operation("test", "/metadata/uid", self.intent["uid"])])

    def _released(self, raw: Raw, tests: list[dict[str, Any]]) -> Found:
        """What takes away the hold, if it is still ours."""
        late = progress_overdue(raw)
        if not is_midway(raw, self.intent, self.context.token):
            return Found(late)
        return Found(late, Patch(JSON_PATCH, [*tests, *self.release(raw), stage_note(_LET_GO)]))

    def release(self, raw: Raw) -> list[dict[str, Any]]:
        """The operations that take the hold away, as far as it is there."""
        if self.workload.kind == "statefulset":
            where = "/spec/updateStrategy/rollingUpdate/partition"
            held = partition(raw) == int(self.intent["hold"])  # or somebody has set it since
            return [operation("add", where, int(self.intent["partition"]))] if held else []
        body = []
        spec, before = objects.part(raw, "spec"), json.loads(self.intent["strategy"])
        if spec.get("strategy") == surging(self.intent):
            body.append(operation("remove" if before is None else "add", "/spec/strategy", before))
        if spec.get("paused") is True:
            body.append(operation("remove", "/spec/paused"))
        return body

    def meddled(self, raw: Raw) -> Outcome:
        """How it ends when somebody else has changed it."""
        text = f"{self.title}, but {self.rollout.changed_by(raw)}"
        facts = {key: self.intent[key] for key in ("from", "to")}
        return ending(result="failed", reason="reverted", detail=text, facts=facts)
