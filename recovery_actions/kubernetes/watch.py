"""Sees which revisions of a workload have been live: `changes: {kubernetes: …}` of a rule.

changes:
  kubernetes: {namespace: prod, deployment: checkout}
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.changes.suspects import Change
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Missing
from recovery_actions.kubernetes.installed import missing_client
from recovery_actions.kubernetes.names import WorkloadParams
from recovery_actions.kubernetes.revisions import known_live, read_state, workload_history
from recovery_actions.kubernetes.rollout import rollout_status
from recovery_actions.workshop import Workshop


class KubernetesWatch:
    """Sees the changes of one Deployment, StatefulSet or DaemonSet."""

    Params = WorkloadParams

    @staticmethod
    def allowed(_: WorkloadParams) -> str | None:
        """Why it cannot be watched here, or None."""
        return missing_client()

    def __init__(self, params: WorkloadParams, workshop: Workshop) -> None:
        self._workload = params.workload
        self._client = workshop.shared(ClusterClient)

    async def look(self) -> Sequence[Change]:
        """What its revisions tell, oldest first; the last made the live one live.

        Empty if there is no such workload, or if nobody can tell when the live one came. Raises
        Temporary or Permanent.
        """
        try:
            state = await read_state(self._client, self._workload)
        except Missing:
            return ()
        known_live(state)
        changes = workload_history(state)
        if not changes:
            return ()
        rolling = not rollout_status(self._workload.kind, state.raw).finished
        return (*changes[:-1], changes[-1].model_copy(update={"rolling": rolling}))
