"""An action of another package: found once it is installed, held to the same contract."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import Action
from recovery_actions import catalogue
from recovery_actions.contract import ActionContract, context
from recovery_actions.workshop import Workshop

PACKAGE = '''
"""Switches a feature flag off: a file in a folder, in place of somebody's flag service."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field

from daemon.core.values.outcome import Outcome
from daemon.core.ports.actions import Ready, Refused
from daemon.core.values.units import Duration, Frozen


class FlagOffParams(Frozen):
    """`flag` is the name of the flag."""

    flag: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")]
    timeout: Duration = timedelta(seconds=10)


class FlagOff:
    """Switch a flag off."""

    name = "flag_off"
    Params = FlagOffParams

    def __init__(self, workshop):
        options = workshop.options.get("flag_off", {})
        self._folder = workshop.base / options.get("folder", "flags")

    def allowed(self, params):
        return None

    def target(self, params):
        return f"flag:{params.flag}"

    async def preflight(self, params, context):
        if not self._file(params).exists():
            return Refused("no_such_flag", f"there is no flag {params.flag}")
        return Ready(f"switch the flag {params.flag} off", {"from": "on", "to": "off"})

    async def run(self, params, intent, context):
        context.must_act()
        self._file(params).write_text("off")
        await context.progress(f"{params.flag} is off")
        return Outcome(result="done", reason="switched", detail=f"{params.flag} is off now")

    async def check(self, params, intent, context):
        return "done" if self._file(params).read_text() == "off" else "not_done"

    def _file(self, params):
        return self._folder / params.flag
'''


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package, as pip would leave it."""
    site = tmp_path_factory.mktemp("site")
    info = site / "acme_flags-1.0.dist-info"
    info.mkdir()
    (site / "acme_flags.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-flags\nVersion: 1.0\n")
    entry = "[stopgap.actions]\nflag_off = acme_flags:FlagOff\n"
    (info / "entry_points.txt").write_text(entry)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        sys.modules.pop("acme_flags", None)
        importlib.invalidate_caches()


class TestFlagOff(ActionContract):
    @pytest.fixture
    def action(self, tmp_path: Path, installed: None) -> Action:
        (tmp_path / "acme").mkdir()
        (tmp_path / "acme/checkout-v2").write_text("on")
        workshop = Workshop(tmp_path, options={"flag_off": {"folder": "acme"}})
        return catalogue(workshop)["flag_off"]

    @pytest.fixture
    def params(self, action: Action) -> Any:
        return action.Params(flag="checkout-v2")

    @pytest.fixture
    def refused_params(self, action: Action) -> Any:
        return action.Params(flag="other")

    def effect(self, tmp_path: Path) -> Any:
        return (tmp_path / "acme/checkout-v2").read_text()

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        yield {"flag": value}


async def test_it_stands_beside_our_own_and_gets_its_options(
    installed: None, tmp_path: Path
) -> None:
    actions = catalogue(Workshop(tmp_path))
    assert {"flag_off", "run_command"} <= set(actions)
    action = actions["flag_off"]
    refused: Any = await action.preflight(action.Params(flag="checkout-v2"), context())
    assert refused.reason == "no_such_flag"  # without options it looks into another folder


def test_it_is_gone_once_it_is_uninstalled(tmp_path: Path) -> None:
    assert "flag_off" not in catalogue(Workshop(tmp_path))
