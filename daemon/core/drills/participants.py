"""Who is called in a drill: the roster as it is for those who take part, and for nobody else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TypeVar

from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.roster import Policy, Roster, Team, Tier
from daemon.core.rules.rule import Rule

_V = TypeVar("_V")


def roster_for(roster: Roster, mark: DrillMark) -> Roster:
    """The roster of a drill. Every policy, team and ladder names the blue team alone, and the
    audiences are those that the scenario names; the people stay known, to be spoken of."""
    # Whoever has left the roster since it began is not there to be called.
    mark = mark.model_copy(update={"blue": tuple(n for n in mark.blue if n in roster.people)})
    blue = set(mark.blue)
    policies = {name: _policy(roster, policy, mark) for name, policy in roster.policies.items()}
    channels = {name for audience in mark.audiences for name in roster.channels_of(audience)}
    return roster.model_copy(
        update={
            "policies": policies,
            "teams": {name: _team(team, blue) for name, team in roster.teams.items()},
            "ladder": {
                severity: tuple(n for n in roster.named(names, mark.began_at) if n in blue)
                for severity, names in roster.ladder.items()
            },
            "audiences": _only(roster.audiences, mark.audiences),
            "channels": _only(roster.channels, channels),
        }
    )


def blue_team(
    scenario: DrillScenario, rule: Rule | None, roster: Roster, at: datetime
) -> tuple[str, ...]:
    """The people who respond: those named, else whom the policy of the rule's team calls."""
    named = scenario.roles.blue
    if named:
        return roster.named(named, at)
    tiers = roster.tiers(rule.team if rule is not None else "", at)
    return tuple(dict.fromkeys(person for tier in tiers for person in tier.people))


def _policy(roster: Roster, policy: Policy, mark: DrillMark) -> Policy:
    """The tiers as they were when the drill began, without anybody else; if that leaves nobody,
    one tier of the whole blue team. Without any of that it is as it is, of people of whom nobody
    can be reached in the drill."""
    if not mark.blue:
        return policy
    tiers = []
    for tier in policy.tiers:
        called = [name for name in roster.named(tier.notify, mark.began_at) if name in mark.blue]
        if called:
            tiers.append(Tier(notify=tuple(called), wait=tier.wait))
    everybody = Tier(notify=mark.blue, wait=policy.tiers[0].wait)
    return policy.model_copy(update={"tiers": tuple(tiers) or (everybody,)})


def _team(team: Team, blue: Collection[str]) -> Team:
    def among(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in blue)

    return team.model_copy(
        update={
            "owners": among(team.owners),
            "experts": among(team.experts),
            "lead": team.lead if team.lead in blue else None,
            "stability_owner": team.stability_owner if team.stability_owner in blue else None,
        }
    )


def _only(known: Mapping[str, _V], names: Collection[str]) -> dict[str, _V]:
    return {name: value for name, value in known.items() if name in names}
