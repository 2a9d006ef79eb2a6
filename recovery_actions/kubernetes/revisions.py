"""What a workload has been: its ReplicaSets or ControllerRevisions, and which one is live.

The name of a ReplicaSet or ControllerRevision is the *item*: it comes from the content of the
pod template, so it is the same again when an old template comes back, while the revision's
number is a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from daemon.core.changes.suspects import Change
from daemon.core.values.outcome import Temporary
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import APPS, Workload
from recovery_actions.kubernetes.objects import Raw

_DIGITS = 18
"""A revision's number has at most so many, as an int64."""

_PROMPT = timedelta(seconds=5)
"""A ControllerRevision that was changed later than this after its creation came back then."""


@dataclass(frozen=True)
class WorkloadRevision:
    """One thing that a workload has been. `earlier`: the numbers it had before it came back.

    `data` is what a ControllerRevision keeps. `touched` is when the controller last changed the
    object: when it came back, or when it was scaled. `away`: it has no pods any more; `available`:
    so many serve. Both are known of ReplicaSets alone.
    """

    item: str
    uid: str
    number: int
    template: dict[str, Any]
    created: datetime | None
    touched: datetime | None
    away: bool = False
    available: int = 0
    earlier: tuple[int, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What people call it: 'revision 3, app:2'."""
        return f"revision {self.number}, {objects.images(self.template)}"

    @property
    def title(self) -> str:
        """For a sentence: 'checkout-74cf55b5dd (revision 3, app:2)'."""
        return f"{self.item} ({self.text})"


@dataclass(frozen=True)
class WorkloadState:
    """A workload as it stands. `revisions` by their numbers, the newest last."""

    workload: Workload
    raw: dict[str, Any]
    revisions: tuple[WorkloadRevision, ...]

    @property
    def live(self) -> WorkloadRevision | None:
        """The revision of the template that stands in the workload.

        None while the controller has not yet made one of it. A paused Deployment runs the last
        one that it made.
        """
        template_digest = objects.digest(objects.template_of(self.raw))
        same = [one for one in self.revisions if objects.digest(one.template) == template_digest]
        if same:
            # Of several that are equal, the newest number is the one that the controller uses.
            return same[-1]
        last = self.revisions[-1] if self.revisions else None
        if self.workload.kind == "deployment":
            return last if objects.part(self.raw, "spec").get("paused") is True else None
        if not observed_changes(self.raw):
            return None
        # A ControllerRevision of an older API server may lack newer defaults.
        updated = objects.string(objects.part(self.raw, "status"), "updateRevision")
        if self.workload.kind == "statefulset":
            return self.find(updated)
        return last

    def find(self, item: str) -> WorkloadRevision | None:
        """The revision of that item."""
        return next((one for one in self.revisions if one.item == item), None)

    def numbered(self, number: int) -> WorkloadRevision | None:
        """The revision that has, or once had, that number."""
        for one in reversed(self.revisions):
            if number == one.number or number in one.earlier:
                return one
        return None


def observed_changes(raw: Raw) -> bool:
    """Whether the controller has seen what the object asks for now."""
    generation = objects.number(objects.part(raw, "metadata"), "generation")
    return objects.number(objects.part(raw, "status"), "observedGeneration") >= generation


async def read_state(client: ClusterClient, workload: Workload) -> WorkloadState:
    """Read a workload and its revisions. Raises Missing, Forbidden, Temporary or Permanent."""
    raw = await client.get(workload.resource)
    of_deployment = workload.kind == "deployment"
    plural = "replicasets" if of_deployment else "controllerrevisions"
    found = await client.items(workload.beside(APPS, plural), objects.selector_of(raw))
    uid = objects.uid_of(raw)
    read = _replicaset if of_deployment else _controllerrevision
    revisions = [read(one) for one in found if objects.owned_by(one, uid)]
    return WorkloadState(workload, raw, tuple(sorted(revisions, key=lambda one: one.number)))


def known_live(state: WorkloadState) -> WorkloadRevision:
    """The live revision. Raises Temporary while the controller has not made one."""
    live = state.live
    if live is None:
        raise Temporary(
            f"{state.workload.title} has just been changed, and its controller has not yet taken "
            "that up; if this goes on, look at kube-controller-manager"
        )
    return live


def _replicaset(raw: Raw) -> WorkloadRevision:
    annotations = objects.annotations_of(raw)
    earlier = annotations.get(objects.REVISION_HISTORY, "")
    touched = objects.managers(raw, "f:spec", "f:replicas")
    return WorkloadRevision(
        item=objects.name_of(raw),
        uid=objects.uid_of(raw),
        number=_int(annotations.get(objects.REVISION, "")),
        earlier=tuple(sorted({_int(n) for n in earlier.split(",")} - {0})),
        template=objects.bare_template(objects.template_of(raw)),
        annotations=annotations,
        created=objects.created_at(raw),
        touched=touched[-1][1] if touched else None,
        away=objects.number(objects.part(raw, "spec"), "replicas", absent=1) == 0,
        available=objects.number(objects.part(raw, "status"), "availableReplicas"),
    )


def _controllerrevision(raw: Raw) -> WorkloadRevision:
    data = dict(objects.part(raw, "data"))
    touched = objects.managers(raw, "f:revision")
    return WorkloadRevision(
        item=objects.name_of(raw),
        uid=objects.uid_of(raw),
        number=objects.number(raw, "revision"),
        template=objects.bare_template(objects.part(data, "spec", "template")),
        annotations=objects.annotations_of(raw),
        created=objects.created_at(raw),
        touched=touched[-1][1] if touched else None,
        data=data,
    )


def _int(text: str) -> int:
    """A revision's number in an annotation, which anybody may write; 0 if it is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else 0


# ── history ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Coming:
    """At that number a revision became live; `at` is None if nobody can tell when."""

    number: int
    revision: WorkloadRevision
    at: datetime | None


def workload_history(state: WorkloadState) -> list[Change]:
    """What became live and when, oldest first; the last is the live one.

    Of a revision that came back, the first coming is dated by its creation, and a later one by
    when the revision that it displaced was scaled away, which nothing moves afterwards. Who owns
    fields of the template dates it only until then: that date moves with all that they do.
    Where nothing dates a coming, or a revision has been tidied away, the history begins after
    the gap: an item must never be credited with a time in which another was live.
    """
    live = state.live
    if live is None:
        return []
    known: list[_Coming] = []
    for coming in reversed([one for one in _comings(state) if one.number <= live.number]):
        if coming.at is None or (known and coming.number != known[0].number - 1):
            break
        # What a later one proves is more exact than a guess that contradicts it.
        at = min(coming.at, known[0].at or coming.at) if known else coming.at
        known.insert(0, _Coming(coming.number, coming.revision, at))
    return [
        Change(
            subject=state.workload.target,
            item=one.revision.item,
            previous=known[position - 1].revision.item if position else "",
            at=one.at,
            seen_by="kubernetes",
            text=f"revision {one.number}, {objects.images(one.revision.template)}",
        )
        for position, one in enumerate(known)
        if one.at is not None
    ]


def _comings(state: WorkloadState) -> list[_Coming]:
    numbered = sorted(
        ((n, one) for one in state.revisions for n in (*one.earlier, one.number)),
        key=lambda pair: pair[0],
    )
    found = []
    for position, (number, revision) in enumerate(numbered):
        before = numbered[position - 1] if position else None
        displaced = before[1] if before and before[0] == number - 1 == before[1].number else None
        if state.workload.kind == "deployment":
            at = _replicaset_came(state, revision, number, displaced)
        else:
            at = _controllerrevision_came(revision)
        found.append(_Coming(number, revision, at))
    return found


def _replicaset_came(
    state: WorkloadState,
    revision: WorkloadRevision,
    number: int,
    displaced: WorkloadRevision | None,
) -> datetime | None:
    if number == min((*revision.earlier, revision.number)):
        return revision.created
    if displaced is not None and displaced.away and displaced.touched is not None:
        return displaced.touched
    if revision is state.live and number == revision.number:
        changed = objects.managers(state.raw, "f:spec", "f:template")
        return changed[-1][1] if changed else None
    return None


def _controllerrevision_came(revision: WorkloadRevision) -> datetime | None:
    made, touched = revision.created, revision.touched
    if made is None or touched is None:
        return made
    return touched if touched - made > _PROMPT else made
