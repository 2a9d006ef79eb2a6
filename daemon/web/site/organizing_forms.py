"""The forms by which people organize incidents, read into commands of the core."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from daemon.core.response.command import Command, NotPossible
from daemon.core.response.organizing import (
    Merge,
    Reassign,
    Relate,
    SetSeverity,
    SplitAlerts,
    severity_named,
)
from daemon.web.site.layout import FormFields


def read_labels(given: str) -> dict[str, str]:
    """Labels as people write them, one NAME=VALUE a line or parted by commas. Raises
    NotPossible."""
    labels = {}
    for part in filter(None, (one.strip() for one in given.replace(",", "\n").splitlines())):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise NotPossible(f"{part!r} is no label; write it as NAME=VALUE")
        labels[name.strip()] = value.strip().strip('"')
    return labels


def _split(form: FormFields) -> SplitAlerts:
    alerts = tuple(form["alerts"].replace(",", " ").split())
    return SplitAlerts(alerts, read_labels(form["labels"]), form["title"], form["reason"])


ORGANIZING_FORMS: Mapping[str, Callable[[FormFields], Command]] = {
    "severity": lambda form: SetSeverity(severity_named(form["severity"]), form["reason"]),
    "relate": lambda form: Relate(form["other"], form["reason"]),
    "merge": lambda form: Merge(form["other"], form["reason"]),
    "split": _split,
    "reassign": lambda form: Reassign(form["team"], form["reason"]),
}
"""The command of each button, by its name in `daemon.core.commands`."""
