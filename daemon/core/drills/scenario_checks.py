"""What is wrong with a scenario beyond the shape of its values: against its rule and the roster."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.cases.case_checks import case_mistakes
from daemon.core.cases.rule_case import BEGINS, Place
from daemon.core.drills.scenario import DrillScenario, Expected
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import Rule
from daemon.core.values.units import format_duration


def scenario_mistakes(
    scenario: DrillScenario, rule: Rule | None, roster: Roster | None
) -> Iterator[tuple[Place, str]]:
    """(place, what is wrong) of what it says beyond the shape of each value: `rule` is the one it
    names, if there is one of that name."""
    if scenario.rule:
        yield from _of_rule(scenario, rule)
    elif scenario.series is not None or scenario.actions:
        yield (), "without `rule:` nothing is measured or done; take `series:` and `actions:` out"
    if not scenario.target and scenario.injects("fault"):
        place = ("script", _index(scenario, "fault"))
        yield place, "a fault is real: name the staging target under `target:`"
    if not scenario.injects("alert"):
        yield ("script",), "nothing alerts, so no incident opens; add {at: …, alert: firing}"
    for index, inject in enumerate(scenario.script):
        if inject.at > scenario.lasts:
            end = format_duration(scenario.lasts)
            yield ("script", index, "at"), f"the drill lasts {end}; it is over by then"
    if scenario.expect == Expected():
        yield (), "it expects nothing, so nothing is scored; say under `expect:` what good is"
    if roster is not None:
        yield from _of_roster(scenario, roster)


def _of_rule(scenario: DrillScenario, rule: Rule | None) -> Iterator[tuple[Place, str]]:
    if scenario.target:
        if scenario.series is not None or scenario.actions:
            text = "a staging target has metrics and actions of its own; take these out"
            yield ("series" if scenario.series is not None else "actions",), text
        if rule is None:
            yield ("rule",), f"there is no rule {scenario.rule!r}"
        return
    if scenario.series is None:
        yield (), "`series:` is missing: say what the rule's queries answer"
        return
    for place, text in case_mistakes(scenario.as_case(BEGINS), rule, ()):
        if place[:1] == ("changes",):
            place = ("script", _index(scenario, "change", int(place[1])))
        yield place, text


def _of_roster(scenario: DrillScenario, roster: Roster) -> Iterator[tuple[Place, str]]:
    known = {*roster.people, *roster.schedules, *roster.teams}
    for role in ("blue", "observers"):
        for index, name in enumerate(getattr(scenario.roles, role)):
            if name not in known:
                text = f"{name!r} is no person, schedule or team of the roster"
                yield ("roles", role, index), text
    for index, name in enumerate(scenario.audiences):
        if name not in roster.audiences:
            has = ", ".join(roster.audiences) or "none"
            yield ("audiences", index), f"the roster has no audience {name!r}; it has {has}"
    for index, inject in enumerate(scenario.script):
        if inject.pager is not None and inject.pager not in roster.people:
            people = ", ".join(sorted(roster.people))
            text = f"{inject.pager!r} is not in the roster; known: {people}"
            yield ("script", index, "pager"), text


def _index(scenario: DrillScenario, kind: str, number: int = 0) -> int:
    """Where the one of that number, in the order of time, is written."""
    inject = scenario.injects(kind)[number]
    return next(index for index, one in enumerate(scenario.script) if one is inject)
