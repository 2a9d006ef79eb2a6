"""The port to the journal of incidents, and what is asked of it as a whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, Protocol

from daemon.core.changes.suspects import Change, HealthMark
from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.events import Draft, Entry
from daemon.core.incident.onset_facts import OnsetFacts, onset_facts
from daemon.core.incident.outcome_facts import (
    OutcomeFacts,
    RecoveredBy,
    outcome_facts,
    pending,
)
from daemon.core.incident.reasons import Hindrance
from daemon.core.incident.state import Incident, Phase
from daemon.core.measurement.problem import Severity
from daemon.core.ports.replicas import Fence
from daemon.core.ports.urgency import Urgency
from daemon.core.recovery.guardrails import ActionScope, Freeze, Guard, Limits
from daemon.core.values.units import AnyVersion, Frozen, Moment, unset

HEAD_TITLE_LENGTH = 500
"""Characters of a title in a head row."""


class SequenceConflict(Exception):
    """Somebody else appended first: read again, decide again."""


class KeyTaken(Exception):
    """An incident with this key is open already; `incident` is its id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"incident {incident} is open for this key")
        self.incident = incident


class Head(OnsetFacts):
    """The row that stands for an incident: what can be known without reading its journal.

    `rule` is empty if no rule matched; `service` is what its key speaks of. `outcome`: what came of
    it; None where an earlier stopgap wrote it and that is not known. `pending`: how much is still
    to come of it once it is closed. `routes`: whose alerts come to it besides those of its key.
    `owner`: the replica that conducts it; empty for none, or for the only daemon.
    `format`: the highest format of its entries; who knows only earlier ones does not conduct it.
    """

    incident: str
    key: str
    seq: int
    phase: Annotated[Phase, AnyVersion]
    title: str
    severity: Severity
    opened_at: Moment
    closed_at: Moment | None = None
    wake_at: Moment | None = None
    rule: str = ""
    team: str = ""
    service: str = ""
    outcome: OutcomeFacts | None = None
    pending: int = 0
    routes: Routes = ()
    owner: str = ""
    format: int = 1


class OpeningOutcome(NamedTuple):
    """What figures need of an incident. `outcome` as in `Head`."""

    incident: str
    opened_at: datetime
    rule: str
    team: str
    outcome: OutcomeFacts | None


class HeadState(OnsetFacts):
    """What an append changes in the head row. `closed` frees the key, and the routes. `team`: None
    leaves it as it is."""

    phase: Phase
    title: str
    severity: Severity
    wake_at: Moment | None
    closed: bool
    outcome: OutcomeFacts = unset(OutcomeFacts)
    pending: int = 0
    routes: Routes = ()
    team: str | None = None

    @classmethod
    def of(cls, incident: Incident, wake_at: datetime | None) -> HeadState:
        """The head of an incident as it stands; a closed one wakes no more."""
        closed = incident.closed is not None
        return cls(
            phase=incident.phase,
            title=incident.title[:HEAD_TITLE_LENGTH],
            severity=incident.severity,
            wake_at=None if closed else wake_at,
            closed=closed,
            outcome=outcome_facts(incident),
            pending=pending(incident),
            routes=() if closed else incident.organization.routes,
            team=incident.opened.team,
            **dict(onset_facts(incident)),
        )


@dataclass(frozen=True)
class Claim:
    """The request to take a target's lock in the transaction of the append.

    `scope` with the incident it is for; `lifted`: a person approved (`guardrails.hindered`), so
    it counts in no budget.
    `closed` is a freeze that stands by the calendar, which the store knows nothing of.
    """

    target: str
    step: int
    scope: ActionScope
    limits: Limits
    lifted: bool = False
    closed: Freeze | None = None


class ClaimRefused(Exception):
    """The store said no at the very moment of acting; nothing was appended."""

    def __init__(self, reason: Hindrance, text: str) -> None:
        super().__init__(text)
        self.reason: Hindrance = reason
        self.text = text


class Owed(Frozen):
    """What was done and could not be written into the journal; `release` as in `append`."""

    incident: str
    drafts: tuple[Draft, ...]
    release: bool = False


class Debts(Protocol):
    """Keeps what is owed to the journal through a crash, in a small file beside the store."""

    async def keep(self, owed: Sequence[Owed]) -> None:
        """Replace what is kept. Raises Temporary if that cannot be written either."""

    def retained(self) -> Sequence[Owed]:
        """What an earlier run owed; read once, before `keep`."""


class ListCursor(Frozen):
    """Where a list of incidents goes on: after this one, towards the older ones."""

    opened_at: Moment
    incident: str


WithDrills = Literal["without", "with", "only"]
"""Whether incidents of drills are wanted beside the real ones."""


class IncidentSearch(Frozen):
    """Which incidents are wanted; what is empty or None does not matter.

    `pending`: only those of which something is still to come (`Head.pending`).
    `key` is the whole of it; `rule` "" asks for those that no rule matched. `text` is looked for
    in title, id, rule, team and service, whatever its capitals. Opened in [since, until).
    `after`: only older ones. `by_people`: only those that people may have recovered. `drills`:
    whether the incidents of drills are found as well, or nothing else; figures, records and
    precedents are of what was real.
    """

    status: Literal["", "open", "closed"] = ""
    pending: bool = False
    key: str = ""
    severity: Severity = ""
    rule: str | None = None
    team: str = ""
    service: str = ""
    text: str = ""
    since: Moment | None = None
    until: Moment | None = None
    after: ListCursor | None = None
    by_people: bool = False
    drills: WithDrills = "without"


ALL_INCIDENTS = unset(IncidentSearch)
RECOVERED_BY_PEOPLE: tuple[RecoveredBy, ...] = ("person", "elsewhere")
"""What `recovered_by` of an outcome is where people may have restored the service."""


class RuleOpenings(Frozen):
    """How many incidents a rule has opened, and when the last."""

    count: int
    last_at: Moment


class AlertSighting(NamedTuple):
    """An alert, by its name, in one incident. `rule` is empty if none matched it; `at` is when
    Alertmanager last had news of it."""

    alert: str
    rule: str
    incident: str
    at: datetime


class Journal(Protocol):
    """The append-only journal of incidents, and what must change in the same transaction."""

    async def open(
        self,
        incident: str,
        key: str,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        owner: str = "",
    ) -> None:
        """Start an incident; `owner` is the replica that conducts it. Raises KeyTaken if one with
        that key is open."""

    async def append(
        self,
        incident: str,
        expected: int,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        claim: Claim | None = None,
        release: bool = False,
        marks: Mapping[tuple[str, str], HealthMark] | None = None,
        urgency: Urgency = Urgency.NORMAL,
        fence: Fence | None = None,
    ) -> None:
        """Append after sequence number `expected`, durably, all or nothing. Without drafts only
        the head changes.

        `claim` takes a target's lock, `release` gives back the one this incident holds, `marks`
        maps (subject, item) to what a measurement said of it. `urgency` tells what goes first
        while much waits to be written. `fence`: only if that replica owns the incident and its
        lease lasts. Raises SequenceConflict, ClaimRefused or NotOwner.
        """

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        """The entries after that sequence number, in order; empty for an unknown incident."""

    async def read_together(self, after: Mapping[str, int]) -> dict[str, list[Entry]]:
        """The entries of each of these incidents after that one, in order; one that has none is
        left out. Permanent if one of them is not of this version's vocabulary."""

    async def open_incidents(self) -> list[str]:
        """The ids of all open incidents, oldest first."""

    async def open_heads(self) -> list[Head]:
        """The heads of all open incidents, oldest first."""

    async def open_with(self, kinds: Collection[str]) -> set[str]:
        """The ids of the open incidents that have an entry of one of these kinds."""

    async def heads(self, limit: int, search: IncidentSearch = ALL_INCIDENTS) -> list[Head]:
        """The newest heads that fit the search, the newest first."""

    async def outcomes(
        self, limit: int, search: IncidentSearch = ALL_INCIDENTS
    ) -> list[OpeningOutcome]:
        """What figures need of the same: tens of thousands are read for them."""

    async def openings(self) -> dict[str, RuleOpenings]:
        """What each rule that has opened incidents has opened, by its name; without drills."""

    async def alert_sightings(self, since: datetime) -> list[AlertSighting]:
        """The alerts that there was news of from then on, once for each incident; no drill."""

    async def find_open(self, keys: Collection[str]) -> dict[str, str]:
        """The ids of the open incidents with these keys, by key."""

    async def routes(self) -> list[tuple[str, Routes]]:
        """What the open incidents take of others, by their id; those that take nothing are left
        out."""

    async def guard(
        self, target: str, incident: str, scope: ActionScope, limits: Limits, now: datetime
    ) -> Guard:
        """What stands in the way of an action of that incident on that target; `Guard`."""

    async def freeze(self, freeze: Freeze) -> None:
        """Stop all automation in a scope until thawed; replaces an earlier freeze of it."""

    async def thaw(self, scope: str, by: str, at: datetime) -> bool:
        """Lift a freeze; False if there was none."""

    async def freezes(self, now: datetime) -> list[Freeze]:
        """The freezes in force, of all scopes, the newest first."""

    async def saw_change(self, change: Change) -> None:
        """Remember a change; the same (subject, item, at) twice is one."""

    async def changes(self, subject: str) -> list[Change]:
        """The changes of a subject, oldest first."""

    async def reported(self, since: datetime) -> list[Change]:
        """The changes that other systems reported (`Change.reported`) from then on, oldest
        first."""

    async def marks(self, subject: str) -> dict[str, HealthMark]:
        """What measurements have said of each item of a subject; the newest mark wins."""


def require_entry(drafts: Sequence[Draft], state: HeadState, *timed: object) -> None:
    """ValueError if an append has no entry to take a time from, and `timed`, or that it closes the
    incident, needs one."""
    if not drafts and (state.closed or any(timed)):
        raise ValueError("this append needs an entry, for it takes its time from there")
