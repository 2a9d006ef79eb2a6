"""The daemon's drill of its own chain: what is played, and which link of the chain broke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident import events as e
from daemon.core.rules.rule import Rule, load

SELF_DRILLED = "stopgap"
"""The person who is called in it: nobody, but the daemon itself."""

_RULE = """
rule: stopgap-self-drill
description: Stopgap drills its own chain.
match: ['alertname="StopgapSelfDrill"']
group_by: [service]
team: stopgap
problem:
  symptom: an imagined value
  value: stopgap_self_drill{service="$service"}
  direction: lower_is_better
  windows: [10s, 20s]
  baseline: 5m
  confirm: {rise: 50%}
  severity: {sev4: 50%}
recover:
  - action: run_command
    with: {argv: ["true"], target: self-drill}
    approval: automatic
    within: 1m
verify: {settle: 2s, hold: 5s, near_baseline: 10%, traffic: 0%, watch: 5s}
"""
_SCENARIO = {
    "drill": "self-drill",
    "title": "Stopgap drills its own chain",
    "why": "An alert, an incident, a simulated action, a page and a review, once a month.",
    "rule": "stopgap-self-drill",
    "labels": {"service": "stopgap"},
    "interval": "5s",
    "scrape": "1s",
    "series": {"value": "1x2 9"},
    "script": [{"at": "45s", "alert": "firing"}],
    "actions": {1: {"then": {"value": "1"}, "takes": "1s"}},
    "lasts": "5m",
    "expect": {"recovery": "3m"},
}


def self_drill_rule() -> Rule:
    """The rule that the daemon drills itself with."""
    return load(_RULE, "self-drill")[0][0]


def self_drill_scenario() -> DrillScenario:
    """What it plays."""
    return DrillScenario.model_validate(_SCENARIO)


def broken_link(journals: Sequence[Sequence[e.Entry]], called: bool) -> str:
    """Where the chain from the alert to the review broke, in words; empty if it held. `called`: the
    page has arrived."""
    if not journals:
        return "the alert opened no incident: the inbox does not work, or does not work it off"
    events = [entry.event for entry in journals[0]]
    return next((text for text, held in _links(events, called) if not held), "")


def _links(events: Sequence[e.Event], called: bool) -> Iterator[tuple[str, bool]]:
    measured = [x for x in events if isinstance(x, e.ProblemDefined)]
    yield "nobody was called: no page was delivered", called
    confirmed = any(x.problem.verdict == "confirmed" for x in measured)
    yield "the problem was not confirmed, although the series showed it", confirmed
    if not any(isinstance(x, e.StepRefused) and x.reason == "frozen" for x in events):
        # Else a freeze holds the step back, as it must, and what follows from it.
        yield from _links_of_recovery(events)
    yield "no review was written", any(isinstance(x, e.ReviewWritten) for x in events)


def _links_of_recovery(events: Sequence[e.Event]) -> Iterator[tuple[str, bool]]:
    finished = [x for x in events if isinstance(x, e.StepFinished)]
    verified = [x for x in events if isinstance(x, e.StepVerified)]
    yield (
        "the step of the plan was not carried out",
        any(x.outcome.result == "done" for x in finished),
    )
    recovered = any(x.verdict == "recovered" for x in verified)
    yield "the recovery was not verified, although the series showed it", recovered
    yield (
        "the incident was not closed by itself",
        any(isinstance(x, e.IncidentClosed) and x.reason == "recovered" for x in events),
    )
