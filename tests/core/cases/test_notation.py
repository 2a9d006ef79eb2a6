"""promtool's way to write series. What stands here was seen of promtool 2.42; that it still is so
is looked at in tests/acceptance/test_rule_cases.py."""

from __future__ import annotations

import math
import re

import pytest

from daemon.core.cases.notation import MOST_POINTS, NoSample, parse_notation

MISSING, STALE = NoSample.MISSING, NoSample.STALE

READ = {
    "1x4": (1, 1, 1, 1, 1),
    "-2+4x3": (-2, 2, 6, 10),
    "1-2x4": (1, -1, -3, -5, -7),
    "1 _x3 stale": (1, MISSING, MISSING, MISSING, STALE),
    "_ 1": (MISSING, 1),
    "0+10x2 600+0x1": (0, 10, 20, 600, 600),
    "1e2x2": (100, 100, 100),
    "+5 6": (5, 6),
    "0x3 0": (0, 0, 0, 0, 0),
    "1x0": (1,),
    ".5+.5x2": (0.5, 1, 1.5),
    "Inf -inf +INF": (math.inf, -math.inf, math.inf),
}


@pytest.mark.parametrize("text", READ)
def test_it_is_read_as_promtool_reads_it(text: str) -> None:
    assert parse_notation(text) == READ[text]


def test_nan_is_a_value() -> None:
    (point,) = parse_notation("nan")
    assert isinstance(point, float)
    assert math.isnan(point)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("1+1", "write 1+1x60"),
        ("1 x3", "'x3' is no series"),
        ("1+-2x3", "is no series"),
        ("0x1F", "is no series"),
        ("1,2", "is no value"),
        ("1_000", "is no value"),
        ("stalex2", "is no value"),
        ("1+2x-1", "is no series"),
        ("{{sum:1}}", "native histogram"),
        ("", "is empty"),
        ("five", "is no value"),
        (f"0x{10**12}", f"over {MOST_POINTS:,} points"),
    ],
)
def test_what_promtool_refuses_is_refused_with_the_mend(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=re.escape(mend)):
        parse_notation(text)
