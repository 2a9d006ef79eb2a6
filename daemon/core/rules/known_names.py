"""What rules call by a name that only the settings give: Prometheus servers and clusters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.core.rules.query_templates import names_in
from daemon.core.rules.rule import Rule
from daemon.core.values.yaml_document import FileMistake, YamlDocument

_BY_METRICS = "kube_state_metrics"


@dataclass(frozen=True)
class KnownNames:
    """The names in `prometheus.servers` and in `kubernetes.clusters`."""

    servers: Collection[str] = ()
    clusters: Collection[str] = ()


def check_names(
    document: YamlDocument,
    data: Mapping[str, Any],
    actions: Mapping[str, Any],
    watches: Mapping[str, Any],
    known: KnownNames,
) -> Iterator[FileMistake]:
    """The names in a rule that the settings do not have. `actions` and `watches` as in
    `check_rules`; those whose `Params.in_cluster` holds take the name of a cluster."""
    server = data.get("prometheus")
    if isinstance(server, str) and server not in known.servers:
        yield document.mistake(
            ("prometheus",), _unknown(server, "prometheus.servers", known.servers)
        )
    for place, params, taker in _given(data, actions, watches):
        cluster = params.get("cluster")
        if not isinstance(cluster, str) or names_in(cluster):
            continue  # what a label tells is known with the alert
        if getattr(taker.Params, "in_cluster", False) and cluster not in known.clusters:
            text = _unknown(cluster, "kubernetes.clusters", known.clusters)
            yield document.mistake((*place, "cluster"), text)


def same_on_two_servers(rules: Sequence[Rule]) -> Iterator[tuple[Rule, str]]:
    """The rules whose workload bears the same name on another Prometheus, so that the deployments
    of one would be told of the other; each with what to write."""
    seen: dict[str, set[str | None]] = {}
    watched = [(rule, rule.changes.get(_BY_METRICS)) for rule in rules]
    for rule, params in watched:
        if params is not None:
            seen.setdefault(repr(sorted(params.items())), set()).add(rule.prometheus)
    for rule, params in watched:
        if params is None or params.get("cluster"):
            continue
        servers = seen[repr(sorted(params.items()))]
        if len(servers) > 1:
            others = sorted(other or "the one without a name" for other in servers)
            yield (
                rule,
                f"the same workload is watched on several Prometheus servers ({', '.join(others)}),"
                " and a deployment in one would be blamed for trouble of the other; say which "
                "cluster it is in, such as `cluster: eu`",
            )


def _given(
    data: Mapping[str, Any], actions: Mapping[str, Any], watches: Mapping[str, Any]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any], Any]]:
    """The parameters in a rule, with their place and who takes them."""
    steps, changes = data.get("recover"), data.get("changes")
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        params = step.get("with") if isinstance(step, dict) else None
        if isinstance(params, dict) and step.get("action") in actions:
            yield ("recover", index, "with"), params, actions[step["action"]]
    for kind, params in changes.items() if isinstance(changes, dict) else ():
        if isinstance(params, dict) and kind in watches:
            yield ("changes", str(kind)), params, watches[kind]


def _unknown(name: str, setting: str, known: Collection[str]) -> str:
    listed = ", ".join(sorted(known)) or "none"
    return f"there is no {name!r} in `{setting}` of stopgap.yaml; known: {listed}"
