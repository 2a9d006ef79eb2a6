"""The case in the README passes on the rule in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import stopgap
from tests.stories.stage import ROSTER

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def shown(begin: str) -> str:
    """The YAML of the README that begins so."""
    [text] = [t for t in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if t.startswith(begin)]
    return text


def test_the_case_of_the_readme_passes_on_its_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    (rules / "cases").mkdir(parents=True)
    (rules / "checkout.yaml").write_text(shown("rule: checkout-success-rate"))
    (rules / "cases/checkout.yaml").write_text(shown("case: "))
    (rules / "roster.yaml").write_text(ROSTER)
    allowed = "commands: {allow: [[systemctl, restart, checkout]]}\n"
    (tmp_path / "stopgap.yaml").write_text(allowed)
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(stopgap, ["test"])
    assert ended.exit_code == 0, ended.output
    assert "1 passed" in ended.output
