"""What is real and what is a drill know nothing of each other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.cli.apply import proposals
from daemon.config.settings import Settings
from daemon.core.changes.change import Change
from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.incident.events import DossierGathered, Entry
from daemon.core.recovery.guardrails import ActionScope
from daemon.core.response.commands import Acknowledge, EngageTeam
from daemon.core.response.role_commands import FillRole
from daemon.core.rules.rule import incident_key
from daemon.intake.late_changes import tell_incidents
from daemon.replaying.happenings import PersonMoves
from daemon.replaying.replay import replay
from tests.drilling.scene import BEGINS, HOUSE, RULES, SCENARIOS, DrillScene, alert_body, alerted

BAD = SCENARIOS["bad-deployment"]
TARGET = "release:shop"


def for_blue(*blue: str, **changes: object) -> DrillScenario:
    """The drill of a bad deployment with these people."""
    document = {**BAD.document(), "roles": {"blue": list(blue)}, **changes}
    return DrillScenario.model_validate(document)


async def drilled(scene: DrillScene, *blue: str, seconds: float = 60, **more: object) -> DrillMark:
    mark = await scene.drills.start(for_blue(*blue, **more), "person:bo")
    await scene.until(mark, seconds)
    return mark


def test_an_incident_of_a_drill_never_has_the_key_of_a_real_one() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo")
        await scene.play(1, alerted(scene.daemon.clock()))
        (real,), (drill,) = scene.incidents(), scene.incidents(mark)
        assert (real.rule, real.group_labels) == (drill.rule, drill.group_labels)
        assert real.key == incident_key(real.rule, real.group_labels)
        assert drill.key == f"drill:{mark.run}:{real.key}"
        assert real.drill is None
        assert drill.drill == mark
        assert not real.title.startswith("[DRILL]")
        assert drill.title.startswith("[DRILL] ")

    DrillScene().run(story)


def test_an_alert_from_outside_is_ordinary_whatever_it_says() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo")
        own = alert_body(scene, mark)
        await scene.daemon.intake.receive(own)
        at = scene.daemon.clock()
        labels = {"drill": mark.run, "run": mark.run, "service": f"drill:{mark.run}:shop"}
        await scene.play(1, alerted(at, **labels))
        real = scene.incidents()
        assert len(real) == 2
        assert all(incident.drill is None for incident in real)
        assert len(scene.incidents(mark)) == 1

    DrillScene().run(story)


def test_what_a_drill_resolves_has_not_ended_in_earnest() -> None:
    async def story(scene: DrillScene) -> None:
        script = [{"at": "30s", "alert": "firing"}, {"at": "50s", "alert": "resolved"}]
        mark = await drilled(scene, "bo", script=script)
        # It began before the end that the drill's script told, and is the very same alert.
        late = alerted(BEGINS + timedelta(seconds=40))
        await scene.daemon.intake.receive(late.body)
        await scene.play(1)
        assert len(scene.incidents()) == 1
        assert scene.incidents(mark)[0].all_resolved

    DrillScene().run(story)


def test_the_metrics_of_a_drill_are_its_scenarios_and_those_of_what_is_real_never() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo")
        assert scene.metrics.asked == []
        await scene.play(5, alerted(scene.daemon.clock()))
        assert scene.metrics.asked != []
        (real,), (drill,) = scene.incidents(), scene.incidents(mark)
        assert real.confirmed is None
        assert real.problem is not None
        assert real.problem.verdict == "no_data"
        assert drill.confirmed is not None

    DrillScene().run(story)


def test_an_action_of_a_drill_takes_no_lock_budget_cooldown_or_mark_of_a_real_target() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo", seconds=120)
        (drill,) = scene.incidents(mark)
        assert drill.step(1).verdict == "recovered"
        assert drill.step(1).target == f"drill:{mark.run}:{TARGET}"
        journal, limits = scene.daemon.journal, HOUSE.limits
        scope = ActionScope("checkout-success-rate", "shop", "shop", "")
        guard = await journal.guard(TARGET, "real", scope, limits, scene.daemon.clock())
        assert guard.locked_by == ""
        assert guard.last_finished is None
        assert set(guard.started.values()) == {0}
        assert guard.alerting == 1
        assert await journal.marks(TARGET) == {}
        assert await journal.changes(TARGET) == []
        assert await journal.reported(scene.daemon.clock() - timedelta(hours=1)) == []

    DrillScene().run(story)


def test_a_storm_of_a_drill_is_none_in_earnest() -> None:
    async def story(scene: DrillScene) -> None:
        storm = SCENARIOS["storm"].document()
        scenario = DrillScenario.model_validate({**storm, "roles": {"blue": ["bo"]}})
        mark = await scene.drills.start(scenario, "person:bo")
        await scene.until(mark, 60)
        assert {i.step(1).refusal for i in scene.incidents(mark)} == {"storm"}
        scope = ActionScope("checkout-success-rate", "shop", "shop", "")
        now = scene.daemon.clock()
        guard = await scene.daemon.journal.guard(TARGET, "real", scope, HOUSE.limits, now)
        assert guard.alerting == 1
        assert guard.concurrent == ()

    DrillScene().run(story)


def test_no_figure_and_no_record_is_of_a_drill() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo", seconds=120)
        journal = scene.daemon.journal
        assert scene.incidents(mark)[0].closed is not None
        assert scene.daemon.keeper.record("checkout-success-rate").decisions == ()
        assert await journal.openings() == {}
        assert await journal.alert_sightings(BEGINS) == []
        assert await journal.heads(10) == []

    DrillScene().run(story)


def test_a_change_is_told_to_the_incidents_of_its_own_world_alone() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo", seconds=50)
        await scene.play(1, alerted(scene.daemon.clock()))
        now = scene.daemon.clock()
        change = Change(subject="reported:ci:v9", item="v9", previous="", at=now, seen_by="ci")
        told = await tell_incidents(scene.daemon.repository, change, lambda _: True)
        assert told == (scene.incidents()[0].id,)
        assert scene.incidents(mark)[0].told == ()

    DrillScene().run(story)


def test_nobody_is_called_who_takes_no_part() -> None:
    async def story(scene: DrillScene) -> None:
        silent = [{"at": "45s", "alert": "firing"}]
        mark = await drilled(scene, "bo", script=silent, seconds=50)
        await scene.moves("bo", Acknowledge(), mark)
        await scene.moves("bo", EngageTeam("shop"), mark)
        await scene.moves("bo", FillRole("communicator", "ada"), mark)
        await scene.until(mark, 800)
        assert scene.daemon.pagers["ada"].pages == []
        assert {page.person for page in scene.daemon.pagers["bo"].pages} == {"bo"}

    DrillScene().run(story)


@pytest.mark.parametrize(("audiences", "posts"), [([], 0), (["responders"], 2)])
def test_only_the_audiences_that_the_scenario_names_are_told(
    audiences: list[str], posts: int
) -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo", audiences=audiences, seconds=50)
        await scene.moves("bo", Acknowledge(), mark)
        await scene.until(mark, 400)
        posted = scene.daemon.channels["room"].posts
        assert len(posted) >= posts
        assert bool(posted) is bool(posts)
        assert all(message.title.startswith("[DRILL]") for message in posted)
        assert all(message.text.startswith("[DRILL]") for message in posted)

    DrillScene().run(story)


def test_every_call_and_the_review_say_first_that_it_is_a_drill() -> None:
    async def story(scene: DrillScene) -> None:
        mark = await drilled(scene, "bo", seconds=300)
        pages = scene.daemon.pagers["bo"].pages
        assert pages != []
        assert all(page.title.startswith("[DRILL] ") for page in pages)
        assert all(page.text.startswith("[DRILL] ") for page in pages)
        (drill,) = scene.incidents(mark)
        assert scene.daemon.reviews.texts[drill.id].startswith("# [DRILL] Incident ")

    DrillScene().run(story)


def test_nothing_real_is_called_a_drill_whatever_its_alert_is_named() -> None:
    async def story(scene: DrillScene) -> None:
        at = scene.daemon.clock()
        await scene.play(1, alerted(at, "[drill] of the fire brigade"))
        await scene.play(1, alerted(at, service="[DRILL]"))
        for real in scene.incidents():
            assert real.drill is None
            assert not real.title.casefold().startswith("[drill]")
        assert any(real.title.startswith("NO DRILL: [drill] of") for real in scene.incidents())
        pages = [page for person in scene.daemon.pagers.values() for page in person.pages]
        assert pages != []
        assert not [page for page in pages if page.title.casefold().startswith("[drill]")]
        assert not [page for page in pages if page.text.casefold().startswith("[drill]")]

    DrillScene().run(story)


def test_a_replay_of_a_drill_decides_as_the_drill_did() -> None:
    journals: list[list[Entry]] = []

    async def held(scene: DrillScene) -> None:
        mark = await drilled(scene, seconds=600)
        (drill,) = scene.incidents(mark)
        assert drill.closed is not None
        journals.append(scene.daemon.journal.entries[drill.id])

    DrillScene().run(held)
    found = replay(journals[0], HOUSE)
    assert [one for one in found.compared if one.fate != "same"] == []
    assert any("release_rollback on release:shop" in one.shown.word for one in found.compared)


def test_the_dossier_of_a_drill_speaks_of_no_real_incident() -> None:
    async def story(scene: DrillScene) -> None:
        await scene.play(1, alerted(scene.daemon.clock()))
        (real,) = scene.incidents()
        now = scene.daemon.clock()
        await scene.play(1, PersonMoves(now, "ada", Acknowledge(), real.key))
        mark = await drilled(scene, "bo", seconds=200)
        (drill,) = scene.incidents(mark)
        events = [entry.event for entry in scene.daemon.journal.entries[drill.id]]
        (gathered,) = [event for event in events if isinstance(event, DossierGathered)]
        assert not [one for one in gathered.dossier.findings if one.kind == "concurrent"]

    DrillScene().run(story)


def test_the_rules_learn_nothing_from_a_drill() -> None:
    unknown = {
        "drill": "unknown",
        "title": "Nobody knows this alert",
        "labels": {"alertname": "Imagined", "service": "shop"},
        "script": [{"at": "5s", "alert": "firing"}],
        "lasts": "1m",
        "expect": {"commander": "5m"},
    }

    async def story(scene: DrillScene) -> None:
        mark = await scene.drills.start(DrillScenario.model_validate(unknown), "person:bo")
        await scene.until(mark, 65)
        (drill,) = scene.incidents(mark)
        entries = scene.daemon.journal.entries[drill.id]
        assert proposals(Settings(rules=RULES), entries, restricted=False) == []

    DrillScene().run(story)
