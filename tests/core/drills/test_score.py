"""What a drill came to, by nothing but the journals of its incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from daemon.core.drills.report import report_markdown, run_of
from daemon.core.drills.scenario import DrillScenario
from daemon.core.drills.score import DrillReport, report_of
from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.values.outcome import Outcome
from tests.core.build import NOW, entries, opening

ADA = "person:ada"


def at(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def mark(**expect: Any) -> DrillMark:
    scenario = DrillScenario.model_validate(
        {
            "drill": "d",
            "title": "A drill",
            "script": [{"at": 0, "alert": "firing"}],
            "expect": expect,
        }
    )
    return DrillMark(
        run="r",
        scenario="d",
        title="A | drill",
        by="ada",
        began_at=NOW,
        blue=("ada",),
        document=scenario.document(),
    )


def journal(*events: Any, incident: str = "drill-r-1", began: float = 0) -> list[e.Entry]:
    found = entries((at(began), opening()), *((at(s), event) for s, event in events))
    return [entry.model_copy(update={"incident": incident}) for entry in found]


def scored(name: str, expect: Any, *journals: list[e.Entry]) -> tuple[str, bool]:
    report = report_of(mark(**{name: expect}), journals)
    (criterion,) = report.criteria
    assert (report.points, report.out_of) == (int(criterion.met), 1)
    return criterion.got, criterion.met


def arrives(seconds: float, person: str = "ada") -> list[tuple[float, Any]]:
    return [
        (seconds, e.ResponderArrived(person=person, via="cli")),
        (seconds, e.CommanderAppointed(person=person, reason="first")),
    ]


def test_times_count_from_the_first_incident_to_the_first_that_has_it() -> None:
    late, early = journal(*arrives(400)), journal(*arrives(90), incident="drill-r-2", began=30)
    assert scored("commander", "5m", late) == ("after 6m40s", False)
    assert scored("commander", "5m", late, early) == ("after 1m30s", True)
    assert scored("commander", "5m", journal()) == ("never", False)


def test_a_takeover_is_the_second_commander() -> None:
    one = journal(*arrives(60), *arrives(660, "bo"))
    assert scored("takeover", "15m", one) == ("after 10m", True)
    assert scored("takeover", "5m", one) == ("after 10m", False)
    assert scored("takeover", "5m", journal(*arrives(60))) == ("never", False)


def test_recovery_is_that_of_all_and_a_relapse_takes_it_back() -> None:
    well = e.Recovered(step=1, text="well")
    first = journal((100, well))
    assert scored("recovery", "5m", first) == ("after 1m40s", True)
    assert scored("recovery", "5m", first, journal(incident="drill-r-2")) == ("never", False)
    back = journal((100, well), (200, e.Relapsed(text="again")))
    assert scored("recovery", "5m", back) == ("never", False)


def drafted(name: str, seconds: float) -> list[tuple[float, Any]]:
    draft = e.UpdateDrafted(
        update=name,
        audience="room",
        revision=1,
        stage="early",
        text="x",
        because="y",
        facts="z",
        automatic=False,
    )
    return [(seconds, draft), (seconds, e.UpdateReleased(update=name, person="ada", text="x"))]


def test_the_cadence_is_the_longest_pause_until_it_is_restored() -> None:
    well = (900, e.Recovered(step=1, text="well"))
    one = journal(*drafted("room.1", 60), *drafted("room.2", 360), well)
    assert scored("cadence", "10m", one) == ("the longest was 9m", True)
    assert scored("cadence", "5m", one) == ("the longest was 9m", False)
    assert scored("cadence", "5m", journal(well)) == ("no update was sent", False)


def test_roles_count_if_they_were_ever_held() -> None:
    taken = (50, e.RoleTaken(role="communicator", person="bo", reason="by their word"))
    one = journal(*arrives(40), taken)
    assert scored("roles", ["commander", "communicator"], one) == ("all were held", True)
    got, met = scored("roles", ["commander", "diagnosis"], one)
    assert (got.startswith("vacant: "), met) == (True, False)


@pytest.mark.parametrize(
    ("by", "text", "met"),
    [
        (ADA, "the Provider has an outage", True),
        (ADA, "two providers at once", True),
        (ADA, "no idea", False),
        (ADA, "it is no teleprovider", False),
        ("stopgap", "provider", False),
    ],
)
def test_a_diagnosis_is_what_people_said(by: str, text: str, met: bool) -> None:
    found = journal((60, e.Noted(text=text)))
    found[-1] = found[-1].model_copy(update={"by": by})
    assert scored("diagnosis", ["provider"], found)[1] is met


def test_nothing_done_is_nothing_that_changed_the_world() -> None:
    def ran(result: str) -> list[e.Entry]:
        outcome = Outcome.model_validate({"result": result, "reason": "so", "detail": ""})
        return journal(
            (10, e.StepStarted(step=1, action="rollback", target="t", params={}, authority="x")),
            (20, e.StepFinished(step=1, outcome=outcome)),
        )

    assert scored("no_action", True, ran("refused")) == ("nothing was", True)
    assert scored("no_action", True, ran("failed")) == ("rollback", False)


def test_the_clock_is_late_if_any_item_was() -> None:
    missed = e.DeadlineMissed(item="commander", text="late")
    assert scored("clock", True, journal((300, missed))) == ("late: commander", False)
    assert scored("clock", True, journal()) == ("none was", True)


def ended() -> DrillReport:
    over = e.DrillEnded(ending="aborted", text="by bo")
    return report_of(mark(commander="5m", clock=True), [journal(*arrives(30), (90, over))])


def test_the_report_says_it_all_and_how_earlier_runs_went() -> None:
    report = ended()
    assert (report.ending, report.ended_at, report.percent) == ("aborted", at(90), 100)
    text = report_markdown(report, [run_of(report)])
    assert text.startswith("# [DRILL] A | drill: 2 of 2\n")
    assert "- Ended: aborted after 1m30s: by bo" in text
    assert "| met | somebody commands within 5m | after 30s |" in text
    assert "| 2/2 | aborted | `r` |" in text


def test_a_run_without_any_incident_has_met_nothing() -> None:
    report = report_of(mark(commander="5m", recovery="9m"), [])
    assert (report.points, report.out_of, report.percent) == (0, 2, 0)
    assert "None opened." in report_markdown(report, [])
