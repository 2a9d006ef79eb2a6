"""Seeded outages of a service with hundreds of label values, and who is to blame for each.

A service is a few hundred cells: each the traffic of one instance, endpoint and customer. Traffic
is skewed (Zipf), failures come in bursts, and what is counted is binned by minutes, as a rule's
queries would be. The same kind, seed and size give the same outage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from daemon.core.diagnosis.breakdown import Breakdown, ValueCounts
from daemon.core.values.significance import Bin

Kind = Literal[
    "zone",
    "instance",
    "endpoint",
    "customer",
    "new_version",
    "two_instances",
    "uniform",
    "uneven",
    "mix",
    "hidden_mix",
    "thin",
    "noise",
]
GUILTY: tuple[Kind, ...] = (
    "zone",
    "instance",
    "endpoint",
    "customer",
    "new_version",
    "two_instances",
)
"""In these a value is to blame; in the others none is."""
KINDS: tuple[Kind, ...] = get_args(Kind)
BEFORE, NOW = 20, 6
"""Bins before the onset and after it, a minute each."""
EPOCH = 1_760_000_000.0
LABELS = ("zone", "instance", "version", "endpoint", "customer", "method")


@dataclass
class Cell:
    """One part of the traffic: its labels, requests a minute, and shares of failures."""

    labels: dict[str, str]
    before: float
    now: float
    usual: float
    fails: float
    before_bins: list[tuple[float, float]]
    now_bins: list[tuple[float, float]]


@dataclass(frozen=True)
class Outage:
    """What was counted, by label. `guilty`: the label and its values; None if nobody is.

    `cells`: which of the cells (by index) those are, for names of the same traffic.
    """

    kind: Kind
    breakdowns: tuple[Breakdown, ...]
    guilty: tuple[str, frozenset[str]] | None
    traffic: Mapping[tuple[str, str], frozenset[int]]
    weights: tuple[float, ...]

    def blamed_rightly(self, label: str, values: Sequence[str]) -> bool:
        """Whether these values are the guilty ones, if by the name of another label for all but
        a twentieth of the same traffic."""
        if self.guilty is None:
            return False
        wanted = self._cells(*self.guilty)
        named = self._cells(label, values)
        return self._weigh(wanted ^ named) <= 0.05 * self._weigh(wanted)

    def _cells(self, label: str, values: Sequence[str] | frozenset[str]) -> frozenset[int]:
        return frozenset().union(*(self.traffic[(label, value)] for value in values))

    def _weigh(self, cells: frozenset[int]) -> float:
        return sum(self.weights[number] for number in cells)


def outage(kind: Kind, seed: int, cells: int = 700) -> Outage:
    """Draw one."""
    chance = random.Random(f"{kind} {seed}")  # noqa: S311 - a draw, no secret
    service = _service(chance, cells, kind)
    guilty = _break(chance, service, kind)
    burst = chance.choice([0.0, 0.0, 0.3, 0.6])
    for cell in service:
        cell.before_bins = _bins(chance, cell.before, cell.usual, BEFORE, burst)
        cell.now_bins = _bins(chance, cell.now, cell.fails, NOW, burst)
    traffic: dict[tuple[str, str], set[int]] = {}
    for number, cell in list(enumerate(service)):
        for label, value in cell.labels.items():
            traffic.setdefault((label, value), set()).add(number)
    return Outage(
        kind=kind,
        breakdowns=tuple(_breakdown(service, label) for label in LABELS),
        guilty=guilty,
        traffic={key: frozenset(numbers) for key, numbers in traffic.items()},
        weights=tuple(cell.now for cell in service),
    )


def _service(chance: random.Random, count: int, kind: Kind) -> list[Cell]:
    instances, endpoints, customers = 40, 50, 120
    zones = [f"eu-1{letter}" for letter in "abc"]
    rate = 12.0 if kind == "thin" else math.exp(chance.uniform(math.log(1500), math.log(20000)))
    usual = chance.choice([0.0005, 0.002, 0.01])
    weights = [1 / (number + 1) ** 0.6 for number in range(count)]
    whole = sum(weights)
    found = []
    for number, weight in enumerate(weights):
        instance = chance.randrange(instances) if number >= instances else number
        endpoint = _zipf(chance, endpoints) if number >= endpoints else number
        customer = _zipf(chance, customers) if number >= customers else number
        labels = {
            "instance": f"10.0.0.{instance}",
            "zone": zones[instance % 3],
            "version": "v41",
            "endpoint": f"/e{endpoint}",
            "customer": f"c{customer}",
            "method": "GET" if endpoint % 4 else "POST",
        }
        flow = rate * weight / whole
        own = usual * math.exp(chance.gauss(0, 0.7))
        found.append(Cell(labels, flow, flow * chance.uniform(0.8, 1.2), own, own, [], []))
    return found


def _break(
    chance: random.Random, service: list[Cell], kind: Kind
) -> tuple[str, frozenset[str]] | None:
    fails = chance.uniform(0.15, 0.9)
    if kind in {"zone", "instance", "endpoint", "customer"}:
        values = [_plain_value(chance, service, kind)]
        _fail(service, kind, values, fails)
        return kind, frozenset(values)
    if kind == "two_instances":
        values = chance.sample(sorted({c.labels["instance"] for c in service}), 2)
        _fail(service, "instance", values, fails)
        return "instance", frozenset(values)
    if kind == "new_version":
        canary = set(chance.sample(sorted({c.labels["instance"] for c in service}), 6))
        for number, cell in list(enumerate(service)):
            if cell.labels["instance"] in canary:  # its old series end, and new ones begin
                labels = {**cell.labels, "version": "v42"}
                service[number] = replace(cell, before=0.0, labels=labels, fails=fails)
                service.append(replace(cell, now=0.0))
        return "version", frozenset({"v42"})
    added = chance.uniform(0.02, 0.3)
    if kind in {"uniform", "thin"}:
        for cell in service:
            cell.fails = min(0.95, cell.usual + added)
    elif kind == "uneven":
        for cell in service:
            cell.fails = min(0.95, cell.usual + added * math.exp(chance.gauss(0, 0.8)))
    elif kind in {"mix", "hidden_mix"}:
        _mix(chance, service, added)
        if kind == "hidden_mix":  # the label that would tell is not there
            for cell in service:
                cell.labels.pop("endpoint")
                cell.labels["endpoint"] = "/"
    return None


def _mix(chance: random.Random, service: list[Cell], fails: float) -> None:
    """An endpoint that has always failed much gets much more traffic, from everybody alike."""
    value = _plain_value(chance, service, "endpoint")
    its = [cell for cell in service if cell.labels["endpoint"] == value]
    whole, own = sum(c.before for c in service), sum(c.before for c in its)
    growth, share = max(4.0, chance.uniform(0.15, 0.4) * whole / own), 0.1 + fails
    for cell in its:
        cell.before = cell.now = 0.0
    for cell in [c for c in service if c.before > 0]:
        labels, flow = {**cell.labels, "endpoint": value}, cell.before * own / (whole - own)
        service.append(Cell(labels, flow, flow * growth, share, share, [], []))


def _plain_value(chance: random.Random, service: list[Cell], label: str) -> str:
    """A value with at least half a percent of the traffic."""
    whole = sum(cell.now for cell in service)
    flows: dict[str, float] = {}
    for cell in service:
        flows[cell.labels[label]] = flows.get(cell.labels[label], 0.0) + cell.now
    return chance.choice(sorted(v for v, flow in flows.items() if flow >= 0.005 * whole))


def _fail(service: list[Cell], label: str, values: Sequence[str], fails: float) -> None:
    for cell in service:
        if cell.labels[label] in values:
            cell.fails = fails


def _bins(
    chance: random.Random, rate: float, share: float, count: int, burst: float
) -> list[tuple[float, float]]:
    found = []
    for _ in range(count):
        total = _poisson(chance, rate)
        now = share * math.exp(chance.gauss(0, burst) - burst * burst / 2) if burst else share
        found.append((float(min(total, _poisson(chance, total * min(now, 0.97)))), float(total)))
    return found


def _breakdown(service: Sequence[Cell], label: str) -> Breakdown:
    grouped: dict[str, list[Cell]] = {}
    for cell in service:
        grouped.setdefault(cell.labels[label], []).append(cell)
    return Breakdown(
        label,
        [
            ValueCounts(
                value,
                _binned([c.before_bins for c in cells], EPOCH),
                _binned([c.now_bins for c in cells], EPOCH + 60.0 * BEFORE),
            )
            for value, cells in sorted(grouped.items())
        ],
    )


def _binned(cells: Sequence[Sequence[tuple[float, float]]], begin: float) -> list[Bin]:
    return [
        Bin(begin + 60.0 * (number + 1), sum(b for b, _ in column), sum(t for _, t in column))
        for number, column in enumerate(zip(*cells, strict=True))
    ]


def _zipf(chance: random.Random, count: int) -> int:
    return min(count - 1, int(count * chance.random() ** 2))


def _poisson(chance: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 12:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count += 1
        product *= chance.random()
    return count
