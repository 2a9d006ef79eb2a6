"""Of stopgap.yaml: `replica`, what this daemon is among those that share a database."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from daemon.core.values.lease import DEFAULT_LEASE, LEAST_LEASE
from daemon.core.values.units import Duration, Frozen


class ReplicaSettings(Frozen):
    """`name` tells it from the others; empty takes the host's and a part of its own. `lease`: so
    long after it was last heard of the others take over its incidents."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", max_length=100)
    lease: Duration = Field(default=DEFAULT_LEASE, ge=LEAST_LEASE, le=timedelta(minutes=5))
