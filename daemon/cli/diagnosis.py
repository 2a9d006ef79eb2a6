"""The diagnosis on the command line: dossier, hypotheses, findings, help."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from daemon.cli.client import (
    act,
    call,
    incident_path,
    json_option,
    part_of,
    print_answer,
    remote_options,
)
from daemon.cli.completion import (
    complete_hypothesis,
    complete_incident,
    complete_team,
    incident_argument,
)
from daemon.cli.phrases import View, finding_lines, hypothesis_line, moment
from daemon.cli.post_text import text_command
from daemon.cli.terminal import escape, terminal
from daemon.core.values.formats import printable

_STATES = {"support": "supported", "rule-out": "ruled_out", "reopen": "open"}
_SAID = {"support": "is supported", "rule-out": "is ruled out", "reopen": "is open again"}

diagnose_command = text_command(
    "diagnose",
    "diagnosis",
    "reason",
    "the dossier is being gathered; `stopgap dossier INCIDENT` shows it",
    """Have the dossier gathered as Commander: before recovery has ended, or once more.

    By itself it is gathered once fast recovery has failed, or service is restored.

    Example: stopgap diagnose 1123-1403-x7qf the rollback takes long, and we have hands free
    """,
)


@click.command("dossier")
@click.argument("incident", shell_complete=complete_incident)
@click.option("--queries", is_flag=True, help="With the query of each finding.")
@remote_options
@json_option
def dossier_command(
    incident: str, queries: bool, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Show what is known of the cause: findings, hypotheses, and what could not be looked at.

    Example: stopgap dossier 1123-1403-x7qf --queries
    """
    found = call("GET", url, token_file, incident_path(incident, "diagnosis"))
    if as_json:
        click.echo(json.dumps(found))
        return
    _show(part_of(found, "diagnosis", url), terminal(), queries=queries)


def _show(diagnosis: View, console: Console, *, queries: bool) -> None:
    gathered = diagnosis["gathered"]
    console.print(f"gathered at {moment(gathered)}" if gathered else "no dossier yet")
    for heading, lines in (
        ("findings", finding_lines(diagnosis, queries=queries)),
        ("hypotheses", [hypothesis_line(one) for one in diagnosis["hypotheses"]]),
        ("needed", [f"{h['team']}: {h['reason']} ({h['person']})" for h in diagnosis["needed"]]),
        ("not looked at", list(diagnosis["limits"])),
    ):
        if lines:
            console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            console.print(f"  {escape(line)}", soft_wrap=True)


@click.command("hypothesis")
@incident_argument
@click.argument("verb", type=click.Choice(["add", *_STATES, "own"]))
@click.argument("words", nargs=-1, required=True, shell_complete=complete_hypothesis)
@remote_options
@json_option
def hypothesis_command(
    incident: str,
    verb: str,
    words: tuple[str, ...],
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Put down a cause, support it, rule it out, open it again, or look into it.

    WORDS are the text of a new one; else the name of one (`h1`), then the evidence, or who owns it.

    \b
    Example: stopgap hypothesis 1123-1403-x7qf add the disk of node 7 is full
    Example: stopgap hypothesis 1123-1403-x7qf rule-out h2 df says 40 %
    Example: stopgap hypothesis 1123-1403-x7qf own h1 bo
    """
    name, rest = words[0], " ".join(words[1:])
    if verb == "add":
        path, body = incident_path(incident, "hypotheses"), {"text": " ".join(words)}
    elif verb == "own":
        path, body = incident_path(incident, "hypotheses", name, "owner"), {"person": rest}
    else:
        path = incident_path(incident, "hypotheses", name, "judgement")
        body = {"state": _STATES[verb], "evidence": rest}
    after = act("POST", url, token_file, path, body)
    known = after["diagnosis"]["hypotheses"]
    if verb == "add":
        said = f"put down as {printable(known[-1]['hypothesis'])}"
    elif verb == "own":
        owner = next((one["owner"] for one in known if one["hypothesis"] == name), "")
        said = f"{printable(owner)} looks into {printable(name)}"
    else:
        said = f"{printable(name)} {_SAID[verb]}"
    print_answer(as_json, {"incident": after}, said)


@click.command("finding")
@incident_argument
@click.argument("text", nargs=-1, required=True)
@click.option("--source", required=True, help="Who found it: your name, or that of the tool.")
@click.option("--query", default="", help="The query that shows it.")
@click.option("--link", default="", help="Where it can be looked up.")
@click.option("--about", default="", help="The hypothesis that it speaks about, such as h1.")
@remote_options
@json_option
def finding_command(
    incident: str,
    text: tuple[str, ...],
    source: str,
    query: str,
    link: str,
    about: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Add what you or a tool found out; a token with the scope `findings` can do this alone.

    Example: stopgap finding 1123-1403-x7qf --source df --about h2 the disk of node 7 is full
    """
    body = {
        "source": source,
        "text": " ".join(text),
        "query": query,
        "link": link,
        "hypothesis": about,
    }
    answer = call("POST", url, token_file, incident_path(incident, "findings"), body)
    part_of(answer, "seq", url)
    print_answer(as_json, answer, "added; it stands in the timeline")


@click.command("request-help")
@incident_argument
@click.argument("team", shell_complete=complete_team)
@click.argument("reason", nargs=-1, required=True)
@remote_options
@json_option
def request_help_command(
    incident: str,
    team: str,
    reason: tuple[str, ...],
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Ask for a team that you need to find the cause: the Commander is called to decide.

    Example: stopgap request-help 1123-1403-x7qf database somebody who reads query plans
    """
    body = {"team": team, "reason": " ".join(reason)}
    after = act("POST", url, token_file, incident_path(incident, "help"), body)
    commander = printable(after["commander"]) or "nobody yet"
    print_answer(as_json, {"incident": after}, f"the Commander ({commander}) is asked for {team}")
