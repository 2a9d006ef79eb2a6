"""Which settings were changed since the start: a reload reads rules, and only a restart these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from daemon.config.settings import Settings, load_settings
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import Frozen
from daemon.core.values.yaml_document import Mistakes


class PendingSettings(Frozen):
    """What stands in the settings file and is not in force before a restart: the dotted names of
    what was `changed`; or why the file cannot be read any more (`error`)."""

    changed: tuple[str, ...] = ()
    error: str = ""


def pending_settings(
    running: Settings, environ: Mapping[str, str], judge: Callable[[Settings], None]
) -> PendingSettings:
    """What stands in the settings file now and is not in force. Reads the file. `judge` raises
    Permanent for settings by which no daemon starts."""
    if running.origin is None:
        return PendingSettings()
    try:
        written = load_settings(running.origin, environ)
        judge(written)
    except (Mistakes, Permanent) as error:
        return PendingSettings(error=str(error))
    before, after = (one.model_dump(mode="json") for one in (running, written))
    return PendingSettings(changed=tuple(_differences(before, after)))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The dotted names of what differs, down to where one side is no section any more."""
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (f"{name}.{inner}" for inner in _differences(one, other))
        elif one != other:
            yield name
