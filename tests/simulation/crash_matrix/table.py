"""`make crash-matrix`: every story, its points, how many were tried, and what was wrong.

Usage: python -m tests.simulation.crash_matrix.table [part of a name] [--twice]. With --twice
also
every two deaths in the most dangerous stretch.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

import structlog

from tests.simulation.crash_matrix.matrix import (
    Matrix,
    enumerate_deaths,
    first_death,
    two_in_the_dangerous_stretch,
)
from tests.simulation.crash_matrix.stories import STORIES


def told(matrix: Matrix, seconds: float) -> str:
    """One line of the table, and one for each failure."""
    line = (
        f"{matrix.story.name:58} {len(matrix.points):5} points {len(matrix.covered):5} deaths"
        f" {len(matrix.trials):5} trials {len(matrix.failures):3} wrong {seconds:6.1f} s of CPU"
    )
    return "\n".join([line, *(f"    {failure}" for failure in matrix.failures)])


def main() -> int:
    """Print the table; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="Every point at which a daemon may die.")
    parser.add_argument("name", nargs="?", default="", help="part of a story's name")
    parser.add_argument("--twice", action="store_true", help="two deaths in each trial")
    arguments = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    chosen = two_in_the_dangerous_stretch if arguments.twice else first_death
    wrong = deaths = 0
    for story in STORIES:
        if arguments.name in story.name:
            began = sum(os.times()[:4])
            matrix = enumerate_deaths(story, chosen)
            sys.stdout.write(told(matrix, sum(os.times()[:4]) - began) + "\n")
            sys.stdout.flush()
            wrong += len(matrix.failures)
            deaths += len(matrix.covered)
    sys.stdout.write(f"{deaths} deaths, {wrong} wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
