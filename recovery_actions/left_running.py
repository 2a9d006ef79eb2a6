"""A command that outlived the daemon that began it: known again, and waited for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from recovery_actions.commands import stop_group

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STATE, _STARTED = 0, 19
"""Fields of /proc/PID/stat, counted from behind the name, which may hold anything."""
_LOOK_EVERY = 0.1


def mark_of(process: int) -> str:
    """By which a running process is known, also from one that has its number later or elsewhere;
    empty once it has ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(errors="replace")
        boot = _BOOT.read_text().strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[_STATE] in {"Z", "X"} else f"{process} {fields[_STARTED]} {boot}"


def is_running(mark: str) -> bool:
    """Whether the command of that mark is still at work on this machine."""
    process = mark.partition(" ")[0]
    return process.isdecimal() and mark_of(int(process)) == mark


async def outlive(mark: str, timeout: timedelta) -> bool:
    """Wait until that command has ended; False if it is still at work after the timeout."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout.total_seconds()
    # It is nobody's child any more, so nothing announces its end.
    while is_running(mark):
        if clock() >= deadline:
            return False
        await asyncio.sleep(_LOOK_EVERY)
    return True


async def end(mark: str) -> bool:
    """End it, as who began it would have at its timeout. False if it is not ours to end."""
    return await stop_group(int(mark.partition(" ")[0]))
