"""How people have organized an incident: declared, merged, split, related, its severity by a
person's word; and the maintenance that holds its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import Routes
from daemon.core.measurement.problem import Severity


@dataclass(frozen=True)
class Organization:
    """What people have made of it; nothing, for most.

    `declared`: it was opened by hand. `severity`: what a person said last, `severity_measured` what
    it would be without that. `routes`: whose alerts come here besides those of its key.
    `merging`: it is about to be merged into another, `merged_into`: it was (an id); `absorbed`:
    what was merged into it, by id. `split_from`: what it was a part of, `split_off` what was a part
    of it. `unwritten`: what was begun here and is not known to stand in the other's journal.
    `held`: calls and actions wait for the end of a maintenance window; `released_at`: when they did
    so no longer.
    """

    declared: e.IncidentDeclared | None = None
    severity: e.SeveritySet | None = None
    severity_measured: Severity = ""
    routes: Routes = ()
    related: Mapping[str, e.IncidentRelated] = field(default_factory=dict)
    merging: e.MergeStarted | None = None
    merged_into: str = ""
    absorbed: Mapping[str, e.IncidentAbsorbed] = field(default_factory=dict)
    split_from: e.SplitFrom | None = None
    split_off: Mapping[str, e.SplitStarted] = field(default_factory=dict)
    unwritten: tuple[tuple[e.Counterpart, str], ...] = ()
    held: e.PagesHeld | None = None
    released_at: datetime | None = None

    @property
    def counterparts(self) -> tuple[tuple[e.Counterpart, str], ...]:
        """What another journal must still be told: what, and whose."""
        merge: tuple[tuple[e.Counterpart, str], ...] = ()
        if self.merging is not None:
            merge = (("merge", self.merging.into),)
        return (*self.unwritten, *merge)


def worse(one: Severity, other: Severity) -> Severity:
    """The higher of two severities; one that is not established is below all."""
    return min(filter(None, (one, other)), default="")
