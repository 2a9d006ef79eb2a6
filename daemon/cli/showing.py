"""`show`: how one incident looks on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.cli.client import call, incident_path, json_option, part_of, remote_options
from daemon.cli.completion import complete_incident
from daemon.cli.phrases import (
    OBSERVES,
    ROLE_TITLES,
    STAGES,
    View,
    asking,
    briefing_lines,
    clock_line,
    engaged_line,
    finding_lines,
    helper_lines,
    holder,
    how_to_answer,
    how_to_send,
    hypothesis_line,
    meeting_lines,
    step_commands,
    suggested,
    timeline_of,
)
from daemon.cli.terminal import escape, terminal
from daemon.core.values.formats import format_duration, quantity

_FINDINGS = 5
"""So many of the weightiest are shown; `stopgap dossier` has them all."""


@click.command("show")
@click.argument("incident", shell_complete=complete_incident)
@remote_options
@json_option
def show_command(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Show one incident: who has which role, what is asked and due, and the timeline.

    Example: stopgap show 1123-1403-x7qf
    """
    found = call("GET", url, token_file, incident_path(incident))
    if as_json:
        click.echo(json.dumps(found))
        return
    replica = found.get("replica", "")
    _show(part_of(found, "incident", url), timeline_of(found), terminal(), replica)


def _show(incident: View, timeline: Sequence[View], console: Console, replica: str = "") -> None:
    """Everything that is known of an incident, what people must do before what was."""
    console.print(f"[bold]{escape(incident['title'])}[/bold]")
    table = Table(show_header=False, box=None)
    for name, value in _facts(incident):
        table.add_row(name, escape(value))
    if replica:  # there is more than one
        table.add_row("conducted by", f"{escape(replica)} (stopgap replicas)")
    console.print(table)
    for heading, lines in (
        ("the alert's own words", list(_alert(incident))),
        ("the plan", list(_plan(incident))),
        ("asked", list(_requests(incident))),
        ("the first ten minutes", _clock(incident)),
        ("called in", [engaged_line(team) for team in incident.get("engaged", ())]),
        ("where people meet", meeting_lines(incident)),
        ("who could help", helper_lines(incident)),
        ("updates that wait to be sent", list(_drafts(incident))),
        ("follow-ups", [_follow_up(one) for one in incident.get("follow_ups", ())]),
        ("the cause, as far as it is known", list(_diagnosis(incident))),
        ("document", [incident["document"]] if incident.get("document") else []),
    ):
        if lines:
            console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            # Not broken into lines: commands and links are there to be copied.
            console.print(f"  {escape(line)}", soft_wrap=True)
    console.print("[bold]timeline[/bold]")
    for entry in timeline:
        at = entry["at"][11:19]
        who = entry["by"].removeprefix("person:")
        console.print(f"{at} {escape(who):>8}  {escape(entry['text'])}")


def _facts(incident: View) -> Iterator[tuple[str, str]]:
    yield "incident", f"{incident['id']} ({incident['phase']})"
    if incident.get("mode") == "observe":
        yield "mode", OBSERVES
    if incident.get("stage"):
        yield "stage", STAGES.get(incident["stage"], incident["stage"])
    yield "severity", _severity(incident)
    if incident.get("outcome"):
        yield "outcome", incident["outcome"]
    for name, key in (("now", "doing"), ("next", "coming")):
        if incident.get(key):
            yield name, incident[key]
    yield from _organized(incident.get("organization") or {})
    if incident.get("suppressed"):
        yield "alerts", incident["suppressed"]
    if incident.get("storm"):
        yield "storm", f"{incident['storm']}: told as one page; stopgap storm"
    if incident.get("silence"):
        yield "silence", f"in Alertmanager: {incident['silence']}"
    if "roles" in incident:
        for role, name in ROLE_TITLES.items():
            yield name, _role(incident, role)
    else:  # a daemon older than this command
        yield ROLE_TITLES["commander"], incident["commander"] or "nobody yet"
    yield "responders", ", ".join(incident["responders"]) or "nobody yet"
    yield from _calls(incident.get("calls") or {})
    yield "suspect", incident["suspect"] or "none"
    impact = incident.get("impact")
    if impact:
        yield "impact", _impact(impact)
    cause = incident.get("cause")
    if cause:
        change = f", {cause['change']}" if cause["change"] else ""
        yield "cause", f"{cause['text']} ({cause['category']}{change})"
    yield "review", incident["review"] or "not yet"
    for name, value in incident["durations"].items():
        yield f"time to {name}", str(value)


def _severity(incident: View) -> str:
    said = (incident.get("organization") or {}).get("severity_said")
    counts: str = incident["severity"] or "not established"
    if not said:
        return counts
    measured = said["measured"] or "not established"
    why = f": {said['reason']}" if said["reason"] else ""
    return f"{counts} ({said['severity']} by {said['person']}{why}; measured: {measured})"


def _organized(known: View) -> Iterator[tuple[str, str]]:
    """What people have made of it; a daemon older than this command tells nothing."""
    if known.get("declared_by"):
        yield "declared", f"by {known['declared_by']}: {known['declared_as']}"
    held = known.get("held")
    if held:
        until = held["until"][:16].replace("T", " ")
        yield "calls", f"held by maintenance until {until} UTC ({held['by']}: {held['reason']})"
    if known.get("merged_into"):
        yield "merged into", known["merged_into"]
    linked = [("merged into it", one) for one in known.get("absorbed", ())]
    linked += [("split off from", one) for one in (known.get("split_from"),) if one]
    linked += [("split off", one) for one in known.get("split_off", ())]
    linked += [("related to", one) for one in known.get("related", ())]
    for name, one in linked:
        why = f" ({one['reason']})" if one["reason"] else ""
        yield name, f"{one['incident']}: {one['title']}{why}"


def _calls(calls: View) -> Iterator[tuple[str, str]]:
    """How many the policy wants to come, and who cannot, or is called again."""
    if calls.get("wants", 1) > 1:
        yield "acknowledged", f"{calls['came']} of {calls['wants']}"
    if calls.get("declined"):
        yield "cannot come", ", ".join(calls["declined"])
    for person, until in calls.get("snoozed", {}).items():
        yield "called again", f"{person} at {until[11:19]} UTC"


def _alert(incident: View) -> Iterator[str]:
    for words in incident.get("alert_words", ()):
        yield ": ".join(filter(None, (words["alert"], words["summary"], words["description"])))
    for link in incident.get("alert_links", ()):
        yield f"{link['name'].lower()}: {link['url']}"


def _impact(impact: View) -> str:
    lasted = format_duration(timedelta(seconds=round(impact["lasted"])))
    failed = impact["failed_requests"]
    counted = "" if failed is None else f", {quantity(round(failed))} failed requests"
    return f"{lasted}{counted}{'' if impact['ended'] else ', and not over'}"


def _follow_up(one: View) -> str:
    due = f", due {one['due']}" if one["due"] else ""
    where = one["url"] or one["key"]
    state = one["status"].replace("_", " ")
    line = f"{one['number']}. {one['title']}: {state}, {one['owner']}{due}"
    return f"{line} ({where})" if where else line


def _role(incident: View, role: str) -> str:
    who = holder(incident, role)
    others = "" if incident["roles"].get(role) else suggested(incident, role)
    return f"{who}; you could ask {others}" if others else who


def _plan(incident: View) -> Iterator[str]:
    """How far each step has come, and what may be done to it."""
    for step in incident.get("steps", ()):
        outcome = (step["outcome"] or {}).get("result", "")
        state = step["verdict"] or outcome or step["status"]
        why = step["verdict_text"] or step["waits_for"] or step["refusal"] or step["summary"]
        yield f"{step['step']}. {step['action']}: {state}{f' ({why})' if why else ''}"
        yield from (f"     {line}" for line in briefing_lines(step, incident["status"] == "open"))
    if incident["status"] == "open":
        yield from step_commands(incident)


def _requests(incident: View) -> Iterator[str]:
    for request in incident.get("requests", ()):
        yield f"{asking(request)} ({request['why']})" if request["why"] else asking(request)
        yield f"  yes or no: {how_to_answer(incident['id'], request)}"


def _clock(incident: View) -> list[str]:
    return [line for reading in incident.get("clock", ()) if (line := clock_line(reading))]


def _diagnosis(incident: View) -> Iterator[str]:
    known = incident.get("diagnosis")
    if known is None:  # a daemon older than this command
        return
    lines = finding_lines(known)
    yield from lines[:_FINDINGS]
    if len(lines) > _FINDINGS:
        yield f"… and {len(lines) - _FINDINGS} more: `stopgap dossier {incident['id']}`"
    yield from (hypothesis_line(one) for one in known["hypotheses"])
    for asked in known["needed"]:
        yield f"{asked['person']} needs the team {asked['team']}: {asked['reason']}"


def _drafts(incident: View) -> Iterator[str]:
    for update in incident.get("updates", ()):
        if not update["sent"]:
            yield f"{update['update']}: {how_to_send(incident['id'], update)}"
