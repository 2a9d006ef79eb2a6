"""The incident as a document: statement, numbers, roles, what was done, durations, timeline.

Everything in it comes from the journal. Text that others wrote (labels, annotations, notes) is
escaped, for a review is read in browsers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident, StepState
from daemon.core.measurement.problem import Impact, Problem
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.response.roles import holder_text
from daemon.core.values.drill_key import DRILL_MARK, marked
from daemon.core.values.units import clock_time, format_duration, percent, printable, quantity

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|])")


@dataclass(frozen=True)
class Durations:
    """How long each part took; None where it did not happen.

    `detect`: onset to opening. `acknowledge`: opening to the first person. `mitigate`: opening
    to the end of the action that restored service. `recover`: opening to proven recovery.
    """

    detect: timedelta | None
    acknowledge: timedelta | None
    mitigate: timedelta | None
    recover: timedelta | None

    def shown(self) -> dict[str, str]:
        """Each for people: '1m12s', or '–'."""
        return {
            name: "–" if value is None else format_duration(_seconds(value))
            for name, value in vars(self).items()
        }


def durations(incident: Incident) -> Durations:
    """Work the durations out of the incident."""
    opened = incident.opened_at
    onset = incident.confirmed.onset if incident.confirmed else None
    winner = incident.steps.get(incident.recovered_by)
    mitigated = winner.finished_at if winner else None

    def since(begin: datetime | None, end: datetime | None) -> timedelta | None:
        return None if begin is None or end is None else max(end - begin, timedelta(0))

    return Durations(
        detect=since(onset, opened),
        acknowledge=since(opened, incident.acknowledged_at),
        mitigate=since(opened, mitigated),
        recover=since(opened, incident.recovered_at),
    )


def markdown(entries: Sequence[e.Entry]) -> str:
    """The review of a journal, in Markdown."""
    incident = fold(entries)
    parts = [
        f"# {_heading(incident)}",
        _summary(incident),
        _numbers(incident.confirmed or incident.problem),
        _done(incident),
        _people(incident),
        _findings(incident),
        _timeline(entries),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(incident: Incident) -> str:
    """A drill's says first that it is one."""
    title = markdown_text(incident.title.removeprefix(DRILL_MARK).lstrip())
    heading = f"Incident {incident.id}: {title}"
    return heading if incident.drill is None else marked(heading)


def markdown_text(text: str) -> str:
    """Text by others, made harmless in Markdown and on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(printable(text).split()))


def _summary(incident: Incident) -> str:
    shown = durations(incident).shown()
    closed = "open" if incident.closed is None else f"closed ({incident.closed.reason})"
    rows = [
        ("Status", f"{closed}, {incident.phase}"),
        ("Severity", incident.severity or "not established"),
        ("Rule", incident.rule or "none matched"),
        ("Opened", f"{incident.opened_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Commander", incident.commander or "nobody yet"),
        ("Responders", ", ".join(incident.responders) or "nobody yet"),
        *((f"Time to {name}", value) for name, value in shown.items()),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {markdown_text(v)} |" for k, v in rows)])


def _numbers(problem: Problem | None) -> str:
    if problem is None:
        return "## Problem\n\nNothing was measured."

    def level(value: float | None) -> str:
        if value is None:
            return "–"
        return percent(value) if problem.kind == "counts" else quantity(value)

    lines = ["## Problem", "", f"**{markdown_text(problem.text)}**", ""]
    lines.append(f"Verdict: {problem.verdict} ({problem.reason}).")
    if problem.onset and problem.onset_within is not None:
        between = " and ".join(clock_time(at) for at in problem.onset_bounds if at is not None)
        lines.append(f"Onset: {clock_time(problem.onset)}, from the metrics; between {between}.")
    if problem.windows:
        lines += ["", "| Window | Level | Baseline | Loss | 99 % interval | Traffic a minute |"]
        lines.append("|---|---|---|---|---|---|")
    for w in problem.windows:
        low = "−∞" if w.low is None else percent(w.low)
        high = "∞" if w.high is None else percent(w.high)
        traffic = "–" if w.traffic is None else quantity(w.traffic)
        lines.append(
            f"| {format_duration(w.window)} | {level(w.level)} | {level(problem.baseline)} "
            f"| {percent(w.loss)} | {low} to {high} | {traffic} |"
        )
    lines += _impacts("Impact", problem.impact) + _impacts("Sentiment", problem.sentiment)
    if problem.queries:
        lines += [
            "",
            "Queries asked:",
            "",
            *(f"    {' '.join(printable(q).split())}" for q in problem.queries),
        ]
    return "\n".join(lines)


def _impacts(heading: str, impacts: Iterable[Impact]) -> list[str]:
    lines = [
        f"- {markdown_text(i.name)}: {i.trouble if i.value is None else quantity(i.value)}"
        for i in impacts
    ]
    return ["", f"{heading}:", "", *lines] if lines else []


def _done(incident: Incident) -> str:
    if not incident.steps:
        return "## What was done\n\nNo recovery step was started."
    return "\n".join(
        ["## What was done", "", *(_step_line(s) for _, s in sorted(incident.steps.items()))]
    )


def _step_line(step: StepState) -> str:
    if step.outcome is None:
        why = f" ({step.refusal or step.ask_reason})" if step.refusal or step.ask_reason else ""
        return f"{step.number}. {step.action or 'step'}: {step.status}{why}"
    text = f"{step.number}. {step.action} on {markdown_text(step.target)}: {step.outcome.result}"
    text += (
        f" — {markdown_text(step.summary or step.outcome.detail)} ({markdown_text(step.authority)})"
    )
    if step.verdict is not None:
        text += f". Verdict: **{step.verdict}**, {markdown_text(step.verdict_text)}"
    return text


def _people(incident: Incident) -> str:
    lines = [
        f"- {ROLE_NAMES[role]}: {markdown_text(holder_text(incident, role))}"
        for role in ROLE_NAMES
        if role != "commander"
    ]
    for team, engaged in incident.people.engaged.items():
        answer = (
            f"{markdown_text(engaged.answered_by)} came" if engaged.answered_by else "nobody came"
        )
        lines.append(f"- Team {markdown_text(team)} was called in: {answer}")
    lines += [f"- {markdown_text(item)}: late" for item in incident.missed]
    for sentiment in incident.sentiment[-5:]:
        lines.append(
            f"- Heard outside ({markdown_text(sentiment.source)}): {markdown_text(sentiment.text)}"
        )
    return "\n".join(["## People", "", *lines])


def _findings(incident: Incident) -> str:
    lines = []
    if incident.suspicion is not None:
        lines.append(f"- Suspect: {markdown_text(incident.suspicion.text)}")
    if not incident.rule:
        lines.append("- Missing: a rule for these alerts; nothing could be measured or recovered.")
    if incident.confirmed is None and incident.problem is not None:
        lines.append("- Missing: confirmation. Look at the alert's threshold, or at the queries.")
    failed = [p for p in incident.pages.values() if p.failed_methods]
    if incident.defects:
        lines.append(f"- Nobody was being called, {len(incident.defects)} times; see the timeline.")
    if failed:
        lines.append(f"- {len(failed)} pages had a way that failed; see the timeline.")
    if incident.rule and not incident.steps and incident.confirmed is not None:
        lines.append("- Missing: a recovery step in the rule.")
    lines.append("- Cause, follow-ups with owner and due date: to be filled in by people.")
    return "\n".join(["## Findings", "", *lines])


def _timeline(entries: Sequence[e.Entry]) -> str:
    rows = [
        f"| {clock_time(x.at)} | {markdown_text(x.by.removeprefix(PERSON_PREFIX))} "
        f"| {markdown_text(x.event.describe())} |"
        for x in entries
        if x.event.for_people
    ]
    return "\n".join(["## Timeline", "", "| Time | Who | What |", "|---|---|---|", *rows])


def _seconds(value: timedelta) -> timedelta:
    return timedelta(seconds=round(value.total_seconds()))
