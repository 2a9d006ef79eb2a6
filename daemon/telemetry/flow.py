"""What is counted beside the journal: deliveries, queries, the store, HTTP, reloads, defects."""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import Gauge

from daemon.instrumentation import (
    DaemonPart,
    DeliveryOutcome,
    Dropped,
    Observer,
    QueryKind,
    Reconciled,
    Sorted,
    Trouble,
)
from daemon.telemetry.instruments import OTHER, Instruments

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Flow(Observer):
    """Counts what the stages tell; `daemon.instrumentation.Observer`."""

    def __init__(self, make: Instruments) -> None:
        self._inbox(make)
        self._servers(make)
        self._daemon(make)

    def _inbox(self, make: Instruments) -> None:
        self._deliveries = make.counter(
            "stopgap_deliveries",
            "Deliveries of Alertmanager, by what became of them.",
            "outcome",
            known=get_args(DeliveryOutcome),
        )
        self._storing = make.histogram(
            "stopgap_delivery_store_seconds",
            "From the arrival of a delivery to its answer; 200 means that it is on disk.",
        )
        self._handling = make.histogram(
            "stopgap_delivery_handling_seconds",
            "From the arrival of a delivery to its incidents having it.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        )
        self._alerts = make.counter(
            "stopgap_alerts",
            "Alerts worked off, by what became of them.",
            "outcome",
            known=get_args(Sorted),
        )
        self._shortened = make.counter(
            "stopgap_labels_shortened",
            "Labels of alerts whose value was too long, and was shortened.",
        )
        self._reconciled = make.counter(
            "stopgap_reconciled_alerts",
            "Alerts that Alertmanager did not tell of and that its list showed: taken in, or over.",
            "outcome",
            known=get_args(Reconciled),
        )
        self._alertmanagers = Gauge(
            "stopgap_alertmanagers",
            "Peers of Alertmanager, by whether they answered last what they list.",
            ["state"],
            registry=make.registry,
        )
        self.alertmanagers(0, 0)

    def _servers(self, make: Instruments) -> None:
        self._queries = make.histogram(
            "stopgap_prometheus_query_duration_seconds",
            "Queries of Prometheus, the wait for a free connection included.",
            "kind",
            "server",
        )
        self._troubles = make.counter(
            "stopgap_prometheus_query_failures",
            "Queries that Prometheus did not answer.",
            "reason",
            "server",
        )
        self._asked: set[str] = set()
        self._count_troubles("")
        self._transactions = make.histogram(
            "stopgap_store_transaction_duration_seconds",
            "Transactions of the store, the wait for their turn included.",
            "kind",
        )
        self._store_failures = make.counter(
            "stopgap_store_failures",
            "Transactions that the store did not do.",
            "kind",
            known=("read", "write"),
        )
        self._requests = make.counter(
            "stopgap_http_requests", "HTTP requests answered.", "method", "route", "status"
        )
        self._answers = make.histogram(
            "stopgap_http_request_duration_seconds", "HTTP requests answered.", "route"
        )

        self._dropped = make.counter(
            "stopgap_http_connections_dropped",
            "Connections closed or not taken, by the reason.",
            "reason",
            known=get_args(Dropped),
        )

    def _daemon(self, make: Instruments) -> None:
        self._crashes = make.counter(
            "stopgap_crashes",
            "Defects of the daemon's own that it met and lived through.",
            "part",
            known=get_args(DaemonPart),
        )
        self._beats = make.counter(
            "stopgap_heartbeats",
            "Heartbeats to the dead man's switch.",
            "outcome",
            known=("sent", "withheld", "failed"),
        )
        self._emergencies = make.counter(
            "stopgap_emergency_calls",
            "Calls about the store itself, which need no store.",
            "outcome",
            known=("delivered", "failed"),
        )
        self._leases = make.counter(
            "stopgap_lease_losses",
            "Times that this replica's lease ended before it could be renewed.",
        )
        self._takeovers = make.counter(
            "stopgap_incidents_taken_over",
            "Incidents that this replica took which no living one conducted.",
        )
        self._reloads = make.counter(
            "stopgap_config_reloads",
            "Readings of the rules while running.",
            "outcome",
            known=("taken", "refused"),
        )
        self._reload_ok = Gauge(
            "stopgap_config_last_reload_successful",
            "Whether the rules on disk, as last read, are the ones in force.",
            registry=make.registry,
        )
        self._reload_at = Gauge(
            "stopgap_config_last_reload_success_timestamp_seconds",
            "When the rules in force were read.",
            registry=make.registry,
        )

    def delivery(self, outcome: DeliveryOutcome, took: float) -> None:
        """A webhook's body came."""
        self._deliveries.labels(outcome).inc()
        self._storing.observe(took)

    def handled(self, took: float) -> None:
        """A delivery has reached its incidents."""
        self._handling.observe(took)

    def alerts(self, outcome: Sorted, count: int) -> None:
        """So many alerts were worked off."""
        self._alerts.labels(outcome).inc(count)

    def shortened(self, count: int) -> None:
        """So many labels came with a value that is too long."""
        self._shortened.inc(count)

    def reconciled(self, outcome: Reconciled, count: int) -> None:
        """So many alerts were noticed by what Alertmanager lists."""
        self._reconciled.labels(outcome).inc(count)

    def alertmanagers(self, answering: int, silent: int) -> None:
        """So many peers answered, or did not."""
        self._alertmanagers.labels("answering").set(answering)
        self._alertmanagers.labels("silent").set(silent)

    def query(self, kind: QueryKind, took: float, trouble: Trouble, server: str = "") -> None:
        """The Prometheus of that name was asked."""
        self._queries.labels(kind, server).observe(took)
        if server not in self._asked:
            self._count_troubles(server)
        if trouble:
            self._troubles.labels(trouble, server).inc()

    def _count_troubles(self, server: str) -> None:
        """Its counters begin at zero, or their first increase could not be seen."""
        self._asked.add(server)
        for trouble in filter(None, get_args(Trouble)):
            self._troubles.labels(trouble, server)

    def transaction(self, kind: Literal["read", "write"], took: float, ok: bool) -> None:
        """The store did a transaction."""
        self._transactions.labels(kind).observe(took)
        if not ok:
            self._store_failures.labels(kind).inc()

    def request(self, method: str, route: str, status: int, took: float | None) -> None:
        """An HTTP request was answered."""
        known = route if route.startswith("/") else OTHER
        self._requests.labels(method if method in METHODS else OTHER, known, str(status)).inc()
        if took is not None:
            self._answers.labels(known).observe(took)

    def dropped(self, why: Dropped) -> None:
        """A connection was closed."""
        self._dropped.labels(why).inc()

    def crashed(self, part: DaemonPart) -> None:
        """A defect was met."""
        self._crashes.labels(part).inc()

    def heartbeat(self, outcome: Literal["sent", "withheld", "failed"]) -> None:
        """The dead man's switch was told, or was not."""
        self._beats.labels(outcome).inc()

    def lease_lost(self) -> None:
        """This replica's lease ended before it could be renewed."""
        self._leases.inc()

    def taken_over(self, incidents: int) -> None:
        """So many incidents were taken that no living replica conducted."""
        self._takeovers.inc(incidents)

    def emergency_call(self, outcome: Literal["delivered", "failed"]) -> None:
        """Somebody was called about the store."""
        self._emergencies.labels(outcome).inc()

    def reloaded(self, at: float, ok: bool) -> None:
        """The rules were read again."""
        self._reloads.labels("taken" if ok else "refused").inc()
        self.stands(at, ok)

    def stands(self, at: float, ok: bool) -> None:
        """Whether the rules on disk are in force; at the start they are, since `at`."""
        self._reload_ok.set(ok)
        if ok:
            self._reload_at.set(at)
