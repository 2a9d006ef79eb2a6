"""Sees changes as they happen, so that a suspect is known before anybody asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from daemon.core.alertmanager import Labels
from daemon.core.changes.live_periods import merge_periods
from daemon.core.changes.suspects import Change
from daemon.core.incident.state import Incident
from daemon.core.ports.changes import Watch
from daemon.core.rules.label_values import watched_names
from daemon.core.rules.query_templates import UnsafeLabel, render_params
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.intake.late_changes import tell_incidents
from daemon.repository import IncidentRepository
from daemon.watching.label_values import LabelValues

_log = structlog.get_logger()

_EVERY = timedelta(seconds=2)
_AT_ONCE = 10
"""So many targets are looked at side by side; of more, each waits for its turn."""
_REMEMBERED = timedelta(hours=2)
"""How old a reported change may be to be looked at."""

MakeWatch = Callable[[Rule, str, Mapping[str, Any]], Watch]
"""The watch of a kind with these parameters, for that rule."""

MOST_WATCHES = 1000
"""So many watches are kept; the values of labels come and go, and rules are reloaded."""


class Watcher:
    """Looks at what the rules' `changes:` name, in turns and when asked.

    Where they name a label, there is one target for each of its values. Up to ten targets are
    looked at every two seconds each; a hundred are each looked at every twenty. `by_metrics`: the
    kinds that ask the rule's own Prometheus.
    """

    def __init__(
        self,
        repository: IncidentRepository,
        rules: Callable[[], Sequence[Rule]],
        make: MakeWatch,
        values: LabelValues,
        by_metrics: Collection[str] = (),
    ) -> None:
        self._repository = repository
        self._rules = rules
        self._make = make
        self._values = values
        self._by_metrics = by_metrics
        self._watches: dict[str, Watch] = {}
        self._silent: dict[str, set[str]] = {}

    async def run(self) -> None:
        """Look at everything again and again, until cancelled."""
        while True:
            targets = [(rule, labels) for rule in self._rules() for labels in self._labels(rule)]
            there = {(rule.rule, _target(labels)) for rule, labels in targets}
            self._silent = {
                rule: {target for target in silent if (rule, target) in there}
                for rule, silent in self._silent.items()
            }
            for turn in range(0, max(len(targets), 1), _AT_ONCE):
                looks = (self._look_at(*target) for target in targets[turn : turn + _AT_ONCE])
                await asyncio.gather(*looks)
                await asyncio.sleep(_EVERY.total_seconds())

    async def of(self, rule: Rule, incident: Incident) -> list[Change]:
        """Look now, and return all changes that may concern the incident, oldest first: what
        its rule watches, and what other systems reported. Raises Temporary or Permanent.
        """
        labels = incident.group_labels
        self._values.met(rule, labels)
        since = self._repository.clock() - _REMEMBERED
        reported = await self._repository.journal.reported(since)
        about = [change for change in reported if incident.touched_by(change.labels)]
        return sorted(await self._watched(rule, labels) + about, key=lambda change: change.at)

    async def _watched(self, rule: Rule, labels: Labels) -> list[Change]:
        found: list[Change] = []
        for kind, params in rule.changes.items():
            try:
                rendered = render_params(params, labels)
            except UnsafeLabel as error:
                raise Permanent(f"changes of kind {kind} cannot be seen: {error}") from None
            seen = await self._watch(rule, kind, rendered).look()
            known, new = await self._noted(seen)
            for change in new:
                await tell_incidents(
                    self._repository, change, partial(self._watches_for, rule, kind, rendered)
                )
            found += known
        return found

    def _watches_for(
        self, looking: Rule, kind: str, params: Mapping[str, Any], incident: Incident
    ) -> bool:
        """Whether the incident's rule watches just what that rule has looked at."""
        rule = next((rule for rule in self._rules() if rule.rule == incident.rule), None)
        if rule is None or kind not in rule.changes:
            return False
        if self._server(rule, kind) != self._server(looking, kind):
            return False
        try:
            return bool(render_params(rule.changes[kind], incident.group_labels) == params)
        except UnsafeLabel:
            return False

    async def _noted(self, seen: Sequence[Change]) -> tuple[list[Change], list[Change]]:
        """Save what was not known yet; returns all that is known of the subject, and the news.

        Of a subject that was never looked at before, all is old.
        """
        if not seen:
            return [], []
        # Two looks may meet here. What each saves is harmless twice, and none misses a change.
        known = await self._repository.journal.changes(seen[-1].subject)
        all_of_them = merge_periods(known, seen)
        held = {(change.item, change.at) for change in known}
        new = [change for change in all_of_them if (change.item, change.at) not in held]
        for change in new:
            await self._repository.journal.saw_change(change)
            _log.info("change seen", subject=change.subject, item=change.item)
        return all_of_them, new if known else []

    async def _look_at(self, rule: Rule, labels: Labels) -> None:
        silent, target = self._silent.setdefault(rule.rule, set()), _target(labels)
        try:
            await self._watched(rule, labels)
            silent.discard(target)
        except (Temporary, Permanent) as error:
            # Said once for the rule, not at each look; it is said again after all have worked.
            if not silent:
                _log.warning(
                    "changes cannot be seen", rule=rule.rule, labels=labels, error=str(error)
                )
            silent.add(target)
        except Exception:
            _log.exception("watching for changes crashed", rule=rule.rule)

    def _labels(self, rule: Rule) -> list[Labels]:
        """The values of the labels that a rule's changes are watched for."""
        return self._values.of(rule) if watched_names(rule) else [{}]

    def _watch(self, rule: Rule, kind: str, params: Mapping[str, Any]) -> Watch:
        key = f"{self._server(rule, kind)} {kind} {params}"
        watch = self._watches.pop(key, None) or self._make(rule, kind, params)
        self._watches[key] = watch
        if len(self._watches) > MOST_WATCHES:
            del self._watches[next(iter(self._watches))]  # the one not asked for the longest
        return watch

    def _server(self, rule: Rule, kind: str) -> str | None:
        """The Prometheus in which that kind of change is seen for the rule, if it has a name."""
        return rule.prometheus if kind in self._by_metrics else None


def _target(labels: Labels) -> str:
    """What a target is told apart by."""
    return str(sorted(labels.items()))
