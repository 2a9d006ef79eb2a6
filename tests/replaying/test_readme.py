"""The case in the README passes on the rule in the README."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import stopgap
from tests.guides import the_block
from tests.stories.stage import ROSTER


def test_the_case_of_the_readme_passes_on_its_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    (rules / "cases").mkdir(parents=True)
    (rules / "checkout.yaml").write_text(the_block("yaml rule", "README"))
    (rules / "cases/checkout.yaml").write_text(the_block("yaml case", "README"))
    (rules / "roster.yaml").write_text(ROSTER)
    allowed = "commands: {allow: [[systemctl, restart, checkout]]}\n"
    (tmp_path / "stopgap.yaml").write_text(allowed)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(stopgap, ["test"])
    assert ended.exit_code == 0, ended.output
    assert "1 passed" in ended.output
