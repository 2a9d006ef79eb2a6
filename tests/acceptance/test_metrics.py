"""The daemon's own metrics, alerts and reload, judged by promtool and a real daemon."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import ROSTER, RULE, TOKEN, TREE, Daemon, lay_out
from tests.acceptance.servers import processes
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]
RULES = TREE / "deploy/prometheus"


def promtool(*arguments: str, given: bytes = b"") -> str:
    """Run promtool in the folder of the rules; returns what it says. It must find no fault."""
    argv = [processes.program("PROMTOOL_BIN", "promtool"), *arguments]
    ran = subprocess.run(argv, cwd=RULES, input=given, capture_output=True, check=False)
    said = (ran.stdout + ran.stderr).decode()
    assert ran.returncode == 0, said
    return said


def test_the_alerts_are_sound_and_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("check", "rules", "stopgap-alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "stopgap-alerts-test.yml")


def test_the_scrape_example_is_a_configuration_of_prometheus() -> None:
    assert "SUCCESS" in promtool("check", "config", "scrape.yml")


def test_the_configurations_of_compose_are_some(tmp_path: Path) -> None:
    """They are read where compose mounts them; and the route beside them, too."""
    for file in (RULES / "stopgap-alerts.yml", RULES.parent / "compose/prometheus.yml"):
        shutil.copy(file, tmp_path)
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))
    argv = [processes.program("AMTOOL_BIN", "amtool"), "check-config"]
    for config in ("compose/alertmanager.yml", "alertmanager.yml"):
        judged = [*argv, str(RULES.parent / config)]
        ran = subprocess.run(judged, capture_output=True, text=True, check=False)
        assert "SUCCESS" in ran.stdout, ran.stderr


async def test_the_metrics_of_a_daemon_with_an_incident_are_by_the_book(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    async with http.post(f"{daemon.url}/api/v1/alerts", data=encoded(alert())) as answer:
        assert answer.status == 200
    await until("a page", lambda: daemon.journal.entries("PageDelivered"))
    async with http.get(f"{daemon.url}/metrics") as answer:
        text = await answer.read()
    assert promtool("check", "metrics", given=text) == ""
    said = text.decode()
    for line in (
        "stopgap_ready 1.0",
        'stopgap_deliveries_total{outcome="stored"} 1.0',
        'stopgap_pages_total{method="console",outcome="delivered"} 1.0',
        'stopgap_http_requests_total{method="POST",route="/api/v1/alerts",status="200"} 1.0',
        "stopgap_config_last_reload_successful 1.0",
        'stopgap_rules{mode="automatic"} 1.0',
    ):
        assert line in said.splitlines()
    assert "process_resident_memory_bytes" in said
    assert "python_gc_collections_total" in said
    assert 'stopgap_store_transaction_duration_seconds_count{kind="write"}' in said
    assert next(iter(daemon.journal.incidents())) not in said


async def test_an_admin_is_told_what_is_broken_and_the_old_rules_stay_until_it_is_mended(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    admins = ROSTER.replace("name: Ada,", "name: Ada, access: admin,")
    daemon = make_daemon(lay_out(tmp_path, more={"rules/roster.yaml": admins})).start()
    headers = {"Authorization": f"Bearer {TOKEN}"}

    async def asks() -> tuple[int, dict[str, Any]]:
        async with http.post(f"{daemon.url}/-/reload", headers=headers) as answer:
            return answer.status, await answer.json()

    async def successful() -> bool:
        async with http.get(f"{daemon.url}/metrics") as answer:
            said = await answer.text()
        return "stopgap_config_last_reload_successful 1.0" in said.splitlines()

    rule = tmp_path / "rules/rule.yaml"
    rule.write_text(RULE.replace("windows", "widows").replace("team: shop", "team: sjop"))
    status, answer = await asks()
    assert status == 422
    first, second = (mistake["detail"] for mistake in answer["errors"])
    assert first.startswith("rules/rule.yaml:5: team: no team 'sjop'")
    assert second.startswith("rules/rule.yaml:10: problem.widows: unknown key")
    assert not await successful()
    assert len(daemon.logged("the old rules stay in force: the new ones are broken")) == 2
    rule.write_text(RULE)
    assert await asks() == (200, {"rules": 1, "notes": [], "changed": [], "error": ""})
    assert await successful()
    (line, _) = daemon.logged("request")
    assert (line["person"], line["path"], line["status"]) == ("ada", "/-/reload", 422)
