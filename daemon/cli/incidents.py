"""What people do to incidents; each command is one call of the API."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.client import (
    act,
    call,
    config_option,
    has_settings,
    incident_path,
    json_option,
    print_answer,
    remote_options,
    settings_from,
)
from daemon.cli.completion import complete_incident, incident_argument
from daemon.cli.post_text import text_command
from daemon.core.values.formats import printable


@click.command("review")
@click.argument("incident", shell_complete=complete_incident)
@click.option("--html", "as_html", is_flag=True, help="As one HTML file, with the chart in it.")
@click.option(
    "--case",
    "as_case",
    is_flag=True,
    help="Write the incident as a case beside its rule instead; from the store of this machine.",
)
@config_option
@remote_options
@json_option
def review_command(
    incident: str,
    as_html: bool,
    as_case: bool,
    config: Path | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Print the incident's review, in Markdown or as one HTML file.

    It is complete without anybody typing; `stopgap cause` and `stopgap follow-up add` add what
    only people know.

    \b
    Example: stopgap review 1123-1403-x7qf > review.md
    Example: stopgap review 1123-1403-x7qf --html > review.html
    Example: stopgap review 1123-1403-x7qf --case
    """
    if as_case:
        from daemon.cli.replay import write_case  # it loads the daemon's code, which this does not

        written, notes = write_case(
            settings_from(config), incident, restricted=has_settings(config)
        )
        told = {"case": str(written), "notes": notes}
        print_answer(as_json, told, f"written: {written}", *notes)
        return
    path = incident_path(incident, "review") + ("?format=html" if as_html else "")
    text = call("GET", url, token_file, path)
    print_answer(as_json, {"incident": incident, "review": text}, text)


@click.command("ack")
@incident_argument
@remote_options
@json_option
def ack_command(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Respond to an incident. The first responder becomes its Commander.

    Example: stopgap ack 1123-1403-x7qf
    """
    after = act("POST", url, token_file, incident_path(incident, "ack"))
    commander = f"you respond; the Commander is {printable(after['commander'])}"
    print_answer(as_json, {"incident": after}, commander, printable(after["title"]))


pause_command = text_command(
    "pause",
    "pause",
    "reason",
    "paused: nothing more is started for this incident",
    """Stop the automation of one incident; what runs is finished.

    Example: stopgap pause 1123-1403-x7qf we are on it by hand
    """,
)
say_command = text_command(
    "say",
    "notes",
    "text",
    "noted",
    """Put a note on the timeline.

    Example: stopgap say 1123-1403-x7qf the provider confirms an outage
    """,
    required=True,
)
close_command = text_command(
    "close",
    "close",
    "reason",
    "closed",
    """End an incident by your word, and say why; the review has the reason.

    Example: stopgap close 1123-1403-x7qf a test alert
    """,
    question="Why is it over?",
)


@click.command("resume")
@incident_argument
@remote_options
@json_option
def resume_command(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Let the automation of an incident go on.

    Example: stopgap resume 1123-1403-x7qf
    """
    after = act("POST", url, token_file, incident_path(incident, "resume"))
    print_answer(as_json, {"incident": after}, "resumed")
