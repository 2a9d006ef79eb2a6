"""What is asked of the journal as a whole: which incidents, and what has been heard and opened."""

from __future__ import annotations

from typing import Literal

from daemon.core.measurement.problem import Severity
from daemon.core.values.units import Frozen, Moment


class ListCursor(Frozen):
    """Where a list of incidents goes on: after this one, towards the older ones."""

    opened_at: Moment
    incident: str


class IncidentSearch(Frozen):
    """Which incidents are wanted; what is empty or None does not matter.

    `key` is the whole of it; `rule` "" asks for those that no rule matched. `text` is looked for
    in title, id, rule, team and service, whatever its capitals. Opened in [since, until).
    `after`: only older ones.
    """

    status: Literal["", "open", "closed"] = ""
    key: str = ""
    severity: Severity = ""
    rule: str | None = None
    team: str = ""
    service: str = ""
    text: str = ""
    since: Moment | None = None
    until: Moment | None = None
    after: ListCursor | None = None


ALL_INCIDENTS = IncidentSearch()


class RuleOpenings(Frozen):
    """How many incidents a rule has opened, and when the last."""

    count: int
    last_at: Moment


class AlertSighting(Frozen):
    """An alert, by its name, in one incident. `rule` is empty if none matched it; `at` is when
    Alertmanager last had news of it."""

    alert: str
    rule: str
    incident: str
    at: Moment
