"""`audit`: prove that the journal says what was written, and keep a point of it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import click

from daemon.adapters.store import audit_journal, check_archive
from daemon.cli.client import (
    CommandFailure,
    config_option,
    json_option,
    print_answer,
    settings_from,
)
from daemon.cli.stored import reading
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import environment
from daemon.core.values.anchor import Anchor, anchors

_T = TypeVar("_T")


@click.group("audit")
def audit_command() -> None:
    """Look into the journal's integrity."""


@audit_command.command("verify")
@config_option
@click.option(
    "--anchor",
    "given",
    metavar="FILE|TEXT",
    multiple=True,
    help="An anchor that you kept, or a file of them: the journal must still hold that point.",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Check the files of archived incidents in this folder, too.",
)
@json_option
def audit_verify_command(
    config: Path | None, given: tuple[str, ...], archive: Path | None, as_json: bool
) -> None:
    """Check the whole journal; 1 if anything was edited or removed.

    Entries, heads, freezes, locks and marks against the chain over all of it, beside a running
    daemon. That the newest part is gone shows only against an anchor.

    \b
    Example: stopgap audit verify
    Example: stopgap audit verify --anchor /mnt/worm/anchors.txt --archive archive/
    """
    anchors = [anchor for text in given for anchor in _anchors(text)]
    settings = settings_from(config)
    found = reading(settings, lambda store: audit_journal(store.journal, anchors))
    if archive is not None:
        keyring = keyring_for(settings, environment())
        found.breaks.extend(check_archive(archive, found.archived, keyring))
    lines = [f"{one}\n  → {one.mend}" for one in found.breaks]
    breaks = [one._asdict() for one in found.breaks]
    whole = not found.breaks
    counts = {"incidents": found.incidents, "entries": found.entries, "anchors": len(anchors)}
    counts |= {"archived": len(found.archived), "rows": found.rows}
    counts["vouched_from"] = found.vouched_from
    print_answer(as_json, {"whole": whole, "breaks": breaks, **counts}, *lines)
    if not whole:
        raise CommandFailure(f"{len(breaks)} breaks in the journal")
    if not as_json:
        text = f"{found.incidents} incidents, {found.entries} entries"
        if found.archived:
            looked = "their files are whole" if archive else "`--archive DIR` checks their files"
            text += f"; {len(found.archived)} more are archived: {looked}"
        if anchors:
            text += (
                f"; all {len(anchors)} anchors hold" if len(anchors) > 1 else "; the anchor holds"
            )
        if found.vouched_from:
            text += f"; the key vouches for it since row {found.vouched_from} of {found.rows}"
        click.echo(f"the journal is whole: {text}")


@audit_command.command("anchor")
@config_option
@json_option
def audit_anchor_command(config: Path | None, as_json: bool) -> None:
    """Print the point that the journal has come to, in one line to keep elsewhere.

    Mail it, commit it, write it to a disk that only takes more: whoever has the line can show
    with `audit verify --anchor` that nothing before it was changed or taken away.

    Example: stopgap audit anchor >> /mnt/worm/anchors.txt
    """
    point = reading(settings_from(config), lambda store: store.journal.anchor())
    if point is None:
        raise CommandFailure("nothing has happened yet, so there is nothing to anchor")
    print_answer(as_json, {**point.model_dump(mode="json"), "line": str(point)}, str(point))


@audit_command.command("assistants")
@config_option
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
@json_option
def audit_assistants_command(config: Path | None, limit: int, as_json: bool) -> None:
    """List what assistants asked and did in people's names, the newest first.

    Each use of a tool of `stopgap mcp` is a row of the journal's chain, written before anything
    is told or done.

    Example: stopgap audit assistants --limit 200
    """
    calls = reading(settings_from(config), lambda store: store.assistants.newest(limit))
    told = (
        f"{one.at:%Y-%m-%d %H:%M:%S} UTC  {one.person}: {one.tool}  {one.asked}" for one in calls
    )
    lines = list(told) or ["no assistant has asked anything yet"]
    print_answer(as_json, {"calls": [one.model_dump(mode="json") for one in calls]}, *lines)


def _anchors(text: str) -> list[Anchor]:
    """The anchors in a file of that name, or in the text itself. Raises UsageError."""
    path = Path(text)
    try:
        named = len(text) < 4096 and path.is_file()
        return anchors(path.read_text(encoding="utf-8") if named else text)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise click.UsageError(f"--anchor {text}: {what}") from None
