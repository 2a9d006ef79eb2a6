"""Over many simulated nights: what is never decided, and that every decision comes to rest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.decide import decide
from daemon.core.decision import RunStep
from daemon.core.incident.fold import apply_event
from tests.core.scene import ROUNDS
from tests.core.world import World


@settings(max_examples=120)
@given(st.integers(0, 10**6), st.booleans())
def test_over_many_nights_no_step_starts_that_must_not(seed: int, answering: bool) -> None:
    world = World(seed, answering=answering)
    for _ in range(100):
        decision = world.turn()
        if world.incident.closed is not None and not decision.effects and not decision.record:
            break


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.booleans())
def test_decisions_come_to_rest(seed: int, answering: bool) -> None:
    """Facts that follow from facts are soon all written: no decision feeds itself."""
    world = World(seed, answering=answering)
    for turn in range(100):
        world.turn()
        if turn % 5:
            continue
        incident, seen = world.incident, world.around()
        for _ in range(ROUNDS):
            decision = decide(incident, world.rule, seen, world.now)
            if not decision.record:
                break
            for event in decision.record:
                incident = apply_event(incident, world.now, event)
        else:
            raise AssertionError(f"it goes on with {decision.record}")


EVERY_FACT = {
    "ApprovalRequested",
    "CommandVacated",
    "CommanderAppointed",
    "CommanderAsked",
    "DeadlineMissed",
    "DiagnosisOpened",
    "IncidentClosed",
    "PageQueued",
    "Recovered",
    "Relapsed",
    "RoleAnswered",
    "RoleRequested",
    "RoleTaken",
    "StepObserved",
    "StepRefused",
    "StepSkipped",
    "StepVerified",
    "UpdateAssigned",
    "UpdateDrafted",
    "UpdateReleased",
}


EVENTFUL = (177, 17, 133, 4, 70, 73, 80)
"""The nights in which most happened, as things are; others follow where these do not suffice."""


def test_the_nights_reach_every_phase_and_every_fact() -> None:
    """Or the properties above would prove nothing. Ends as soon as all were seen."""
    phases, facts, runs = set(), set(), 0
    for seed in (*EVENTFUL, *range(200)):
        world = World(seed)
        for _ in range(120):
            phases.add(world.incident.phase)
            decision = world.turn()
            facts |= {event.kind for event in decision.record}
            runs += sum(isinstance(f, RunStep) and bool(f.authority) for f in decision.effects)
        if len(phases) == 8 and facts >= EVERY_FACT and runs > 20:
            return
    raise AssertionError(f"{sorted(phases)}; never: {sorted(EVERY_FACT - facts)}; {runs} runs")
