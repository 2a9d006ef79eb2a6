"""A drill on the real daemon, in real time: held, answered, recovered, scored; and ended by what is
real."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance import running
from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.running import ROSTER, SETTINGS, TOKEN, Daemon, lay_out, run_command
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]

RULE = (
    running.RULE.replace("windows: [1s, 3s]", "windows: [2s, 4s]")
    + """\
  severity: {sev2: 10%}
changes:
  releases: {directory: releases}
recover:
  - action: release_rollback
    with: {directory: releases, restart: ["true"]}
    when: suspect_change
    approval: automatic
    within: 30s
verify: {settle: 1s, hold: 2s, near_baseline: 1%, traffic: 10%, watch: 2s}
"""
)
DRILL = """
drill: short
title: A release that fails, quickly
why: to see the whole chain
rule: service-errors
labels: {service: shop}
interval: 1s
scrape: 500ms
series:
  total: {per_minute: '600'}
  bad: {share: '0x1 0.4'}
script:
  - {at: 500ms, change: v2, was: v1}
  - {at: 6s, alert: firing}
  - {at: 6500ms, public: "It fails, they write."}
actions:
  1: {takes: 1s, then: {bad: {share: '0'}}}
audiences: [room]
lasts: 40s
expect: {commander: 20s, decision: 10s, first_update: 30s, recovery: 25s, diagnosis: [v2]}
"""
MENDS = "  1: {takes: 1s, then: {bad: {share: '0'}}}\n"
AUDIENCES = (
    ROSTER
    + """
channels: {room: {console: true}}
audiences: {room: {channels: [room], send: automatic}}
"""
)
ALLOWED = (
    SETTINGS
    + """
commands: {allow: [["true"]]}
drills: {self_drill: {enabled: false}}
"""
)


def laid_out(folder: Path, drill: str = DRILL) -> Path:
    more = {"rules/drills/short.yaml": drill, "rules/roster.yaml": AUDIENCES}
    return lay_out(folder, settings=ALLOWED, rules=RULE, more=more)


def command(daemon: Daemon, *words: str) -> str:
    """What `stopgap` says to Ada."""
    token = daemon.folder / "token"
    token.write_text(TOKEN)
    return run_command(daemon.folder, *words, "--url", daemon.url, "--token-file", str(token))


def begun(daemon: Daemon) -> str:
    """The drill is held by the command line; its run."""
    return str(json.loads(command(daemon, "drill", "run", "short", "--json"))["run"])


async def report(http: aiohttp.ClientSession, daemon: Daemon, run: str) -> Any:
    path, ada = f"{daemon.url}/api/v1/drill-runs/{run}", {"Authorization": f"Bearer {TOKEN}"}
    async with http.get(path, headers=ada) as answer:
        assert answer.status == 200
        return await answer.json()


async def incident_of(http: aiohttp.ClientSession, daemon: Daemon, run: str) -> str:
    async def opened() -> str:
        found = (await report(http, daemon, run))["report"]["incidents"]
        return str(found[0]["incident"]) if found else ""

    return await until("the drill's incident", opened, 20)


async def ended(http: aiohttp.ClientSession, daemon: Daemon, run: str, within: float) -> Any:
    async def found() -> Any:
        read = await report(http, daemon, run)
        return read if read["report"]["ending"] else None

    return await until("the drill to end", found, within)


async def test_a_drill_is_scored_end_to_end(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    daemon = make_daemon(laid_out(tmp_path)).start()
    run = begun(daemon)
    incident = await incident_of(http, daemon, run)
    await until("the call", lambda: daemon.logged("PAGE"))
    command(daemon, "ack", incident)
    found = await ended(http, daemon, run, 60)
    assert found["report"]["ending"] == "finished"
    assert {one["name"]: one["met"] for one in found["report"]["criteria"]} == dict.fromkeys(
        ("commander", "first_update", "decision", "recovery", "diagnosis"), True
    )
    assert found["percent"] == 100
    assert "[DRILL]" in command(daemon, "show", incident)
    assert "[DRILL]" in command(daemon, "incidents")
    assert command(daemon, "review", incident).startswith("# [DRILL] ")
    assert "| met | service is restored within 25s |" in command(daemon, "drill", "report", run)
    pages = daemon.logged("PAGE")
    assert pages
    assert all(page["title"].startswith("[DRILL]") for page in pages)
    # There is neither such a release nor a Prometheus: nothing real was asked or touched.
    assert not (tmp_path / "releases").exists()


async def test_a_drill_outlives_a_kill_and_a_real_incident_aborts_it(
    tmp_path: Path, make_daemon: MakeDaemon, http: aiohttp.ClientSession
) -> None:
    never_mended = DRILL.replace(MENDS, "  1: {takes: 1s}\n")
    daemon = make_daemon(laid_out(tmp_path, never_mended)).start()
    run = begun(daemon)
    await incident_of(http, daemon, run)
    daemon.stop(signal.SIGKILL)
    daemon.start()
    assert (await report(http, daemon, run))["report"]["ending"] is None
    async with http.post(f"{daemon.url}/api/v1/alerts", data=encoded(alert())) as answer:
        assert answer.status == 200
    found = (await ended(http, daemon, run, 15))["report"]
    assert found["ending"] == "aborted"
    assert "real incident" in found["ended_text"]
    assert "goes on" not in command(daemon, "drill", "list")
    told = [page["text"] for page in daemon.logged("PAGE")]
    assert any(text.startswith("[DRILL] drill aborted: real incident ") for text in told)
