"""Check of what the rules' `changes:` watch: which values of their labels are known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from daemon import app
from daemon.adapters.store import open_store, store_is_there
from daemon.cli.doctor.context import Installation, parted
from daemon.core.rules.label_names import reference
from daemon.core.rules.label_values import KnownValues, undiscoverable, watched_names
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.onboarding.findings import Finding, good, warning
from daemon.watching.label_values import kept_values, note_of


async def check_targets(installation: Installation) -> AsyncIterator[Finding]:
    """How many values of the labels in `changes:` the daemon watches, for each rule."""
    rules = [rule for rule in installation.rules if watched_names(rule)]
    known = await _kept(installation, rules) if rules else {}
    for rule in rules:
        place = f"rule {rule.rule}"
        hidden = undiscoverable(rule, app.listing_watches())
        if hidden:
            text, mend = parted(Temporary(hidden))
            yield warning(place, text, mend)
        kept = known.get(rule.rule)
        values = kept.of(watched_names(rule)) if kept is not None else []
        shown = " and ".join(map(reference, watched_names(rule)))
        if values:
            some = ", ".join(" ".join(labels.values()) for labels in values[:3])
            more = f"{some}, …" if len(values) > 3 else some
            yield good(place, f"{len(values)} values of {shown} are watched: {more}")
        elif not hidden:
            text = f"no value of {shown} is known yet, so no deployment is seen"
            yield warning(
                place, text, "start the daemon; it looks at the start and every 5 minutes"
            )


async def _kept(installation: Installation, rules: list[Rule]) -> Mapping[str, KnownValues]:
    """What the daemon has kept; nothing if there is no store that can be read."""
    found: dict[str, KnownValues] = {}
    try:
        place = app.store_at(installation.settings, installation.environ)
        if not store_is_there(place):
            return found
        async with open_store(place, readonly=True) as store:
            for rule in rules:
                kept = kept_values(await store.notes.read(note_of(rule.rule)))
                if kept is not None:
                    found[rule.rule] = kept
    except (Temporary, Permanent):
        return found  # the check of the store says what is wrong with it
    return found
