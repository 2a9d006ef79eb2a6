"""Who does what in an incident, and who else is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    CommandFailure,
    act,
    call,
    incident_path,
    json_option,
    part_of,
    print_answer,
    remote_options,
)
from daemon.cli.completion import complete_request, complete_taker, incident_argument
from daemon.cli.phrases import (
    ROLE_TITLES,
    View,
    asking,
    holder,
    how_to_answer,
    roles_in_short,
    title,
)
from daemon.cli.post_text import text_command
from daemon.core.values.formats import printable

ME = "me"
NONE = "none"
_CHOICES = {role.replace("_", "-"): role for role in ROLE_TITLES}


@click.command("role")
@incident_argument
@click.argument("role", type=click.Choice(list(_CHOICES)))
@click.argument("person", shell_complete=complete_taker)
@remote_options
@json_option
def role_command(
    incident: str, role: str, person: str, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Take a role, ask somebody to take it, or step down.

    PERSON is a name of the roster, `me`, or `none` to step down. Whoever is asked has a few
    minutes to answer. If you ask for a role that somebody has, it is theirs to say no.

    Example: stopgap role 1123-1403-x7qf communicator bo
    """
    role_name = _CHOICES[role]
    path = incident_path(incident, "roles", role)
    if person == NONE:
        after = act("DELETE", url, token_file, path)
        print_answer(as_json, {"incident": after}, _stepped_down(after, role_name))
        return
    body = None if person == ME else {"person": person}
    after = act("POST", url, token_file, path, body)
    print_answer(as_json, {"incident": after}, *_role_outcome(after, role_name, person))


@click.command("answer")
@incident_argument
@click.argument(
    "arguments",
    nargs=-1,
    required=True,
    metavar="[REQUEST] yes|no",
    shell_complete=complete_request,
)
@remote_options
@json_option
def answer_command(
    incident: str, arguments: tuple[str, ...], url: str, token_file: Path | None, as_json: bool
) -> None:
    """Say yes or no to what you are asked about a role.

    REQUEST may be left out when one question alone is open; `stopgap show` lists them.

    Example: stopgap answer 1123-1403-x7qf communicator.1 yes
    """
    *named, answer = arguments
    if answer not in ("yes", "no") or len(named) > 1:
        raise click.UsageError(
            "end with yes or no, after one request at most: communicator.1 yes",
            click.get_current_context(),
        )
    request = named[0] if named else _only_request(incident, url, token_file)
    path = incident_path(incident, "requests", request)
    after = act("POST", url, token_file, path, {"accept": answer == "yes"})
    message = f"you said {answer}. {roles_in_short(after)}"
    print_answer(as_json, {"incident": after}, message, *map(asking, after["requests"]))


@click.command("leave")
@incident_argument
@remote_options
@json_option
def leave_command(incident: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Be off an incident; your roles are vacant then.

    Example: stopgap leave 1123-1403-x7qf
    """
    after = act("POST", url, token_file, incident_path(incident, "leave"))
    print_answer(as_json, {"incident": after}, f"you are off it; {_command(after)}")


no_plan_command = text_command(
    "no-plan",
    "no-plan",
    "reason",
    "noted: no plan fits. The diagnosis is open, and a dedicated commander is asked",
    """Say as Commander that no plan fits: a dedicated commander and experts are called.

    Example: stopgap no-plan 1123-1403-x7qf the rollback is impossible since the migration
    """,
    required=True,
)
sentiment_command = text_command(
    "sentiment",
    "sentiment",
    "text",
    "noted as what the public says",
    """Report what customers or the public say.

    Example: stopgap sentiment 1123-1403-x7qf support has 40 calls about failed payments
    """,
    required=True,
)


@click.command("escalate")
@incident_argument
@click.option(
    "--tier",
    type=click.IntRange(min=1),
    required=True,
    help="The tier of the policy, counted from 1; `stopgap oncall` lists them.",
)
@remote_options
@json_option
def escalate_command(
    incident: str, tier: int, url: str, token_file: Path | None, as_json: bool
) -> None:
    """Call a tier of the escalation policy now, whoever is there already.

    Example: stopgap escalate 1123-1403-x7qf --tier 2
    """
    after = act("POST", url, token_file, incident_path(incident, "escalate"), {"tier": tier})
    called = f"tier {tier} is called now; {_command(after, called=True)}"
    print_answer(as_json, {"incident": after}, called)


def _role_outcome(after: View, role_name: str, person: str) -> list[str]:
    """What became of the wish that `person` has this role.

    The daemon knows who `me` is, this command does not. But if nobody is asked to give the role
    up, whoever wanted it has it now.
    """
    requests = [r for r in after["requests"] if r["role"] == role_name]
    if person == ME:
        takeovers = [asking(r) for r in requests if r["how"] == "takeover"]
        return takeovers or [f"you are {title(role_name)}"]
    if after["roles"].get(role_name) == person:
        return [f"{printable(person)} is {title(role_name)}"]
    requested = [asking(r) for r in requests if r["taker"] == person]
    return requested or [f"nothing has changed; {title(role_name)}: {holder(after, role_name)}"]


def _stepped_down(after: View, left: str) -> str:
    if left == "commander":
        return f"you stepped down; {_command(after)}"
    return f"you stepped down; {title(left)}: {holder(after, left)}"


def _command(after: View, *, called: bool = False) -> str:
    commander = printable(after["commander"])
    if commander:
        return f"the Commander is {commander}"
    return "nobody commands yet" if called else "nobody commands now, so people are called again"


def _only_request(incident: str, url: str, token_file: Path | None) -> str:
    found = part_of(call("GET", url, token_file, incident_path(incident)), "incident", url)
    requests: list[dict[str, Any]] = found["requests"]
    if not requests:
        raise CommandFailure(
            f"nothing is asked in {found['id']}; `stopgap show {found['id']}` has it all"
        )
    if len(requests) > 1:
        listed = "\n".join(f"  {asking(r)}\n    {how_to_answer(found['id'], r)}" for r in requests)
        raise CommandFailure(
            f"{len(requests)} questions are open; which one do you answer?\n{listed}"
        )
    request: str = requests[0]["request"]
    return request
