"""Which series moved at the onset."""

from __future__ import annotations

import math
import random

from daemon.core.diagnosis.explain import moved_findings
from daemon.core.diagnosis.moved import Moved, SeriesCandidate, SeriesMoves, moves
from daemon.core.incident.dossier import Dossier
from tests.core.build import NOW

ONSET = 40


def series(
    name: str,
    seed: int,
    *,
    by: float = 0.0,
    at: int = ONSET,
    drift: float = 0.0,
    memory: float = 0.0,
) -> SeriesCandidate:
    """Sixty samples around 10, one a minute, that move `by` so much at minute `at`."""
    chance, state, found = random.Random(seed), 0.0, []  # noqa: S311 - a draw, no secret
    for minute in range(60):
        state = memory * state + chance.gauss(0, 1)
        found.append((60.0 * minute, 10 + state + drift * minute + (by if minute > at else 0.0)))
    return SeriesCandidate(name, f"query of {name}", found)


def told(*candidates: SeriesCandidate) -> list[str]:
    return [one.name for one in moves(candidates, 60.0 * ONSET, 60.0 * ONSET + 30).moved]


def test_what_moved_at_the_onset_is_told_the_best_fit_first() -> None:
    found = moves(
        [series("a little", 1, by=4), series("much", 2, by=20), series("not", 3)],
        60.0 * ONSET,
        60.0 * ONSET + 30,
    )
    assert [one.name for one in found.moved] == ["much", "a little"]
    assert found.candidates == 3
    best = found.moved[0]
    assert abs(best.before - 10) < 1.5
    assert abs(best.after - 30) < 1.5
    assert best.fit > 0.9
    assert best.p < 1e-6


def test_what_moved_earlier_or_drifts_is_not_told() -> None:
    assert told(series("earlier", 1, by=20, at=ONSET - 12), series("drifts", 2, drift=0.5)) == []


def test_of_many_that_did_not_move_hardly_any_is_told() -> None:
    chance = [series(f"s{seed}", seed) for seed in range(300)]
    wandering = [series(f"w{seed}", 1000 + seed, memory=0.8) for seed in range(300)]
    assert len(told(*chance)) <= 1
    assert len(told(*wandering)) <= 3


def test_a_constant_that_changed_has_moved_and_one_that_did_not_has_not() -> None:
    flat = SeriesCandidate("flat", "", [(60.0 * n, 5.0) for n in range(60)])
    step = SeriesCandidate("step", "", [(60.0 * n, 5.0 if n <= ONSET else 9.0) for n in range(60)])
    assert told(flat, step) == ["step"]


def test_of_too_few_samples_nothing_is_said() -> None:
    short = SeriesCandidate("short", "", [(60.0 * n, float(n)) for n in range(ONSET, ONSET + 9)])
    assert moves([short], 60.0 * ONSET, 60.0 * ONSET + 30).candidates == 0


def test_a_number_that_overflowed_does_not_spoil_the_journal() -> None:
    moved = Moved("x", "x", before=1.0, after=math.inf, fit=0.9, p=math.nan)
    (finding,) = moved_findings(SeriesMoves((moved,), 1))
    dossier = Dossier(begin=NOW, end=NOW, findings=(finding,))
    again = Dossier.model_validate_json(dossier.model_dump_json())
    assert again.findings[0].numbers == {"before": 1.0, "fit": 0.9}
