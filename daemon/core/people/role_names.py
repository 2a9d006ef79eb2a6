"""The roles in an incident, and what people call them."""

from __future__ import annotations

from typing import Literal

Role = Literal["commander", "communicator", "fast_recovery", "diagnosis"]
ROLE_NAMES: dict[Role, str] = {
    "commander": "Commander",
    "communicator": "Communicator",
    "fast_recovery": "Fast-Recovery Owner",
    "diagnosis": "Problem Diagnosis Owner",
}
"""In the order in which people read them."""
