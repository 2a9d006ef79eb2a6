"""`archive`: incidents that were moved out of the journal."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.adapters.store import archived
from daemon.cli.client import (
    CommandFailure,
    config_option,
    json_option,
    print_answer,
    settings_from,
)
from daemon.cli.stored import read_archive, reading
from daemon.core.reporting.review.markdown import markdown
from daemon.core.reporting.review.model import review_of


@click.group("archive")
def archive_command() -> None:
    """Look at incidents that were archived (`retention` in stopgap.yaml)."""


@archive_command.command("list")
@config_option
@json_option
def archive_list_command(config: Path | None, as_json: bool) -> None:
    """List them, the longest archived first.

    Example: stopgap archive list
    """
    found = reading(settings_from(config), lambda store: archived(store.journal))
    lines = [f"{each.incident}  {each.entries:4} entries  {each.file}" for each in found]
    print_answer(as_json, [each._asdict() for each in found], *lines or ["nothing is archived"])


@archive_command.command("show")
@click.argument("incident", metavar="ID")
@config_option
@json_option
def archive_show_command(incident: str, config: Path | None, as_json: bool) -> None:
    """Show one of them as its review, from its file, which is checked first.

    Example: stopgap archive show 1124-0200-abcd
    """
    settings = settings_from(config)
    entries = read_archive(settings, incident)
    if not entries:
        raise CommandFailure(f"{incident} is not archived; `stopgap show` looks in the journal")
    print_answer(
        as_json,
        [entry.model_dump(mode="json") for entry in entries],
        markdown(review_of(entries, entries[-1].at)),
    )
