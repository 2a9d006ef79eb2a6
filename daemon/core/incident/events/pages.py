"""What can have happened to a page: to one call to one person, and to the pager that made it."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.page_identity import Purpose, person_of, with_purpose
from daemon.core.values.units import Moment, clock_time

Asks = Literal["acknowledge", "alive", "answer", "send", ""]
"""What a page wants of its person: to respond, a sign of life, an answer to a request for a
role, to send a draft; or nothing but to read it."""


Settled = Literal["acknowledged", "resolved"]


class _AboutCalls(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "calls"


class PageQueued(_AboutCalls):
    """The intent to call a person. `round` and `tier` place it in the escalation policy.

    Nobody is paged twice for the same `purpose`, `about` and `occasion`. `about` says which step
    (and why it needs a person), team, role, severity, milestone, request or update is meant;
    `occasion` counts how often that came about (None: not counted when it was written). `attempt`
    counts the earlier pages of the same occasion that reached nobody. `acknowledgements`: so many
    people were to come by the policy then. `facts`: the part of `text` that tells how the incident
    stood then; what is delivered later tells it anew.

    Entries from before purposes have a `reason` instead.
    """

    kind: Literal["PageQueued"] = "PageQueued"
    page: str
    person: str
    purpose: Purpose
    about: str = ""
    occasion: int | None = None
    text: str
    round: int = 0
    tier: int = 0
    attempt: int = 0
    acknowledgements: int = 1
    asks: Asks = "acknowledge"
    facts: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_reason(cls, fields: Any) -> Any:
        old = isinstance(fields, dict) and "reason" in fields and "purpose" not in fields
        return with_purpose(fields) if old else fields

    def describe(self) -> str:
        return f"calling {self.person}: {self.text}"


class PageDelivered(_AboutCalls):
    """A pager or channel took the page; `proof` is what it answered. `measured`: it could tell
    what was measured, or there was nothing to measure; what could not is amended."""

    kind: Literal["PageDelivered"] = "PageDelivered"
    page: str
    method: str
    proof: str
    measured: bool = True

    def describe(self) -> str:
        return f"{person_of(self.page)} was reached by {self.method}: {self.proof}"


class PageFailed(_AboutCalls):
    """One way of reaching the person did not work. `last`: there is no other way left.

    `temporary`: the same way may work later.
    """

    kind: Literal["PageFailed"] = "PageFailed"
    page: str
    method: str
    error: str
    last: bool
    temporary: bool = False

    def describe(self) -> str:
        left = ", and there is no other way left" if self.last else ""
        return f"{person_of(self.page)} was not reached by {self.method}: {self.error}{left}"


class PagerSettled(_AboutCalls):
    """A pager that goes on calling by itself was told that it need not any more.

    `alert`: the page whose own alert it is; empty for the incident's.
    """

    kind: Literal["PagerSettled"] = "PagerSettled"
    person: str
    method: str
    state: Settled
    proof: str
    alert: str = ""

    def describe(self) -> str:
        return f"{self.method} of {self.person} told {self.state}: {self.proof}"


class PagerUnsettled(_AboutCalls):
    """Telling the pager failed. `last`: it is not tried again."""

    kind: Literal["PagerUnsettled"] = "PagerUnsettled"
    person: str
    method: str
    state: Settled
    error: str
    last: bool
    alert: str = ""

    def describe(self) -> str:
        return f"{self.method} of {self.person} not told {self.state}: {self.error}"


class PagerSaid(_AboutCalls):
    """A pager or chat reports what somebody did there, and it is news.

    `person` is who that is in the roster; empty if it was automation, or nobody known (`who`
    tells). `occurred_at` is the pager's own time, by which its reports are put in order.
    """

    kind: Literal["PagerSaid"] = "PagerSaid"
    source: str
    said: Literal["acknowledged", "unacknowledged"]
    person: str
    who: str
    occurred_at: Moment
    reference: str

    def describe(self) -> str:
        who = self.person or self.who or "automation"
        return f"{self.source}: {self.said} by {who} at {clock_time(self.occurred_at)}"


class EscalationJumped(_AboutCalls):
    """A person asked for the tier to be called now, whoever is there already."""

    kind: Literal["EscalationJumped"] = "EscalationJumped"
    tier: int
    person: str

    def describe(self) -> str:
        return f"{self.person} escalates to tier {self.tier + 1}"


class EscalationDefect(_AboutCalls):
    """Nobody responds and nobody is being called: the daemon's own fault, found by its auditor."""

    kind: Literal["EscalationDefect"] = "EscalationDefect"
    text: str

    def describe(self) -> str:
        return f"DEFECT in the escalation: {self.text}"


class TeamEngaged(_AboutCalls):
    """An expert team is called in. `packet` is what they are told."""

    kind: Literal["TeamEngaged"] = "TeamEngaged"
    team: str
    person: str
    packet: str

    def describe(self) -> str:
        return f"team {self.team} called in by {self.person}"


class TeamAnswered(_AboutCalls):
    """Somebody of the team that was called in is there."""

    kind: Literal["TeamAnswered"] = "TeamAnswered"
    team: str
    person: str

    def describe(self) -> str:
        return f"team {self.team} is here: {self.person}"


PageEvent = (
    PageQueued
    | PageDelivered
    | PageFailed
    | PagerSettled
    | PagerUnsettled
    | PagerSaid
    | EscalationJumped
    | EscalationDefect
    | TeamEngaged
    | TeamAnswered
)
