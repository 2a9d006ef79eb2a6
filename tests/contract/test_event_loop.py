"""The daemon runs on uvloop where that is installed, and on asyncio's own loop elsewhere."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from daemon import app
from daemon.cli import stopgap
from daemon.cli.server import asyncio as used


@pytest.mark.parametrize("installed", [True, False])
def test_the_fastest_loop_that_is_installed_runs_the_daemon(
    installed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    made: list[Callable[[], asyncio.AbstractEventLoop] | None] = []
    factory = asyncio.new_event_loop

    class Noting(asyncio.Runner):
        def __init__(self, *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
            made.append(loop_factory)
            super().__init__(loop_factory=loop_factory)

    async def serves(*_: object, **__: object) -> None:
        """The daemon ends at once."""

    monkeypatch.setattr(used, "Runner", Noting)
    monkeypatch.setattr(app, "serve", serves)
    module = SimpleNamespace(new_event_loop=factory) if installed else None
    monkeypatch.setitem(sys.modules, "uvloop", module)
    settings = tmp_path / "stopgap.yaml"
    settings.write_text('prometheus: {url: "http://127.0.0.1:9"}\n')
    try:
        ended = CliRunner().invoke(stopgap, ["run", "--config", str(settings)])
    finally:
        gc.enable()  # the command leaves that to the daemon
    assert ended.exit_code == 0, ended.output
    assert made == [factory if installed else None]
