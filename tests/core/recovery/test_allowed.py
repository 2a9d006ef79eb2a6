"""What is offered on a step is what is taken, in whatever night."""

from __future__ import annotations

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepStatus
from daemon.core.recovery.commands import (
    ALLOWED,
    ApproveStep,
    ContinueStep,
    SkipStep,
    StartStepNow,
    StepCommand,
    StepCommandName,
    StopStep,
    VetoStep,
    allowed_commands,
)
from daemon.core.recovery.plan import plan_of
from daemon.core.reporting.now_and_next import decidable, plan_lines
from daemon.core.response.command import NotPossible
from daemon.core.rules.rule import Rule
from tests.commanding import situated
from tests.core.build import NOW
from tests.core.world import World

COMMANDS: dict[StepCommandName, type[StepCommand]] = {
    "approve": ApproveStep,
    "start": StartStepNow,
    "skip": SkipStep,
    "veto": VetoStep,
    "continue": ContinueStep,
    "stop": StopStep,
}


def test_the_table_has_a_row_for_every_status_and_every_command_somewhere() -> None:
    assert set(ALLOWED) == set(get_args(StepStatus))
    assert {name for names in ALLOWED.values() for name in names} == set(COMMANDS)
    assert {name: command.name for name, command in COMMANDS.items()} == {
        name: name for name in get_args(StepCommandName)
    }


def taken(incident: Incident, rule: Rule | None, step: int, name: StepCommandName) -> bool:
    """Whether it brings something about, given by the Commander; by anybody, if nobody commands."""
    commanded = incident
    if not incident.commander and incident.closed is None:
        appointed = e.CommanderAppointed(person="ada", reason="x")
        commanded = apply_event(incident, NOW, appointed)
    person = commanded.commander or "ada"
    try:
        return bool(COMMANDS[name](step).apply(commanded, situated(person, rule=rule)))
    except NotPossible:
        return False


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_a_command_is_offered_if_and_only_if_it_is_taken(seed: int) -> None:
    world = World(seed)
    for _ in range(80):
        world.turn()
        incident, rule = world.incident, world.rule
        steps = {*incident.steps, *(plan_of(incident, rule) if rule else ()), 0, 999}
        for step in steps:
            offered = allowed_commands(incident, rule, step)
            for name in COMMANDS:
                assert (name in offered) == taken(incident, rule, step, name), (
                    step,
                    name,
                    incident.step(step),
                )
        lines = plan_lines(incident, rule, (), world.approvals, world.now)
        for line in lines:
            assert line.allowed == allowed_commands(incident, rule, line.number)
        shown = {state.number: allowed for state, allowed in decidable(incident, rule)}
        assert all(shown[n] == allowed_commands(incident, rule, n) != () for n in shown)


def test_the_nights_hold_every_offer_in_every_status_that_has_one() -> None:
    """Or the property above would prove nothing."""
    seen: set[tuple[StepStatus, StepCommandName]] = set()
    for seed in range(60):
        world = World(seed)
        for _ in range(80):
            world.turn()
            for step, state in world.incident.steps.items():
                offered = allowed_commands(world.incident, world.rule, step)
                seen |= {(state.status, name) for name in offered}
    assert seen == {(status, name) for status, names in ALLOWED.items() for name in names}


def test_nothing_is_offered_on_a_step_that_no_rule_has() -> None:
    assert allowed_commands(World(1).incident, None, 1) == ()
