"""Puts the files of the rules folder in force, at the start and at each reload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.app.auth import hooks_for, secret_check_for
from daemon.app.notifiers import NotifierBuilder
from daemon.app.rules import ruleset_for
from daemon.config.active import ActiveConfig, Live
from daemon.config.rules_folder import Ruleset
from daemon.config.settings import Settings
from daemon.core.people.oncall_changes import OncallOverride
from daemon.core.rules.rule import RuleBook
from daemon.watching.calendar_feeds import Calendars
from daemon.web.auth.secrets import SecretCheck
from daemon.web.auth.webhook_secrets import Hooks


def active_config(
    ruleset: Ruleset,
    folder: Path,
    calendars: Calendars,
    notifiers: NotifierBuilder,
    overrides: Sequence[OncallOverride] = (),
) -> ActiveConfig:
    """What is in force by these files; `folder` is that of the rules.

    Raises Mistakes if they have any, Permanent naming a secret that is not there.
    """
    rules, roster, approvals = ruleset.sound()
    roster = roster.knowing(calendars.shifts, overrides)
    files = {rule.rule: str(Path(read.file).relative_to(folder)) for rule, read in ruleset.rules}
    return ActiveConfig(
        RuleBook(rules, files),
        roster,
        approvals,
        notifiers.ways(roster),
        notifiers.channels(roster),
        ruleset.freezes,
        ruleset.drills.scenarios,
    )


@dataclass(frozen=True)
class _Loaded:
    config: ActiveConfig
    secrets: SecretCheck
    hooks: Hooks


class Configuration:
    """Reads the rules folder, and holds what is in force by it and by the secrets it names.

    `overrides`: those of who is on call, as they change while the daemon runs.

    The constructor raises Mistakes or Permanent, as `take` does: then nothing changes.
    """

    def __init__(
        self,
        settings: Settings,
        actions: Mapping[str, Any],
        calendars: Calendars,
        notifiers: NotifierBuilder,
        secret: Callable[[str], str],
        overrides: Sequence[OncallOverride] = (),
    ) -> None:
        self._settings = settings
        self._actions = actions
        self._calendars = calendars
        self._notifiers = notifiers
        self._secret = secret
        self._overrides = overrides
        loaded = self._load(self.read())
        self.active = Live(loaded.config)
        self.secrets = Live(loaded.secrets)
        self.hooks = Live(loaded.hooks)

    def read(self) -> Ruleset:
        """The files as they are now; may take its time."""
        return ruleset_for(self._settings, self._actions)

    def take(self, ruleset: Ruleset) -> None:
        """Put what was read in force, all or nothing."""
        loaded = self._load(ruleset)
        self.active.replace(loaded.config)
        self.secrets.replace(loaded.secrets)
        self.hooks.replace(loaded.hooks)
        self._calendars.recall(loaded.config.roster)

    def _load(self, ruleset: Ruleset) -> _Loaded:
        config = active_config(
            ruleset, self._settings.rules_dir, self._calendars, self._notifiers, self._overrides
        )
        secrets = secret_check_for(self._settings, config.roster, self._secret)
        return _Loaded(config, secrets, hooks_for(self._settings, self._secret))
