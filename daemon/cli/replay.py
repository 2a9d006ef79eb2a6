"""`replay`: an incident by the rules of today; or a rule over the past of Prometheus."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import structlog
import yaml

from daemon import app
from daemon.adapters.prometheus import Prometheus
from daemon.cli.client import (
    CommandFailure,
    config_option,
    has_settings,
    json_option,
    settings_from,
)
from daemon.cli.datetime_param import DatetimeParam
from daemon.cli.houses import house_of
from daemon.cli.replay_report import episode_json, replay_json, show_backtest, show_replay
from daemon.cli.stored import has_store, read_archive, reading
from daemon.config.rules_folder import CASES
from daemon.config.sections import prometheus_setting
from daemon.config.settings import Settings, environment
from daemon.core.cases.recorded_case import NotReplayable
from daemon.core.changes.change import Change
from daemon.core.incident.events import Entry
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.replaying.backtest import Episode, alert_episodes, backtest
from daemon.replaying.case_runner import House, run_case, targets_of
from daemon.replaying.replay import recorded_case, replay
from daemon.replaying.virtual_time import run_virtually


@click.command("replay")
@click.argument("name", metavar="ID|RULE")
@config_option
@click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of the rules to replay by.  [default: that of the settings]",
)
@click.option(
    "--against-prometheus",
    "past",
    is_flag=True,
    help="Replay a rule over what Prometheus remembers, instead of an incident.",
)
@click.option(
    "--since",
    type=DatetimeParam(ago=True),
    default="30d",
    show_default=True,
    help="How far back, with --against-prometheus.",
)
@json_option
def replay_command(
    name: str, config: Path | None, rules: Path | None, past: bool, since: datetime, as_json: bool
) -> None:
    """Replay an incident by the rules of today, and show what would be decided otherwise.

    The daemon's own code decides once more, in virtual time, on the alerts, the samples and the
    changes that were kept; nothing is asked of anybody, and nothing is done. With
    --against-prometheus a rule is replayed over each time that its alert fired, as if it were
    automatic and its steps approved: when it would have acted, and against what. Exit code 1:
    something comes out otherwise.

    \b
    Example: stopgap replay 1123-1403-x7qf
    Example: stopgap replay 1123-1403-x7qf --rules /tmp/other-rules
    Example: stopgap replay checkout-success-rate --against-prometheus --since 30d
    """
    quiet()
    settings = settings_from(config)
    house = house_of(settings, rules or settings.rules_dir, restricted=has_settings(config))
    if past:
        _backtest(settings, house, name, since, as_json=as_json)
        return
    entries = entries_of(settings, name)
    try:
        found = replay(entries, house)
    except NotReplayable as error:
        raise CommandFailure(f"{name}: {error}") from None
    if as_json:
        click.echo(json.dumps(replay_json(found)))
    else:
        show_replay(found)
    if found.differs:
        count = sum(one.fate != "same" for one in found.compared)
        raise CommandFailure(f"{count} decisions come out otherwise")


def write_case(settings: Settings, incident: str, *, restricted: bool) -> tuple[Path, list[str]]:
    """Write the incident as a case beside its rule; the file, and what there is to say about it.
    Raises CommandFailure."""
    quiet()
    house = house_of(settings, settings.rules_dir, restricted=restricted)
    try:
        rule, case, notes = recorded_case(entries_of(settings, incident), house)
    except NotReplayable as error:
        raise CommandFailure(f"{incident}: {error}") from None
    path = settings.rules_dir / CASES / f"{rule.rule}-{incident}.yaml"
    if path.exists():
        raise CommandFailure(f"{path} is there already; remove it first to write it anew")
    told = case.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=100)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"# Written by `stopgap review {incident} --case`: what happened, and what came of it.\n"
        f"# Edit `expect:` to what should come of it; `stopgap test` plays it.\n{text}",
        encoding="utf-8",
    )
    failed = run_case(case, house).mismatches
    if failed:
        notes += [f"it fails today: {one.expected} was expected, not {one.got}" for one in failed]
    else:
        notes.append("it passes today; `stopgap test` plays it from now on")
    return path, notes


def entries_of(settings: Settings, incident: str) -> Sequence[Entry]:
    """The journal of an incident, from the store or from its archive. Raises CommandFailure."""
    entries: Sequence[Entry] = reading(settings, lambda store: store.journal.read(incident))
    entries = entries or read_archive(settings, incident)
    if not entries:
        raise CommandFailure(f"there is no incident {incident}; `stopgap incidents` lists them")
    return entries


def quiet() -> None:
    """What the daemon would log of a replay says nothing to whoever asks for it, and would stand
    in the middle of the JSON."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


# ── a rule over the past ─────────────────────────────────────────────────────────────────────


def _backtest(
    settings: Settings, house: House, name: str, since: datetime, *, as_json: bool
) -> None:
    rule = house.rules.get(name)
    if rule is None:
        known = ", ".join(sorted(house.rules))
        raise CommandFailure(f"there is no rule {name!r} in {settings.rules_dir}; known: {known}")
    prometheus = _prometheus_of(settings, rule)
    until = datetime.now(UTC)
    try:
        episodes = run_virtually(lambda: alert_episodes(prometheus, rule, since, until))
        changes = _known_changes(settings, house, rule, episodes, since)
        found = [
            backtest(rule, house, prometheus, seen, episode, until)
            for episode, seen in zip(episodes, changes, strict=True)
        ]
    except (Temporary, Permanent) as error:
        raise CommandFailure(str(error)) from None
    except TimeoutError:
        setting = f"{prometheus_setting(rule.prometheus)}.timeout"
        text = f"no answer of Prometheus in time; see `{setting}`, or a later --since"
        raise CommandFailure(text) from None
    finally:
        prometheus.close()
    if as_json:
        click.echo(json.dumps({"rule": name, "episodes": [episode_json(one) for one in found]}))
        return
    distinct = {(one.subject, one.item, one.at) for seen in changes for one in seen}
    show_backtest(rule, found, since, len(distinct))


def _prometheus_of(settings: Settings, rule: Rule) -> Prometheus:
    try:
        return app.prometheus_for(settings, environment(), rule.prometheus)
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def _known_changes(
    settings: Settings, house: House, rule: Rule, episodes: Sequence[Episode], since: datetime
) -> list[Sequence[Change]]:
    """Of each episode the changes that the daemon saw since then on what the plan acts on there,
    and those that were reported; none without a store."""
    if not has_store(settings):
        return [()] * len(episodes)
    targets = [targets_of(rule, rule.group(one.labels), house.actions) for one in episodes]

    async def ask(store: Any) -> list[Sequence[Change]]:
        every = sorted(set[str]().union(*targets)) if rule.changes else []
        seen = {target: await store.journal.changes(target) for target in every}
        reported = await store.journal.reported(since)
        return [
            [*(one for target in sorted(ours) for one in seen.get(target, ())), *reported]
            for ours in targets
        ]

    return reading(settings, ask)
