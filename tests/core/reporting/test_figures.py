"""The figures, by examples worked out by hand; and as a file for spreadsheets."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterable
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest

from daemon.core.incident.outcome_facts import OutcomeFacts, RecoveredBy
from daemon.core.ports.journal import Head, OpeningOutcome
from daemon.core.reporting import figures as figure_module
from daemon.core.reporting.figures import Figures, FigureSet, FiguresTally, figures
from daemon.core.reporting.figures_csv import CSV_COLUMNS, figures_csv
from tests.core.build import MINUTE, NOW

DAY = timedelta(days=1)
MONTH = 30 * DAY
SINCE = NOW - MONTH


def head(
    days: float,
    by: RecoveredBy = "",
    *,
    rule: str = "checkout",
    team: str = "shop",
    known: bool = True,
    recover: float = 10,
    onset: float = 2,
    **facts: Any,
) -> Head:
    """An incident opened so many days ago; recovered `recover` minutes after its opening, which was
    `onset` minutes after the onset."""
    at = NOW - days * DAY
    given: dict[str, Any] = {"recovered_by": by, **facts}
    if by:
        given["restored_at"] = at + recover * MINUTE
        given["onset"] = at - onset * MINUTE
    outcome = OutcomeFacts.model_validate(given) if known else None
    return Head(
        incident=f"{days}-{by}-{rule}",
        key="k",
        seq=1,
        phase="closed",
        title="t",
        severity="",
        opened_at=at,
        rule=rule,
        team=team,
        outcome=outcome,
    )


def now(*heads: Head) -> FigureSet:
    return figures(heads, SINCE, NOW).now


def acknowledged(days: float, minutes: float) -> Head:
    at = NOW - days * DAY
    return head(days, acknowledged_at=at + minutes * MINUTE)


def test_times_are_told_as_mean_and_median_of_those_that_have_them() -> None:
    found = now(acknowledged(1, 1), acknowledged(2, 2), acknowledged(3, 9), head(4))
    assert found.incidents == 4
    assert found.acknowledge is not None
    assert (found.acknowledge.incidents, found.acknowledge.mean) == (3, 240)
    assert found.acknowledge.median == 120
    assert found.detect is None
    assert found.recover is None


def test_detection_is_from_the_onset_and_recovery_from_the_opening() -> None:
    found = now(head(1, "daemon", recover=5, onset=3))
    assert found.detect is not None
    assert found.recover is not None
    assert (found.detect.mean, found.recover.mean) == (180, 300)


def test_an_incident_belongs_to_the_period_of_its_opening() -> None:
    heads = [head(1), head(30), head(30.01), head(59), head(60), head(60.01)]
    found = figures(heads, SINCE, NOW)
    assert (found.now.incidents, found.before.incidents) == (2, 3)


def test_the_share_of_the_daemon_is_of_what_recovered() -> None:
    found = now(
        head(1, "daemon"), head(2, "person"), head(3, "elsewhere"), head(4, "daemon"), head(5)
    )
    assert (found.recovered, found.by_daemon, found.by_people, found.elsewhere) == (4, 2, 1, 1)
    assert found.share_by_daemon == 0.5
    assert now(head(1)).share_by_daemon is None


def test_the_two_errors_are_counted() -> None:
    found = now(head(1, overruled=("storm", "cooldown")), head(2, overruled=("storm",), undone=2))
    assert found.overruled == {"cooldown": 1, "storm": 2}
    assert found.refusals_overruled == 3
    assert found.undone == 2


def test_what_is_not_known_of_an_incident_counts_as_unknown_alone() -> None:
    found = now(head(1, "daemon", known=False), head(2))
    assert (found.incidents, found.unknown, found.recovered) == (2, 1, 0)


# ── what was saved ───────────────────────────────────────────────────────────────────────────


def manual(days: float, minutes: float, rule: str = "checkout") -> Head:
    """People recovered it, so many minutes after its onset."""
    return head(days, "person", rule=rule, recover=minutes, onset=0)


def automatic(days: float, minutes: float, *, rule: str = "checkout", failed: float) -> Head:
    """The daemon did; its requests failed all the time."""
    return head(
        days,
        "daemon",
        rule=rule,
        recover=minutes,
        onset=0,
        failed_requests=failed,
        impact=timedelta(minutes=minutes),
    )


def test_saved_is_the_median_of_people_less_what_the_daemon_took() -> None:
    # People: 20, 30 and 60 minutes, so M = 30. The daemon took 10 minutes, in which 500 requests
    # failed, 50 a minute: it saved 20 minutes and 20 × 50 requests.
    people = [manual(100, 20), manual(200, 30), manual(300, 60)]
    found = now(*people, automatic(1, 10, failed=500)).saved
    assert found is not None
    assert (found.seconds, found.requests) == (1200, pytest.approx(1000))
    assert (found.incidents, found.counted, found.compared) == (1, 1, 3)


def test_what_took_longer_than_people_was_lost() -> None:
    people = [manual(100, 20), manual(200, 30), manual(300, 60)]
    found = now(*people, automatic(1, 45, failed=450), automatic(2, 20, failed=0)).saved
    assert found is not None
    assert found.seconds == -15 * 60 + 10 * 60
    assert found.requests == pytest.approx(-15 * 10)


def test_a_rule_without_enough_recoveries_by_people_is_compared_with_all() -> None:
    people = [manual(100, 40, "search"), manual(101, 50, "search"), manual(102, 90)]
    found = now(*people, automatic(1, 10, failed=100)).saved
    assert found is not None
    assert (found.seconds, found.compared) == (40 * 60, 3)


def test_what_is_usual_is_worked_out_once_for_a_rule_and_not_for_each_incident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sorted_lists: list[int] = []

    def counting(values: Iterable[float]) -> float:
        known = list(values)
        sorted_lists.append(len(known))
        return median(known)

    monkeypatch.setattr(figure_module, "median", counting)
    people = [manual(2, 20 + n % 3) for n in range(50)]
    found = now(*people, *(automatic(1, 5, failed=60) for _ in range(40)))
    assert found.saved is not None
    assert found.saved.incidents == 40
    assert sorted_lists.count(50) == 1
    # The other medians are those of the figures themselves: of all, of the rule and of the team.
    assert len(sorted_lists) < 15


def test_without_enough_recoveries_by_people_nothing_is_claimed() -> None:
    assert now(manual(100, 40), manual(101, 50), automatic(1, 10, failed=100)).saved is None
    old = [manual(366, 40), manual(367, 50), manual(368, 60)]
    assert now(*old, automatic(1, 10, failed=100)).saved is None
    assert now(manual(1, 40), manual(2, 50), manual(3, 60)).saved is None


def test_what_healed_elsewhere_is_people_s_if_somebody_had_come() -> None:
    def elsewhere(days: float, *, attended: bool) -> Head:
        at = NOW - days * DAY
        came = at + MINUTE if attended else None
        return head(days, "elsewhere", recover=30, onset=0, acknowledged_at=came)

    daemons = automatic(1, 10, failed=100)
    attended = [elsewhere(n, attended=True) for n in (50, 51, 52)]
    alone = [elsewhere(n, attended=False) for n in (50, 51, 52)]
    assert now(*attended, daemons).saved is not None
    assert now(*alone, daemons).saved is None


def test_the_period_before_is_compared_with_what_was_known_then() -> None:
    people = [
        manual(100, 20),
        manual(101, 30),
        manual(102, 40),
        *(manual(n, 90) for n in range(1, 9)),
    ]
    found = figures([*people, automatic(40, 10, failed=100)], SINCE, NOW)
    assert found.now.saved is None
    assert found.before.saved is not None
    assert found.before.saved.seconds == 20 * 60


def test_requests_that_were_not_counted_are_not_made_up() -> None:
    people = [manual(100, 20), manual(200, 30), manual(300, 60)]
    value = head(1, "daemon", recover=10, onset=0, impact=timedelta(minutes=10))
    found = now(*people, value)
    assert found.saved is not None
    assert (found.saved.seconds, found.saved.requests, found.saved.counted) == (1200, None, 0)
    assert (found.failed_requests, found.counted) == (None, 0)


# ── by rule and team ─────────────────────────────────────────────────────────────────────────


def example() -> Figures:
    return figures(
        [
            head(1, "daemon", rule="a", team="x", failed_requests=10.0),
            head(2, "person", rule="b", team="x", failed_requests=5.5),
            head(40, "daemon", rule="b", team="y"),
            head(3, rule="", team=""),
        ],
        SINCE,
        NOW,
    )


def test_each_rule_and_team_has_its_own_with_those_before() -> None:
    found = example()
    rules = {one.name: (one.now.incidents, one.before.incidents) for one in found.rules}
    assert rules == {"": (1, 0), "a": (1, 0), "b": (1, 1)}
    teams = {one.name: (one.now.by_daemon, one.before.by_daemon) for one in found.teams}
    assert teams == {"": (0, 0), "x": (1, 0), "y": (0, 1)}
    assert found.now.failed_requests == 15.5


def rows(found: Figures) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figures_csv(found), newline="")))


def test_the_file_has_a_line_for_all_and_for_each_now_and_before() -> None:
    read = rows(example())
    assert tuple(read[0]) == CSV_COLUMNS
    assert [(row["of"], row["name"]) for row in read[::2]] == [
        ("all", ""),
        *(("team", name) for name in ("", "x", "y")),
        *(("rule", name) for name in ("", "a", "b")),
    ]
    first, before = read[:2]
    assert (first["incidents"], first["recovered_by_daemon"]) == ("3", "1")
    assert (first["failed_requests"], first["share_by_daemon"]) == ("15.5", "0.5")
    assert (first["recover_mean_seconds"], first["acknowledge_mean_seconds"]) == ("600", "")
    assert (before["until"], before["since"]) == (SINCE.isoformat(), (SINCE - MONTH).isoformat())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_no_name_becomes_a_formula_of_a_spreadsheet(name: str) -> None:
    read = rows(figures([head(1, team=name)], SINCE, NOW))
    (told,) = {row["name"] for row in read if row["of"] == "team"}
    assert told.startswith("'")
    assert told[1:].strip() == name.strip()


def test_numbers_below_nothing_stay_numbers() -> None:
    people = [manual(100, 20), manual(200, 30), manual(300, 60)]
    read = rows(figures([*people, automatic(1, 45, failed=450)], SINCE, NOW))
    assert float(read[0]["saved_seconds"]) == -900


def test_great_numbers_are_written_out() -> None:
    read = rows(figures([head(1, failed_requests=1_240_000.25)], SINCE, NOW))
    assert read[0]["failed_requests"] == "1240000.25"


def test_nothing_makes_no_figures() -> None:
    found = figures([], SINCE, NOW)
    assert found.now == FigureSet()
    assert found.rules == ()
    assert datetime.fromisoformat(rows(found)[0]["until"]) == NOW


def test_of_an_incident_that_was_counted_a_few_numbers_are_kept() -> None:
    """A page of figures of a large store looks at tens of thousands."""
    tally, portions, size = FiguresTally(SINCE, NOW), 4, 250
    tracemalloc.start()
    try:
        for first in range(0, portions * size, size):
            tally.add(opening(number) for number in range(first, first + size))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tally.figures().now.by_daemon == portions * size
    assert kept / (portions * size) < 800, "bytes an incident; a row takes two thousand"


def opening(number: int) -> OpeningOutcome:
    """What the store tells of one of many incidents, of which nothing is shared."""
    one = head(1 + number / 1000, "daemon", failed_requests=number / 7, impact=number * MINUTE)
    rule, team = str(b"checkout", "ascii"), str(b"shop", "ascii")
    return OpeningOutcome(one.incident, one.opened_at, rule, team, one.outcome)
