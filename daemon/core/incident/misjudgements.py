"""The two errors that matter: what the daemon refused and people did, what it did and people undid.

`overruled`: a step that the daemon would not start, for a reason of its own, and that a person
then approved or started; by its number, with that reason. That a rule leaves the decision to
people is no refusal. `undone`: a step that it had started by itself, and whose effect somebody
took back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LEFT_TO_PEOPLE = frozenset({"commander_decides", "mode_approve", "skipped_by_person"})
"""The reasons for which a step waits or is passed over by people's own will."""


@dataclass(frozen=True)
class Misjudgements:
    """Those of one incident, as far as its journal tells."""

    overruled: Mapping[int, str] = field(default_factory=dict)
    undone: frozenset[int] = frozenset()
