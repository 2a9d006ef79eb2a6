"""What the pure core and the stages need from outside, as small protocols.

The shell fills them: `daemon.adapters` for storage, metrics and people, `recovery_actions` for
changing the world. Every method raises Temporary or Permanent (`daemon.core.outcome`) where it
can fail, and nothing of its client library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from daemon.core.events import Draft, Entry
from daemon.core.guardrails import Freeze, Guard, Hindrance, Limits, Scope
from daemon.core.outcome import Outcome
from daemon.core.search import EVERYTHING, Heard, Openings, Search
from daemon.core.suspects import Candidate, Change, Mark
from daemon.core.units import Frozen, Moment

# ── the journal ──────────────────────────────────────────────────────────────────────────────


class Conflict(Exception):
    """Somebody else appended first: read again, decide again."""


class KeyTaken(Exception):
    """An incident with this key is open already; `incident` is its id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"incident {incident} is open for this key")
        self.incident = incident


class Head(Frozen):
    """The row that stands for an incident: what can be known without reading its journal.

    `rule` is empty if no rule matched; `service` is what its key speaks of.
    """

    incident: str
    key: str
    seq: int
    phase: str
    title: str
    severity: str
    opened_at: Moment
    closed_at: Moment | None = None
    wake_at: Moment | None = None
    rule: str = ""
    team: str = ""
    service: str = ""


class HeadState(Frozen):
    """What an append changes in the head row. `closed` frees the key."""

    phase: str
    title: str
    severity: str
    wake_at: Moment | None
    closed: bool


@dataclass(frozen=True)
class Claim:
    """The request to take a target's lock in the transaction of the append.

    `scope` with the incident it is for; `lifted`: a person approved (`guardrails.hindered`).
    `closed` is a freeze that stands by the calendar, which the store knows nothing of.
    """

    target: str
    step: int
    scope: Scope
    limits: Limits
    lifted: bool = False
    closed: Freeze | None = None


class ClaimRefused(Exception):
    """The store said no at the very moment of acting; nothing was appended."""

    def __init__(self, reason: Hindrance, text: str) -> None:
        super().__init__(text)
        self.reason: Hindrance = reason
        self.text = text


class Journal(Protocol):
    """The append-only journal of incidents, and what must change in the same transaction."""

    async def open(
        self, incident: str, key: str, drafts: Sequence[Draft], state: HeadState
    ) -> None:
        """Start an incident. Raises KeyTaken if one with that key is open."""

    async def append(
        self,
        incident: str,
        expected: int,
        drafts: Sequence[Draft],
        state: HeadState,
        *,
        claim: Claim | None = None,
        release: bool = False,
        marks: Mapping[tuple[str, str], Mark] | None = None,
    ) -> None:
        """Append after sequence number `expected`, durably, all or nothing. Without drafts only
        the head changes.

        `claim` takes a target's lock, `release` gives back the one this incident holds, `marks`
        maps (subject, item) to what a measurement said of it. Raises Conflict or ClaimRefused.
        """

    async def read(self, incident: str, after: int = 0) -> list[Entry]:
        """The entries after that sequence number, in order; empty for an unknown incident."""

    async def open_heads(self) -> list[Head]:
        """The heads of all open incidents, oldest first."""

    async def heads(self, limit: int, search: Search = EVERYTHING) -> list[Head]:
        """The newest heads that fit the search, the newest first."""

    async def openings(self) -> dict[str, Openings]:
        """What each rule that has opened incidents has opened, by its name."""

    async def heard(self, since: datetime) -> list[Heard]:
        """The alerts that there was news of from then on, once for each incident."""

    async def find_open(self, key: str) -> str | None:
        """The id of the open incident with that key."""

    async def guard(
        self, target: str, incident: str, scope: Scope, limits: Limits, now: datetime
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

    async def marks(self, subject: str) -> dict[str, Mark]:
        """What measurements have said of each item of a subject; the newest mark wins."""


class Inbox(Protocol):
    """The durable queue between the webhook and the incidents."""

    async def put(self, identity: str, body: bytes, at: datetime) -> bool:
        """Store a delivery; returns once it is on disk. False if this content is stored already.

        Raises Temporary when the store fails or too much is waiting.
        """

    async def pending(self, limit: int) -> list[tuple[str, bytes]]:
        """(identity, body) of unprocessed deliveries, oldest first."""

    def backlog(self) -> int:
        """How many deliveries are unprocessed."""

    async def oldest(self) -> datetime | None:
        """When the oldest of them came."""

    async def processed(self, identities: Sequence[str], ended: Mapping[str, datetime]) -> None:
        """Mark as processed, and remember when alerts ended (alert identity → end)."""

    async def ended(self, alerts: Sequence[str]) -> dict[str, datetime]:
        """When each of these alerts last ended, as far as known."""

    async def forget(self, before: datetime) -> None:
        """Drop processed deliveries and ends older than that."""


# ── metrics ──────────────────────────────────────────────────────────────────────────────────

Sample = tuple[float, float]
"""(Unix time in seconds, value)."""


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, its samples oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Answer:
    """What Prometheus said: series, and warnings (partial data) if there were any."""

    query: str
    series: Sequence[Series]
    warnings: Sequence[str] = ()


class Metrics(Protocol):
    """PromQL, with a deadline on each query. Raises Temporary (down, slow) or Permanent (bad)."""

    async def instant(self, query: str, at: datetime) -> Answer:
        """The value of each series at that time, one sample each."""

    async def series(self, query: str, start: datetime, end: datetime, step: timedelta) -> Answer:
        """Values from `start` to `end`, one each `step`."""


@runtime_checkable
class Peer(Protocol):
    """A system that the daemon depends on."""

    async def version(self) -> str:
        """Which version of itself it runs; empty if it does not say. Raises Temporary or
        Permanent if it is not there."""


# ── people ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Page:
    """One call to one person. `page` is its id in the journal.

    All pages with the same `dedup_key` are one alert in the pager: the incident's own, or one
    question of it (`<incident>/<page>`).

    `link` is the incident's document; `answer_link` leads to a page where this person, and
    nobody else, answers with one tap (empty if there is none).
    """

    incident: str
    page: str
    person: str
    title: str
    text: str
    severity: str
    link: str
    at: datetime
    dedup_key: str
    answer_link: str = ""


class Pager(Protocol):
    """One way to reach a person."""

    async def page(self, page: Page) -> str:
        """Deliver; returns the proof in a few words. Raises Temporary or Permanent."""


Settled = Literal["acknowledged", "resolved"]


@runtime_checkable
class KeepsState(Protocol):
    """A pager that goes on calling by itself until it is told that somebody came."""

    async def settle(self, dedup_key: str, state: Settled) -> str:
        """Say that somebody responds, or that it is over; harmless for an alert that it does
        not know. Returns the proof. Raises Temporary or Permanent."""


@dataclass(frozen=True)
class Message:
    """One update for one audience. An edit keeps `update` and raises `version` from 1.

    `link` leads to the document; empty for the public.
    """

    incident: str
    update: str
    version: int
    audience: str
    title: str
    text: str
    severity: str
    stage: str
    link: str
    at: datetime


@dataclass(frozen=True)
class Receipt:
    """What a channel answered: the proof in a few words, and what `edit` needs to find it."""

    proof: str
    reference: str = ""


class Channel(Protocol):
    """One way to tell an audience."""

    async def post(self, message: Message) -> Receipt:
        """Publish. Raises Temporary or Permanent."""


@runtime_checkable
class Edits(Protocol):
    """A channel that can change what was published."""

    async def edit(self, reference: str, message: Message) -> Receipt:
        """Replace what `post` published. Raises Temporary or Permanent."""


class Links(Protocol):
    """Makes the links that pages and updates carry."""

    def for_page(self, incident: str, page: str) -> str:
        """Where the page's person, and nobody else, answers it with one tap."""

    def document(self, incident: str) -> str:
        """The incident's standard document, to read."""


# ── recovery actions ─────────────────────────────────────────────────────────────────────────


class Choose(Protocol):
    """Names the item of a target to go back to."""

    async def __call__(self, live: str, history: Sequence[Change] = ()) -> Candidate:
        """The newest item but `live` that was measured healthy while it was live, or why there
        is none. `history`: what the action itself can tell of when each item became live,
        oldest first; it is taken together with what was seen and measured before."""


@dataclass(frozen=True)
class ActionContext:
    """What an action may know and use.

    `token` is unique to this step and stays the same after a restart; `incident` is its
    incident. `expected` is the item that must be live for the step to make sense; empty if any
    will do. `progress` writes to the timeline.
    """

    token: str
    now: datetime
    choose: Choose
    progress: Callable[[str], Awaitable[None]]
    expected: str = ""
    incident: str = ""


@dataclass(frozen=True)
class Ready:
    """Preflight passed: what will be done, in one sentence, and the plain values to do it by.

    `intent` is journaled before anything changes, and given back to `run` and `check`. The keys
    `from` and `to`, where present, name the items switched between; verification marks them.
    """

    summary: str
    intent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """Preflight did not pass: an enumerated reason and the sentence for a person."""

    reason: str
    text: str


Landed = Literal["done", "half_done", "not_done", "unknown"]
"""`half_done`: it has begun to change the world, and running it again will end it well."""


class Action(Protocol):
    """One way of changing the world; one file in `recovery_actions` each."""

    name: str
    Params: type[BaseModel]

    def allowed(self, params: Any) -> str | None:
        """Why the settings do not allow these parameters, or None if they do."""

    def target(self, params: Any) -> str:
        """What is being changed: the key of the lock, and the subject of its changes."""

    async def preflight(self, params: Any, context: ActionContext) -> Ready | Refused:
        """Look, change nothing, and say what would be done. Raises Temporary or Permanent."""

    async def run(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Outcome:
        """Do what `intent` says; doing it again is harmless. Cancelling it leaves a state that
        `check` understands."""

    async def check(self, params: Any, intent: Mapping[str, str], context: ActionContext) -> Landed:
        """Tell from the outside world whether the intent came true; used after a crash."""


@runtime_checkable
class Shows(Protocol):
    """An action that can show the state of its target, for the evidence before acting."""

    async def show(self, params: Any, context: ActionContext) -> Mapping[str, str]:
        """What stands there now (live item, replicas, pods, …) as short plain texts; changes
        nothing, holds no secret. Raises Temporary or Permanent."""


class Watch(Protocol):
    """Sees changes of one kind of target."""

    async def look(self) -> Sequence[Change]:
        """The changes that can be dated, oldest first; the last made the live item live.

        `rolling` says of the last whether its rollout still goes on. Empty if nothing is live.
        Raises Temporary or Permanent.
        """
