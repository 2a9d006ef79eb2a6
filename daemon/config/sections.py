"""The sections of stopgap.yaml that are nobody else's: each bounds or reaches one thing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from daemon.config.access import AccessSettings, PlainUrl
from daemon.core.measurement.flavours import MetricsFlavour
from daemon.core.people.contact_methods import Reference
from daemon.core.rules.rule import Name
from daemon.core.values.outgoing import OutgoingPolicy, allowed_destinations
from daemon.core.values.units import Duration, Frozen, Share, format_duration, parse_duration, unset


class PrometheusServerSettings(AccessSettings):
    """One Prometheus: where it is, how long a query may take, and how old a sample may be.

    `flavour`: what answers there; `auto` finds it out. `method`: queries go as a form (`post`, of
    any length) or in the address (`get`); `auto` sends forms, until they are refused with 403 or
    405 and the same is taken in the address.
    """

    url: str = Field(default="http://127.0.0.1:9090", pattern="^https?://")
    timeout: Duration = parse_duration("10s")
    max_age: Duration = parse_duration("2m")
    concurrency: int = Field(default=16, ge=1, le=128)
    flavour: Literal["auto"] | MetricsFlavour = "auto"
    method: Literal["auto", "post", "get"] = "auto"

    @property
    def given_flavour(self) -> MetricsFlavour | None:
        """The flavour, if it is not to be found out."""
        return None if self.flavour == "auto" else self.flavour


class PrometheusSettings(PrometheusServerSettings):
    """The Prometheus of the rules that name none; `servers`: those that rules can name."""

    servers: dict[Name, PrometheusServerSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _with_addresses(self) -> Self:
        for name, server in self.servers.items():
            if "url" not in server.model_fields_set:
                raise ValueError(f"`servers.{name}` needs its own `url`")
        return self

    @property
    def every(self) -> dict[str, PrometheusServerSettings]:
        """All servers by name; the one of the rules that name none has the empty name."""
        return {"": self, **self.servers}

    def asked(self, named: Collection[str | None]) -> tuple[str, ...]:
        """The names of the servers that somebody asks, where the rules name these: not the one
        without a name, if all rules name one and nobody has said where it is."""
        needless = "url" not in self.model_fields_set and bool(named) and all(named)
        return tuple(name for name in self.every if name or not needless)


def prometheus_setting(server: str | None) -> str:
    """Where the settings of the Prometheus of that name stand."""
    return f"prometheus.servers.{server}" if server else "prometheus"


class AlertmanagerSettings(AccessSettings):
    """What it lists is compared with the incidents, every `reconcile`. `urls`: all peers of a
    cluster, reached in the same way. `receiver`: ours, as Alertmanager's configuration names it;
    None learns it.

    `settle`: so long after its start a peer's silence about an alert counts for nothing.
    `silence_acknowledged`: so long an acknowledgement silences the incident's group there, again
    and again while somebody commands; None: never.
    """

    url: str | None = Field(default=None, pattern="^https?://")
    urls: tuple[Annotated[str, Field(pattern="^https?://")], ...] = ()
    timeout: Duration = parse_duration("10s")
    reconcile: Duration = Field(default=parse_duration("30s"), ge=timedelta(seconds=1))
    receiver: str | None = Field(default=None, min_length=1)
    settle: Duration = parse_duration("10m")
    silence_acknowledged: Duration | None = Field(
        default=None, ge=timedelta(minutes=5), le=timedelta(days=1)
    )

    @model_validator(mode="after")
    def _has_somewhere_to_silence(self) -> Self:
        if self.silence_acknowledged is not None and not self.peers:
            raise ValueError("`silence_acknowledged` needs the address of Alertmanager: set `url`")
        return self

    @property
    def peers(self) -> tuple[str, ...]:
        """The addresses of all peers, each once; none if its API is not to be asked."""
        every = (self.url, *self.urls) if self.url else self.urls
        return tuple(dict.fromkeys(url.rstrip("/") for url in every))


class InboxSettings(Frozen):
    """Bounds of the intake. `remember`: how long the same content counts as a duplicate.
    `max_age`: with an older unprocessed delivery nothing more is taken, and people are called."""

    max_pending: int = Field(default=10_000, ge=1)
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    remember: Duration = parse_duration("30m")
    max_age: Duration = Field(default=parse_duration("1m"), ge=timedelta(seconds=1))


class BudgetSettings(Frozen):
    """How many actions of one rule, team or failure domain may start by themselves."""

    rule: int = Field(default=2, ge=0)
    team: int = Field(default=3, ge=0)
    domain: int = Field(default=2, ge=0)


class RecoverySettings(Frozen):
    """How much automation is allowed: per target, in all, and while much goes wrong at once.

    `budget` actions may start by themselves in `budget_window`, and of those `budgets` each.
    `onset_age`: nothing starts by itself for trouble that began longer ago. `outage`: from that
    share of all scrape targets down, without the failing service's own, the monitoring is not
    believed.
    """

    cooldown: Duration = parse_duration("30m")
    flap: Duration = parse_duration("24h")
    budget: int = Field(default=5, ge=0)
    budgets: BudgetSettings = unset(BudgetSettings)
    budget_window: Duration = parse_duration("1h")
    storm: int = Field(default=4, ge=2)
    storm_window: Duration = parse_duration("5m")
    onset_age: Duration = parse_duration("1h")
    outage: Share = 0.5

    @field_validator("outage")
    @classmethod
    def _a_share_that_can_be_down(cls, outage: float) -> float:
        if not 0 < outage <= 1:
            raise ValueError(f"has to be above 0% and at most 100%; it is {outage * 100:g}%")
        return outage


class DiagnosisSettings(Frozen):
    """What the dossier of a diagnosis may ask of Prometheus: so many queries, within `timeout`."""

    queries: int = Field(default=60, ge=0, le=1000)
    timeout: Duration = Field(
        default=parse_duration("30s"), ge=timedelta(seconds=1), le=timedelta(minutes=10)
    )


class ClusterSettings(Frozen):
    """One cluster. Without `kubeconfig`: the pod's own service account."""

    kubeconfig: Path | None = None
    context: str | None = None
    timeout: Duration = parse_duration("10s")


class KubernetesSettings(ClusterSettings):
    """The cluster of the rules that name none; `clusters`: those that rules can name. One of them
    without `kubeconfig` has its `context` in ours."""

    clusters: dict[Name, ClusterSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        for name, cluster in self.clusters.items():
            own = cluster.kubeconfig is not None
            if not own and (self.kubeconfig is None or cluster.context is None):
                raise ValueError(
                    f"`clusters.{name}` needs a `kubeconfig`, or the `context` of another cluster "
                    "in `kubernetes.kubeconfig`"
                )
        return self


class ArgoCDSettings(Frozen):
    """The API of Argo CD, and the token of an account that may roll back."""

    url: PlainUrl | None = None
    token: Reference | None = None
    timeout: Duration = parse_duration("10s")


class GitSettings(Frozen):
    """Where `git_revert` asks for reverts. `url` is the host's own if left out; `allow`: the only
    repositories (`acme/shop-deploy`) that may be changed; `direct`: without a request, too."""

    api: Literal["github", "gitlab"] | None = None
    url: PlainUrl | None = None
    token: Reference | None = None
    allow: tuple[str, ...] = ()
    direct: bool = False
    timeout: Duration = parse_duration("10s")


class HttpSettings(Frozen):
    """`allow`: the only hosts (`flags.example.org`, with `:port` if it is not the usual one)
    that `http_call` may talk to."""

    allow: tuple[str, ...] = ()


class OutgoingSettings(Frozen):
    """`allow`: what may be connected to although nothing goes there by default, this machine
    itself most of all: networks (`127.0.0.0/8`), addresses or hosts, with a port or without."""

    allow: tuple[str, ...] = ()

    @field_validator("allow")
    @classmethod
    def _destinations(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        allowed_destinations(allow)
        return allow

    @property
    def policy(self) -> OutgoingPolicy:
        """The policy of all connections."""
        return OutgoingPolicy(allowed_destinations(self.allow))


class CommandSettings(Frozen):
    """The only commands that actions may run; `*` stands for one argument."""

    allow: tuple[tuple[str, ...], ...] = ()


class PagerDutySettings(Frozen):
    """`url`: the Events API v2. `webhook_secret`: signs what PagerDuty's V3 webhooks tell us."""

    url: PlainUrl = "https://events.pagerduty.com/v2/enqueue"
    webhook_secret: Reference | None = None


class OpsgenieSettings(Frozen):
    """`url`: the Alert API, of Opsgenie or of Jira Service Management's integrations.
    `webhook_secret`: what its webhooks must send us."""

    url: PlainUrl = "https://api.opsgenie.com"
    webhook_secret: Reference | None = None


class GrafanaOncallSettings(Frozen):
    """`webhook_secret`: what its outgoing webhooks must send us."""

    webhook_secret: Reference | None = None


class SlackSettings(Frozen):
    """`token`: the bot's. `signing_secret`: signs what a tap on a button tells us."""

    url: PlainUrl = "https://slack.com/api/"
    token: Reference | None = None
    signing_secret: Reference | None = None


class SmtpSettings(Frozen):
    """The mail server. `security`: `starttls` and `tls` check its certificate."""

    host: str = "127.0.0.1"
    port: int = Field(default=25, ge=1, le=65535)
    sender: str = Field(default="stopgap@localhost", pattern=r"^[^@\s]+@[^@\s]+$")
    username: str | None = None
    password: Reference | None = None
    security: Literal["none", "starttls", "tls"] = "none"

    @model_validator(mode="after")
    def _private(self) -> SmtpSettings:
        local = self.host in {"127.0.0.1", "::1", "localhost"}
        if self.password is not None and self.security == "none" and not local:
            raise ValueError(
                f"the password would go to {self.host} in plain text; "
                "set `security: starttls` or `security: tls`"
            )
        return self


class HeartbeatSettings(Frozen):
    """The dead man's switch: `url` is asked every so often while all is well."""

    url: Reference | None = None
    every: Duration = Field(default=parse_duration("1m"), ge=timedelta(seconds=1))


class AuditSettings(Frozen):
    """`key`: seals the journal, so that nobody without it can rewrite it unseen. `former_keys`
    check what was sealed before the key was changed or given up."""

    key: Reference | None = None
    former_keys: tuple[Reference, ...] = ()


class RetentionSettings(Frozen):
    """Closed incidents older than `keep` are moved to files in `archive`; without it all stay.
    `records`: so long after they are over, other records are kept."""

    keep: Duration | None = None
    archive: Path = Path("archive")
    records: Duration = parse_duration("400d")

    @field_validator("keep", "records")
    @classmethod
    def _long_enough(cls, keep: timedelta | None) -> timedelta | None:
        if keep is not None and keep < timedelta(days=30):
            raise ValueError(f"has to be at least 30d; it is {format_duration(keep)}")
        return keep


class TracingSettings(Frozen):
    """Where spans are sent by OTLP over HTTP; without an endpoint there are none. `sample`: the
    share of incidents and of deliveries that are traced."""

    endpoint: PlainUrl | None = None
    sample: float = Field(default=1.0, ge=0, le=1)


class LogSettings(Frozen):
    """`console` for people, `json` for machines."""

    format: str = Field(default="json", pattern="^(json|console)$")
    level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
