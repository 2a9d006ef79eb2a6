"""Incidents as wholes: declare one by hand, merge, split, relate, reassign, say how severe."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

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
    complete_open_incident,
    complete_rule,
    complete_team,
    incident_argument,
)
from daemon.core.values.formats import printable

_SEVERITIES = ("sev1", "sev2", "sev3", "sev4")
_MEASURED = "measured"


def _labels(_: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{one!r}: write it as NAME=VALUE", param=option)
        labels[name] = value
    return labels


@click.command("declare")
@click.argument("title", nargs=-1, required=True)
@click.option("--rule", default="", shell_complete=complete_rule, help="The rule that measures it.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_labels,
    metavar="NAME=VALUE",
    help="With a rule, each label of its group_by; may be given several times.",
)
@click.option("--team", default="", shell_complete=complete_team, help="Which team is called.")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="As you see it.")
@click.option("--respond", is_flag=True, help="You command it, and nobody is called yet.")
@remote_options
@json_option
def declare_command(
    title: tuple[str, ...],
    rule: str,
    labels: dict[str, str],
    team: str,
    severity: str | None,
    respond: bool,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Declare an incident by hand; people are called as for an alert.

    With --rule the rule measures it, and later alerts join it. Without one nothing is measured
    and nothing is done by itself.

    \b
    Example: stopgap declare customers cannot pay --team payments --severity sev1
    Example: stopgap declare checkout is slow --rule checkout --label service=shop
    """
    body: dict[str, Any] = {"title": " ".join(title), "rule": rule, "labels": labels}
    body |= {"team": team, "severity": severity or "", "respond": respond}
    # Once, even if a proxy on the way sends it twice.
    key = {"Idempotency-Key": secrets.token_urlsafe(12)}
    answer = call("POST", url, token_file, "/api/v1/incidents", body, more=key)
    after = part_of(answer, "incident", url)
    measured = (
        f"{printable(after['rule'])} measures it"
        if after["rule"]
        else "no rule measures it, and nothing will be done by itself"
    )
    commander = printable(after["commander"])
    called = f"the Commander is {commander}" if commander else "people are being called"
    print_answer(as_json, {"incident": after}, f"declared: {after['id']}; {called}", measured)


@click.command("severity")
@incident_argument
@click.argument("severity", type=click.Choice([*_SEVERITIES, _MEASURED]))
@click.argument("reason", nargs=-1)
@remote_options
@json_option
def severity_command(
    incident: str,
    severity: str,
    reason: tuple[str, ...],
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Say how severe it is, or leave that to what is `measured`.

    The higher of the two decides who is called. To say less than before takes a reason.

    Example: stopgap severity 1123-1403-x7qf sev1 the hotline is flooded
    """
    said = "" if severity == _MEASURED else severity
    body = {"severity": said, "reason": " ".join(reason)}
    after = act("POST", url, token_file, incident_path(incident, "severity"), body)
    counts = f"it counts as {after['severity'] or 'not established'}"
    print_answer(as_json, {"incident": after}, counts)


def _with_other(name: str, done: str, text: str) -> click.Command:
    """A command that names another incident."""

    def carry_out(
        incident: str,
        other: str,
        reason: tuple[str, ...],
        url: str,
        token_file: Path | None,
        as_json: bool,
    ) -> None:
        body = {"incident": other, "reason": " ".join(reason)}
        after = act("POST", url, token_file, incident_path(incident, name), body)
        lines = [done.format(other=printable(other)), printable(after["doing"])]
        print_answer(as_json, {"incident": after}, *lines)

    carry_out.__doc__ = text
    decorated: Any = remote_options(json_option(carry_out))
    decorated = click.argument("reason", nargs=-1)(decorated)
    metavar = "INTO" if name == "merge" else "OTHER"
    decorated = click.argument("other", metavar=metavar, shell_complete=complete_open_incident)(
        decorated
    )
    return click.command(name)(incident_argument(decorated))


merge_command = _with_other(
    "merge",
    "merged into {other}: its alerts and people are there",
    """Make an incident a part of another open one; it is closed.

    Its alerts, those to come, and its people go there. Not while a step of it runs.

    Example: stopgap merge 1123-1403-x7qf 1123-1359-b2kd the same database
    """,
)
relate_command = _with_other(
    "relate",
    "related to {other}, here and there",
    """Say that an incident has to do with another; each goes on by itself.

    Example: stopgap relate 1123-1403-x7qf 1123-1359-b2kd the same deployment
    """,
)


@click.command("split")
@incident_argument
@click.argument("reason", nargs=-1)
@click.option(
    "--labels",
    "labels",
    multiple=True,
    callback=_labels,
    metavar="NAME=VALUE",
    help="All alerts with this label, now and later; several must all fit.",
)
@click.option("--alerts", multiple=True, metavar="FINGERPRINT", help="This alert; may be repeated.")
@click.option("--title", default="", help="What the new one is called.")
@remote_options
@json_option
def split_command(
    incident: str,
    reason: tuple[str, ...],
    labels: dict[str, str],
    alerts: tuple[str, ...],
    title: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Make some alerts of an incident one of their own, which you respond to.

    No rule measures what was split off, and nothing is done about it by itself.

    Example: stopgap split 1123-1403-x7qf --labels region=eu the provider's outage
    """
    body = {"labels": labels, "alerts": alerts, "title": title, "reason": " ".join(reason)}
    after = act("POST", url, token_file, incident_path(incident, "split"), body)
    newest = after["organization"]["split_off"][-1:]
    lines = [f"split off: {printable(one['incident'])}; you respond to it" for one in newest]
    print_answer(as_json, {"incident": after}, *lines)


@click.command("reassign")
@incident_argument
@click.argument("team", shell_complete=complete_team)
@click.argument("reason", nargs=-1)
@remote_options
@json_option
def reassign_command(
    incident: str,
    team: str,
    reason: tuple[str, ...],
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Give an incident to another team, whose policy is called; whoever is there stays.

    Example: stopgap reassign 1123-1403-x7qf database it is their primary
    """
    body = {"team": team, "reason": " ".join(reason)}
    after = act("POST", url, token_file, incident_path(incident, "reassign"), body)
    there = ", ".join(map(printable, after["responders"])) or "nobody yet"
    text = f"it is {printable(after['team'])}'s now, and they are being called; here: {there}"
    print_answer(as_json, {"incident": after}, text)
