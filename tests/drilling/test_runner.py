"""How drills begin, go on after a restart, and end: by themselves, by a person, by what is real."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.config.drill_settings import StagingTarget
from daemon.core.drills.desk import DrillRefused
from daemon.core.drills.promotion import PromotionPolicy
from daemon.core.drills.report import report_markdown
from daemon.core.drills.scenario import DrillScenario, Participants
from daemon.core.drills.score import report_of
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.roster import Roster
from daemon.core.response.commands import Acknowledge
from daemon.core.response.learning_commands import AddFollowUp
from daemon.core.rules.rule import RuleBook
from daemon.core.values.drill_key import drill_of
from daemon.drilling.desk import Desk
from daemon.replaying.virtual_time import run_virtually
from daemon.reporting.follow_ups import read_follow_ups
from tests.drilling.scene import HOUSE, SCENARIOS, DrillScene, alert_body, alerted

BAD = SCENARIOS["bad-deployment"]
LONG = DrillScenario.model_validate({**SCENARIOS["dependency-outage"].document(), "audiences": []})


def bad_for(**changes: object) -> DrillScenario:
    return DrillScenario.model_validate({**BAD.document(), **changes})


def test_a_real_incident_for_the_same_people_aborts_the_drill_at_once_and_they_hear_it() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(LONG, "person:bo")
        await scene.until(mark, 60)
        await scene.moves("ada", Acknowledge(), mark)
        began = scene.daemon.clock()
        await scene.play(1, alerted(began))
        (real,), (drill,) = scene.incidents(), scene.incidents(mark)
        assert drill.drill_state.ending == "aborted"
        assert drill.drill_state.ended_at == began
        assert real.id in drill.drill_state.text
        assert drill.closed is not None
        assert drill.closed.reason == "drill_over"
        said = f"[DRILL] drill aborted: real incident {real.id}"
        for person in mark.blue:
            last = [page for page in scene.daemon.pagers[person].pages if page.incident == drill.id]
            assert last[-1].text.startswith(said)
        assert scene.drills.under_way == []
        assert real.closed is None

    DrillScene().run(story)


def test_a_real_incident_for_others_leaves_the_drill_alone() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(bad_for(roles={"blue": ["bo"]}), "person:bo")
        await scene.until(mark, 50)
        await scene.play(30, alerted(scene.daemon.clock()))
        assert scene.drills.under_way == [mark]
        await scene.play(40)  # nobody has come, so bo is called for it as well
        assert scene.drills.under_way == []
        assert scene.report(mark).ending == "aborted"

    DrillScene().run(story)


def test_nobody_is_drilled_who_is_called_for_a_real_incident_or_in_another_drill() -> None:
    async def story(scene: DrillScene) -> None:
        first = await scene.drills.start(LONG, "person:bo")
        with pytest.raises(DrillRefused, match=f"ada is in the drill .* \\(run {first.run}\\)"):
            await scene.drills.start(BAD, "person:bo")
        await scene.drills.abort(first.run, "by bo")
        await scene.play(1, alerted(scene.daemon.clock()))
        with pytest.raises(DrillRefused, match="ada is called for the real incident"):
            await scene.drills.start(BAD, "person:bo")

    DrillScene().run(story)


def test_a_person_aborts_it_by_command_and_only_once() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(BAD, "person:bo")
        await scene.until(mark, 47)
        await scene.drills.abort(mark.run, "by bo")
        report = scene.report(mark)
        assert (report.ending, report.ended_text) == ("aborted", "by bo")
        with pytest.raises(DrillRefused, match=r"no drill .* goes on"):
            await scene.drills.abort(mark.run, "by bo")
        await scene.play(600)
        assert len(scene.incidents(mark)) == 1

    DrillScene().run(story)


def test_an_alert_that_was_on_its_way_when_the_drill_ended_opens_nothing() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(BAD, "person:bo")
        body = alert_body(scene, mark)
        await scene.drills.abort(mark.run, "by bo")
        await scene.daemon.intake.receive_drill(mark.run, body)
        await scene.play(1)
        assert scene.incidents() == []
        assert scene.incidents(mark) == []

    DrillScene().run(story)


def restarted(scene: DrillScene, at: float, away: float, until: float) -> DrillMark:
    """The daemon is stopped so long after the beginning of the drill, and starts again."""
    marks: list[DrillMark] = []

    async def story() -> None:
        async with scene.running():
            marks.append(await scene.drills.start(LONG, "person:bo"))
            await scene.until(marks[0], at)
        await asyncio.sleep(away)
        async with scene.running(scene.daemon):
            await scene.until(marks[0], until)

    run_virtually(story)
    assert not scene.daemon.crashes
    return marks[0]


@pytest.mark.parametrize("at", [20, 100, 300])
def test_a_drill_goes_on_after_a_short_stop_of_the_daemon(at: float) -> None:
    scene = DrillScene()
    mark = restarted(scene, at, 10, 800)
    report = scene.report(mark)
    assert report.ending == "finished"
    (drill,) = scene.incidents(mark)
    assert drill.recovered_at is not None
    assert len(drill.sentiment) == 2
    assert scene.metrics.asked == []
    assert scene.drills.under_way == []


def test_a_drill_of_whose_script_a_part_was_missed_ends_as_interrupted() -> None:
    scene = DrillScene()
    mark = restarted(scene, 100, 400, 510)
    (drill,) = scene.incidents(mark)
    assert drill.drill_state.ending == "interrupted"
    assert "a part of the script was missed" in drill.drill_state.text
    assert drill.closed is not None
    assert scene.drills.under_way == []


def test_what_a_step_did_to_the_metrics_outlasts_a_restart() -> None:
    scene = DrillScene()
    document = {**BAD.document(), "rule": "checkout-success-rate", "lasts": "20m"}
    marks: list[DrillMark] = []

    async def story() -> None:
        async with scene.running():
            marks.append(await scene.drills.start(DrillScenario.model_validate(document), "bo"))
            await scene.until(marks[0], 51)  # the step has ended, and nothing is verified yet
        async with scene.running(scene.daemon):
            await scene.until(marks[0], 300)

    run_virtually(story)
    (drill,) = scene.incidents(marks[0])
    assert drill.step(1).verdict == "recovered"
    assert scene.report(marks[0]).percent < 100  # nobody came


def test_open_incidents_of_a_drill_that_nobody_knows_are_closed() -> None:
    scene = DrillScene()

    async def story() -> None:
        async with scene.running():
            mark = await scene.drills.start(LONG, "person:bo")
            await scene.until(mark, 60)
        await scene.daemon.notes.write("drills under way", [])
        async with scene.running(scene.daemon):
            await scene.play(5)

    run_virtually(story)
    (drill,) = [i for i in scene.daemon.incidents() if drill_of(i.key)]
    assert drill.drill_state.ending == "interrupted"
    assert drill.closed is not None


def test_a_fault_is_caused_in_a_staging_target_of_the_settings_alone() -> None:
    red = DrillScenario.model_validate(
        {
            "drill": "red",
            "title": "Red team",
            "rule": "checkout-success-rate",
            "labels": {"service": "shop"},
            "target": "staging",
            "script": [
                {"at": "1s", "fault": ["./shopctl", "break"]},
                {"at": "10s", "alert": "firing"},
            ],
            "expect": {"commander": "5m"},
        }
    )

    async def refused(scene: DrillScene) -> None:
        with pytest.raises(DrillRefused, match="drills: targets: staging"):
            await scene.drills.start(red, "person:bo")
        assert scene.faults.caused == []

    DrillScene().run(refused)

    async def allowed(scene: DrillScene) -> None:
        mark = await scene.drills.start(red, "person:bo")
        await scene.until(mark, 30)
        assert scene.faults.caused == [(("./shopctl", "break"), "staging")]
        assert scene.metrics.asked != []  # what is broken for real is measured for real
        action = scene.drills.stages.of(mark).actions["release_rollback"]
        params = action.Params.model_validate({"directory": "shop", "restart": ["./shopctl"]})
        assert "acts_on" in str(action.allowed(params))

    targets = {"staging": StagingTarget(acts_on=("release:elsewhere",))}
    DrillScene(targets=targets).run(allowed)

    async def together(scene: DrillScene) -> None:
        await scene.drills.start(red.model_copy(update={"roles": Participants(blue=("bo",))}), "bo")
        other = red.model_copy(update={"drill": "blue", "roles": Participants(blue=("ada",))})
        with pytest.raises(DrillRefused, match=r"drill red .* is held on staging"):
            await scene.drills.start(other, "ada")

    DrillScene(targets=targets).run(together)


def test_what_is_to_be_done_after_a_drill_is_listed_with_all_else() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(BAD, "person:bo")
        await scene.until(mark, 50)
        await scene.moves("ada", AddFollowUp("write the runbook", "ada", None), mark)
        await scene.drills.abort(mark.run, "by bo")
        (found,) = await read_follow_ups(scene.daemon.repository, mark.began_at.date())
        assert found.follow_up.title == "write the runbook"
        assert found.title.startswith("[DRILL]")

    DrillScene().run(story)


def test_a_drill_of_an_alert_without_a_rule_calls_people_and_measures_nothing() -> None:
    scenario = DrillScenario.model_validate(
        {
            "drill": "unknown",
            "title": "Nobody knows this alert",
            "labels": {"alertname": "CheckoutSuccessRateLow", "env": "sandbox", "service": "shop"},
            "script": [{"at": "5s", "alert": "firing"}],
            "lasts": "5m",
            "expect": {"commander": "5m"},
        }
    )

    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(scenario, "person:bo")
        await scene.until(mark, 10)
        (drill,) = scene.incidents(mark)
        assert drill.rule == ""
        assert drill.problem is None
        assert scene.daemon.pagers["ada"].pages != []
        await scene.until(mark, 302)
        assert scene.report(mark).ending == "finished"

    DrillScene().run(story)


def test_the_pagers_that_the_script_lets_fail_do_so_for_its_time() -> None:
    script = [{"at": "0", "pager": "ada", "lasts": "90s"}, {"at": "20s", "alert": "firing"}]

    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(
            bad_for(script=script, roles={"blue": ["ada"]}), "person:bo"
        )
        await scene.until(mark, 85)
        assert scene.daemon.pagers["ada"].pages == []
        await scene.until(mark, 400)
        assert scene.daemon.pagers["ada"].pages[0].at - mark.began_at >= timedelta(seconds=90)

    DrillScene().run(story)


def test_of_two_that_are_started_at_once_for_the_same_people_one_is_held() -> None:
    async def story(scene: DrillScene) -> None:
        started = await asyncio.gather(
            scene.drills.start(BAD, "bo"), scene.drills.start(LONG, "ada"), return_exceptions=True
        )
        assert [type(one) for one in started] == [DrillMark, DrillRefused]

    DrillScene().run(story)


def test_a_run_that_another_version_wrote_can_still_be_looked_at() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(BAD, "bo")
        await scene.until(mark, 300)
        strange = mark.model_copy(
            update={"run": "other", "document": {**mark.document, "later": True}}
        )
        (drill,) = scene.incidents(mark)
        entries = scene.daemon.journal.entries[drill.id]
        assert report_of(strange, [entries]).out_of == 0
        assert scene.drills.stage(strange).active.now.rules.rules == {}

    DrillScene().run(story)


def test_whoever_cannot_be_reached_in_the_drill_hears_of_its_end() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(SCENARIOS["lost-pager"], "bo")
        await scene.until(mark, 60)
        assert scene.daemon.pagers["ada"].pages == []
        await scene.play(2, alerted(scene.daemon.clock()))
        texts = [page.text for page in scene.daemon.pagers["ada"].pages]
        assert any(text.startswith("[DRILL] drill aborted: real incident") for text in texts)
        assert any(not text.startswith("[DRILL]") for text in texts)

    DrillScene().run(story)


def test_a_real_incident_that_a_stop_of_the_daemon_kept_it_from_hearing_of_ends_the_drill() -> None:
    scene = DrillScene()

    async def story() -> None:
        async with scene.running():
            mark = await scene.drills.start(LONG, "person:bo")
            await scene.until(mark, 60)
            under_way = await scene.daemon.notes.read("drills under way")
            await scene.play(1, alerted(scene.daemon.clock()))
        # Killed between the real page and the end of the drill.
        await scene.daemon.notes.write("drills under way", under_way)
        async with scene.running(scene.daemon):
            await scene.play(1)
            assert scene.drills.under_way == []

    run_virtually(story)


@pytest.mark.parametrize("how", ["removed", "changed"])
def test_a_drill_whose_rule_went_away_while_the_daemon_was_stopped_is_interrupted(how: str) -> None:
    scene = DrillScene()
    rules = dict(HOUSE.rules)
    del rules["checkout-success-rate"]
    if how == "changed":  # it asks for what the scenario does not give
        other = rules["checkout-latency"]
        rules["checkout-success-rate"] = other.model_copy(update={"rule": "checkout-success-rate"})
    marks: list[DrillMark] = []

    async def story() -> None:
        async with scene.running():
            marks.append(await scene.drills.start(LONG, "person:bo"))
            await scene.until(marks[0], 60)
        config = replace(scene.world.config, rules=RuleBook(rules.values()))
        scene.world = replace(scene.world, config=config)
        async with scene.running(scene.daemon):
            await scene.play(1)

    run_virtually(story)
    assert not scene.daemon.crashes
    report = scene.report(marks[0])
    assert report.ending == "interrupted"
    assert f"the rule checkout-success-rate was {how} meanwhile" in report.ended_text


def test_a_run_that_opened_no_incident_is_kept_and_met_nothing() -> None:
    async def story(scene: DrillScene) -> None:
        desk = Desk(scene.drills, (), PromotionPolicy())
        mark = await desk.start("bad-deployment", "person:bo")
        going = await desk.report(mark.run)
        assert (going.ending, going.points) == (None, 0)
        await desk.abort(mark.run, "bo")
        report = await desk.report(mark.run)
        assert (report.ending, report.ended_text) == ("aborted", "by bo")
        assert report.points == 0
        assert [run.run for run in await desk.trend("bad-deployment")] == [mark.run]
        assert await desk.script(mark.run, "ada") != []
        (row,) = [row for row in (await desk.overview()).drills if row.drill == "bad-deployment"]
        assert row.last is not None
        assert row.last.ending == "aborted"

    DrillScene().run(story)


def test_the_report_of_a_run_that_goes_on_says_of_nothing_that_it_was_missed() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(BAD, "person:bo")
        await scene.until(mark, 50)
        text = report_markdown(scene.report(mark), [])
        assert "| not yet | service is restored within 5m |" in text
        assert "MISSED" not in text
        await scene.drills.abort(mark.run, "by bo")
        text = report_markdown(scene.report(mark), [])
        assert "| MISSED | service is restored within 5m |" in text

    DrillScene().run(story)


def without_ada(roster: Roster) -> Roster:
    return Roster.model_validate(
        {
            "people": {"bo": roster.people["bo"]},
            "default_policy": "shop",
            "policies": {"shop": {"tiers": [{"notify": ["bo"], "wait": "1m"}]}},
            "teams": {"shop": {"owners": ["bo"], "policy": "shop"}},
        }
    )


@pytest.mark.parametrize("blue", [["ada"], ["ada", "bo"]])
def test_whoever_left_the_roster_over_a_restart_is_missed_by_no_drill(blue: list[str]) -> None:
    scene = DrillScene()
    marks: list[DrillMark] = []

    async def story() -> None:
        async with scene.running():
            marks.append(await scene.drills.start(bad_for(roles={"blue": blue}), "person:bo"))
            await scene.until(marks[0], 20)
        config = scene.world.config
        config = replace(config, roster=without_ada(config.roster))
        scene.world = replace(scene.world, config=config)
        async with scene.running(scene.daemon):
            await scene.until(marks[0], 950)

    run_virtually(story)
    assert not scene.daemon.crashes
    assert scene.drills.under_way == []
    report = scene.report(marks[0])
    assert "ada" not in scene.daemon.pagers
    if "bo" in blue:
        assert report.ending == "finished"
        assert scene.daemon.pagers["bo"].pages != []
    else:
        assert report.incidents == ()  # it was over before its alert


def test_whoever_leaves_the_roster_in_the_middle_holds_up_nothing() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(bad_for(roles={"blue": ["ada"]}), "person:bo")
        await scene.until(mark, 50)
        active = scene.drills.house.active
        active.replace(replace(active.now, roster=without_ada(active.now.roster)))
        await scene.play(120, alerted(scene.daemon.clock()))
        assert scene.daemon.pagers["bo"].pages != []  # of the real one
        assert not [p for p in scene.daemon.pagers["bo"].pages if p.title.startswith("[DRILL]")]
        await scene.drills.abort(mark.run, "by bo")
        assert scene.drills.under_way == []

    DrillScene().run(story)
