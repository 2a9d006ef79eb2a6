"""How a drill is told from what is real: by a mark that only the daemon's own runner can set.

The key of a drill's incident begins with a prefix that no rule's key can have (those are JSON),
its id and the identity of its deliveries likewise. `[DRILL]` stands first in whatever people read.
"""

from __future__ import annotations

DRILL_MARK = "[DRILL]"
_SAID = DRILL_MARK.casefold()
_PREFIX = "drill:"
_ID_PREFIX = "drill-"


def drill_key(run: str, key: str) -> str:
    """What is `key` in earnest, in the drill of that run."""
    return f"{key_prefix(run)}{key}"


def key_prefix(run: str = "") -> str:
    """What every key of the run begins with; of all runs, if none is named."""
    return f"{_PREFIX}{run}:" if run else _PREFIX


def drill_of(key: str) -> str:
    """The run that a key belongs to; empty if it is real."""
    if not key.startswith(_PREFIX):
        return ""
    return key.removeprefix(_PREFIX).partition(":")[0]


def plain_key(key: str) -> str:
    """What the key would be in earnest."""
    return key.removeprefix(key_prefix(drill_of(key))) if drill_of(key) else key


def drill_incident(run: str, suffix: str) -> str:
    """The id of an incident of the run; `suffix` tells it from the others."""
    return f"{id_prefix(run)}{suffix}"


def id_prefix(run: str = "") -> str:
    """What the id of every incident of the run begins with; of all runs, if none is named."""
    return f"{_ID_PREFIX}{run}-" if run else _ID_PREFIX


def is_drill_incident(incident: str) -> bool:
    """Whether that is the id of a drill's incident."""
    return incident.startswith(_ID_PREFIX)


def marked(text: str) -> str:
    """The text with `[DRILL]` first, once."""
    return text if text.startswith(DRILL_MARK) else f"{DRILL_MARK} {text}"


def unmarked(text: str) -> str:
    """The text of what is real, which never begins as that of a drill does: whoever reads it would
    stay in bed. An alert's name and labels can be anything."""
    return f"NO DRILL: {text}" if text.lstrip().casefold().startswith(_SAID) else text


def marked_subject(lead: str, title: str) -> str:
    """A subject line of a lead, `[sev1]`, and a title: `[DRILL]` stays first of all."""
    if not title.startswith(DRILL_MARK):
        return f"{lead} {title}"
    return f"{DRILL_MARK} {lead}{title.removeprefix(DRILL_MARK)}"
