"""`stopgap init --from-prometheus` on a real Prometheus, and the daemon on what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from daemon.core.rules.query_templates import render_query
from daemon.core.rules.rule import load
from tests.acceptance.conftest import MakeDaemon
from tests.acceptance.running import TREE, run_command
from tests.acceptance.servers import prometheus

CONFIG = """
global: {scrape_interval: 1s, evaluation_interval: 15s}
rule_files: [alerts.yml, sandbox.yml]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: [SELF]}]
"""


def ask(url: str, query: str) -> Any:
    encoded = urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(f"{url}/api/v1/query?{encoded}", timeout=5) as answer:  # noqa: S310 - our own address
        return json.load(answer)


def test_rules_of_a_real_prometheus_pass_the_check_and_run(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "prometheus").mkdir()
    shutil.copy(TREE / "tests/data/alerts.yml", tmp_path / "prometheus/alerts.yml")
    shutil.copy(TREE / "deploy/sandbox/alerts.yml", tmp_path / "prometheus/sandbox.yml")
    with prometheus(tmp_path / "prometheus", CONFIG) as url:
        said = run_command(home, "init", "--from-prometheus", url)
        assert "36 rules proposed, in the mode `observe`, for 39 of 39 alerting rules" in said
        assert run_command(home, "check") == "36 rules, no mistake\n"
        rules = [
            rule
            for file in (home / "rules").glob("*/*.yaml")
            for rule, _ in load(file.read_text(), str(file))
        ]
        # Prometheus itself, and not only our parser, takes every query.
        for rule in rules:
            labels = dict.fromkeys(rule.group_by, 'x"y')
            for template in (rule.problem.bad, rule.problem.total, *rule.problem.values):
                if template is not None:
                    query = render_query(template, labels, rule.problem.windows[0])
                    assert ask(url, query)["status"] == "success", query
        counts = {rule.rule for rule in rules if rule.problem.bad is not None}
        assert counts == {
            "availability",
            "checkout-errors",
            "checkout-success-rate-low",
            "high-error-rate",
            "writes-fail",
        }
        settings = home / "stopgap.yaml"
        settings.write_text(settings.read_text().replace("127.0.0.1:9393", "127.0.0.1:0", 1))
        daemon = make_daemon(home).start()
        [token] = (home / "secrets").iterdir()
        assert os.stat(token).st_mode & 0o077 == 0
        arguments = ("--token-file", str(token), "--url", daemon.url)
        assert run_command(home, "incidents", *arguments) == "no incidents\n"
        assert daemon.stop() == 0
