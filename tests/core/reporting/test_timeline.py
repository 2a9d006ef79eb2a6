"""The timeline is short where nothing changes, and loses nothing that does."""

from __future__ import annotations

from datetime import timedelta

from daemon.core.incident import events as e
from daemon.core.reporting.timeline import timeline_lines
from tests.core.build import (
    MINUTE,
    NOW,
    SECOND,
    came,
    entries,
    healthy,
    impaired,
    started,
)


def drafted(revision: int, audience: str = "responders") -> e.UpdateDrafted:
    return e.UpdateDrafted(
        update=f"{audience}.1",
        audience=audience,
        revision=revision,
        stage="early",
        text="It is measured.",
        because="the incident was opened",
        facts=str(revision),
        automatic=False,
    )


def measured(seconds: float, *, well: bool = False) -> e.RecoveryMeasured:
    at = NOW + timedelta(seconds=seconds)
    return e.RecoveryMeasured(step=0, reading=healthy(at) if well else impaired(at))


def texts(*told: tuple[float, e.Event]) -> list[str]:
    """The lines after that of the opening."""
    stamped = [(NOW + timedelta(seconds=seconds), event) for seconds, event in told]
    return [line.text for line in reversed(timeline_lines(entries(*stamped)))][1:]


def test_six_drafts_in_45_seconds_are_one_line_whatever_happens_between_them() -> None:
    told = texts(
        (1, drafted(1)),
        (9, came("ada")),
        (10, drafted(2)),
        (18, drafted(3)),
        (20, started()),
        (27, drafted(4)),
        (36, drafted(5)),
        (45, drafted(6)),
    )
    lines = [text for text in told if "drafted" in text]
    assert lines == [
        "update responders.1 drafted (the incident was opened) (the last of 6 since 14:10:01 UTC)"
    ]
    assert told[-1] == lines[0]
    assert len(told) == 3


def test_drafts_of_several_audiences_are_named_and_one_that_is_sent_ends_the_line() -> None:
    sent = e.UpdateReleased(update="responders.1", text="All is well.", person="ada")
    told = texts(
        (0, drafted(1)), (1, drafted(1, "customers")), (30, sent), (40, drafted(2, "customers"))
    )
    assert told == [
        "updates responders.1, customers.1 drafted (the last of 2 since 14:10:00 UTC)",
        "update responders.1 sent by ada: All is well.",
        "update customers.1 drafted (the incident was opened)",
    ]


def test_drafts_far_apart_stand_where_they_were() -> None:
    assert len(texts((0, drafted(1)), (400, drafted(2)))) == 2


def test_measurements_every_ten_seconds_are_one_line_until_they_say_something_else() -> None:
    told = texts(
        *((10 * n, measured(10 * n)) for n in range(6)),
        (60, measured(60, well=True)),
        (70, measured(70, well=True)),
    )
    assert len(told) == 2
    assert told[0].startswith("measured: impaired")
    assert told[1].startswith("measured: healthy")
    assert "(the last of 6 since 14:10:00 UTC)" in told[0]
    assert "(the last of 2 since 14:11:00 UTC)" in told[1]


def test_who_comes_does_not_part_measurements_and_what_is_done_does() -> None:
    told = texts(
        (0, measured(0)), (5, came("ada")), (10, measured(10)), (15, started()), (20, measured(20))
    )
    assert ["measured" in text for text in told] == [False, True, False, True]
    assert told[0].startswith("ada")


def test_each_line_knows_the_entries_that_it_stands_for() -> None:
    stamped = [(NOW + n * SECOND, event) for n, event in enumerate((drafted(1), drafted(2)))]
    line, *_ = timeline_lines(entries(*stamped, (NOW + MINUTE, drafted(3))))
    assert len(line.seqs) == 3
    assert line.at == NOW + MINUTE
