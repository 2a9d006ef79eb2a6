"""Who carries the loss: seeded outages, and the cases that lead others astray."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.core.diagnosis.breakdown import Breakdown, ValueCounts
from daemon.core.diagnosis.contribution import Attribution, attribute, surprise
from daemon.core.values.significance import Bin
from tests.core.diagnosis.bench import attributed, kinds
from tests.core.diagnosis.outages import GUILTY, LABELS, outage

MINUTES_BEFORE, MINUTES_AFTER = 30, 5


def value(
    name: str, before: tuple[float, float], now: tuple[float, float] | None = None
) -> ValueCounts:
    """A value with so many (bad, total) a minute, before the onset and after it."""
    bins = [Bin(60.0 * n, *before) for n in range(1, MINUTES_BEFORE + 1)]
    after = now if now is not None else before
    later = [Bin(60.0 * (MINUTES_BEFORE + n), *after) for n in range(1, MINUTES_AFTER + 1)]
    return ValueCounts(name, bins, later)


def by(label: str, *values: ValueCounts) -> Breakdown:
    return Breakdown(label, values)


def of(*breakdowns: Breakdown) -> Attribution:
    return attribute(breakdowns)


def test_seeded_outages_are_named_rightly_or_not_at_all() -> None:
    """A small part of `make diagnosis-bench`."""
    found: Counter[tuple[bool, str]] = Counter()
    for kind, seed in kinds(12):
        found[kind in GUILTY, attributed(kind, seed)] += 1
    assert found[True, "right"] >= 5
    assert found[True, "wrong"] == 0
    assert found[False, "right"] == found[False, "wrong"] == 0


def test_an_outage_has_hundreds_of_values() -> None:
    found = attribute(outage("zone", 1).breakdowns)
    assert found.tested >= 200
    assert found.labels == LABELS[:2] + LABELS[3:]  # one version alone has nothing to compare


def test_the_carrier_is_told_with_its_numbers() -> None:
    zones = by(
        "zone",
        value("a", (1, 390)),
        value("b", (1, 220), (110, 220)),
        value("c", (1, 390)),
    )
    found = of(zones)
    assert (found.found, found.reason) == ("guilty", "stands_out")
    (best,) = found.carriers
    assert (best.label, best.values) == ("zone", ("b",))
    assert best.traffic == pytest.approx(0.22)
    assert best.explained == pytest.approx(1.0, abs=0.01)
    assert (best.level, best.rest) == (pytest.approx(0.5), pytest.approx(1 - 2 / 780))
    assert not best.new


def test_a_failure_that_all_have_alike_blames_nobody_however_large() -> None:
    zones = by("zone", value("a", (2, 900), (180, 900)), value("b", (0, 100), (20, 100)))
    assert of(zones).reason == "nothing_stands_out"


def test_more_values_than_make_a_name_blame_nobody() -> None:
    broken = [value(f"b{n}", (0, 100), (60, 100)) for n in range(8)]
    assert of(by("instance", *broken, value("well", (0, 900)))).reason == "nothing_stands_out"


def test_half_of_a_loss_that_others_share_is_not_carried() -> None:
    pods = by("pod", value("a", (0, 100), (60, 100)), value("b", (0, 900), (60, 900)))
    assert of(pods).reason == "nothing_stands_out"


def test_simpsons_paradox_blames_the_mix_and_no_value() -> None:
    """Each route fails as ever; one that always failed much is asked for much more."""
    routes = by(
        "route",
        value("/pay", (9, 900), (9, 900)),
        value("/export", (6, 20), (120, 400)),
        value("/list", (1, 100), (1, 100)),
    )
    # Seen by zone, whose clients export more, the rate itself fell.
    zones = by("zone", value("a", (12, 510), (120, 700)), value("b", (4, 510), (10, 700)))
    found = of(routes, zones)
    assert (found.found, found.reason, found.carriers) == ("mix", "mix_changed", ())
    assert found.mix is not None
    assert (found.mix.label, found.mix.value) == ("route", "/export")
    assert found.mix.fails == pytest.approx(0.3)
    assert found.mix.part == pytest.approx(1.0, abs=0.01)
    assert found.mix.before < 0.02 < 0.28 < found.mix.now


def test_a_guilty_value_that_is_retried_is_no_mix() -> None:
    routes = by("route", value("/pay", (1, 300), (800, 900)), value("/list", (2, 700)))
    assert of(routes).carriers[0].values == ("/pay",)


def test_a_new_value_is_compared_with_the_usual_and_called_new() -> None:
    versions = by(
        "version",
        value("v41", (2, 1000), (1, 700)),
        value("v42", (0, 0), (150, 300)),
    )
    best = of(versions).carriers[0]
    assert (best.values, best.new, best.usual) == (("v42",), True, None)


def test_a_value_that_vanished_is_not_blamed() -> None:
    pods = by("pod", value("gone", (0, 500), (0, 0)), value("a", (2, 500), (250, 500)))
    assert all("gone" not in carrier.values for carrier in of(pods).carriers)


def test_one_value_alone_is_compared_with_nothing() -> None:
    assert of(by("service", value("checkout", (1, 900), (300, 900)))).reason == "no_label"


def test_a_single_value_beside_the_remainder_is_compared_with_it() -> None:
    rest = value("", (1, 900))
    found = of(Breakdown("canary", [value("yes", (0, 100), (50, 100))], rest))
    assert found.carriers[0].values == ("yes",)


@pytest.mark.parametrize(
    ("zones", "reason"),
    [
        ((value("a", (0, 3), (1, 3)), value("b", (0, 3))), "too_little_traffic"),
        ((value("a", (5, 500)), value("b", (5, 500), (6, 500))), "too_little_traffic"),
        ((value("a", (60, 500)), value("b", (60, 500), (63, 500))), "loss_not_significant"),
    ],
)
def test_without_a_clear_loss_nobody_is_named(zones: tuple[ValueCounts, ...], reason: str) -> None:
    assert of(by("zone", *zones)).reason == reason


def test_the_finer_label_is_named_where_one_instance_of_the_zone_fails() -> None:
    """Its zone carries the loss as well, and less surprisingly."""
    instances = by(
        "instance", *(value(f"i{n}", (0, 100)) for n in range(9)), value("i9", (0, 100), (70, 100))
    )
    zones = by("zone", value("a", (0, 500)), value("b", (0, 500), (70, 500)))
    found = of(zones, instances)
    assert [c.label for c in found.carriers] == ["instance", "zone"]


def test_the_coarser_label_is_named_where_the_whole_zone_fails() -> None:
    instances = by(
        "instance",
        *(value(f"i{n}", (0, 100)) for n in range(8)),
        value("i8", (0, 100), (70, 100)),
        value("i9", (0, 100), (70, 100)),
    )
    zones = by("zone", value("a", (0, 800)), value("b", (0, 200), (140, 200)))
    assert of(instances, zones).carriers[0].values == ("b",)


def test_bursts_make_events_count_for_less() -> None:
    def bursting(name: str, now: tuple[float, float]) -> ValueCounts:
        quiet = value(name, (0, 200), now)
        before = [
            Bin(b.end, 40.0 if n % 10 == 0 else 0.0, 200.0) for n, b in enumerate(quiet.before)
        ]
        return ValueCounts(name, before, quiet.now)

    zones = by("zone", *(bursting(name, (4, 200)) for name in "abc"), bursting("d", (14, 200)))
    found = of(zones)
    assert found.dispersion > 10
    assert found.carriers == ()


def test_surprise_is_the_jensen_shannon_divergence_in_bits() -> None:
    assert surprise(0.5, 0.5) == 0
    assert surprise(0.0, 1.0) == pytest.approx(1.0)
    assert surprise(0.1, 1.0) > surprise(0.3, 1.0) > surprise(0.3, 0.8)
