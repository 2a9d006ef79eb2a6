"""What is not installed is told at the start, with what to install."""

from __future__ import annotations

import sys

import pytest

from daemon.app.notifiers import _apprise_installed
from daemon.core.rules.rule import read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes import installed, watch, workload_action

RULE = """\
rule: checkout
match: {alertname: HighErrors}
group_by: []
changes:
  kubernetes: {namespace: shop, deployment: checkout}
"""


def test_a_workload_cannot_be_watched_without_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    missing = installed.missing_client.__wrapped__
    monkeypatch.setattr(watch, "missing_client", missing)
    _, document, _ = next(iter(read_rule(RULE, "checkout.yaml")))
    mistakes = check_rules([(None, document)], {}, {"kubernetes": watch.KubernetesWatch}, None)
    told = [m for m in mistakes if "pip install 'stopgap[kubernetes]'" in m.text]
    assert [(m.file, m.line) for m in told] == [("checkout.yaml", 5)]


def test_an_action_upon_a_workload_is_not_allowed_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    monkeypatch.setattr(workload_action, "missing_client", installed.missing_client.__wrapped__)
    refused = workload_action.WorkloadAction.allowed(None, None)  # type: ignore[arg-type]
    assert refused is not None
    assert "pip install 'stopgap[kubernetes]'" in refused


def test_apprise_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(Permanent, match=r"pip install 'stopgap\[apprise\]'"), _apprise_installed():
        import apprise  # noqa: F401
