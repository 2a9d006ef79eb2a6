"""How the stages let themselves be watched: what happened, for counting, and spans, for traces.

Both are ports that cost nothing while nobody watches: `Observer` counts nothing and `Untraced`
keeps no span. Nothing here may fail, wait or change what a stage does.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

Value = str | int | float | bool
SpanAttributes = dict[str, Value]
"""What a span says of itself, under OpenTelemetry's attribute names where there are some."""

DeliveryOutcome = Literal[
    "stored",
    "duplicate",
    "refused",
    "invalid",
    "unauthorized",
    "too_large",
    "broken_off",
    "misdirected",
]
"""What became of a delivery. `refused` is answered 503, `invalid` 400; `unauthorized` 401, 403 or
429; `too_large` 413; of `broken_off` the body did not come; `misdirected` went to a wrong path."""
Dropped = Literal["idle", "header", "stalled", "room", "refused", "handshake", "plain"]
"""Why a connection was closed; `daemon.web.serving.connections` says each in words."""
Sorted = Literal["taken", "repeated", "stale"]
"""What became of an alert; `repeated` says nothing new, `stale` is older than its known end."""
DaemonPart = Literal[
    "conductor",
    "effect",
    "intake",
    "auditor",
    "heartbeat",
    "store",
    "emergency",
    "retention",
    "reconciler",
    "follow_ups",
    "maintenance",
    "last_word",
    "status_page",
    "news",
    "duties",
]
Reconciled = Literal["taken", "ended"]
"""What Alertmanager did not tell of: an alert that fires, or one that is over."""
QueryKind = Literal["instant", "range"]
Trouble = Literal["", "timeout", "unreachable", "rejected"]


class Observer:
    """Hears what no journal tells. This one forgets it. All times are in seconds."""

    def delivery(self, outcome: DeliveryOutcome, took: float) -> None:
        """A webhook's body came, and `took` so long until it could be answered."""

    def handled(self, took: float) -> None:
        """A delivery has reached its incidents, so long after it came."""

    def alerts(self, outcome: Sorted, count: int) -> None:
        """So many alerts were worked off."""

    def shortened(self, count: int) -> None:
        """So many labels came with a value that is too long."""

    def reconciled(self, outcome: Reconciled, count: int) -> None:
        """So many alerts were noticed by what Alertmanager lists."""

    def alertmanagers(self, answering: int, silent: int) -> None:
        """So many peers answered what they list, or did not."""

    def query(self, kind: QueryKind, took: float, trouble: Trouble, server: str = "") -> None:
        """The Prometheus of that name was asked; `trouble` is empty if it answered."""

    def transaction(self, kind: Literal["read", "write"], took: float, ok: bool) -> None:
        """The store did a transaction, the wait for its turn included."""

    def request(self, method: str, route: str, status: int, took: float | None) -> None:
        """An HTTP request was answered; `route` is the pattern of its path. `took` is None for a
        stream."""

    def dropped(self, why: Dropped) -> None:
        """A connection was closed, or not taken."""

    def crashed(self, part: DaemonPart) -> None:
        """A defect was met, and lived through."""

    def heartbeat(self, outcome: Literal["sent", "withheld", "failed"]) -> None:
        """The dead man's switch was told, or was not."""

    def lease_lost(self) -> None:
        """This replica's lease ended before it could be renewed."""

    def taken_over(self, incidents: int) -> None:
        """So many incidents were taken that no living replica conducted."""

    def emergency_call(self, outcome: Literal["delivered", "failed"]) -> None:
        """Somebody was called about the store by one of their ways, or that way failed."""

    def reloaded(self, at: float, ok: bool) -> None:
        """The rules were read again, at that Unix time, and taken or not."""


class Tracer(Protocol):
    """Spans on the way from a webhook to an action. A span's name is its stage's."""

    def webhook(self, delivery: str) -> AbstractContextManager[SpanAttributes]:
        """The span of one webhook; `stopgap.outcome` is said in it before it ends."""

    def opened(self, incident: str, deliveries: Sequence[str], attributes: SpanAttributes) -> None:
        """The incident has begun: the root of its trace, linked with these webhooks."""

    def span(
        self,
        name: str,
        attributes: SpanAttributes | None = None,
        *,
        delivery: str = "",
        incident: str = "",
    ) -> AbstractContextManager[SpanAttributes]:
        """A span inside the one under way; without one, in the trace of what it is about.

        An exception marks it as failed, by its type and without its text."""


class Untraced:
    """The Tracer that keeps nothing."""

    def webhook(self, delivery: str) -> AbstractContextManager[SpanAttributes]:
        """Nothing is kept."""
        return nullcontext({})

    def opened(self, incident: str, deliveries: Sequence[str], attributes: SpanAttributes) -> None:
        """Nothing is kept."""

    def span(
        self,
        name: str,
        attributes: SpanAttributes | None = None,
        *,
        delivery: str = "",
        incident: str = "",
    ) -> AbstractContextManager[SpanAttributes]:
        """Nothing is kept."""
        return nullcontext({} if attributes is None else attributes)


QUIET = Observer()
UNTRACED = Untraced()
