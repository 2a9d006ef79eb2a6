"""`stopgap oncall override`, `swap` and what goes with them: who is on call instead of whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from daemon.cli.client import call, json_option, part_of, path_part, print_answer, remote_options
from daemon.cli.completion import complete_taker
from daemon.cli.phrases import View
from daemon.core.values.formats import printable

_OVERRIDES, _SWAPS = "/api/v1/oncall/overrides", "/api/v1/oncall/swaps"


@click.command("override")
@click.argument("schedule")
@click.option("--person", shell_complete=complete_taker, help="Who.  [default: you]")
@click.option("--instead-of", "replaces", default="", help="Whom; left out, everybody.")
@click.option("--from", "start", help="From when.  [default: now]")
@click.option("--until", required=True, help="Until when.")
@click.option("--reason", default="", help="Why; both are told.")
@remote_options
@json_option
def override_command(
    schedule: str,
    person: str | None,
    replaces: str,
    start: str | None,
    until: str,
    reason: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Put yourself on call instead of others; leads and admins may put others on call.

    It holds at once, over rotations and calendars alike. Times without an offset are on the wall
    clock of the schedule's zone. Whoever is concerned is told by mail or chat.

    Example: stopgap oncall override primary --instead-of bo --until "2026-12-24 18:00"
    """
    body = {"schedule": schedule, "until": until, "replaces": replaces, "reason": reason}
    body |= {"person": person} if person else {}
    body |= {"from": start} if start else {}
    done = call("POST", url, token_file, _OVERRIDES, body)
    override = part_of(done, "override", url)
    print_answer(as_json, done, override_line(override), *_told(done))


@click.command("remove")
@click.argument("override")
@remote_options
@json_option
def remove_command(override: str, url: str, token_file: Path | None, as_json: bool) -> None:
    """Take an override back; the schedule counts again as it is.

    Example: stopgap oncall remove 3f9a1c07
    """
    done = call("DELETE", url, token_file, f"{_OVERRIDES}/{path_part(override)}")
    line = f"removed: {override_line(part_of(done, 'override', url))}"
    print_answer(as_json, done, line, *_told(done))


@click.command("swap")
@click.argument("schedule")
@click.option("--with", "asked", required=True, shell_complete=complete_taker, help="Whom you ask.")
@click.option("--mine", required=True, help="A moment in the shift of yours that they take.")
@click.option("--theirs", help="A moment in the shift of theirs that you take in return.")
@click.option("--reason", default="", help="Why; they are told.")
@remote_options
@json_option
def swap_command(
    schedule: str,
    asked: str,
    mine: str,
    theirs: str | None,
    reason: str,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Ask somebody to take a shift of yours, for one of theirs in return or as a favour.

    Nothing changes until they accept, on the page or by `stopgap oncall accept`. Times without an
    offset are on the wall clock of the schedule's zone.

    Example: stopgap oncall swap primary --with bo --mine "2026-12-24 12:00"
    """
    body = {"schedule": schedule, "with": asked, "mine": mine, "reason": reason}
    body |= {"theirs": theirs} if theirs else {}
    done = call("POST", url, token_file, _SWAPS, body)
    print_answer(as_json, done, swap_line(part_of(done, "swap", url)), *_told(done))


def _answering(name: str, accept: bool, words: str) -> click.Command:
    def carry_out(swap: str, url: str, token_file: Path | None, as_json: bool) -> None:
        done = call("POST", url, token_file, f"{_SWAPS}/{path_part(swap)}", {"accept": accept})
        after = part_of(done, "swap", url)
        line = f"{printable(after['answer'])}: {swap_line(after)}"
        print_answer(as_json, done, line, *_told(done))

    carry_out.__doc__ = f"{words}\n\nExample: stopgap oncall {name} 3f9a1c07\n"
    decorated = remote_options(json_option(carry_out))
    return click.command(name)(click.argument("swap")(decorated))


accept_command = _answering(
    "accept", True, "Say yes to a swap that you are asked for: it holds at once."
)
decline_swap_command = _answering(
    "decline", False, "Say no to a swap that you are asked for, or take back your own."
)


@click.command("calendars")
@remote_options
@json_option
def calendars_command(url: str, token_file: Path | None, as_json: bool) -> None:
    """The links that calendar programs subscribe to: of each schedule, and of your shifts alone.

    Whoever has a link can read that calendar, until `stopgap keys rotate`.

    Example: stopgap oncall calendars
    """
    found = call("GET", url, token_file, "/api/v1/oncall/calendars")
    listed = part_of(found, "schedules", url)
    lines = [f"{printable(name)}: {link}" for name, link in listed.items()]
    print_answer(as_json, found, f"you: {found['own']}", *lines)


SUBCOMMANDS = (
    override_command,
    remove_command,
    swap_command,
    accept_command,
    decline_swap_command,
    calendars_command,
)


def override_line(override: View) -> str:
    """An override in one line; times in UTC."""
    instead = f" instead of {override['replaces']}" if override["replaces"] else ""
    why = f" ({override['reason']})" if override["reason"] else ""
    return printable(
        f"override {override['id']}: {override['person']} for {override['schedule']}{instead} "
        f"{_range(override['start'], override['until'])}, set by {override['by']}{why}"
    )


def swap_line(swap: View) -> str:
    """A swap in one line; times in UTC."""
    back = ""
    if swap["return_start"] and swap["return_until"]:
        back = f", for {_range(swap['return_start'], swap['return_until'])}"
    return printable(
        f"swap {swap['id']}: {swap['asker']} asks {swap['asked']} to take {swap['schedule']} "
        f"{_range(swap['start'], swap['until'])}{back}"
    )


def _range(start: str, until: str) -> str:
    return f"from {_shown(start)} until {_shown(until)} UTC"


def _shown(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _told(done: View) -> Iterator[str]:
    for person, method in done["told"].items():
        yield printable(f"{person} was told by {method}")
    for person, why in done["untold"].items():
        yield printable(f"{person} was not told: {why}; tell them yourself")
