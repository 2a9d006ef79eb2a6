"""An action of another package, that of the guide: found once it is installed, held to the same
contract."""

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
from tests.guides import the_block

PACKAGE = the_block("python action", "write-an-action")


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


exec(the_block("python contract", "write-an-action").replace("TestFlagOff", "Guide"))  # noqa: S102


@pytest.mark.usefixtures("installed")
class TestFlagOffAsTheGuideTestsIt(Guide):  # type: ignore[name-defined]  # noqa: F821
    """The guide's own test, as it stands there."""


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
