"""What the web is given of the daemon's components: its pages, its API and its health checks."""

from __future__ import annotations

from daemon.adapters.slack import Whisperer
from daemon.adapters.store import SCHEMA
from daemon.app.alertmanager import named
from daemon.app.auth import authenticator_for
from daemon.app.clock import now
from daemon.app.components import Components
from daemon.app.rooms import marks_of
from daemon.app.sharing import is_shared
from daemon.measuring.chart_data import trace
from daemon.reporting.status import StatusReport, StoreReport
from daemon.web.context import WebContext


def web_context(parts: Components) -> WebContext:
    """All of it, once the components stand."""
    return WebContext(
        intake=parts.intake,
        repository=parts.repository,
        active=parts.active,
        authenticator=authenticator_for(
            parts.settings,
            parts.store,
            parts.session,
            parts.secret,
            parts.active,
            parts.configuration.secrets,
        ),
        ready=lambda: parts.ready,
        hooks=parts.configuration.hooks,
        links=parts.links,
        keys=parts.store.keys,
        metrics=parts.telemetry.scrape,
        veterans=parts.veterans.of,
        autonomy=parts.autonomy,
        whisper=Whisperer(parts.session, parts.settings.slack.url).whisper,
        overview=_status_report(parts),
        assistants=parts.store.assistants,
        reload=parts.reloader.reload,
        today=parts.today,
        observer=parts.observer,
        store_trouble=parts.health.why_not,
        stuck=parts.liveness.fault,
        actions=parts.actions,
        trace=lambda incident, rule, entries: trace(
            parts.drilling.drills.metrics_of(incident, parts.servers.of(rule).metrics),
            incident,
            rule,
            entries,
            now(),
        ),
        config_for_drill=parts.drilling.drills.config_of,
        drills=parts.drilling.desk,
        places=parts.places,
        marks=marks_of(parts.settings),
        label_values=parts.values.of,
        oncall=parts.oncall,
        maintenance=parts.maintenance,
        storms=lambda: parts.storms.storms,
        replicas=parts.replica.register,
        duties=parts.store.duties if is_shared(parts.store) else None,
        replica_name=parts.replica.fence.replica,
        status_page=parts.status_page.page if parts.status_page else None,
    )


def _status_report(parts: Components) -> StatusReport:
    return StatusReport(
        repository=parts.repository,
        inbox=parts.store.inbox,
        active=parts.active,
        ready=parts.takes_alerts,
        loading=lambda: parts.reloader.last,
        version=parts.version,
        started_at=parts.started_at,
        store=StoreReport(kind=parts.store.kind, name=parts.store.name, schema_version=SCHEMA),
        actions=len(parts.actions),
        autonomy=parts.autonomy.record,
        peers={
            **{f"prometheus {name}".strip(): one for name, one in parts.prometheus.items()},
            **named(parts.alertmanagers),
        },
        calendars=lambda: parts.calendars.reports(parts.active.now.roster),
        store_trouble=parts.health.why_not,
        needs=lambda name: name != "prometheus" or _asks_unnamed(parts),
    )


def _asks_unnamed(parts: Components) -> bool:
    """Whether the Prometheus without a name is asked by any rule in force."""
    rules = parts.active.now.rules.rules.values()
    return "" in parts.settings.prometheus.asked([rule.prometheus for rule in rules])
