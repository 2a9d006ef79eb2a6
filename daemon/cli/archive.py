"""`archive`: incidents that were moved out of the journal."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.adapters.store import Archived, archived, check_archive, read_archived
from daemon.cli.client import Failure, config_option, json_option, settings_from, tell
from daemon.cli.stored import reading
from daemon.config.audit_keys import keyring_for
from daemon.config.settings import Settings, environment
from daemon.core.reporting.review import markdown


@click.group()
def archive() -> None:
    """Look at incidents that were archived (`retention` in stopgap.yaml)."""


@archive.command("list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:
    """List them, the longest archived first.

    Example: stopgap archive list
    """
    found = _archived(settings_from(config))
    lines = [f"{each.incident}  {each.entries:4} entries  {each.file}" for each in found]
    tell(as_json, [each._asdict() for each in found], *lines or ["nothing is archived"])


@archive.command()
@click.argument("incident", metavar="ID")
@config_option
@json_option
def show(incident: str, config: Path | None, as_json: bool) -> None:
    """Show one of them as its review, from its file, which is checked first.

    Example: stopgap archive show 1124-0200-abcd
    """
    settings = settings_from(config)
    named = [each for each in _archived(settings) if each.incident == incident]
    if not named:
        raise Failure(f"{incident} is not archived; `stopgap show` looks in the journal")
    folder = settings.base / settings.retention.archive
    for broken in check_archive(folder, named[-1:], keyring_for(settings, environment())):
        raise Failure(f"{broken}\n  → {broken.mend}")
    entries = read_archived(folder, named[-1])
    tell(as_json, [entry.model_dump(mode="json") for entry in entries], markdown(entries))


def _archived(settings: Settings) -> list[Archived]:
    return reading(settings, lambda store: archived(store.journal))
