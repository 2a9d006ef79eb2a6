"""`apply`: what the rules learn from an incident, shown as diffs and written into their files."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import yaml

from daemon import app
from daemon.adapters.store import Store
from daemon.app.rule_cases import house_for
from daemon.cli.client import (
    CommandFailure,
    act,
    config_option,
    has_settings,
    incident_path,
    json_option,
    print_answer,
    remote_options,
    settings_from,
)
from daemon.cli.completion import complete_incident
from daemon.cli.houses import house_of
from daemon.cli.replay import entries_of, quiet
from daemon.cli.stored import reading
from daemon.config.rules_folder import rule_files
from daemon.config.settings import Settings
from daemon.core.incident.events import Entry
from daemon.core.incident.fold import fold
from daemon.core.ports.journal import Head, IncidentSearch
from daemon.core.recovery.approvals import Approvals
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import Mistakes
from daemon.standardizing.proposals import (
    RuleTexts,
    Standard,
    missing_alternative,
    missing_dependency,
    missing_rule,
    with_voids,
)
from daemon.standardizing.thresholds import late_threshold

_ABOUT = timedelta(hours=2)
"""Incidents that opened so long before or after may have had the same cause."""
_MOST_NEIGHBOURS = 200


@click.command("apply")
@click.argument("incident", shell_complete=complete_incident)
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option("--decline", metavar="WHY", help="Leave the rules as they are, and record why.")
@config_option
@remote_options
@json_option
def apply_command(
    incident: str,
    number: int | None,
    decline: str | None,
    config: Path | None,
    url: str,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Show what the rules could learn from an incident, and write it into their files.

    A rule where none matched, a threshold that would have told earlier, an alternative that a
    person used and that helped, a dependency that a cascade has shown. Without NUMBER the proposals
    are listed with their diffs; with it that one is written, if the rules pass the check after it,
    and the decision is recorded in the incident (for which your token is needed). `stopgap reload`
    lets the daemon read the rules.

    \b
    Example: stopgap apply 1123-1403-x7qf
    Example: stopgap apply 1123-1403-x7qf 1
    Example: stopgap apply 1123-1403-x7qf --decline "the provider's outage; nothing of ours"
    """
    quiet()
    settings = settings_from(config)
    restricted = has_settings(config)
    entries = entries_of(settings, incident)
    found = proposals(settings, entries, restricted=restricted)
    if number is None and decline is None:
        told = [_shown(n, one) for n, one in enumerate(found, 1)]
        none = "the rules have nothing to learn from it that could be told from its journal"
        if _is_drill(entries):
            none = "it is a drill: its metrics are made up, so the rules learn nothing from it"
        listed = [{"number": n, **_as_json(one)} for n, one in enumerate(found, 1)]
        print_answer(as_json, {"standards": listed}, *told or [none])
        return
    chosen = _chosen(found, number)
    if decline is None and chosen is not None:
        _write(settings, chosen, restricted=restricted)
    body: dict[str, Any] = {"standard": "other", "applied": False, "reason": decline or ""}
    if chosen is not None:
        body |= {"standard": chosen.kind, "rule": chosen.rule, "path": chosen.path}
        body |= {"applied": decline is None, "reason": decline or chosen.why[:500]}
    path = incident_path(incident, "standards")
    try:
        after = act("POST", url, token_file, path, body)
    except CommandFailure as error:
        if decline is not None or chosen is None:
            raise
        text = f"{chosen.path} is written, but that was not recorded in the incident: {error}"
        raise CommandFailure(text) from None
    written = f"written: {chosen.path}; stopgap reload reads it" if chosen else ""
    if chosen is not None:
        written += "".join(f"\n{line}" for line in _void_lines(chosen))
    if len(found) > 1:
        written += f"\nthe rest is numbered anew: stopgap apply {incident} lists it"
    line = "recorded: the rules stay as they are" if decline is not None else written
    print_answer(as_json, {"incident": after}, line)


def proposals(settings: Settings, entries: Sequence[Entry], *, restricted: bool) -> list[Standard]:
    """What the rules could learn from that journal. Raises CommandFailure."""
    if _is_drill(entries):
        return []  # its metrics, and what its actions did, are made up
    house = house_of(settings, settings.rules_dir, restricted=restricted)
    folder = settings.rules_dir
    texts = RuleTexts({str(file.relative_to(folder)): _text(file) for file in rule_files(folder)})
    rules = house.rules
    dependencies = RuleDependencies(rules.values())
    heads = reading(settings, lambda store: _neighbours(store, entries))
    team = next(iter(sorted(house.roster.teams)), "")
    found = [
        *missing_rule(entries, house, team),
        *late_threshold(entries, house, texts),
        *missing_alternative(entries, texts),
        *missing_dependency(entries, heads, texts, dependencies, rules),
    ]
    return list(_sound(found, house.approvals))


def _sound(found: Iterable[Standard], approvals: Approvals) -> Iterator[Standard]:
    """Those whose file can be read after them, with the approvals that end with each. Of the
    others it is said."""
    for one in found:
        try:
            yield with_voids(one, approvals, app.now())
        except (Mistakes, yaml.YAMLError):
            text = f"{one.path} is written in a way that is not edited; do it by hand: {one.why}"
            click.echo(text, err=True)


def _is_drill(entries: Sequence[Entry]) -> bool:
    return fold(entries).drill is not None


async def _neighbours(store: Store, entries: Sequence[Entry]) -> list[Head]:
    at = entries[0].at
    search = IncidentSearch(since=at - _ABOUT, until=at + _ABOUT)
    return await store.journal.heads(_MOST_NEIGHBOURS, search)


def _chosen(found: Sequence[Standard], number: int | None) -> Standard | None:
    if number is None:
        return None
    if number > len(found):
        count = f"{len(found)} proposals" if found else "no proposal"
        raise CommandFailure(f"there is {count}; without a number they are listed")
    return found[number - 1]


def _write(settings: Settings, standard: Standard, *, restricted: bool) -> None:
    """Write it, and take it back if the rules do not pass the check then."""
    path = settings.rules_dir / standard.path
    if not standard.before and path.exists():
        raise CommandFailure(f"{path} is there already; nothing was written")
    try:
        if standard.before and _text(path) != standard.before:
            raise CommandFailure(f"{path} was changed just now; nothing was written, look again")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, standard.after)
    except OSError as error:
        raise CommandFailure(f"cannot write {path}: {error.strerror}") from None
    try:
        house_for(settings, settings.rules_dir, restricted=restricted)
    except BaseException as error:
        if standard.before:
            replace_text(path, standard.before)
        else:
            path.unlink()
        if not isinstance(error, Mistakes | Permanent):
            raise
        raise CommandFailure(f"the rules would be wrong; nothing was changed\n{error}") from None


def _text(file: Path) -> str:
    """As it is written: its lines keep their ends."""
    return file.read_bytes().decode("utf-8")


def replace_text(path: Path, text: str) -> None:
    """Give the file that text, all or nothing; a link stays one, and rights stay as they are.
    Raises OSError."""
    file = path.resolve()
    if file.exists() and not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only")
    beside = file.with_name(f".{file.name}.new")
    try:
        with beside.open("w", encoding="utf-8", newline="") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        if file.exists():
            shutil.copymode(file, beside)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _shown(number: int, one: Standard) -> str:
    told = "".join(f"{line}\n" for line in _void_lines(one))
    return f"{number}. {one.kind.replace('_', ' ')}: {one.why}\n{told}\n{one.diff}"


def _void_lines(one: Standard) -> list[str]:
    """Which approvals end with it, and how they are given anew."""
    return [
        f"the approval of {rule}, step {step}, is void with it: the Commander is asked until "
        f"`stopgap approve {rule} --step {step}`"
        for rule, step in one.voids
    ]


def _as_json(one: Standard) -> Mapping[str, Any]:
    return {
        "standard": one.kind,
        "rule": one.rule,
        "path": one.path,
        "why": one.why,
        "voids": [{"rule": rule, "step": step} for rule, step in one.voids],
        "diff": one.diff,
    }
