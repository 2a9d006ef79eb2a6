"""The updates of an incident: look at them, send, edit, draft, put off."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from daemon.cli.client import (
    CommandFailure,
    act,
    call,
    duration,
    incident_path,
    json_option,
    part_of,
    print_answer,
    remote_options,
)
from daemon.cli.completion import complete_update, incident_argument
from daemon.cli.phrases import View, how_to_send, moment, paragraphs
from daemon.core.values.formats import printable

SHORT = 60
"""How much of an update that was sent is listed."""


@dataclass(frozen=True)
class _Order:
    """What was asked for. `what` is an update or an audience; `text` is None if none was given."""

    incident: str
    what: str
    text: str | None
    last: str | None
    as_json: bool
    url: str
    token_file: Path | None

    def act(self, method: str, *parts: str, body: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command on the incident."""
        path = incident_path(self.incident, *parts)
        return act(method, self.url, self.token_file, path, body)

    def look(self) -> dict[str, Any]:
        """All `updates` as they stand, and until when which audiences are `snoozed`."""
        found: dict[str, Any] = call(
            "GET", self.url, self.token_file, incident_path(self.incident, "updates")
        )
        part_of(found, "updates", self.url)
        return found


def _list(order: _Order) -> None:
    found = order.look()
    if order.as_json:
        click.echo(json.dumps(found))
        return
    updates = found["updates"]
    for update in updates:
        if update["sent"]:
            _show_sent(update)
    for update in updates:
        if not update["sent"]:
            _show_draft(order.incident, update)
    for audience, until in found.get("snoozed", {}).items():
        if datetime.fromisoformat(until) > datetime.now(UTC):
            click.echo(f"{printable(audience)} is put off until {moment(until)}")
    for audience in found.get("untold", ()):
        name = printable(audience)
        click.echo(
            f"{name} was never told that it is over: send the draft, or, if there is nothing"
        )
        click.echo(f"  to say, stopgap update {order.incident} dismiss {name} REASON")
    if not updates:
        click.echo(f"no updates yet; `stopgap update {order.incident} draft AUDIENCE` makes one")


def _send(order: _Order) -> None:
    draft = _draft_to_send(order)
    body = {"revision": draft["revision"]}  # what has changed since is to be read before it goes
    if order.text is not None:
        body["text"] = order.text
    elif not order.as_json:
        click.echo("\n".join([*paragraphs(draft["text"]), ""]))
    after = order.act("POST", "updates", order.what, "send", body=body)
    print_answer(
        order.as_json,
        {"incident": after},
        f"update {printable(order.what)} goes out now; "
        f"`stopgap update {order.incident}` tells where it has arrived",
    )


def _edit(order: _Order) -> None:
    if order.text is None:
        raise _usage("what should it say? stopgap update ID edit UPDATE TEXT")
    after = order.act("PUT", "updates", order.what, body={"text": order.text})
    changed = f"update {printable(order.what)} is changed; the channels that can are told"
    print_answer(order.as_json, {"incident": after}, changed)


def _draft(order: _Order) -> None:
    if order.text is not None:
        raise _usage("a draft is written by the daemon; your own words go to `send UPDATE TEXT`")
    after = order.act("POST", "updates", body={"audience": order.what})
    drafts = [u for u in after["updates"] if u["audience"] == order.what and not u["sent"]]
    if order.as_json:
        click.echo(json.dumps({"updates": drafts}))
        return
    for update in drafts:
        _show_draft(order.incident, update)


def _snooze(order: _Order) -> None:
    if order.last is None:
        raise _usage("for how long? Give --for, like --for 15m")
    body = {"audience": order.what, "for": order.last, "reason": order.text or ""}
    after = order.act("POST", "snooze", body=body)
    print_answer(
        order.as_json,
        {"incident": after},
        f"no update to {printable(order.what)} is due for {order.last}; "
        "what they must know at once is told all the same",
    )


def _dismiss(order: _Order) -> None:
    if order.text is None:
        raise _usage("why? stopgap update ID dismiss AUDIENCE REASON")
    after = order.act("POST", "dismiss", body={"audience": order.what, "reason": order.text})
    print_answer(
        order.as_json,
        {"incident": after},
        f"nobody is reminded any more that {printable(order.what)} got no word that it is over",
    )


_ACTIONS: dict[str, Callable[[_Order], None]] = {
    "send": _send,
    "edit": _edit,
    "draft": _draft,
    "snooze": _snooze,
    "dismiss": _dismiss,
}
_WHAT = {
    "send": "UPDATE",
    "edit": "UPDATE",
    "draft": "AUDIENCE",
    "snooze": "AUDIENCE",
    "dismiss": "AUDIENCE",
}


@click.command("update")
@incident_argument
@click.argument("action", type=click.Choice(list(_ACTIONS)), required=False)
@click.argument("what", required=False, metavar="[UPDATE|AUDIENCE]", shell_complete=complete_update)
@click.argument("text", nargs=-1)
@click.option("--for", "last", callback=duration, help="How long to snooze, like 15m.")
@remote_options
@json_option
def update_command(
    incident: str,
    action: str | None,
    what: str | None,
    text: tuple[str, ...],
    last: str | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """List the updates of an incident with the drafts that wait; send, edit, draft, snooze, or
    dismiss the word that it is over.

    \b
    send UPDATE [TEXT]        send the draft as it stands, or in your own words
    edit UPDATE TEXT          change an update that was sent
    draft AUDIENCE            draft an update now
    snooze AUDIENCE --for 15m [REASON]   put the updates to an audience off
    dismiss AUDIENCE REASON   they need no word that it is over

    Example: stopgap update 1123-1403-x7qf send customers.2
    """
    message = " ".join(text) if text else None
    order = _Order(incident, what or "", message, last, as_json, url, token_file)
    if last is not None and action != "snooze":
        raise _usage("--for goes with snooze")
    if action is None:
        _list(order)
        return
    if not what:
        raise _usage(f"{action} what? stopgap update ID {action} {_WHAT[action]}")
    _ACTIONS[action](order)


def _draft_to_send(order: _Order) -> View:
    updates: list[View] = order.look()["updates"]
    for found in updates:
        if found["update"] != order.what:
            continue
        if found["sent"]:
            name = printable(order.what)
            raise CommandFailure(
                f"update {name} was sent already; "
                f"`stopgap update {order.incident} edit {name} TEXT` changes it"
            )
        return found
    raise CommandFailure(
        f"there is no update {printable(order.what)!r}; {_waiting(order, updates)}"
    )


def _waiting(order: _Order, updates: Sequence[View]) -> str:
    waiting = ", ".join(printable(u["update"]) for u in updates if not u["sent"])
    if waiting:
        return f"these wait to be sent: {waiting}"
    return f"none waits. `stopgap update {order.incident} draft AUDIENCE` makes one"


def _show_draft(incident: str, draft: View) -> None:
    name, audience = printable(draft["update"]), printable(draft["audience"])
    whose = f"; {printable(draft['person'])} is asked to send it" if draft["person"] else ""
    why = f" ({printable(draft['because'])})" if draft["because"] else ""
    click.echo(f"{name}, a draft for {audience}{why}{whose}")
    for line in paragraphs(draft["text"]):
        click.echo(f"    {line}")
    click.echo(f"  {how_to_send(incident, draft)}")


def _show_sent(sent: View) -> None:
    name, audience = printable(sent["update"]), printable(sent["audience"])
    by = f" by {printable(sent['by'])}" if sent["by"] else ""
    text = textwrap.shorten(printable(sent["text"]), SHORT, placeholder=" …")
    click.echo(f"{name}, sent to {audience} at {moment(sent['sent'])}{by}: {text}")
    said = {"given_up": "given up", "kept": "as first sent, for nothing can be changed there"}
    where = [
        printable(f"{c['channel']}: {said.get(c['state'], c['state'])}") for c in sent["channels"]
    ]
    if where:
        click.echo(f"  {', '.join(where)}")


def _usage(text: str) -> click.UsageError:
    return click.UsageError(text, click.get_current_context())
