"""stopgap.yaml and the environment → frozen settings; all mistakes at once, each with its place.

Every key can be overridden from the environment, see `daemon.config.environment`. Relative paths
are relative to the settings file. Secrets are named by reference (`env:NAME`, `file:PATH`) and
read by `secret`.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from daemon.config.auth import AuthSettings
from daemon.config.drill_settings import DrillSettings
from daemon.config.environment import overridden
from daemon.config.follow_ups import FollowUpSettings
from daemon.config.replica import ReplicaSettings
from daemon.config.rooms import RoomSettings
from daemon.config.sections import (
    AlertmanagerSettings,
    ArgoCDSettings,
    AuditSettings,
    CommandSettings,
    DiagnosisSettings,
    GitSettings,
    GrafanaOncallSettings,
    HeartbeatSettings,
    HttpSettings,
    InboxSettings,
    KubernetesSettings,
    LogSettings,
    OpsgenieSettings,
    OutgoingSettings,
    PagerDutySettings,
    PrometheusSettings,
    RecoverySettings,
    RetentionSettings,
    SlackSettings,
    SmtpSettings,
    TracingSettings,
)
from daemon.config.serving import ConnectionSettings, TlsSettings
from daemon.config.status_page import StatusPageSettings
from daemon.core.rules.known_names import KnownNames
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import Duration, Frozen, parse_duration, unset
from daemon.core.values.yaml_document import YamlDocument, one_document


class Settings(Frozen):
    """stopgap.yaml."""

    listen: str = Field(default="127.0.0.1:9393", pattern=r"^.+:\d{1,5}$")
    external_url: str = Field(default="http://127.0.0.1:9393", pattern="^https?://")
    prometheus: PrometheusSettings = unset(PrometheusSettings)
    alertmanager: AlertmanagerSettings = unset(AlertmanagerSettings)
    store: str = Field(default="stopgap.db", min_length=1)
    replica: ReplicaSettings = unset(ReplicaSettings)
    rules: Path = Path("rules")
    reviews: Path = Path("reviews")
    calendars: Path = Path("calendars")
    inbox: InboxSettings = unset(InboxSettings)
    recovery: RecoverySettings = unset(RecoverySettings)
    diagnosis: DiagnosisSettings = unset(DiagnosisSettings)
    commands: CommandSettings = unset(CommandSettings)
    http: HttpSettings = unset(HttpSettings)
    outgoing: OutgoingSettings = unset(OutgoingSettings)
    kubernetes: KubernetesSettings = unset(KubernetesSettings)
    argocd: ArgoCDSettings = unset(ArgoCDSettings)
    git: GitSettings = unset(GitSettings)
    actions: dict[str, dict[str, Any]] = Field(default_factory=dict)
    auth: AuthSettings = unset(AuthSettings)
    connections: ConnectionSettings = unset(ConnectionSettings)
    tls: TlsSettings = unset(TlsSettings)
    pagerduty: PagerDutySettings = unset(PagerDutySettings)
    opsgenie: OpsgenieSettings = unset(OpsgenieSettings)
    grafana_oncall: GrafanaOncallSettings = unset(GrafanaOncallSettings)
    slack: SlackSettings = unset(SlackSettings)
    smtp: SmtpSettings = unset(SmtpSettings)
    heartbeat: HeartbeatSettings = unset(HeartbeatSettings)
    audit: AuditSettings = unset(AuditSettings)
    retention: RetentionSettings = unset(RetentionSettings)
    follow_ups: FollowUpSettings = unset(FollowUpSettings)
    rooms: RoomSettings = unset(RoomSettings)
    drills: DrillSettings = unset(DrillSettings)
    status_page: StatusPageSettings = unset(StatusPageSettings)
    log: LogSettings = unset(LogSettings)
    tracing: TracingSettings = unset(TracingSettings)
    page_hold: Duration = Field(
        default=parse_duration("2s"), ge=timedelta(0), le=timedelta(seconds=10)
    )
    shutdown: Duration = Field(default=parse_duration("20s"), ge=timedelta(seconds=1))
    base: Path = Field(default=Path(), exclude=True)
    origin: Path | None = Field(default=None, exclude=True)

    @field_validator("store", mode="before")
    @classmethod
    def _as_text(cls, store: object) -> object:
        return str(store) if isinstance(store, Path) else store

    @field_validator("listen")
    @classmethod
    def _has_a_port(cls, listen: str) -> str:
        if int(listen.rpartition(":")[2]) > 65535:
            raise ValueError("ports end at 65535; write it like 127.0.0.1:9393")
        return listen

    @model_validator(mode="after")
    def _guarded(self) -> Settings:
        named = self.auth.webhook_certificates
        if named and self.tls.client_certificates == "none":
            raise ValueError(
                "`auth.webhook_certificates` names clients that nobody asks for a certificate: "
                "set `tls.client_ca`, and `tls.client_certificates: optional` or `required`"
            )
        proven = named or self.auth.webhook_token or self.auth.webhook_signing_secret
        if not proven and not self.loopback:
            raise ValueError(
                f"listening on {self.listen} without credentials: set `auth.webhook_token` "
                "(env:NAME or file:PATH), or listen on 127.0.0.1"
            )
        return self

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 takes any free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach us."""
        return self.host in {"127.0.0.1", "::1", "localhost"}

    @property
    def names(self) -> KnownNames:
        """What rules can call by name."""
        return KnownNames(tuple(self.prometheus.servers), tuple(self.kubernetes.clusters))

    @property
    def beside_store(self) -> Path:
        """What the names of the files begin with that a daemon keeps beside its store: the store's
        own file, or `stopgap.replica` in the folder of the settings if it is on a server."""
        on_server = "://" in self.store or self.store.startswith(("env:", "file:"))
        return self.base / ("stopgap.replica" if on_server else self.store)

    @property
    def rules_dir(self) -> Path:
        """The folder of the rule files, the roster and the approvals."""
        return self.base / self.rules


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; without a file, the defaults. Raises Mistakes, or Permanent if the
    file cannot be read."""
    document = YamlDocument("the environment", {})
    base = Path.cwd()
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Permanent(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
        document = one_document(text, str(path))
        base = path.resolve().parent
    loaded = overridden(document, Settings, environ).read(Settings)
    return loaded.model_copy(update={"base": base, "origin": path.resolve() if path else None})


def secret(reference: str, environ: Mapping[str, str], base: Path) -> str:
    """The secret itself. Raises Permanent naming the reference, never the content."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = environ.get(name, "")
        if not value:
            raise Permanent(f"the environment variable {name} is not set; it should hold a secret")
        return value
    try:
        value = (base / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise Permanent(f"cannot read the secret in {name}: {why}") from None
    if not value:
        raise Permanent(f"the file {name} is empty; it should hold a secret")
    return value


def same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def environment() -> Mapping[str, str]:
    """The process's environment, read in one place."""
    return os.environ
