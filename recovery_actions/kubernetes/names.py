"""Which workload is meant. Names may come from an alert's labels, so they are proven here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, WithJsonSchema, model_validator

from daemon.core.values.units import Frozen

WorkloadKind = Literal["deployment", "statefulset", "daemonset"]

KIND_NAMES: Mapping[WorkloadKind, str] = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
}
"""A kind as Kubernetes spells it."""

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"


def _namespace(text: str) -> str:
    if len(text) > 63 or not re.fullmatch(_LABEL, text):
        raise ValueError(
            "it is not a namespace's name: up to 63 of a-z, 0-9 and -, a letter or digit at both "
            "ends"
        )
    return text


def _object_name(text: str) -> str:
    if len(text) > 253 or not re.fullmatch(_SUBDOMAIN, text):
        raise ValueError(
            "it is not an object's name: up to 253 of a-z, 0-9, - and ., a letter or digit at "
            "both ends"
        )
    return text


def _cluster(text: str) -> str:
    if text and not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", text):
        raise ValueError("it is not a cluster's name: lower case letters, digits and . _ -")
    return text


Namespace = Annotated[
    str,
    AfterValidator(_namespace),
    WithJsonSchema({"type": "string", "pattern": f"^{_LABEL}$", "maxLength": 63}),
]
ObjectName = Annotated[
    str,
    AfterValidator(_object_name),
    WithJsonSchema({"type": "string", "pattern": rf"^{_SUBDOMAIN}$", "maxLength": 253}),
]


@dataclass(frozen=True)
class Resource:
    """One collection of the API, or one object in it if it has a `name`. `cluster`: which of
    `kubernetes.clusters` it is in; empty for the one of whoever names none."""

    group: str
    plural: str
    namespace: str
    name: str = ""
    cluster: str = field(kw_only=True)

    @property
    def path(self) -> str:
        """The path of its URL; every part is quoted, whoever vouched for it."""
        root = ("api", "v1") if not self.group else ("apis", *self.group.split("/"))
        parts = [*root, "namespaces", self.namespace, self.plural, self.name]
        return "/" + "/".join(quote(part, safe="") for part in parts if part)

    @property
    def title(self) -> str:
        """For a sentence: 'deployments checkout in namespace prod'."""
        named = f" {self.name}" if self.name else ""
        cluster = f" of cluster {self.cluster}" if self.cluster else ""
        return f"{self.plural}{named} in namespace {self.namespace}{cluster}"


APPS = "apps/v1"
AUTOSCALING = "autoscaling/v2"


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet; `cluster` as of a Resource."""

    namespace: str
    kind: WorkloadKind
    name: str
    cluster: str = ""
    resource: Resource = field(init=False, compare=False)

    def __post_init__(self) -> None:
        resource = self.beside(APPS, f"{self.kind}s", self.name)
        object.__setattr__(self, "resource", resource)

    def beside(self, group: str, plural: str, name: str = "") -> Resource:
        """A collection, or an object in it, in the workload's own namespace and cluster."""
        return Resource(group, plural, self.namespace, name, cluster=self.cluster)

    @property
    def target(self) -> str:
        """The target key: whatever changes this workload shares one lock."""
        return f"{target_root(self.cluster)}{self.namespace}/{self.kind}/{self.name}"

    @property
    def title(self) -> str:
        """For a sentence: 'Deployment prod/checkout', and of which cluster if that has a name."""
        place = f" of cluster {self.cluster}" if self.cluster else ""
        return f"{KIND_NAMES[self.kind]} {self.namespace}/{self.name}{place}"

    @property
    def command(self) -> str:
        """As kubectl wants it: 'deployment/checkout -n prod', with a context named as the cluster
        is."""
        return f"{self.kind}/{self.name} {self.flags}"

    @property
    def flags(self) -> str:
        """Where kubectl has to look for it, and for what is beside it."""
        context = f" --context {self.cluster}" if self.cluster else ""
        return f"-n {self.namespace}{context}"


def target_root(cluster: str) -> str:
    """How the keys of targets in a cluster begin. That of the one without a name is as it was
    before there were names, so that locks, cooldowns and approvals of then hold."""
    return f"kubernetes:{cluster}:" if cluster else "kubernetes:"


ClusterName = Annotated[
    str,
    AfterValidator(_cluster),
    WithJsonSchema({"type": "string", "description": "one of `kubernetes.clusters`"}),
]


class InCluster(Frozen):
    """`cluster`: one of `kubernetes.clusters`; empty for the one of whoever names none."""

    in_cluster: ClassVar[bool] = True

    cluster: ClusterName = ""


class ScalableParams(InCluster):
    """What has replicas: `namespace`, and exactly one of `deployment` and `statefulset`."""

    namespace: Namespace
    deployment: ObjectName | None = None
    statefulset: ObjectName | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self._named()) != 1:
            raise ValueError(f"name exactly one of {', '.join(self._kinds())}")
        return self

    def _kinds(self) -> tuple[WorkloadKind, ...]:
        return ("deployment", "statefulset")

    def _named(self) -> list[tuple[WorkloadKind, str]]:
        named = ((kind, getattr(self, kind)) for kind in self._kinds())
        return [(kind, name) for kind, name in named if name is not None]

    @property
    def workload(self) -> Workload:
        """The workload that is named."""
        kind, name = self._named()[0]
        return Workload(self.namespace, kind, name, self.cluster)


class WorkloadParams(ScalableParams):
    """`namespace`, and exactly one of `deployment`, `statefulset` and `daemonset`."""

    daemonset: ObjectName | None = None

    def _kinds(self) -> tuple[WorkloadKind, ...]:
        return ("deployment", "statefulset", "daemonset")
