"""Drills by the calendar, and incidents that are practised with."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.core.drills.calendar import ScheduledDrill
from daemon.core.drills.promotion import PromotionPolicy
from daemon.core.incident import events as e
from daemon.drilling.planner import Promoter, announce_by_calendar, hold_by_calendar
from tests.core.build import make_problem
from tests.drilling.scene import DrillScene, alerted

ALWAYS = PromotionPolicy.model_validate(
    {"probability": "100%", "hours": {"from": "00:00", "to": "24:00"}}
)


def test_a_drill_of_the_calendar_is_held_at_its_time_and_again_the_next() -> None:
    async def story(scene: DrillScene) -> None:
        date = {"drill": "bad-deployment", "day": "daily", "at": "12:30"}
        schedule = [ScheduledDrill.model_validate(date)]
        holding = asyncio.create_task(hold_by_calendar(scene.drills, schedule))
        await scene.play(29 * 60)
        assert scene.drills.under_way == []
        await scene.play(61)
        (mark,) = scene.drills.under_way
        assert (mark.scenario, mark.by) == ("bad-deployment", "the calendar")
        assert mark.began_at.minute == 30
        await scene.play(timedelta(days=1, minutes=2).total_seconds())
        assert len({i.drill.run for i in scene.daemon.incidents() if i.drill}) == 2
        holding.cancel()

    DrillScene().run(story)


def test_what_the_calendar_has_is_announced_so_long_before_by_its_wall_clock() -> None:
    async def story(scene: DrillScene) -> None:
        date = {"drill": "storm", "day": "tue", "at": "14:00", "zone": "Europe/Berlin"}
        schedule = [ScheduledDrill.model_validate(date)]
        telling = announce_by_calendar(
            scene.drills, schedule, ["room", "no such"], timedelta(hours=2)
        )
        announcing = asyncio.create_task(telling)
        posts = scene.daemon.channels["room"].posts
        await scene.play(timedelta(hours=22, minutes=59).total_seconds())
        assert posts == []
        await scene.play(120)
        (message,) = posts
        assert message.title == (
            "[DRILL] Tue 06 Jan, 14:00 (Europe/Berlin): Six services alert at once"
        )
        assert "It lasts 15m at most" in message.text
        await scene.play(timedelta(days=2).total_seconds())
        assert len(posts) == 1
        announcing.cancel()

    DrillScene().run(story)


def test_a_drill_that_cannot_be_held_keeps_the_calendar_going() -> None:
    async def story(scene: DrillScene) -> None:
        schedule = [
            ScheduledDrill.model_validate({"drill": name, "day": "daily", "at": at})
            for name, at in (("gone", "12:05"), ("bad-deployment", "12:10"), ("storm", "12:11"))
        ]
        holding = asyncio.create_task(hold_by_calendar(scene.drills, schedule))
        await scene.play(12 * 60)
        assert [mark.scenario for mark in scene.drills.under_way] == ["bad-deployment"]
        holding.cancel()

    DrillScene().run(story)


def test_a_routine_incident_is_promoted_when_its_severity_is_measured_and_a_drill_never() -> None:
    async def story(scene: DrillScene) -> None:
        promoter = Promoter(scene.daemon.repository, ALWAYS)
        promoting = asyncio.create_task(promoter.run())
        await scene.play(1, alerted(scene.daemon.clock()))
        (real,) = scene.incidents()
        assert real.severity == ""
        measured = e.ProblemDefined(problem=make_problem(severity="sev4"))
        await scene.daemon.repository.record(real.id, lambda _: (measured,))
        await scene.play(1)
        (real,) = scene.incidents()
        assert (real.severity, real.drill_state.measured) == ("sev2", "sev4")
        promotions = [
            entry
            for entry in scene.daemon.journal.entries[real.id]
            if isinstance(entry.event, e.IncidentPromoted)
        ]
        assert len(promotions) == 1
        promoting.cancel()

    DrillScene().run(story)


def test_nobody_is_called_for_practice_in_the_middle_of_an_incident() -> None:
    async def story(scene: DrillScene) -> None:
        await scene.play(1, alerted(scene.daemon.clock()))
        (real,) = scene.incidents()
        measured = e.ProblemDefined(problem=make_problem(severity="sev4"))
        await scene.daemon.repository.record(real.id, lambda _: (measured,))
        # The policy comes with a restart, or its hours begin, when it has long been measured.
        promoting = asyncio.create_task(Promoter(scene.daemon.repository, ALWAYS).run())
        heard = e.SentimentHeard(source="support", text="slow today")
        await scene.daemon.repository.record(real.id, lambda _: (heard,))
        await scene.play(1)
        assert scene.incidents()[0].severity == "sev4"
        promoting.cancel()

    DrillScene().run(story)
