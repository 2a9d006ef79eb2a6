"""What a step of `kubernetes_rollback` asks for, and how it is known again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from recovery_actions.kubernetes import objects, ownership, patches
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.revisions import WorkloadRevision
from recovery_actions.kubernetes.waiting import PollPace


@dataclass
class RollbackRequest:
    """What a step asks for, and what became of it: the workload `before` our patch, the template
    that the server `made` of it, as a digest, and all revisions but the one that is asked for.
    `takes_back`: it asks for what people deployed last, which a rollback had replaced."""

    intent: Mapping[str, str]
    token: str
    to: WorkloadRevision | None = None
    before: Raw | None = None
    made: str = ""
    older: Collection[str] = ()
    takes_back: bool = False

    @property
    def asked(self) -> Raw | None:
        """The pod template that is asked for."""
        return self.to.template if self.to else None

    def landed(self, raw: Raw) -> None:
        """The patch was answered with that workload."""
        self.made = objects.digest(objects.template_of(raw))

    def is_ours(self, raw: Raw) -> bool:
        """Whether the workload asks for what this step asked for, and because of it."""
        if objects.uid_of(raw) != self.intent["uid"]:
            return False
        if not patches.carries_step(raw, self.token):
            return False
        if objects.digest(objects.template_of(raw)) in {self.intent["template"], self.made}:
            return True
        return self.asked is not None and ownership.still_asked(raw, self.asked)

    def owes_fields(self, raw: Raw) -> bool:
        """Whether the fields that our patch took are still to be given back."""
        return ownership.owes_fields(raw, self.asked)

    def meddlers(self, raw: Raw) -> list[str]:
        """Who has changed it since."""
        return ownership.meddlers(raw, self.asked) if self.asked is not None else []

    async def hand_back(
        self, client: ClusterClient, workload: Workload, pace: PollPace
    ) -> list[str]:
        """Give back the fields that our patch took; what the next deployment has to know."""
        if self.asked is None:
            return []
        notes = []
        if self.made not in ("", objects.digest(self.asked)):
            notes.append(
                "the cluster changed the template on its way (admission, or newer defaults), so it "
                "may run as a revision of its own"
            )
        notes.append(
            await ownership.hand_back_fields(client, workload, self.asked, self.before, pace)
        )
        if self.before is not None and not self.takes_back:
            had = objects.template_of(self.before)
            notes.append(ownership.left_by_next_apply(self.before, had, self.asked))
        return notes
