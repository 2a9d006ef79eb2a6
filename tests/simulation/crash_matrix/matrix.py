"""Every point of a story, each tried in a process that is forked off where the daemon dies.

The story is played once, undisturbed. At each of its points the process forks: in the child the
daemon dies there and the story goes on with the next one to its end; what came of it is handed
back, and the parent goes on as if nothing had been. So each trial costs what comes after its point.

Two points between which nothing was written, done or answered, and no time passed, find the same
store and the same world when the daemon dies: one trial stands for both.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from tests.simulation.crash_matrix.ending import Ending, differences, ending, repeated
from tests.simulation.crash_matrix.play import Story, play
from tests.simulation.crash_matrix.power import Point, Power

TRIAL_SECONDS = 60
"""Longer than this no trial takes, unless it hangs."""


@dataclass(frozen=True)
class Trial:
    """One death, or two, and what was wrong in the end; `error` if it came to no end."""

    deaths: Sequence[Point]
    repeated: Sequence[str] = ()
    ended: Ending | None = None
    error: str = ""


@dataclass
class Matrix:
    """A story with all of its trials. `points`: those that it passes undisturbed."""

    story: Story
    points: Sequence[Point] = ()
    should: Ending = field(default_factory=dict)
    covered: list[tuple[Point, ...]] = field(default_factory=list)
    """The deaths that were tried, or that are the same as one that was, each with those before."""
    trials: list[Trial] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """What was wrong in which trials, in words."""
        return [
            f"{' and '.join(map(str, trial.deaths))}: {what}"
            for trial in self.trials
            for what in self._wrong(trial)
        ]

    def _wrong(self, trial: Trial) -> Sequence[str]:
        if trial.ended is None:
            return [trial.error]
        return [*trial.repeated, *differences(trial.ended, self.should)]


Chosen = Callable[[Power, Point], bool]
"""Whether a death is to be tried at a point, which is the last that was passed."""


def first_death(power: Power, point: Point) -> bool:
    """One death in each trial, at every point of the undisturbed story."""
    return not power.deaths


def two_in_the_dangerous_stretch(power: Power, point: Point) -> bool:
    """One death and two in each trial, all of them from the start of a step to its verdict."""
    written = [one.what for one in power.passed if one.when == "after"]
    begun = any("StepStarted" in what for what in written)
    return len(power.deaths) < 2 and begun and not any("StepVerified" in what for what in written)


def every_fourth(power: Power, point: Point) -> bool:
    """One death in each trial, at every fourth point."""
    return first_death(power, point) and len(power.passed) % 4 == 0


def two_around_an_action(power: Power, point: Point) -> bool:
    """One death and two in each trial, all of them from the start of a step until its end is
    written down."""
    written = [one.what for one in power.passed if one.when == "after"]
    return two_in_the_dangerous_stretch(power, point) and not any(
        "StepFinished" in what for what in written
    )


def enumerate_deaths(story: Story, chosen: Chosen = first_death) -> Matrix:
    """Play the story, and a trial of each of its points that is chosen."""
    matrix = Matrix(story)
    forks = _Forks(matrix, chosen)
    gc.collect()
    gc.freeze()  # what is there already is never looked through in a child, and so never copied
    try:
        house = play(story, forks.power)
    except BaseException:
        if forks.child is None:
            raise
        forks.child.ends(Trial(tuple(forks.power.deaths), error=traceback.format_exc()))
    finally:
        gc.unfreeze()
    if forks.child is not None:
        told = Trial(tuple(forks.power.deaths), repeated(house), ending(house))
        forks.child.ends(told)
    matrix.points = tuple(forks.power.passed)
    matrix.should = ending(house)
    assert not repeated(house), "it is wrong undisturbed"
    return matrix


@dataclass(frozen=True)
class _Child:
    """A process in which the daemon has died once more than in its parent's. `to`: where the
    parent reads what came of it."""

    to: int
    matrix: Matrix

    def ends(self, trial: Trial) -> NoReturn:
        """Hand back this trial and those of further deaths, and end at once."""
        told = pickle.dumps((self.matrix.covered, [trial, *self.matrix.trials]))
        with os.fdopen(self.to, "wb") as pipe:
            pipe.write(told)
        os._exit(0)


class _Forks:
    """Forks where a daemon may die."""

    def __init__(self, matrix: Matrix, chosen: Chosen) -> None:
        self.power = Power(fails=self._dies)
        self.child: _Child | None = None
        self._matrix = matrix
        self._chosen = chosen
        self._tried: tuple[int, float] | None = None

    def _dies(self, point: Point) -> bool:
        """Whether this is the process in which the daemon dies here."""
        if not self._chosen(self.power, point):
            return False
        state = (self.power.changes, asyncio.get_running_loop().time())
        same, self._tried = state == self._tried, state
        self._matrix.covered.append((*self.power.deaths, point))
        return False if same else self._fork()

    def _fork(self) -> bool:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python warns of threads that a child would not have; nothing here needs one.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            os.close(reading)
            asyncio._set_running_loop(loop)  # asyncio takes a child for another program
            gc.disable()
            signal.alarm(TRIAL_SECONDS)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self._matrix.covered.clear()
            self._matrix.trials.clear()
            self._tried = None
            self.child = _Child(writing, self._matrix)
            return True
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(pid, 0)
        self._take(told, status)
        return False

    def _take(self, told: bytes, status: int) -> None:
        if not told:
            text = f"the trial ended with status {status} and said nothing"
            self._matrix.trials.append(Trial(self._matrix.covered[-1], error=text))
            return
        covered, trials = pickle.loads(told)  # noqa: S301 (from a process of ours)
        self._matrix.covered += covered
        self._matrix.trials += trials
