"""What a page says when it reaches somebody: the problem with its numbers, what is asked of them,
the suspect, what the daemon does by itself, the alert's own words. Told at the moment of delivery.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.alert_words import alert_words
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.recovery.plan import plan_of
from daemon.core.reporting import now_and_next
from daemon.core.response.paging import text_now
from daemon.core.rules.rule import Rule
from daemon.core.values.drill_key import DRILL_MARK, marked
from daemon.core.values.units import clock_time, format_duration, percent, printable, quantity

SHORT_TEXT = 130
"""Characters of the short form: a lock screen's, a text message's with room for the link."""
_BRIEF = frozenset({"update", "role_request", "drill_over"})
"""The purposes whose own text says all: a draft, a briefing, a farewell."""


def page_text(incident: Incident, queued: e.PageQueued, rule: Rule | None, now: datetime) -> str:
    """The whole text. Its first line is what matters most, with the facts of now; of a drill it is
    said first. `rule` is the one in force."""
    told = told_now(incident, queued)
    if queued.purpose in _BRIEF:
        return told
    first, _, rest = told.partition("\n")
    standing = [*_decision(incident, rule, told), *_standing(incident, rule, now)]
    lines = [first, *filter(None, [rest]), *standing, *_alert(incident, told)]
    return "\n".join(lines)


def short_text(incident: Incident, queued: e.PageQueued) -> str:
    """At most SHORT_TEXT characters: severity, whether a decision is waited for, the first line."""
    first = told_now(incident, queued).partition("\n")[0].removeprefix(DRILL_MARK).lstrip()
    waits = "decision waiting:" if now_and_next.awaiting_approval(incident) is not None else ""
    parts = [DRILL_MARK if incident.drill else "", incident.severity, waits, first]
    line = " ".join(part for part in parts if part)
    return line if len(line) <= SHORT_TEXT else f"{line[: SHORT_TEXT - 1]}…"


def told_now(incident: Incident, queued: e.PageQueued) -> str:
    """What the page says, with the facts of now; of a drill it is said first."""
    text = text_now(incident, queued)
    return text if incident.drill is None else marked(text)


def standing_lines(
    incident: Incident, rule: Rule | None, now: datetime, *, alert: bool = True
) -> list[str]:
    """How it stands, a line for each thing that somebody who is called needs to know; `alert`: with
    the alert's own words."""
    own = _alert(incident, "") if alert else ()
    return [*_decision(incident, rule, ""), *_standing(incident, rule, now), *own]


def _decision(incident: Incident, rule: Rule | None, told: str) -> Iterator[str]:
    """That somebody's word is waited for, before all else; why, unless that was `told`."""
    waiting = now_and_next.awaiting_approval(incident)
    if waiting is None:
        return
    asked = waiting.refusal_text
    why = f": {printable(asked)}" if asked and asked not in told else ""
    yield (
        f"Your decision is waiting: {_named(incident, rule, waiting)}{why}. "
        f"stopgap step {incident.id} {waiting.number} approve"
    )


def _named(incident: Incident, rule: Rule | None, step: StepState) -> str:
    """`step 1, release_rollback on release:shop`, as far as it is known."""
    spec = plan_of(incident, rule).get(step.number) if rule is not None else None
    action = step.action or (spec.action if spec is not None else "?")
    target = f" on {printable(step.target)}" if step.target else ""
    return f"step {step.number}, {action}{target}"


def _standing(incident: Incident, rule: Rule | None, now: datetime) -> Iterator[str]:
    if incident.severity:
        yield f"Severity: {incident.severity}{_impact(incident)}"
    waiting = now_and_next.awaiting_approval(incident)
    asked = waiting.refusal_text if waiting is not None else ""
    if incident.suspicion is not None and incident.suspicion.text not in asked:
        yield f"Suspect: {printable(incident.suspicion.text)}"
    under_way = incident.running or incident.verifying
    done = [
        f"{step.action} on {printable(step.target)}, {step.so_far}"
        for _, step in sorted(incident.steps.items())
        if step.started_at is not None and step != under_way
    ]
    if incident.confirmed is not None and (done or under_way is None):
        yield f"Done so far: {'; '.join(done) or 'nothing was changed'}"
    if waiting is None:
        yield f"Stopgap: {by_itself(incident, rule, now)}"


def by_itself(incident: Incident, rule: Rule | None, now: datetime) -> str:
    """What the daemon does by itself, and when; what it would do, where it only observes."""
    doing = now_and_next.doing(incident)
    if rule is not None and rule.mode == "observe" and incident.running is None:
        would = [
            f"would start {_named(incident, rule, step)}"
            for _, step in sorted(incident.steps.items())
            if step.observed == ""
        ]
        does = "; ".join(would) or "would start nothing so far"
        return f"observe mode, so nothing is touched; {does}; the recovery is yours to do"
    waits = [
        f"step {number} waits: {printable(step.refusal_text)}"
        for number, step in sorted(incident.steps.items())
        if step.status == "waiting" and step.refusal_text and not step.awaits_approval
    ]
    coming = now_and_next.coming(incident, rule, now)
    if not incident.rule and not incident.organization.counterparts:
        return coming  # that nothing is measured stands in the first line
    return "; ".join([doing, *(waits or [coming])])


def _impact(incident: Incident) -> str:
    """How long it has lasted and what failed, as far as it was measured."""
    tally = incident.impact
    if tally.began is None:
        return ""
    begun = f", since {clock_time(tally.began)}"
    seconds = timedelta(seconds=round(tally.lasted.total_seconds()))
    lasted = f", bad for {format_duration(seconds)}" if seconds else ""
    failed = "" if not tally.failed else f", {quantity(round(tally.failed))} requests failed so far"
    by_threshold = incident.confirmed is not None and incident.confirmed.kind == "threshold"
    told = tally.worst_loss is not None and not by_threshold  # the title has the worst level
    loss = f", worst loss {percent(tally.worst_loss or 0.0)}" if told else ""
    return f"{begun}{lasted}{failed}{loss}"


def _alert(incident: Incident, told: str) -> Iterator[str]:
    """The alerts' own words, unless they were `told`."""
    for words in alert_words(incident):
        said = ": ".join(filter(None, (words.alert, words.summary, words.description)))
        known = not words.description and bool(words.summary) and words.summary in told
        if said != words.alert and not known:
            yield f"Alert: {said}"
