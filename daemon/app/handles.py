"""File handles: how many this process may have, and how many of them connections may take."""

from __future__ import annotations

import resource

import structlog

_log = structlog.get_logger()

KEPT = 256
"""For the store, the log, queries, and what actions start."""


def connections_for(connections: int) -> int:
    """Raise the soft limit as far as it is needed and may be; returns how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        needed = connections + KEPT
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        if most > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
        fit = room_in(soft, connections)
        if fit < connections:
            _log.warning(
                "fewer connections than `connections.max` fit into the limit of file handles",
                limit=soft,
                connections=fit,
                mend=f"set LimitNOFILE={needed} in the unit (ulimit -n)",
            )
        return fit
    return connections


def room_in(limit: int, connections: int) -> int:
    """How many connections fit; where it is tight, a quarter of all handles."""
    return min(connections, max(limit - KEPT, limit // 4))
