"""The benches run, small and once, so that they cannot rot; what they measure here is no matter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.running import TREE
from tests.bench.__main__ import PARTS, SMALL, document, measured
from tests.bench.table import THIS, Aim, Row, rendered

pytestmark = pytest.mark.timeout(120)


@pytest.mark.acceptance
def test_every_part_of_the_table_is_measured(tmp_path: Path) -> None:
    rows = measured(tmp_path, {THIS: TREE}, SMALL, PARTS)
    assert all(row.figures[THIS] > 0 for row in rows)
    assert {row.what.split(",")[0].split(" ")[0] for row in rows if row.aims} >= {
        "intake",
        "POST",
        "matching",
        "fold",
        "/",
        "an",
    }
    told = json.loads(json.dumps(document(rows, "")))
    assert len(told["rows"]) == len(rows) == rendered(rows, "").row_count


@pytest.mark.parametrize(
    ("aim", "reached", "met"),
    [
        (Aim("floor", least=0.75), 0.5, False),
        (Aim("floor", most=0.5), 0.5, True),
        (Aim(most=10.0), 12.0, False),
        (Aim(most=12.0), 12.0, True),
        (Aim("base", least=4.0), None, None),
    ],
)
def test_an_aim_is_by_itself_or_times_what_is_beside_it(
    aim: Aim, reached: float | None, met: bool | None
) -> None:
    figures = {THIS: 12.0, "floor": 24.0}
    assert (aim.reached(figures), aim.met(figures)) == (reached, met)
    (told,) = Row("x", "ms", figures, (aim,)).as_json()["aims"]
    assert told == {"aim": str(aim), "reached": reached, "met": met}
