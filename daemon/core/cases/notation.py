"""Series as `promtool test rules` writes them: '0+10x60 600x10 _x2 stale'.

One value for each interval, parted by white space:

    a         the value a
    axn       a, and a again n times: '1x4' is '1 1 1 1 1'
    a+bxn     a, and n more, each b greater: '-2+4x3' is '-2 2 6 10'
    a-bxn     a, and n more, each b less
    _  _xn    no sample, n times: what was not scraped
    stale     the series ends here, until a value follows

Numbers are decimal, with a sign and an exponent if need be, or Inf or NaN. Native histograms
(`{{…}}`) are not known.
"""

from __future__ import annotations

import re
from enum import Enum

MOST_POINTS = 100_000
"""So many points are in one series at most: 69 days of minutes."""

_NUMBER = r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_UNSIGNED = _NUMBER.removeprefix("[+-]?")
_ITEM = re.compile(
    rf"(?P<missing>_)(?:x(?P<gaps>\d+))?"
    rf"|(?P<stale>stale)"
    rf"|(?P<first>{_NUMBER})(?:(?P<sign>[+-])(?P<by>{_UNSIGNED}))?(?:x(?P<more>\d+))?"
)


class NoSample(Enum):
    """What stands in a series in the place of a value."""

    MISSING = "_"
    STALE = "stale"


Point = float | NoSample


def parse_notation(text: str) -> tuple[Point, ...]:
    """The points of a series. Raises ValueError that says what is wrong and how to write it."""
    points: list[Point] = []
    for item in text.split():
        match = _ITEM.fullmatch(item)
        if match is None or (match["sign"] and match["more"] is None):
            raise ValueError(_mend(item))
        if len(points) + int(match["gaps"] or match["more"] or 0) >= MOST_POINTS:
            raise ValueError(f"over {MOST_POINTS:,} points; write a longer `interval`")
        points += _expanded(match)
    if not points:
        raise ValueError("is empty; write it like '0+10x60', '600x90' or '0.2x60 1.5x30'")
    return tuple(points)


def _expanded(match: re.Match[str]) -> list[Point]:
    if match["stale"]:
        return [NoSample.STALE]
    if match["missing"]:
        return [NoSample.MISSING] * int(match["gaps"] or 1)
    first, by = float(match["first"]), float(f"{match['sign'] or '+'}{match['by'] or 0}")
    more = int(match["more"] or 0)
    # As promtool does, by adding up, so that the last digits are the same.
    points: list[Point] = [first]
    for _ in range(more):
        first += by
        points.append(first)
    return points


def _mend(item: str) -> str:
    if "{" in item:
        return f"{item!r} is a native histogram, which is not known here; give what queries answer"
    if re.fullmatch(rf"{_NUMBER}[+-]{_UNSIGNED}", item):
        return f"{item!r} lacks how often: write {item}x60 for 60 more values"
    if item.startswith("stale") or "x" not in item:
        return f"{item!r} is no value; write a number, `_` for a missed scrape, or `stale`"
    return f"{item!r} is no series; write it like 0+10x60, 5x60, _x3 or stale"
