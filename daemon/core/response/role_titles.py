"""What the roles are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line has the titles without the events' models
    from daemon.core.incident.events import Role

ROLE_NAMES: dict[Role, str] = {
    "commander": "Commander",
    "communicator": "Communicator",
    "fast_recovery": "Fast-Recovery Owner",
    "diagnosis": "Problem Diagnosis Owner",
}
