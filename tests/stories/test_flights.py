"""What rests after a failure does so by a clock that nobody sets."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from daemon.conduct.flights import REST, Flight, effect_key
from daemon.core.decision import Listen, RunStep


async def test_what_failed_rests_and_is_then_started_again() -> None:
    flight = Flight()
    flight.rest(Listen())
    flight.rest(RunStep(1), 5 * REST)
    assert flight.next_end() == REST.total_seconds()
    await asyncio.sleep(1)
    flight.wake_rested()
    assert set(flight.resting) == {Listen(), RunStep(1)}
    await asyncio.sleep(1)
    flight.wake_rested()
    assert set(flight.resting) == {RunStep(1)}
    assert timedelta(seconds=flight.next_end() or 0) == 4 * REST
    await asyncio.sleep(8)
    assert flight.next_end() == 0, "it is looked at once more, and no longer"
    flight.wake_rested()
    assert flight.next_end() is None


def test_a_step_is_one_by_whatever_right_it_is_run() -> None:
    assert effect_key(RunStep(1, "approved by ada", lifted=True)) == effect_key(RunStep(1))
