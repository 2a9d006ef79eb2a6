"""What is not installed is told at the start, with what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp
import pytest

from daemon.app.notifiers import NotifierBuilder
from daemon.config.settings import Settings
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import one_document
from recovery_actions.kubernetes import installed, watch, workload_action
from tests.contract.test_cli_init import Runs
from tests.contract.test_cli_init import stopgap as stopgap  # a fixture

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


ROSTER = """\
people:
  ada: {name: Ada, contact: [{console: true}, {apprise: env:ADA_APPRISE}]}
policies:
  first: {tiers: [{notify: [ada], wait: 5m}]}
default_policy: first
channels:
  room: {apprise: env:ROOM_APPRISE}
"""


@pytest.fixture
def without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    for name in ("ADA_APPRISE", "ROOM_APPRISE"):
        monkeypatch.setenv(name, "json://phones.example.org")


@pytest.mark.usefixtures("without_apprise")
async def test_without_apprise_no_daemon_begins() -> None:
    roster = one_document(ROSTER, "roster.yaml").read(Roster)
    async with aiohttp.ClientSession() as session:
        builder = NotifierBuilder(Settings(), session, lambda reference: reference)
        for build, place in ((builder.ways, "people.ada.contact"), (builder.channels, "channels")):
            with pytest.raises(Permanent, match=r"pip install 'stopgap\[apprise\]'") as told:
                build(roster)
            assert str(told.value).startswith(place)


@pytest.mark.usefixtures("without_apprise")
def test_check_says_it_before_a_daemon_does(tmp_path: Path, stopgap: Runs) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/roster.yaml").write_text(ROSTER)
    (tmp_path / "stopgap.yaml").write_text("listen: 127.0.0.1:0\n")
    ended = stopgap(tmp_path, "check")
    told = [line for line in ended.out.splitlines() if "pip install 'stopgap[apprise]'" in line]
    assert ended.code == 1
    assert [line.partition("roster.yaml: ")[2].partition(": ")[0] for line in told] == [
        "people.ada.contact",
        "channels.room",
    ]
