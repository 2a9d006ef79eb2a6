"""Finds the label values that the rules' `changes:` are watched for, and keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import ValidationError

from daemon.core.alertmanager import Labels
from daemon.core.ports.metrics import MetricsServers
from daemon.core.ports.news import note_of_topic
from daemon.core.ports.notes import Notes
from daemon.core.rules.label_values import (
    MOST_VALUES,
    KnownValues,
    fit_for,
    values_query,
    watched_names,
)
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary

_log = structlog.get_logger()

VALUES_NOTES = "label values of "
"""How the names of the notes begin that keep them."""
_EVERY = timedelta(minutes=5)
_SOON = timedelta(seconds=30)
"""When to look again if one that was asked did not answer."""
_REFRESHED = timedelta(days=1)
"""How old what is kept may become if nothing but the time of the last sight has changed."""

ListTargets = Callable[[str, Mapping[str, Any]], Sequence[Labels]]
"""The values of the `$names` in a rule's parameters of that kind of watch, if that kind can
tell. May take its time. Raises Temporary."""


def note_of(rule: str) -> str:
    """Under which name the values of a rule are kept."""
    return f"{VALUES_NOTES}{rule}"


def kept_values(words: Sequence[str]) -> KnownValues | None:
    """What a note holds; None if nothing was kept, or by another version of this program."""
    try:
        return KnownValues.model_validate_json(words[0]) if words else None
    except ValidationError:
        return None


class LabelValues:
    """Asks Prometheus and the folders every few minutes, at the start, and after a reload.

    What was found outlives the process in the notes, and a value stays known for two weeks
    after it was there last.
    """

    def __init__(
        self,
        notes: Notes,
        rules: Callable[[], Sequence[Rule]],
        servers: MetricsServers,
        targets: ListTargets,
        clock: Callable[[], datetime],
    ) -> None:
        self._notes = notes
        self._rules = rules
        self._servers = servers
        self._targets = targets
        self._clock = clock
        self._known: dict[str, KnownValues] = {}
        self._written: dict[str, tuple[KnownValues, datetime]] = {}
        self._asked = asyncio.Event()
        self._full: set[str] = set()
        self._silent: set[str] = set()

    def of(self, rule: Rule) -> list[Labels]:
        """The values of the labels that the rule's changes are watched for."""
        names = watched_names(rule)
        known = self._known.get(rule.rule)
        return known.of(names) if known is not None else []

    def look_again(self) -> None:
        """The rules are others by now: look at once."""
        self._asked.set()

    async def hear(self, topic: str) -> None:
        """A replica has kept values: they are read again with the next look."""
        note = note_of_topic(topic)
        for rule in [rule for rule in self._written if note_of(rule) == note]:
            del self._written[rule]

    def met(self, rule: Rule, labels: Labels) -> None:
        """An incident has these labels: they are watched from now on, and kept."""
        names = watched_names(rule)
        values = {name: labels.get(name, "") for name in names}
        if names and all(values.values()):
            if values not in self.of(rule):
                self._asked.set()
            known = self._known_of(rule)
            self._known[rule.rule] = known.seeing([values], self._clock(), displacing=True)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            answered = await self.look()
            pause = _EVERY if answered else _SOON
            try:
                async with asyncio.timeout(pause.total_seconds()):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()

    async def look(self) -> bool:
        """Look once at all rules; False if one that was asked did not answer."""
        answered = True
        for rule in self._rules():
            if not watched_names(rule):
                continue
            try:
                await self._recall(rule)
                answered = await self._discover(rule) and answered
                await self._keep(rule)
            except (Temporary, Permanent) as error:
                answered = False
                self._say(rule, error)
            except Exception:
                _log.exception("looking for label values crashed", rule=rule.rule)
        return answered

    async def _recall(self, rule: Rule) -> None:
        """What an earlier run has kept; what an incident had since then is newer."""
        if rule.rule in self._written:
            return
        kept = kept_values(await self._notes.read(note_of(rule.rule)))
        now = self._clock()
        if kept is None or set(kept.names) != set(watched_names(rule)):
            kept = KnownValues(names=watched_names(rule))
        met = self.of(rule)
        self._written[rule.rule] = (kept, now)
        self._known[rule.rule] = kept.seeing(met, now, displacing=True)

    async def _discover(self, rule: Rule) -> bool:
        """Ask all who can tell. What one does not answer, another may."""
        found: dict[str, Labels] = {}
        answered = True
        for ask in (self._in_series, self._in_targets):
            try:
                found |= {str(sorted(labels.items())): labels for labels in await ask(rule)}
            except (Temporary, Permanent, TimeoutError) as error:
                answered = False
                self._say(rule, error)
        if answered:
            self._silent.discard(rule.rule)
        fit = fit_for(rule, list(found.values()))
        known = self._known_of(rule).seeing(fit, self._clock())
        missed = len(fit) - sum(labels in known.of(known.names) for labels in fit)
        if missed and rule.rule not in self._full:
            _log.warning(
                "too many label values: some targets are watched from their first incident on",
                rule=rule.rule,
                most=MOST_VALUES,
                found=len(fit),
                mend="split the rule, or let its queries select less",
            )
        (self._full.add if missed else self._full.discard)(rule.rule)
        self._known[rule.rule] = known
        return answered

    async def _in_series(self, rule: Rule) -> Sequence[Labels]:
        asked = values_query(rule)
        if asked is None:
            return ()
        answer = await self._servers.of(rule).metrics.instant(asked.query, self._clock())
        return asked.values_in(series.labels for series in answer.series)

    async def _in_targets(self, rule: Rule) -> Sequence[Labels]:
        names = set(watched_names(rule))
        found: list[Labels] = []
        for kind, params in rule.changes.items():
            listed = await asyncio.to_thread(self._targets, kind, params)
            found += [labels for labels in listed if set(labels) == names]
        return found

    async def _keep(self, rule: Rule) -> None:
        known, now = self._known[rule.rule], self._clock()
        written, at = self._written[rule.rule]
        if known.of(known.names) == written.of(known.names) and now - at < _REFRESHED:
            return
        await self._notes.write(note_of(rule.rule), [known.model_dump_json()])
        self._written[rule.rule] = (known, now)

    def _known_of(self, rule: Rule) -> KnownValues:
        names = watched_names(rule)
        known = self._known.get(rule.rule)
        return known if known and set(known.names) == set(names) else KnownValues(names=names)

    def _say(self, rule: Rule, error: Exception) -> None:
        """Once, not at every look; it is said again after it has worked."""
        if rule.rule not in self._silent:
            text = str(error) or "it took too long"
            _log.warning("label values cannot be looked for", rule=rule.rule, error=text)
        self._silent.add(rule.rule)
