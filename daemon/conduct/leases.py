"""This replica's lease, and what it conducts by it: joins, renews, takes, gives up.

What holds, whatever dies, hangs, is suspended or is cut off from the database:

- An incident is conducted by the replica that its head names while that one's lease lasts, by the
  database's clock. Everything that begins an effect is appended only if both are so, in the same
  transaction (`Journal.append`, `fence`), so a replica that was asleep begins nothing.
- A replica that could not renew stops a fifth of the lease before its end, by its own clocks:
  the one that goes on while the machine sleeps, and the time of day, whichever went further. It
  cancels what is under way, and `must_act` refuses whatever would still begin.
- Nobody else takes its incidents before the lease has ended. Between the two lies that fifth, in
  which a cancelled effect ends. The next owner goes on as after a crash: what was announced and
  has no outcome is looked at in the world and not done blindly again.
- When the database was away for longer than a lease, everybody's is over. Whoever is back first
  takes nothing of the others until they have had time to come back, too.

What an action that runs when the lease is lost may still do to the world, and why no second one
meets it there:

- `run_command` and what else starts a program: it goes on, as it does when the daemon is stopped.
  The target's lock stays in the store, and whoever takes the incident looks at nothing before the
  program's own time is over (`Lingers`); then nobody can tell what it did, and people decide.
- `http_call`: the request that was sent may be worked off yet. The next owner waits for as long
  as an answer could take, looks by `check`, and sends with the same Idempotency-Key or not at all.
- Kubernetes, Argo, Git: each request that changes something asks `must_act` right before it is
  sent, and names the version that it is made on, so one that comes late is refused by the server;
  one that came in time is seen there.

No lease closes the moment between a look at the clock and the bytes' way out: a process that is
suspended just there sends them when it wakes. It is a few instructions wide, and the versions, the
key and the wait above are what stands behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Protocol

import structlog

from daemon.core.ports.inbox import Inbox
from daemon.core.ports.replicas import Fence, ReplicaRegister, ReplicaSurvey
from daemon.core.values.drill_key import is_drill_incident
from daemon.core.values.lease import ClockReading, HeldLease, keeps_new, renew_every, to_take
from daemon.core.values.outcome import Permanent, Temporary
from daemon.instrumentation import QUIET, Observer

_log = structlog.get_logger()

_LOOK_EVERY = timedelta(seconds=1)
"""How often it is looked for what nobody conducts."""
_WATCH_EVERY = timedelta(seconds=1)
"""How often at least it is seen whether the lease holds: timers stand still while a computer
sleeps."""
_DELIVERIES_AT_ONCE = 500
_HEAR_SECONDS = 3.0
"""So long what others have done is listened for before what was theirs is conducted."""


class Conducts(Protocol):
    """Conducts the incidents that it is given: `daemon.conduct.conductor.Conductor`."""

    def take(self, incidents: Collection[str]) -> None:
        """Conduct these, which are ours now."""

    def give_up(self, incidents: Collection[str]) -> None:
        """Conduct these no more."""


class LeaseKeeper:
    """Keeps the lease, and knows by it what is ours: an `Ownership`.

    `clocks` reads this process's clocks, `rules` the digest of the rules in force, `unfinished`
    the closed incidents of which something is still to be done. `catch_up` hears of all that other
    replicas have done, before what was theirs is conducted here: whether an incident's storm has
    been told, say; it raises nothing. These, `conductor` and `deliveries_came` are set before
    `run`.
    """

    def __init__(
        self,
        register: ReplicaRegister,
        inbox: Inbox,
        fence: Fence,
        lease: timedelta,
        clocks: Callable[[], ClockReading],
        rules: Callable[[], str] = lambda: "",
        observer: Callable[[], Observer] = lambda: QUIET,
    ) -> None:
        self._register = register
        self._inbox = inbox
        self._fence = fence
        self._lease = lease
        self._clocks = clocks
        self._rules = rules
        self._observer = observer
        self._held: HeldLease | None = None
        self._acts = False
        self._owned: set[str] = set()
        self._wanted: set[str] = set()
        self._opened = 0
        self._left_over = False
        self._ended = False
        self._behind = True
        """Whether the store may say of incidents that they are ours, and we do not conduct them."""
        self._patient_until: float | None = None
        """Until then, by the clock that nobody sets, nothing is taken of others."""
        self._renew_now = asyncio.Event()
        self._hearing: asyncio.Future[object] | None = None
        self.survey: ReplicaSurvey | None = None
        """Who was there when it was last asked."""
        self.conductor: Conducts | None = None
        self.deliveries_came: Callable[[], None] = lambda: None
        self.unfinished: Callable[[], Awaitable[Collection[str]]] = _nothing
        self.catch_up: Callable[[], Awaitable[object]] = _nothing

    # ── what is ours ─────────────────────────────────────────────────────────────────────────

    @property
    def fence(self) -> Fence:
        """Who appends what begins an effect."""
        return self._fence

    @property
    def lease(self) -> timedelta:
        """So long after it was last heard of a replica may yet begin something."""
        return self._lease

    def may_act(self) -> bool:
        """Whether this process may do anything to the world now."""
        held = self._held
        return self._acts and held is not None and held.holds(self._clocks())

    def owns(self, incident: str) -> bool:
        """Whether the incident is this replica's to conduct."""
        return incident in self._owned and self.may_act()

    def opens(self, incident: str) -> str:
        """Who conducts an incident that opens now: this replica, unless it has too many."""
        survey = self.survey
        if survey is None or not self.may_act():
            return ""
        own = survey.own(self._fence.replica) + self._opened
        keeps = keeps_new(own, survey.incidents + self._opened, survey.alive)
        # A drill's stage is set here and nowhere else.
        if not keeps and not is_drill_incident(incident):
            return ""
        self._opened += 1
        self._owned.add(incident)
        return self._fence.replica

    def wants(self, incident: str) -> None:
        """There is something to do about a closed incident that is not ours."""
        self._wanted.add(incident)

    def over(self, incident: str) -> None:
        """The incident is closed, and nothing of it is left to do here."""
        self._owned.discard(incident)

    def lost(self, incident: str, owner: str) -> None:
        """The store has said that the incident is not ours, but `owner`'s."""
        if owner == self._fence.replica:
            self._lapse("the store says that it is over")
            self._renew_now.set()
            return
        self._owned.discard(incident)
        # Of one whose opening came to nothing, or is not known to have come true, no owner is told.
        self._behind = self._behind or not owner
        self._gives_up([incident])

    # ── the lease ────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """Become one of the replicas. Waits for the lease of a dead process of the same name to
        end. Raises Permanent if that one lives, Temporary if the store cannot be asked."""
        patience = self._clocks().monotonic + 2 * self._lease.total_seconds()
        while not await self._join():
            if self._clocks().monotonic > patience:
                name = self._fence.replica
                raise Permanent(
                    f"another replica is alive by the name {name}; give each one its own: "
                    "`replica: {name: …}` in stopgap.yaml, or none, and one is made"
                )
            _log.warning("waiting for the lease of a replica of our name", name=self._fence.replica)
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
        self.survey = await self._register.survey()
        _log.info("this replica is one of", name=self._fence.replica, alive=self.survey.alive)

    async def run(self) -> None:
        """Renew, watch and take, until cancelled."""
        await self._resume_safely()
        async with asyncio.TaskGroup() as group:
            for part in (self._renewing(), self._watching(), self._looking()):
                group.create_task(part)

    async def leave(self) -> None:
        """Be no replica any more; what was ours goes to the others at once."""
        self._ended = True
        self._acts = False
        self._owned.clear()
        try:
            await self._register.leave()
        except (Temporary, Permanent) as error:
            _log.error("the others take over when the lease has ended", why=str(error))

    async def _join(self) -> bool:
        asked = self._clocks()
        if not await self._register.join(self._rules(), asked.wall):
            return False
        await self._inbox.start(self._fence.replica)
        self._hold(asked)
        return True

    def _hold(self, asked: ClockReading) -> None:
        self._held = HeldLease(asked, self._lease)
        self._acts = not self._ended
        self._behind = True

    async def _renewing(self) -> None:
        pause = renew_every(self._lease)
        while not self._ended:
            try:
                async with asyncio.timeout(pause.total_seconds()):
                    await self._renew_now.wait()
            except TimeoutError:
                pass
            self._renew_now.clear()
            pause = renew_every(self._lease)
            try:
                await self._renew()
            except (Temporary, Permanent) as error:
                _log.error("the lease could not be renewed", why=str(error))
                pause = _LOOK_EVERY

    async def _renew(self) -> None:
        asked, had = self._clocks(), self._acts
        if not await self._register.renew(self._rules(), asked.wall):
            if had:
                self._lapse("the store knows this replica no more")
            if not await self._join():
                return
            self._waits_for_others(asked)
        elif self._ended:
            return
        else:
            held = HeldLease(asked, self._lease)
            if had and self.may_act():
                self._held = held
                if not self._behind:
                    await self._find()
                    return
            else:
                self._lapse("it was renewed too late")
                self._hold(asked)
                self._waits_for_others(asked)
        await self._resume_safely()

    def _waits_for_others(self, now: ClockReading) -> None:
        """Our lease was over: so may theirs be, who were cut off from the store as we were."""
        self._patient_until = now.monotonic + renew_every(self._lease).total_seconds()

    async def _resume(self) -> None:
        """Conduct what is ours; a lease that is won back finds what nobody has taken meanwhile.
        Raises Temporary, Permanent."""
        missed = await self._missed()
        await self._inbox.start(self._fence.replica)
        await self._takes(missed)
        self.deliveries_came()
        if self._patient_until is None:
            await self._take_unfinished()

    async def _find(self) -> None:
        """Conduct what the store says is ours and nobody here knows of: it was opened or taken in
        a transaction of which it seemed that it had failed."""
        missed = await self._missed()
        if missed and self.may_act():
            _log.warning("incidents of ours found that nobody conducted", count=len(missed))
            await self._takes(missed)

    async def _missed(self) -> list[str]:
        """What the store says is ours and is not known here as such. Raises Temporary."""
        return [one for one in await self._register.owned() if one not in self._owned]

    async def _resume_safely(self) -> None:
        """As `_resume`; what the store does not answer now is asked for at the next look."""
        try:
            await self._resume()
        except (Temporary, Permanent) as error:
            _log.error("it cannot be seen what is ours to conduct", why=str(error))
        else:
            self._behind = False

    async def _watching(self) -> None:
        while True:
            left = _WATCH_EVERY if self._held is None else self._held.left(self._clocks())
            # Not at once again after one that is over and is being asked for anew.
            pause = min(left, _WATCH_EVERY) if left > timedelta(0) else _WATCH_EVERY
            await asyncio.sleep(pause.total_seconds())
            if self._acts and not self.may_act():
                self._lapse("it could not be renewed in time")
                self._renew_now.set()

    def _lapse(self, why: str) -> None:
        """Do nothing more to the world, before others may."""
        if not self._acts:
            return
        self._acts = False
        lost = list(self._owned)
        self._owned.clear()
        _log.error("the lease is lost; others take over", why=why, incidents=len(lost))
        self._observer().lease_lost()
        self._gives_up(lost)

    # ── what is nobody's ─────────────────────────────────────────────────────────────────────

    async def _looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            if not self.may_act():
                continue
            if self._behind:
                await self._resume_safely()
            try:
                await self.look()
            except (Temporary, Permanent) as error:
                # What was taken may be ours though nobody has told us so.
                self._behind = True
                _log.error("it cannot be seen what nobody conducts", why=str(error))

    async def look(self) -> None:
        """Take of what no living replica conducts. Raises Temporary, Permanent."""
        before, survey = self.survey, await self._register.survey()
        self.survey, self._opened = survey, 0
        if self._patient_until is not None:
            if self._clocks().monotonic < self._patient_until:
                return
            self._patient_until, before = None, None
        left_over, self._left_over = self._left_over, survey.orphans > 0
        if survey.orphans:
            own = survey.own(self._fence.replica)
            most = to_take(own, survey.orphans, survey.incidents, survey.alive, left_over=left_over)
            taken = await self._register.take(most) if most else []
            if taken:
                _log.warning("incidents taken that nobody conducted", count=len(taken))
                self._observer().taken_over(len(taken))
                await self._takes(taken)
        if survey.orphaned_deliveries and await self._inbox.take_over(_DELIVERIES_AT_ONCE):
            self.deliveries_came()
        if before is None or _living(before) - _living(survey):
            await self._take_unfinished()
        if self._wanted:
            await self._take_these(list(self._wanted))

    async def _take_unfinished(self) -> None:
        """The closed incidents of which something is still to be done, and nobody does it."""
        await self._take_these(await self.unfinished())

    async def _take_these(self, incidents: Collection[str]) -> None:
        taken = await self._register.take_these(incidents)
        self._wanted.difference_update(incidents)
        await self._takes(taken)

    async def _takes(self, incidents: Collection[str]) -> None:
        """They are ours from now on."""
        if not incidents:
            return
        self._owned.update(incidents)
        # Not for long: people wait to be called.
        self._hearing = asyncio.ensure_future(self.catch_up())
        await asyncio.wait({self._hearing}, timeout=_HEAR_SECONDS)
        if self.conductor is not None:
            self.conductor.take([incident for incident in incidents if incident in self._owned])

    def _gives_up(self, incidents: Collection[str]) -> None:
        if self.conductor is not None:
            self.conductor.give_up(incidents)


async def _nothing() -> Collection[str]:
    return ()


def _living(survey: ReplicaSurvey) -> frozenset[str]:
    return frozenset(one.name for one in survey.replicas if one.alive)
