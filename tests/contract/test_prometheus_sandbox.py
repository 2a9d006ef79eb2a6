"""The sandbox ends all that a wrapper script has started, and waits for nobody without an end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.adapters import prometheus_sandbox
from daemon.adapters.prometheus_sandbox import PrometheusSandbox
from daemon.core.values.outcome import Permanent
from recovery_actions.contract import script, until

HANGS = 'sh -c "echo \\$\\$ > {pid}; sleep 60; true"\necho never'


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("which", ["PROMTOOL_BIN", "PROMETHEUS_BIN"])
async def test_what_hangs_behind_a_wrapper_script_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    pid = tmp_path / "pid"
    well = script(tmp_path / "well", "exit 0")
    wrapper = script(tmp_path / "wrapper", HANGS.format(pid=pid))
    for name in ("PROMTOOL_BIN", "PROMETHEUS_BIN"):
        monkeypatch.setenv(name, wrapper if name == which else well)
    monkeypatch.setattr(prometheus_sandbox, "_PATIENCE", 1.0)
    sandbox = PrometheusSandbox()
    said = "took more than 1 s" if which == "PROMTOOL_BIN" else "does not come up"
    with pytest.raises(Permanent, match=said):
        sandbox.serve("# EOF\n")
    inner = int(pid.read_text())
    assert _runs(inner)
    sandbox.close()
    await until(lambda: not _runs(inner))


def test_what_promtool_does_not_take_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMTOOL_BIN", script(tmp_path / "promtool", "echo no such; exit 1"))
    monkeypatch.setenv("PROMETHEUS_BIN", script(tmp_path / "prometheus", "exit 0"))
    sandbox = PrometheusSandbox()
    with pytest.raises(Permanent, match="does not take the raw series: no such"):
        sandbox.serve("# EOF\n")
    sandbox.close()
