"""The chart as an SVG: what is drawn where, in which colours, and that all text is only text."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemon.core.reporting.chart import MOST_MARKS, ChartMark, ChartThreshold, Curve
from daemon.web.site.chart import (
    COLOURS,
    FROM_JOURNAL,
    NARROW,
    NO_MEASUREMENT,
    WIDE,
    described,
    svg,
)

BEGIN = datetime(2026, 11, 29, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARKS = (
    ChartMark(BEGIN + 10 * MINUTE, "change", "v2.4.1"),
    ChartMark(BEGIN + 11 * MINUTE, "onset", "onset"),
    ChartMark(BEGIN + 14 * MINUTE, "action", "step 1"),
    ChartMark(BEGIN + 15 * MINUTE, "finished", "step 1 done"),
    ChartMark(BEGIN + 18 * MINUTE, "recovered", "recovered"),
    ChartMark(BEGIN + 19 * MINUTE, "relapsed", "relapse"),
)
DIP = Curve(
    symptom="success rate",
    kind="counts",
    begin=BEGIN,
    end=BEGIN + 20 * MINUTE,
    samples=tuple((BEGIN + n * MINUTE, 0.9 if 11 <= n <= 16 else 0.99) for n in range(21)),
    baseline=0.99,
    thresholds=(ChartThreshold(0.98),),
    marks=MARKS,
    source="prometheus",
)
BOTH = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


class Drawing:
    """What is on the paper."""

    def __init__(self, curve: Curve, narrow: bool = False) -> None:
        self.source = svg(curve, narrow=narrow).decode()
        self.root = ElementTree.fromstring(self.source)  # noqa: S314 - it is ours
        self.size = tuple(map(float, self.root.attrib["viewBox"].split()[2:]))

    def all(self, tag: str) -> list[ElementTree.Element]:
        return list(self.root.iter(f"{{http://www.w3.org/2000/svg}}{tag}"))

    def texts(self) -> list[str]:
        return [element.text or "" for element in self.all("text")]

    def lines(self, colour: str) -> list[ElementTree.Element]:
        """Without the samples of dashes in the legend."""
        lines = [x for x in self.all("line") if x.get("style") == f"stroke:var(--{colour})"]
        return [x for x in lines if _length(x) > 20]

    def runs(self) -> list[list[tuple[float, float]]]:
        """The points of the curve, a list for each piece of it."""
        path = next(iter(self.all("path")), None)
        pieces = [] if path is None else path.attrib["d"].split("M")[1:]
        return [
            [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", piece)]
            for piece in pieces
        ]

    def paper(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the plot."""
        plot = self.all("rect")[0].attrib
        x, y, wide, high = (float(plot[name]) for name in ("x", "y", "width", "height"))
        return x, y, round(x + wide, 1), round(y + high, 1)


def _length(line: ElementTree.Element) -> float:
    x1, y1, x2, y2 = (float(line.attrib[name]) for name in ("x1", "y1", "x2", "y2"))
    return math.hypot(x2 - x1, y2 - y1)


@BOTH
def test_the_paper_has_the_size_of_the_screen_and_is_a_picture_with_a_name(narrow: bool) -> None:
    drawn = Drawing(DIP, narrow)
    wide, high = NARROW if narrow else WIDE
    assert (drawn.root.attrib["width"], drawn.root.attrib["height"]) == (f"{wide}pt", f"{high}pt")
    assert drawn.size == (wide, high)
    assert drawn.root.attrib["role"] == "img"
    named = {element.get("id"): element.text for element in drawn.root}
    title, desc = drawn.root.attrib["aria-labelledby"].split()
    assert named[title] == "success rate from 14:00 to 14:20 UTC"
    assert named[desc] == described(DIP)


def test_the_curve_goes_through_the_samples_and_the_limits_lie_at_their_levels() -> None:
    drawn = Drawing(DIP)
    left, top, right, bottom = drawn.paper()
    (run,) = drawn.runs()
    assert len(run) == len(DIP.samples)
    assert (run[0][0], run[-1][0]) == (left, right)
    xs = [x for x, _ in run]
    assert all(b - a == pytest.approx((right - left) / 20, abs=0.11) for a, b in pairwise(xs))
    healthy, ill = run[0][1], run[12][1]
    assert top < healthy < ill < bottom  # y grows downwards
    (baseline,), (threshold,) = drawn.lines("base"), drawn.lines("limit")
    assert float(baseline.attrib["y1"]) == healthy
    share = (float(threshold.attrib["y1"]) - healthy) / (ill - healthy)
    assert share == pytest.approx(1 / 9, abs=0.01)  # 0.98 between 0.99 and 0.90
    assert baseline.get("stroke-dasharray") != threshold.get("stroke-dasharray")
    assert {"baseline", "threshold"} <= set(drawn.texts())


@BOTH
def test_each_mark_is_a_line_at_its_time_with_its_colour_and_a_name_above_the_plot(
    narrow: bool,
) -> None:
    drawn = Drawing(DIP, narrow)
    left, top, right, bottom = drawn.paper()
    looks = {}
    for mark in MARKS:
        x = left + (mark.at - BEGIN) / (20 * MINUTE) * (right - left)
        (line,) = [
            one
            for one in drawn.all("line")
            if float(one.attrib["x1"]) == float(one.attrib["x2"]) == pytest.approx(x, abs=0.2)
            and "grid" not in one.attrib["style"]
        ]
        assert (float(line.attrib["y1"]), float(line.attrib["y2"])) == (top, bottom)
        looks[mark.kind] = (line.attrib["style"], line.get("stroke-dasharray"))
        (name,) = [text for text in drawn.all("text") if text.text == mark.text]
        assert name.attrib["style"].removeprefix("fill:") in line.attrib["style"]
        assert float(name.attrib["y"]) < top
    assert len(set(looks.values())) == len(looks)  # told apart without their names


@BOTH
def test_names_of_marks_do_not_cover_each_other_and_leave_half_the_paper(narrow: bool) -> None:
    texts = [f"step {n} of a long plan"[:24] for n in range(MOST_MARKS)]
    crowd = tuple(
        ChartMark(BEGIN + (10 + n / 9) * MINUTE, "action", t) for n, t in enumerate(texts)
    )
    drawn = Drawing(replace(DIP, marks=crowd), narrow)
    _, top, _, bottom = drawn.paper()
    assert bottom - top > drawn.size[1] * 0.35
    names = [text for text in drawn.all("text") if text.text in texts]
    assert len(names) >= 6
    places = []
    for name in names:
        x, y, size = (float(name.attrib[key]) for key in ("x", "y", "font-size"))
        wide = len(name.text or "") * size / 2
        assert y - size > 0
        begin = x - wide if name.attrib["text-anchor"] == "end" else x
        assert begin >= 0
        assert begin + wide <= drawn.size[0]
        places.append((y, begin, begin + wide))
    for (y, begin, end), (other_y, other_begin, other_end) in combinations(places, 2):
        assert y != other_y or end <= other_begin or other_end <= begin
    assert all(text in described(replace(DIP, marks=crowd)) for text in texts)


def test_what_lies_outside_the_time_shown_is_not_drawn() -> None:
    late = (*DIP.samples, (BEGIN + 30 * MINUTE, 0.1))
    marks = (
        ChartMark(BEGIN - MINUTE, "change", "early"),
        ChartMark(BEGIN + 21 * MINUTE, "action", "late"),
    )
    drawn = Drawing(replace(DIP, samples=late, marks=marks))
    assert drawn.runs() == Drawing(replace(DIP, marks=())).runs()
    assert not {"early", "late"} & set(drawn.texts())


def test_a_hole_in_what_prometheus_has_is_seen_but_the_journal_measures_when_it_must() -> None:
    holed = replace(DIP, samples=DIP.samples[:6] + DIP.samples[12:13] + DIP.samples[18:])
    assert list(map(len, Drawing(holed).runs())) == [6, 1, 3]
    assert "h0" in Drawing(holed).source  # a sample alone is a dot
    assert list(map(len, Drawing(replace(holed, source="journal")).runs())) == [10]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_level_that_is_no_number_parts_the_curve_and_does_not_stretch_it(odd: float) -> None:
    samples = tuple((at, odd if n == 5 else level) for n, (at, level) in enumerate(DIP.samples))
    drawn = Drawing(replace(DIP, samples=samples, baseline=odd))
    first, second = drawn.runs()
    assert [*first, *second] == [p for n, p in enumerate(Drawing(DIP).runs()[0]) if n != 5]
    assert drawn.lines("base") == []
    assert not re.search(r"\b(nan|inf)\b", drawn.source)
    only = replace(DIP, samples=((BEGIN, odd),))
    assert NO_MEASUREMENT in Drawing(only).texts()
    assert described(only).startswith("No measurement")


def test_few_samples_are_dots_too() -> None:
    few = replace(DIP, samples=DIP.samples[3:6])
    assert [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in Drawing(few).all("circle")] == (
        Drawing(few).runs()[0]
    )
    assert Drawing(DIP).all("circle") == []
    one = Drawing(replace(DIP, samples=DIP.samples[3:4]))
    assert len(one.all("circle")) == 1


@BOTH
def test_without_a_measurement_the_chart_says_so_and_has_no_scale(narrow: bool) -> None:
    empty = Curve("success rate", "counts", BEGIN, BEGIN + 20 * MINUTE, trouble="away")
    drawn = Drawing(empty, narrow)
    assert NO_MEASUREMENT in drawn.texts()
    assert FROM_JOURNAL not in drawn.texts()
    assert not [text for text in drawn.texts() if "%" in text]
    assert drawn.runs() == []


def test_it_says_when_the_metrics_do_not_answer() -> None:
    assert FROM_JOURNAL not in Drawing(DIP).texts()
    assert FROM_JOURNAL in Drawing(replace(DIP, trouble="Prometheus is down")).texts()


def test_the_legend_goes_where_the_curve_is_not() -> None:
    def legend(curve: Curve) -> tuple[float, float]:
        box = Drawing(curve).all("rect")[1].attrib
        return float(box["y"]), float(box["y"]) + float(box["height"])

    early = [y for _, y in Drawing(DIP).runs()[0][:4]]
    assert legend(DIP)[0] > max(early)  # it starts high: below it
    rising = replace(DIP, kind="value", samples=tuple((at, 1 - v) for at, v in DIP.samples))
    rising = replace(rising, baseline=0.01, thresholds=(ChartThreshold(0.02),))
    early = [y for _, y in Drawing(rising).runs()[0][:4]]
    assert legend(rising)[1] < min(early)


HOSTILE = "</text><script>alert(1)</script>&\"' $\\frac{x}$ \x1b[31m \u202e \ud800"


@BOTH
def test_hostile_names_are_only_text(narrow: bool) -> None:
    mark = ChartMark(BEGIN + 10 * MINUTE, "change", HOSTILE)
    drawn = Drawing(replace(DIP, symptom=HOSTILE, marks=(mark,)), narrow)
    tags = {element.tag.rpartition("}")[2] for element in drawn.root.iter()}
    assert tags == {"svg", "title", "desc", "style", "rect", "line", "path", "text"}
    shown = HOSTILE.replace("\x1b", " ").replace("\u202e", " ").replace("\ud800", " ")
    assert shown in drawn.texts()
    assert "$\\frac{x}$" in drawn.source


def test_no_element_has_a_colour_of_its_own_or_leads_elsewhere() -> None:
    source = Drawing(DIP).source
    before, _, after = source.partition("</style>")
    assert not re.search(r"#[0-9a-f]{3}", after)
    assert "url(" not in source
    assert source.count("http") == 1  # the name of the language
    used = set(re.findall(r"var\(--(\w+)\)", after))
    assert used == set(COLOURS)
    for name, (light, dark) in COLOURS.items():
        assert f"--{name}:{light};" in before.partition("@media")[0]
        assert f"--{name}:{dark};" in before.partition("@media")[2]


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("name", [name for name in COLOURS if name not in {"grid", "back"}])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_each_colour_can_be_read_on_its_paper(name: str, scheme: int) -> None:
    pair = sorted(_luminance(COLOURS[one][scheme]) for one in (name, "back"))
    assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5


def test_the_same_curve_gives_the_same_bytes() -> None:
    again = replace(DIP, marks=tuple(replace(mark) for mark in MARKS))
    assert svg(again, narrow=True) == svg(DIP, narrow=True)


@given(
    levels=some.lists(some.floats(allow_nan=True, allow_infinity=True), max_size=20),
    limits=some.tuples(some.none() | some.floats(), some.none() | some.floats()),
    seconds=some.integers(0, 10_000_000),
    kind=some.sampled_from(["counts", "value"]),
    words=some.text(max_size=24),
)
def test_whatever_was_measured_the_drawing_stays_on_its_paper(
    levels: list[float],
    limits: tuple[float | None, float | None],
    seconds: int,
    kind: str,
    words: str,
) -> None:
    span = timedelta(seconds=seconds)
    curve = Curve(
        symptom=words,
        kind=kind,  # type: ignore[arg-type]
        begin=BEGIN,
        end=BEGIN + span,
        samples=tuple((BEGIN + span * n / 20, level) for n, level in enumerate(levels)),
        baseline=limits[0],
        thresholds=() if limits[1] is None else (ChartThreshold(limits[1]),),
        marks=(ChartMark(BEGIN + span / 2, "change", words),),
    )
    drawn = Drawing(curve)
    left, top, right, bottom = drawn.paper()
    assert 0 < left < right <= drawn.size[0]
    assert 0 < top < bottom <= drawn.size[1]
    for x, y in (point for run in drawn.runs() for point in run):
        assert left - 0.2 <= x <= right + 0.2  # rounded, each for itself
        assert top - 0.2 <= y <= bottom + 0.2
