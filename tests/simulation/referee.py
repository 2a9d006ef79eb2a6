"""The invariants: judged after each commit and each thing that is really done, and every few
seconds. Each has a name, which a failing seed is told by.

What the daemon knows is taken from the rows that were committed, and from nowhere else; what was
done, from the record of the world outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Owed
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.plan import content_of
from daemon.core.values.seal import UNKEYED
from tests.fakes import START
from tests.simulation import setting
from tests.simulation.loop import LIFE, Life
from tests.simulation.outside import Outside, Posted, Rang, Run
from tests.simulation.scenario import FaultKind
from tests.simulation.store import Disk
from tests.simulation.tiers import TIER_PATIENCE, Tiers

Invariant = Literal[
    "a confirmed problem and a valid approval",
    "one action on a target",
    "one run a step",
    "budgets hold",
    "a page is due",
    "no alert is lost",
    "no page twice",
    "no update twice",
    "the chain is whole",
    "it ends or somebody is called",
    "no defect of ours",
    "what is remembered is what was written",
    "no veto is passed over",
    "no freeze is passed over",
    "only who has the lease begins",
    "what is due is done",
    "nobody is called in vain",
    "each tier is called",
]
INVARIANTS: tuple[Invariant, ...] = Invariant.__args__  # type: ignore[attr-defined]

_BEGINS = (e.StepStarted, e.StepPrepared, e.EffectClaimed)
"""What lets something begin that is done to the world."""
PATIENCE = 2 * setting.WAIT.total_seconds() + 45.0
"""Seconds within which an open incident that nobody took has rung somebody again: the longest wait
between two calls that reach anybody, the backoff of one that failed, and the watchdog's round."""
PROMPT = 25.0
"""Seconds within which it has rung somebody at all, besides what the first page may be held."""
DONE_IN = 25.0
"""Seconds within which a new incident was measured, and a closed one has its review."""
_STORE_FAULTS: frozenset[FaultKind] = frozenset(
    {"disk full", "disk fails", "disk fails after that", "commit unknown", "commit unknown at that"}
)
TAKEN_IN = 20.0
"""Seconds within which an accepted alert is in an incident, once nothing is in the way."""


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: Invariant, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text


class Referee:
    """Watches one simulation. `calm_since`: when the last thing went wrong that may hold up
    calls."""

    def __init__(self, outside: Outside, lives: Sequence[Life]) -> None:
        self.outside = outside
        self.lives = lives
        self.incidents: dict[str, Incident] = {}
        self.tiers = Tiers(self.incidents)
        self.digests: dict[str, str] = {}
        self.kinds: Counter[str] = Counter()
        self.violation: Violation | None = None
        self.accepted: list[tuple[float, str, str, datetime, datetime | None]] = []
        """(when, alert identity, status, began, ended) of alerts whose delivery was answered."""
        self.apart = 0.0
        """Seconds by which the clocks of replicas differ, at most: what one has stamped waits so
        much longer with the next. `stopgap replicas` tells of it."""
        self.store_away_until: Callable[[], float] = lambda: 0.0
        """Until when the store last failed whoever asked it, as of now."""
        self._delivered: set[tuple[str, str]] = set()
        self._claimed_in_time: dict[tuple[str, str], int] = {}
        """The life that has claimed a page last, before its delivery was written down."""
        self._calling_since: dict[str, float] = {}
        self._called: dict[str, float] = {}
        self._automatic: list[tuple[datetime, str, str]] = []
        self._frozen: Callable[[str, str], str] = lambda _, __: ""
        self.told: Callable[[str], None] = lambda _: None
        self.limits = setting.TIGHT if outside.scenario.tight else setting.LIMITS
        self.may_begin: Callable[[Life, str], bool] = lambda _, __: True
        """Whether a life's replica has the lease of an incident."""
        self.owed: Callable[[int], Sequence[Owed]] = lambda _: ()
        """What a replica has kept of outcomes that its store did not take."""
        self._calm_since = 0.0
        self._opened: dict[str, float] = {}
        self._closed: dict[str, float] = {}
        self._ran: dict[str, float] = {}
        """When the newest step of an incident started."""

    @property
    def now(self) -> float:
        """Seconds of the simulation."""
        return self.outside.loop.now

    def fail(self, invariant: Invariant, text: str) -> None:
        """Note that an invariant does not hold; the first one counts."""
        if self.violation is None:
            self.violation = Violation(invariant, text)
            self.told(f"VIOLATED {invariant}: {text}")

    # ── what was committed ───────────────────────────────────────────────────────────────────

    def committed(self, entries: Sequence[e.Entry]) -> None:
        """A transaction has added these."""
        for entry in entries:
            self._chain(entry)
            before = self.incidents.get(entry.incident)
            if before is None:
                assert isinstance(entry.event, e.IncidentOpened)
                after = Incident(entry.incident, entry.at, entry.event, entry.seq)
                self._opened[entry.incident] = self.now
            else:
                self._judge(before, entry)
                after = apply_event(before, entry.at, entry.event, entry.by)
                after = replace(after, seq=entry.seq)
            self.incidents[entry.incident] = after
            if after.closed is not None:
                self._closed.setdefault(after.id, self.now)
            else:
                self._closed.pop(after.id, None)
            self.tiers.wrote(after.id, entry.event, self.now)
            self.kinds[entry.event.kind] += 1
            life = LIFE.get()
            who = f"{entry.by} (r{life.replica})" if life is not None else entry.by
            self.told(f"{entry.incident} {entry.seq} {who}: {entry.event.describe()[:110]}")
            self._waits(after)

    def _chain(self, entry: e.Entry) -> None:
        known = self.incidents.get(entry.incident)
        seq = known.seq if known else 0
        if entry.seq != seq + 1:
            self.fail("the chain is whole", f"entry {entry.seq} of {entry.incident} after {seq}")
        self.digests[entry.incident] = entry.digest

    def _judge(self, before: Incident, entry: e.Entry) -> None:
        """What may not be written of an incident that stands so."""
        event = entry.event
        self._with_lease(entry)
        match event:
            case e.StepStarted():
                self._started(before, event, entry.at)
            case e.StepPrepared():
                if before.step(event.step).vetoed_by:
                    text = f"step {event.step} of {before.id} was vetoed before it was prepared"
                    self.fail("no veto is passed over", text)
            case e.PageQueued(purpose="escalation") if before.commander or before.closed:
                if not any(page.jumps for page in before.pages.values()):
                    text = f"{event.page} of {before.id}, which {before.commander} has taken"
                    self.fail("nobody is called in vain", text)
            case e.PageDelivered():
                self._page_delivered((before.id, event.page))
            case e.EffectClaimed(effect="page"):
                self._page_claimed((before.id, event.about))
            case e.EscalationDefect():
                self._defect(before, event)
            case _:
                pass

    def _page_claimed(self, page: tuple[str, str]) -> None:
        life = LIFE.get()
        if life is not None and page not in self._delivered:
            self._claimed_in_time[page] = life.number

    def _page_delivered(self, page: tuple[str, str]) -> None:
        life = LIFE.get()
        self._delivered.add(page)
        # Whoever writes it has nothing more to ring for.
        if life is None or self._claimed_in_time.get(page) == life.number:
            self._claimed_in_time.pop(page, None)

    def _with_lease(self, entry: e.Entry) -> None:
        life = LIFE.get()
        if life is None or not isinstance(entry.event, _BEGINS):
            return
        if not self.may_begin(life, entry.incident):
            text = f"{entry.event.kind} of {entry.incident} by {life}, which has no lease"
            self.fail("only who has the lease begins", text)

    def _started(self, before: Incident, event: e.StepStarted, at: datetime) -> None:
        self._ran[before.id] = self.now
        state, name = before.step(event.step), f"step {event.step} of {before.id}"
        rule = setting.book().rules.get(before.rule)
        by_person = bool(state.approved_by)
        if before.confirmed is None and not state.ordered:
            self.fail("a confirmed problem and a valid approval", f"{name}: nothing is confirmed")
        if rule is None:
            return
        if by_person:
            if state.approved_content != content_of(before, rule, event.step):
                text = f"{name}: what was approved is not what is started"
                self.fail("a confirmed problem and a valid approval", text)
        else:
            approvals = setting.approvals() if self.outside.scenario.approved else Approvals()
            standing, _ = approvals.state_of(rule, event.step, at)
            if standing != "valid" or rule.step(event.step).approval != "automatic":
                text = f"{name} started by itself and is {standing}"
                self.fail("a confirmed problem and a valid approval", text)
            self._budgets(name, before, at)
        # What a person orders while they have paused the automation, they mean.
        paused = before.paused_by and not state.ordered
        if state.vetoed_by or paused or before.closed is not None:
            stopped = f"vetoed {state.vetoed_by}, paused {before.paused_by}, {before.closed}"
            self.fail("no veto is passed over", f"{name} starts: {stopped}")
        service = before.group_labels.get("service", "")
        frozen = self._frozen(before.opened.team, service)
        if frozen:
            self.fail("no freeze is passed over", f"{name} starts while {frozen} is frozen")

    def _budgets(self, name: str, incident: Incident, at: datetime) -> None:
        window = self.limits.budget_window
        recent = [one for one in self._automatic if one[0] > at - window]
        counts = {
            "rule": sum(rule == incident.rule for _, rule, _ in recent),
            "team": sum(team == incident.opened.team for _, _, team in recent),
            "global": len(recent),
        }
        for level, budget in self.limits.budgets.items():
            if counts.get(level, 0) >= budget:
                self.fail(
                    "budgets hold", f"{name}: {counts[level]} of {budget} were spent ({level})"
                )
        self._automatic.append((at, incident.rule, incident.opened.team))

    def frozen_by(self, frozen: Callable[[str, str], str]) -> None:
        """How to know which freeze concerns a team and a service at this moment."""
        self._frozen = frozen

    # ── what was done ────────────────────────────────────────────────────────────────────────

    def ran(self, run: Run) -> None:
        """An action begins."""
        incident, number = self._of_token(run.token)
        state = incident.step(number)
        if state.status != "running" or state.intent is None:
            text = f"{run.token} begins, and its journal says {state.status}"
            self.fail("a confirmed problem and a valid approval", text)
        if run.life.ended:
            self.fail("no defect of ours", f"{run.token} is run by {run.life}, which has ended")
        runs = self.outside.record.runs
        # Of a run whose daemon died nobody says when it ended; of the one that went on, one does.
        over = {one.token for one in runs if one.ended_at is not None and one.token != run.token}
        for other in runs:
            if other is run or other.target != run.target:
                continue
            # Who goes on with an action knows by its token what is under way; nobody else may.
            left = other.life.gone_since(other.at) or not other.awaited
            goes_on = other.token == run.token and left
            if other.ended_at is None and not goes_on and other.token not in over:
                text = f"{run.token} begins on {run.target} while {other.token} is at it"
                self.fail("one action on a target", text)
        earlier = [other for other in runs if other is not run and other.token == run.token]
        if earlier:
            self._run_again(run, earlier[-1])

    def _run_again(self, run: Run, last: Run) -> None:
        if last.life is run.life and last.awaited:
            text = f"{run.token} is run again by {run.life}, which waits for it already"
            self.fail("one run a step", text)
        looks = [c for c in self.outside.record.checks if c.token == run.token and c.at >= last.at]
        if not looks or looks[-1].landed not in {"not_done", "half_done"}:
            said = looks[-1].landed if looks else "nothing, for nobody looked"
            text = f"{run.token} is run again, and its target said {said}"
            self.fail("one run a step", text)
        elif last.awaited and not self._untold(last.life.number, last.at, run.life.number):
            self.fail(
                "one run a step", f"{run.token} is run again by {run.life}; {last.life} lives"
            )

    def rang(self, rang: Rang) -> None:
        """A phone rings."""
        self._called[rang.incident] = self.now
        page = (rang.incident, rang.page)
        again = [
            other
            for other in self.outside.record.rings
            if other is not rang and (other.incident, other.page) == page
        ]
        # What another replica tells late, between the claim and the ring, nobody could know.
        if page in self._delivered and self._claimed_in_time.get(page) != rang.life:
            text = f"{rang.page} of {rang.incident} rings after it was delivered"
            self.fail("no page twice", text)
        owed = self.owed(self.lives[rang.life].replica)
        if any(
            isinstance(draft.event, e.PageDelivered) and draft.event.page == rang.page
            for one in owed
            if one.incident == rang.incident
            for draft in one.drafts
        ):
            text = f"{rang.page} of {rang.incident} rings, whose delivery is kept as owed"
            self.fail("no page twice", text)
        for other in again:
            if other.answered and not self._untold(other.life, other.at, rang.life):
                text = f"{rang.page} of {rang.incident} rings twice, at {other.at:.1f} too"
                self.fail("no page twice", text)
        if rang.incident not in self.incidents:
            self.fail("no page twice", f"a page of {rang.incident}, which is in no journal")
        elif rang.page not in self.incidents[rang.incident].pages:
            text = f"{rang.page} of {rang.incident} rings and is in no journal"
            self.fail("no page twice", text)
        else:
            self.tiers.rang(rang)

    def posted(self, posted: Posted) -> None:
        """A channel shows something."""
        for other in self.outside.record.posts:
            same = (other.incident, other.update, other.version) == (
                posted.incident,
                posted.update,
                posted.version,
            )
            untold = self._untold(other.life, other.at, posted.life)
            # What is told of a maintenance window is noted afterwards, which the store may refuse.
            if not posted.incident and self.outside.met & _STORE_FAULTS:
                continue
            if other is not posted and same and other.answered and not untold:
                text = f"{posted.update} v{posted.version} of {posted.incident}"
                self.fail("no update twice", text)

    def _untold(self, life: int, since: float, by: int) -> bool:
        """Whether who acts now could not know what that life got to know then: it has ended, was
        away or given up what was under way since, or the store was away for so long that another
        replica goes on."""
        one, other = self.lives[life], self.lives[by]
        taken_over = one.replica != other.replica and self.store_away_until() >= since
        return one.gone_since(since) or one.lapsed_at >= since or taken_over

    def _of_token(self, token: str) -> tuple[Incident, int]:
        incident, _, number = token.rpartition("/")
        return self.incidents[incident], int(number)

    # ── what must come ───────────────────────────────────────────────────────────────────────

    def _waits(self, incident: Incident) -> None:
        """Keep since when somebody must be called for it."""
        known = incident.organization
        over = incident.closed or incident.commander or incident.recovered_at
        if over or known.held or known.merging:
            self._calling_since.pop(incident.id, None)
        else:
            self._calling_since.setdefault(incident.id, self.now)

    def _defect(self, before: Incident, event: e.EscalationDefect) -> None:
        if not self.outside.scenario.faults or self.now - self._calm_since > PATIENCE:
            self.fail(
                "no defect of ours", f"the watchdog had to call for {before.id}: {event.text}"
            )

    def look(self, calm_since: float) -> None:
        """Every few seconds: is anybody forgotten? Nothing went wrong since `calm_since`."""
        self._calm_since = calm_since
        self._is_done(calm_since)
        for incident, since in self._calling_since.items():
            if self._snoozed(self.incidents[incident]):
                continue
            heard = max(since, self._last_call(incident), calm_since)
            tried = any(page.failed_methods for page in self.incidents[incident].pages.values())
            first = self._last_call(incident) == 0.0 and not tried
            patience = PROMPT + self.outside.scenario.hold if first else PATIENCE
            if self.now - heard > patience + self.apart:
                text = f"nobody was called for {incident} since {heard:.0f} s"
                self.fail("a page is due", text)
        late = self.tiers.late(self._calling_since, self.now, self._time(), self._grace)
        if late:
            self.fail("each tier is called", late)
        for at, identity, status, began, _ended in self.accepted:
            if status == "firing" and self.now - max(at, calm_since) > TAKEN_IN:
                self._taken_in(identity, began)

    def _time(self) -> datetime:
        return START + timedelta(seconds=self.now)

    def _grace(self, due: float) -> float:
        """Until when a tier that is due then must have been called."""
        held = self.outside.scenario.hold + self.apart
        return max(due, self._calm_since) + TIER_PATIENCE + held

    def _is_done(self, calm_since: float) -> None:
        for incident in self.incidents.values():
            if incident.organization.merging:
                continue
            closed = self._closed.get(incident.id)
            measurable = incident.rule in setting.book().rules
            # One that was closed before it was measured has no samples to keep.
            kept = incident.recorded or not measurable or incident.problem is None
            if closed is not None and not (incident.review and kept):
                # Partial answers are not kept as an incident's samples: they are asked for again.
                held_up = calm_since if not incident.review else max(calm_since, self._warned())
                late = self.now - max(closed, held_up) > DONE_IN
                what = "has no review" if not incident.review else "has no samples kept"
            elif closed is None and measurable and incident.problem is None:
                late = self.now - max(self._opened[incident.id], calm_since) > DONE_IN
                what = "was never measured"
            else:
                continue
            if late:
                self.fail("what is due is done", f"{incident.id} {what}")

    def _warned(self) -> float:
        """Until when Prometheus has answered with warnings, as of now."""
        faults = self.outside.scenario.faults if not self.outside.calm else ()
        warned = [fault for fault in faults if fault.kind == "prometheus warns"]
        return max((min(f.at + f.lasts, self.now) for f in warned if f.at <= self.now), default=0.0)

    def _snoozed(self, incident: Incident) -> bool:
        """Whether somebody has answered a call: not now, or not I."""
        return bool(incident.call_answers != type(incident.call_answers)())

    def _last_call(self, incident: str) -> float:
        known = self.incidents[incident].storm
        calls = [self._called.get(incident, 0.0)]
        if known is not None:
            calls += [
                at
                for other, at in self._called.items()
                if (storm := self.incidents[other].storm) is not None and storm.storm == known.storm
            ]
        return max(calls)

    def _taken_in(self, identity: str, began: datetime) -> None:
        for incident in self.incidents.values():
            alert = incident.alerts.get(identity)
            if alert is not None and alert.starts_at >= began:
                return
        for _, other, status, _, ended in self.accepted:
            if other == identity and status == "resolved" and ended and ended >= began:
                return  # it was over before it was told
        self.fail("no alert is lost", f"{identity} of {began:%H:%M:%S} is in no incident")

    # ── at the end ───────────────────────────────────────────────────────────────────────────

    def at_the_end(self, disk: Disk) -> None:
        """When all has been quiet for a while."""
        if disk.sql:
            self._whole_chain(disk.rows)
        # What has started just before the simulation ends may run.
        young = {name for name, since in self._ran.items() if self.now - since < DONE_IN}
        for incident in self.incidents.values():
            if incident.running is not None and incident.id not in young:
                text = f"step {incident.running.number} of {incident.id} still runs"
                self.fail("it ends or somebody is called", text)
            if incident.closed or incident.commander or incident.organization.merging:
                continue
            if self._last_call(incident.id) == 0.0 and not incident.recovered_at:
                text = f"{incident.id} is open, and nobody was ever called"
                self.fail("it ends or somebody is called", text)
        for name, target in disk.holders():
            if name in young:
                continue
            self.fail("one action on a target", f"{name} holds {target}, and does not run")
        waiting = disk.unprocessed()
        if waiting:
            self.fail("no alert is lost", f"{waiting} deliveries are not processed")

    def _whole_chain(self, rows: Callable[..., list[tuple[object, ...]]]) -> None:
        previous: dict[str, str] = {}
        columns_of = "incident, seq, at, by, kind, format, body, digest"
        query = f"SELECT {columns_of} FROM events ORDER BY incident, seq"  # noqa: S608 - ours
        for incident, *columns, digest in rows(query):
            name = str(incident)
            made = UNKEYED.digest(previous.get(name, ""), name, *columns)  # type: ignore[arg-type]
            if made != digest:
                self.fail("the chain is whole", f"entry {columns[0]} of {name}")
            previous[name] = str(digest)
        last = ""
        query = "SELECT number, kind, at, incident, seq, body, digest FROM ledger ORDER BY number"
        expected = 1
        for number, *columns, digest in rows(query):
            made = UNKEYED.digest(last, number, *columns)  # type: ignore[arg-type]
            if number != expected or made != digest:
                self.fail("the chain is whole", f"row {number} of the ledger")
            expected, last = expected + 1, str(digest)

    def remembered(self, known: Incident, owed: bool) -> None:
        """What a daemon has in memory of an incident when all is quiet."""
        written = self.incidents.get(known.id)
        if owed or written is None or known.seq > written.seq:
            text = f"{known.id} is known and not written" if not owed else f"{known.id} is owed to"
            self.fail("what is remembered is what was written", text)
        elif known.seq == written.seq and known != written:
            self.fail("what is remembered is what was written", known.id)
