"""Cases whose queries a real Prometheus evaluates, and promtool's notation as promtool reads it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from daemon.core.cases.notation import NoSample, parse_notation
from tests.contract.test_cli import ROOT
from tests.contract.test_cli_double import Ended, run

pytestmark = pytest.mark.acceptance

PROMTOOL = shutil.which("promtool") or "promtool"
NOTATIONS = ("1x3", "-2+4x3", "1-2x3", "1 _ 2 3", "1 2 stale 4", "1e2x3", "+5 -6 .5 7", "0x10")
REFUSED = ("1+1", "1 x3", "1+-2x3", "0x1F", "1,2", "stalex2", "1_000", "{{sum:1}}")


def _promtool(folder: Path, notation: str) -> list[float | None]:
    """What the first four samples are, by promtool; None where there is none. Raises ValueError if
    it refuses the notation."""
    tests = "\n".join(
        f"  - {{expr: 'last_over_time(x[1s])', eval_time: {n}m, "
        "exp_samples: [{labels: never, value: 0}]}"
        for n in range(4)
    )
    (folder / "rules.yml").write_text("groups: []\n", encoding="utf-8")
    (folder / "test.yml").write_text(
        f"rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n"
        f"  input_series: [{{series: x, values: '{notation}'}}]\n  promql_expr_test:\n{tests}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    if "parse error" in said:
        raise ValueError(said)
    got = re.findall(r"got: ?(nil|.*? (\S+))$", said.replace("\\n", "\n"), re.MULTILINE)
    assert len(got) == 4, said
    return [float(value) if value else None for _, value in got]


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_series_is_read_as_promtool_reads_it(notation: str, tmp_path: Path) -> None:
    ours = [None if isinstance(p, NoSample) else p for p in parse_notation(notation)][:4]
    assert ours == _promtool(tmp_path, notation)


@pytest.mark.parametrize("notation", REFUSED)
def test_what_promtool_refuses_is_refused(notation: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parse error"):
        _promtool(tmp_path, notation)
    with pytest.raises(ValueError, match=r"is no|lacks|native"):
        parse_notation(notation)


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    logging = structlog.get_config()
    yield tmp_path / "rules"
    structlog.configure(**logging)


def _played() -> Ended:
    return run("test", "--promql", "--filter", "Its queries count what they should")


def test_the_rules_own_queries_are_evaluated(rules: Path) -> None:
    ended = _played()
    assert (ended.code, ended.err) == (0, "")
    assert "1 passed" in ended.out


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ((',code=~"5.."', ',code=~"4.."'), "got       not_confirmed"),
        (('route="/checkout",code', "code"), "expected  checkout success rate 100.0 % → 70.0 %"),
    ],
    ids=["a query that selects nothing", "a query that selects too much"],
)
def test_a_query_that_counts_something_else_fails(
    rules: Path, edit: tuple[str, str], told: str
) -> None:
    path = rules / "checkout.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(*edit), encoding="utf-8")
    ended = _played()
    assert ended.code == 1
    assert told in ended.out
