"""The simulation itself: it is reproducible, it finds what is wrong, it makes that smaller; and in
some hundred nights nothing is wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.notifying import notifier
from tests.simulation import planted_bugs
from tests.simulation.drawing import scenario_of
from tests.simulation.loop import LIFE, Life, NoProgress, SimulationLoop
from tests.simulation.runs import run_seeds
from tests.simulation.scenario import Fault, Item, Scenario
from tests.simulation.shrink import shrink
from tests.simulation.simulation import simulate

SEEDS = int(os.environ.get("STOPGAP_TEST_SEEDS", "64"))
"""So many seeds are run; more by the environment, or by `make simulate`."""
PARTS = 8
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_loop_is_left() -> None:
    """A simulation makes a loop of its own."""
    asyncio.set_event_loop(None)


# ── the nights ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", range(PARTS))
def test_every_invariant_holds(part: int) -> None:
    """In parts, so that several workers share them."""
    summary = run_seeds(range(part, SEEDS, PARTS))
    assert summary.failures == {}, "replay one by `make simulate SEED=n`"
    assert summary.kinds["IncidentOpened"] >= summary.seeds // 2


# ── reproducible ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(32176, id="what was told of maintenance and not noted was told again"),
        pytest.param(32270, id="an earlier firing that came late took the start of the later one"),
        pytest.param(41331, id="a dry run that was given up took the next one with it"),
        pytest.param(50330, id="after a clock step back an effect rested for as long"),
        pytest.param(52398, id="a second order before anything was confirmed was decided for ever"),
        pytest.param(100233, id="an incident given up before it was begun was nobody's for ever"),
        pytest.param(22829, id="a replica rang just when another one told late that it had rung"),
        pytest.param(110123, id="the store was away for all, and another replica went on first"),
        pytest.param(700235, id="it was cut off while it slept, and awake before that was over"),
        pytest.param(399, id="a lease that a clock's jump had ended was won back over a page"),
        pytest.param(310059, id="a lease that a clock's jump had ended was won back in an update"),
        pytest.param(803218, id="a lease that ended in an outage was won back in an update"),
        pytest.param(721801, id="the auditor was at a page when the lease was over, and crashed"),
        pytest.param(50464, id="a closed incident was to be woken by a note in the store"),
    ],
)
def test_nights_in_which_something_was_wrong(seed: int) -> None:
    outcome = simulate(scenario_of(seed))
    assert outcome.violation is None


@pytest.mark.parametrize("seed", [0, 3])
def test_a_seed_runs_twice_the_same_way(seed: int) -> None:
    """Seed 0 is on the stores in SQL, the other on those in memory."""
    one, other = (simulate(scenario_of(seed), traced=True) for _ in range(2))
    assert one.trace == other.trace
    assert one.digest == other.digest
    assert len(one.trace) > 10


def test_another_seed_runs_another_way() -> None:
    assert simulate(scenario_of(3)).digest != simulate(scenario_of(4)).digest


def test_another_process_runs_it_the_same_way() -> None:
    code = (
        "from tests.simulation.drawing import scenario_of;"
        "from tests.simulation.simulation import simulate;"
        "print(simulate(scenario_of(3)).digest)"
    )

    command = [sys.executable, "-c", code]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    processes = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    one, other = (process.communicate()[0].strip() for process in processes)
    assert one
    assert one == other


# ── the loop ─────────────────────────────────────────────────────────────────────────────────────


def _played(loop: SimulationLoop, main: object) -> None:
    try:
        loop.run_until_complete(main)  # type: ignore[arg-type]
    finally:
        loop.bury()


def test_time_passes_only_while_nothing_is_ready() -> None:
    loop = SimulationLoop(1)
    seen: list[float] = []

    async def main() -> None:
        await asyncio.sleep(3600)
        seen.append(loop.time())
        await asyncio.sleep(0)
        seen.append(loop.time())

    _played(loop, main())
    assert seen == [3600, 3600]


def test_seeds_draw_different_orders() -> None:
    def order(seed: int) -> list[int]:
        loop, seen = SimulationLoop(seed), []

        async def one(number: int) -> None:
            await asyncio.sleep(0)
            seen.append(number)

        async def main() -> None:
            await asyncio.gather(*(one(number) for number in range(6)))

        _played(loop, main())
        return seen

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_a_life_that_ends_runs_no_finally() -> None:
    loop, life, seen = SimulationLoop(1), Life(0, 0), []

    async def child() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            seen.append("finally")

    async def work() -> None:
        assert LIFE.get() is life
        await asyncio.gather(child(), child())

    async def main() -> None:
        loop.begin(life, work)
        await asyncio.sleep(5)
        loop.end(life)
        await asyncio.sleep(20)
        assert seen == []

    _played(loop, main())


def test_a_life_dies_before_the_callback_that_was_drawn() -> None:
    loop, life, seen = SimulationLoop(1), Life(0, 0, dies_at_step=4), []

    async def work() -> None:
        while True:
            seen.append(loop.time())
            await asyncio.sleep(1)

    async def main() -> None:
        loop.begin(life, work)
        await asyncio.sleep(10)

    _played(loop, main())
    assert life.ended
    assert len(seen) < 4


def test_what_waits_for_ever_is_noticed() -> None:
    loop = SimulationLoop(1)

    async def main() -> None:
        await loop.create_future()

    with pytest.raises(NoProgress):
        _played(loop, main())


# ── finding and shrinking ────────────────────────────────────────────────────────────────────────


def _night(*faults: Fault) -> Scenario:
    """A service fails and its rollback helps; many other things happen that do not matter."""
    script = (
        Item("deployment", 50, "shop", more=("v2",)),
        Item("trouble", 60, "shop", more=(0.3, "rollback")),
        Item("delivery", 90, "shop", more=("firing", 85.0, 0.0, 0)),
        Item("delivery", 91, "mail", more=("firing", 85.0, 0.0, 0)),
        Item("deed", 150, "note", "bo", ("shop", 1, "shop")),
        Item("deed", 160, "acknowledge", "ada", ("mail", 1, "mail")),
    )
    return Scenario(1, script, faults, sql=False)


def test_a_night_without_faults_is_recovered_from() -> None:
    outcome = simulate(_night())
    assert outcome.violation is None
    assert outcome.kinds["Recovered"] == 1
    assert outcome.kinds["StepStarted"] == 1


@pytest.mark.parametrize("sql", [True, False])
def test_a_crash_in_a_run_is_recovered_from(*, sql: bool) -> None:
    crash = Fault("crash after an effect", count=1, what="run")
    scenario = _night(crash)
    outcome = simulate(Scenario(1, scenario.script, scenario.faults, sql=sql))
    assert outcome.violation is None
    assert outcome.crashes == 1
    assert outcome.kinds["Recovered"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("commit unknown at that", what="IncidentOpened", count=1),
        Fault("replica suspended after that", what="EffectClaimed", count=1, size=40.0),
        Fault("replica cut off after that", what="effect run", count=1, size=20.0),
    ],
    ids=lambda fault: fault.kind,
)
def test_what_is_aimed_at_one_of_two_replicas_is_met_and_survived(fault: Fault) -> None:
    night = _night(fault, Fault("second replica"))
    outcome = simulate(Scenario(1, night.script, night.faults, sql=False, replicas=2))
    assert fault.kind in outcome.met
    assert outcome.violation is None
    assert outcome.kinds["Recovered"] == 1


def test_a_page_that_is_forgotten_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect that shows only where a pager was away: the page counts as delivered then."""

    async def swallowed(*arguments: object, **more: object) -> None:
        return None

    monkeypatch.setattr(notifier, "deliver", swallowed)
    slow = Fault("prometheus slow", at=10, lasts=20, size=1.0)
    failed = simulate(_night(slow, Fault("clock forward", at=30, size=1.0)))
    assert failed.violation is not None
    assert failed.violation.invariant == "a page is due"
    smallest = shrink(failed)
    assert smallest.violation is not None
    assert smallest.violation.invariant == "a page is due"
    assert smallest.scenario.faults == ()
    assert [item.kind for item in smallest.scenario.script] == ["delivery"]


def test_what_does_not_fail_is_not_shrunk() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(simulate(_night()))


def test_a_bug_is_planted_into_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = (ROOT / "daemon/notifying/notifier.py").read_text().splitlines()[0]
    patch = tmp_path / "01-another-docstring.patch"
    names = "--- a/daemon/notifying/notifier.py\n+++ b/daemon/notifying/notifier.py\n"
    patch.write_text(f"{names}@@ -1,1 +1,1 @@\n-{line}\n+{line} # planted\n")
    monkeypatch.setattr(planted_bugs, "PATCHES", tmp_path)
    assert planted_bugs.patches("another") == [patch]
    assert planted_bugs.patches("else") == []
    tree = planted_bugs.planted_tree(patch, tmp_path)
    assert (tree / "daemon/notifying/notifier.py").read_text().startswith(f"{line} # planted")
    assert not (ROOT / "daemon/notifying/notifier.py").read_text().startswith(f"{line} #")
