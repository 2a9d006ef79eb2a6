"""Wherever a daemon dies, the next one brings the story to the same end: done once, nothing lost,
and the same people called.

Every point of the stories in which the daemon acts is tried here, and every fourth of the others;
`make crash-matrix` tries every point of them all, and prints the table."""

from __future__ import annotations

import logging

import pytest
import structlog

from tests.simulation.crash_matrix.house import House
from tests.simulation.crash_matrix.matrix import (
    enumerate_deaths,
    every_fourth,
    two_around_an_action,
)
from tests.simulation.crash_matrix.play import Story, play
from tests.simulation.crash_matrix.power import Point, Power
from tests.simulation.crash_matrix.stories import STORIES

ACTS = {
    "the rollback runs by itself and helps",
    "the first alternative does not help, the second does",
    "the Commander approves",
    "a canary goes on",
}
"""The stories of which every point is tried."""
WAYS_OUT = {
    "page ada",
    "page bo",
    "page cy",
    "reminder ada",
    "pager resolved",
    "update to desk",
    "update to site",
    "action rollback",
    "action flag_off",
    "a part of the rollback",
    "the rest of the rollback",
    "room opened",
    "room greeted",
    "room invited",
    "room topic",
    "room archived",
    "silence put",
    "silence end",
    "inbox put",
    "inbox processed",
    "window added",
    "window ended",
    "append of the wake time",
}
"""What a daemon does outside itself, and what of the store is not an entry of a journal."""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """A thousand stories are no reading."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _of(*, acts: bool) -> list[Story]:
    return [story for story in STORIES if (story.name in ACTS) == acts]


@pytest.mark.parametrize("story", _of(acts=True), ids=lambda story: story.name)
def test_wherever_the_daemon_dies_the_story_ends_as_it_would_have(story: Story) -> None:
    matrix = enumerate_deaths(story)
    assert [deaths[-1] for deaths in matrix.covered] == list(matrix.points), "all were tried"
    assert len(matrix.trials) > len(matrix.points) / 2
    assert matrix.failures == []


@pytest.mark.parametrize("story", _of(acts=False), ids=lambda story: story.name)
def test_at_every_fourth_point_it_dies_of_what_else_it_does(story: Story) -> None:
    matrix = enumerate_deaths(story, every_fourth)
    assert [deaths[-1] for deaths in matrix.covered] == list(matrix.points[3::4])
    assert len(matrix.trials) > len(matrix.points) / 8
    assert matrix.failures == []


def test_two_deaths_around_an_action_change_nothing_either() -> None:
    """`make crash-matrix ARGS=--twice` goes on to the verdict, and does so in each story."""
    matrix = enumerate_deaths(STORIES[0], two_around_an_action)
    pairs = [deaths for deaths in matrix.covered if len(deaths) == 2]
    assert len({first for first, _ in pairs}) > 3
    assert matrix.failures == []


def test_the_stories_use_every_way_out_of_the_daemon() -> None:
    used: set[str] = set()
    for story in STORIES:
        power = Power()
        play(story, power)
        used |= {point.what for point in power.passed}
    assert used >= WAYS_OUT


def test_a_daemon_that_repeats_what_it_did_is_found() -> None:
    """The matrix itself: a pager that rings twice, and an action that is done twice, are seen."""

    def careless(house: House) -> None:
        STORIES[0].lays_out(house)
        rollback = house.actions["rollback"]

        async def forgets(*_: object) -> str:
            return "not_done"

        rollback.check = forgets  # type: ignore[method-assign,assignment]

    story = Story("careless", careless, STORIES[0].happenings, STORIES[0].until)

    def after_the_action(power: Power, point: Point) -> bool:
        return not power.deaths and point == Point(0, "after", "action rollback")

    matrix = enumerate_deaths(story, after_the_action)
    assert len(matrix.trials) == 1
    assert any("rollback was done twice" in failure for failure in matrix.failures)
