"""Names in rules that only the settings give: of a Prometheus, and of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from daemon.app import WATCHES
from daemon.core.recovery.binding_content import binding_content, content_hash
from daemon.core.rules.known_names import KnownNames, same_on_two_servers
from daemon.core.rules.rule import Rule, load, read_rule
from daemon.core.rules.rule_checks import check_rules
from recovery_actions import catalogue
from recovery_actions.workshop import Cluster, Workshop

TEXT = """
rule: errors
match: ['alertname="Errors"']
group_by: [service, cluster]
team: shop
prometheus: eu
problem: {symptom: errors, value: 'errors{service="$service"}', confirm: {by: 1}}
changes:
  kubernetes: {cluster: eu, namespace: prod, deployment: shop}
  kube_state_metrics: {cluster: anything, namespace: prod, deployment: shop}
recover:
  - {action: kubernetes_restart, with: {cluster: eu, namespace: prod, deployment: shop}}
  - {action: kubernetes_restart, with: {cluster: $cluster, namespace: a, deployment: b}}
  - {action: argo_rollouts_abort, with: {cluster: eu, namespace: prod, rollout: shop}}
"""
ACTIONS = catalogue(Workshop(Path(), clusters={"eu": Cluster()}))


def mistakes(text: str, names: KnownNames | None) -> dict[str, str]:
    read = [(rule, document) for rule, document, _ in read_rule(text, "r.yaml")]
    return {m.place: m.text for m in check_rules(read, ACTIONS, WATCHES, ["shop"], names)}


def test_names_that_the_settings_have_are_none() -> None:
    assert mistakes(TEXT, KnownNames(("eu", "us"), ("eu",))) == {}


def test_names_that_they_do_not_have_are_told_with_those_that_they_have() -> None:
    server = "there is no 'eu' in `prometheus.servers` of stopgap.yaml; known: asia, us"
    cluster = "there is no 'eu' in `kubernetes.clusters` of stopgap.yaml; known: none"
    assert mistakes(TEXT, KnownNames(("us", "asia"))) == {
        "prometheus": server,
        "changes.kubernetes.cluster": cluster,
        "recover.0.with.cluster": cluster,
        "recover.2.with.cluster": cluster,
    }


def test_one_workloads_name_on_two_servers_is_warned_of() -> None:
    """`prod/checkout` of the eu is not `prod/checkout` of the us."""
    watch = "{namespace: prod, deployment: $service}"

    def rule(name: str, server: str, params: str) -> Rule:
        changes = TEXT.splitlines()
        text = "\n".join(line for line in changes if not line.startswith("prometheus:"))
        loaded = load(f"{text}\n{server}", "r.yaml")[0][0]
        given = {"kube_state_metrics": dict(yaml.safe_load(params))}
        return loaded.model_copy(update={"rule": name, "changes": given})

    def told(*rules: Rule) -> list[str]:
        return [one.rule for one, _ in same_on_two_servers(rules)]

    main, eu = rule("main", "", watch), rule("eu", "prometheus: eu", watch)
    assert told(main, eu) == ["main", "eu"]
    [(_, text), _] = same_on_two_servers([main, eu])
    assert "(eu, the one without a name)" in text
    assert told(eu, rule("also", "prometheus: eu", watch)) == []
    apart = rule("eu", "prometheus: eu", watch.replace("{", "{cluster: eu, "))
    assert told(main, apart) == []


def test_without_settings_nobody_knows() -> None:
    assert mistakes(TEXT, None) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [("prometheus: eu", "prometheus: us"), ("with: {cluster: eu, ", "with: {cluster: us, ")],
)
def test_an_approval_is_of_one_server_and_of_one_cluster(before: str, after: str) -> None:
    [(rule, _)], [(other, _)] = load(TEXT, "r.yaml"), load(TEXT.replace(before, after), "r.yaml")
    assert content_hash(rule, rule.step(1)) != content_hash(other, other.step(1))


def test_what_an_approval_of_a_rule_without_names_is_bound_to_is_as_it_was() -> None:
    text = TEXT.replace("prometheus: eu\n", "").replace("cluster: eu, ", "")
    [(rule, _)] = load(text, "r.yaml")
    assert "prometheus" not in binding_content(rule, rule.step(1))
    assert "cluster" not in binding_content(rule, rule.step(1))["step"]["with"]
