"""Builds what this daemon is among the replicas of its store: its place in the register, and the
lease by which it conducts. With a store of its own it is registered to be seen, and owns all."""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Callable
from functools import partial

from daemon.adapters.store import SqlReplicas, Store
from daemon.app.clock import now
from daemon.app.sharing import is_shared, read_clocks
from daemon.conduct.conductor import Conductor
from daemon.conduct.leases import LeaseKeeper
from daemon.config.active import ActiveConfig
from daemon.config.settings import Settings
from daemon.core.ports.replicas import SOLE, Fence, Ownership, ReplicaRegister, ReplicaSurvey
from daemon.instrumentation import Observer
from daemon.intake.intake import Intake
from daemon.reporting import reviews
from daemon.repository import IncidentRepository


def fence_for(settings: Settings, *, shared: bool) -> Fence:
    """What this process is called, and what tells it from an earlier one of that name."""
    host = socket.gethostname()
    name = settings.replica.name or (f"{host}-{secrets.token_hex(3)}" if shared else host)
    return Fence(name, secrets.token_hex(8))


class RulesDigest:
    """Tells what the rules folder has put in force from anything else, in a few letters: rules,
    roster, approvals, freeze windows. Worked out once for each that come in force."""

    def __init__(self, active: Callable[[], ActiveConfig]) -> None:
        self._active = active
        self._of: ActiveConfig | None = None
        self._digest = ""

    def __call__(self) -> str:
        """That of what is in force now."""
        active = self._active()
        if active is not self._of:
            rules = (rule for _, rule in sorted(active.rules.rules.items()))
            parts = (*rules, active.roster, active.approvals, active.freezes)
            texts = [part.model_dump_json() for part in parts]
            texts += (f"{name}\n{text}" for name, text in sorted(active.freezes.calendars.items()))
            self._digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
            self._of = active
        return self._digest


class ReplicaPlace:
    """This daemon's place among the replicas; `active`: what is in force."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        version: str,
        observer: Callable[[], Observer],
        active: Callable[[], ActiveConfig],
    ) -> None:
        shared, lease = is_shared(store), settings.replica.lease
        self.fence = fence_for(settings, shared=shared)
        self.register: ReplicaRegister = SqlReplicas(
            store.journal.database, self.fence, version, lease if shared else None, now
        )
        self._rules = RulesDigest(active)
        self.keeper = (
            LeaseKeeper(
                self.register, store.inbox, self.fence, lease, read_clocks, self._rules, observer
            )
            if shared
            else None
        )

    @property
    def ownership(self) -> Ownership:
        """What of the store is this process's to conduct."""
        return self.keeper or SOLE

    def last_survey(self) -> ReplicaSurvey | None:
        """The replicas as last seen; None where there can be one daemon only."""
        return self.keeper.survey if self.keeper is not None else None

    def serve(self, repository: IncidentRepository, conductor: Conductor, intake: Intake) -> None:
        """These act by the lease."""
        if self.keeper is not None:
            self.keeper.conductor = conductor
            self.keeper.deliveries_came = intake.look_again
            self.keeper.unfinished = partial(reviews.unfinished, repository)

    async def begin(self) -> None:
        """Become one of the replicas. Raises Permanent, Temporary."""
        if self.keeper is not None:
            await self.keeper.begin()
        else:
            await self.register.join(self._rules(), now())

    async def leave(self) -> None:
        """Be none any more; what was ours goes to the others at once."""
        if self.keeper is not None:
            await self.keeper.leave()
