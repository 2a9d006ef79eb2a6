"""What the actions upon one workload have in common: client, lock, refusals, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from daemon.core.ports.actions import ActionContext, Refused
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, VersionConflict
from recovery_actions.kubernetes.installed import missing_client
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.showing import show_object
from recovery_actions.kubernetes.waiting import PollPace
from recovery_actions.reasons import NotReady
from recovery_actions.workshop import NoSuchCluster, Workshop


class NamesWorkload(Protocol):
    """Parameters that name one workload."""

    @property
    def workload(self) -> Workload:
        """The workload."""


_P = TypeVar("_P", bound=NamesWorkload)


class WorkloadAction(Generic[_P]):
    """An action upon one workload; whoever changes the same one shares its lock."""

    def __init__(self, workshop: Workshop, pace: PollPace | None = None) -> None:
        self._client = workshop.shared(ClusterClient)
        self._pace = pace or PollPace()

    def allowed(self, params: _P) -> str | None:
        """Why it cannot be done here: without its client. What may be done, the cluster says."""
        return missing_client()

    def target(self, params: _P) -> str:
        """'kubernetes:prod/deployment/checkout': all who change it share the lock."""
        return params.workload.target

    async def show(self, params: _P, context: ActionContext) -> Mapping[str, str]:
        """The live revision, the counters, the conditions and the pods."""
        return await show_object(self._client, params.workload)


def refused_by_cluster(error: Permanent, tried: str) -> Refused:
    """What the API server's answer to a preflight means; `tried` names the dry run."""
    match error:
        case NoSuchCluster():
            return NotReady("no_such_cluster", str(error))
        case Missing():
            return NotReady("no_such_workload", f"{error}; look at the name and the namespace")
        case Forbidden():
            return NotReady("forbidden", str(error))
        case _:
            return NotReady("dry_run_failed", f"a dry run of {tried} failed: {error}")


def changed_under_dry_run(error: VersionConflict) -> Refused:
    """Somebody changed the workload between reading it and the dry run."""
    return NotReady("changed_meanwhile", f"{error}; the next attempt will see what it is")
