"""What an incident has to do with a storm: many incidents that opened together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StormAnswer:
    """Who answered a storm's page, and when."""

    person: str
    at: datetime


@dataclass(frozen=True)
class StormMembership:
    """Which storm, since when it goes on (`began`), since when the incident is one of it, and since
    when it is called for by itself (`left_at`).

    `answers`: those to the storm's page, while the incident carried it.
    """

    storm: str
    began: datetime
    joined_at: datetime
    left_at: datetime | None = None
    answers: tuple[StormAnswer, ...] = ()
