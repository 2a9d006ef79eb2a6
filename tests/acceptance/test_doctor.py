"""`stopgap doctor` on a real Prometheus, a real Alertmanager and a running daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import MakeDaemon
from tests.acceptance.running import RULE, TREE, environment, lay_out
from tests.acceptance.servers import alertmanager, prometheus
from tests.acceptance.test_proposals import ask
from tests.acceptance.waiting import wait_until

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: [SELF]}]
"""
SCRAPED = """
rule: prometheus-answers
match: ['alertname="PrometheusFails"']
group_by: [handler]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(prometheus_http_requests_total{handler="$handler",code=~"5.."}[$window]))
  total: sum(increase(prometheus_http_requests_total{handler="$handler"}[$window]))
  windows: [2s, 10s]
  baseline: 1m
  confirm: {drop: 2%}
"""


def examined(home: Path) -> dict[str, str]:
    """What was found: each text with its state."""
    ran = subprocess.run(
        [sys.executable, "-m", "daemon", "doctor", "--json"],
        cwd=home,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if told["healthy"] else 1)
    return {f"{one['check']}: {one['text']}": one["state"] for one in told["findings"]}


def state(found: dict[str, str], *texts: str) -> str:
    [known] = [s for said, s in found.items() if all(text in said for text in texts)]
    return known


def test_the_chain_is_looked_at_end_to_end(tmp_path: Path, make_daemon: MakeDaemon) -> None:
    token = tmp_path / "token"
    token.write_text("hook")
    shipped = (TREE / "deploy/alertmanager.yml").read_text()
    shipped = shipped.replace("/etc/alertmanager/stopgap-token", str(token))
    with prometheus(tmp_path / "prometheus", CONFIG) as metrics, ExitStack() as later:
        settings = f"""
listen: 127.0.0.1:0
prometheus: {{url: "{metrics}", max_age: 10s}}
auth: {{webhook_token: "file:{token}"}}
log: {{format: json}}
"""
        home = lay_out(
            tmp_path / "home", settings=settings, more={"rules/scraped.yaml": SCRAPED}, rules=RULE
        )
        daemon = make_daemon(home).start()
        port = daemon.url.rpartition(":")[2]
        routing = shipped.replace("127.0.0.1:9393", f"127.0.0.1:{port}")
        alerts = later.enter_context(alertmanager(tmp_path / "alertmanager", routing))
        # Now the doctor is told where they are, as settings with a fixed port would.
        settings = settings.replace("127.0.0.1:0", f"127.0.0.1:{port}")
        (home / "stopgap.yaml").write_text(f'{settings}alertmanager: {{url: "{alerts}"}}\n')
        query = "prometheus_http_requests_total offset 1s"
        wait_until("two scrapes", lambda: bool(ask(metrics, query)["data"]["result"]), 20)
        found = examined(home)
        assert state(found, "prometheus: ", "answers, version") == "ok"
        assert state(found, "its clock agrees with ours") == "ok"
        assert state(found, "daemon: it runs at", "is ready") == "ok"
        assert state(found, "store: ", "; open: ") == "ok"
        assert state(found, "alertmanager: ", "answers, version") == "ok"
        assert state(found, "alertmanager: its alerts reach us by stopgap") == "ok"
        assert state(found, "a test alert came through it by stopgap in", "nobody here") == "ok"
        assert len(daemon.logged("a test alert of `stopgap doctor` arrived; it pages nobody")) == 1
        assert daemon.journal.incidents() == {}
        assert state(found, "service-errors", "`total` returns nothing now") == "warning"
        assert state(found, "prometheus-answers", "holds fewer than 4 scrapes") == "warning"
