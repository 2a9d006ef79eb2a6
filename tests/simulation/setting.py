"""The house of the simulation: its rules, its people, its limits; read once for all seeds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approval, Approvals
from daemon.core.recovery.guardrails import Limits
from daemon.core.rules.rule import Rule, RuleBook, load
from daemon.core.values.yaml_document import one_document
from tests.fakes import START

TARGETS = {
    "shop": "shop",
    "cart": "shop",
    "search": "search",
    "stock": "shop",
    "price": "shop",
    "login": "shop",
}
"""What the rules of each service act on."""
ALERTS = {
    "shop": "CheckoutFails",
    "cart": "CheckoutFails",
    "search": "SearchFails",
    "mail": "MailFails",
    "stock": "CheckoutFails",
    "price": "CheckoutFails",
    "login": "CheckoutFails",
    "quote": "MailFails",
}
MAX_AGE = timedelta(minutes=2)
LIMITS = Limits(
    cooldown=timedelta(minutes=3),
    flap=timedelta(minutes=10),
    budgets={"rule": 2, "team": 3, "global": 3},
    budget_window=timedelta(minutes=15),
    storm=4,
    storm_window=timedelta(minutes=1),
)
TIGHT = replace(LIMITS, budgets={"rule": 1, "team": 1, "global": 2})
"""So little that the second step of an incident is one too many."""
WAIT = timedelta(seconds=40)
"""How long each tier of every policy has."""

_RULE = """
rule: {name}
match: ['alertname="{alert}"', 'env="prod"']
group_by: [service]
team: {team}
problem:
  symptom: success rate
  bad: bad{{service="$service"}}[$window]
  total: total{{service="$service"}}[$window]
  windows: [1m, 3m]
  baseline: 10m
  confirm: {{drop: 1%, traffic: 30/m}}
  severity: {{sev1: 20%, sev2: 5%, sev3: 1%}}
changes:
  releases: {{directory: {target}}}
recover:
  - action: rollback
    with: {{target: {target}}}
    when: suspect_change
    approval: {first}
    within: 40s
  - {{action: flag_off, with: {{target: {target}}}, approval: {second}, within: 40s}}
verify: {{settle: 10s, hold: 45s, near_baseline: 0.5%, traffic: 50%, watch: 1m}}
"""
_ROSTER = """
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}]}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  payments: {owners: [ada], lead: cy, policy: payments}
  search: {owners: [bo], policy: search}
policies:
  payments: {tiers: [{notify: [payments], wait: 40s}, {notify: [bo], wait: 40s}]}
  search: {tiers: [{notify: [search, cy], wait: 40s}]}
default_policy: payments
channels: {room: {console: true}}
audiences: {responders: {channels: [room], send: automatic, cadence: [2m, 5m]}}
"""


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """A rule that acts by itself, and one that asks first."""
    texts = (
        _RULE.format(
            name="checkout",
            alert="CheckoutFails",
            team="payments",
            target="shop",
            first="automatic",
            second="automatic",
        ),
        _RULE.format(
            name="search",
            alert="SearchFails",
            team="search",
            target="search",
            first="commander",
            second="automatic",
        ),
    )
    return tuple(rule for text in texts for rule, _ in load(text, "rules.yaml"))


@lru_cache(maxsize=1)
def book() -> RuleBook:
    """The same, to be looked up."""
    return RuleBook(list(rules()))


@lru_cache(maxsize=1)
def roster() -> Roster:
    """Three people in two teams."""
    return one_document(_ROSTER, "roster.yaml").read(Roster)


@lru_cache(maxsize=1)
def approvals() -> Approvals:
    """Every step of every rule, approved by ada."""
    until = START + timedelta(days=30)
    return Approvals(
        approvals=tuple(
            Approval.of(rule, number, "ada", START, until)
            for rule in rules()
            for number in range(1, len(rule.recover) + 1)
        )
    )


def alert(service: str, status: str, started: float, ended: float) -> dict[str, Any]:
    """One alert of a webhook's body; times in seconds since START."""
    zero = "0001-01-01T00:00:00Z"
    return {
        "status": status,
        "labels": {"alertname": ALERTS[service], "env": "prod", "service": service},
        "annotations": {"summary": f"{service} fails"},
        "startsAt": (START + timedelta(seconds=started)).isoformat(),
        "endsAt": (START + timedelta(seconds=ended)).isoformat() if status == "resolved" else zero,
        "fingerprint": f"fp-{service}",
    }
