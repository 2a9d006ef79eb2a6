"""The ports to people: pagers, channels, and the links in what they carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from daemon.core.incident.events.pages import Settled
from daemon.core.measurement.problem import Severity


@dataclass(frozen=True)
class Page:
    """One call to one person. `page` is its id in the journal.

    All pages with the same `dedup_key` are one alert in the pager: the incident's own, or one
    question of it (`<incident>/<page>`).

    `link` is the incident's document; `answer_link` leads to a page where this person, and
    nobody else, answers with one tap (empty if there is none). `summons`: they are called to come,
    and may answer that they cannot. `short` is what matters most, for a lock screen or a text
    message; `links` are (name, address) of the alert's own. `places`: where people meet over the
    incident, `Room` and `Call`, each with its address; the text has them, too.
    """

    incident: str
    page: str
    person: str
    title: str
    text: str
    severity: Severity
    link: str
    at: datetime
    dedup_key: str
    answer_link: str = ""
    summons: bool = False
    short: str = ""
    links: tuple[tuple[str, str], ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """The text for a place where the title stands above it: without saying that again."""
        return self.text.removeprefix(self.title).lstrip(" ·\n") or self.text

    @property
    def link_lines(self) -> tuple[str, ...]:
        """The links of the alert itself, a line each, for where there is nothing but text; as many
        as leave room for all else."""
        lines = [f"{name}: {url}" for name, url in self.links]
        while len("\n".join(lines)) > _ROOM_FOR_LINKS:
            del lines[max(range(len(lines)), key=lambda number: len(lines[number]))]
        return tuple(lines)


_ROOM_FOR_LINKS = 4000
"""Characters; the shortest of the texts of pagers has 15,000."""


class Pager(Protocol):
    """One way to reach a person."""

    async def page(self, page: Page) -> str:
        """Deliver; returns the proof in a few words. Raises Temporary or Permanent."""


@runtime_checkable
class KeepsState(Protocol):
    """A pager that goes on calling by itself until it is told that somebody came."""

    async def update_alert(self, dedup_key: str, state: Settled) -> str:
        """Say that somebody responds, or that it is over; harmless for an alert that it does
        not know. Returns the proof. Raises Temporary or Permanent."""


@runtime_checkable
class Amends(Protocol):
    """A pager whose alert can tell more later, and rings nobody by that."""

    async def amend_alert(self, page: Page, proof: str) -> str:
        """Let the alert of a page that was delivered say what the page says now. `proof` is what
        `Pager.page` answered then. Returns the new one. Raises Temporary or Permanent."""


@dataclass(frozen=True)
class Reminder:
    """Word to one person that something of theirs is due: to read when they look, never a call.
    `link` leads to the page where it stands. `incident` is empty if it is about none."""

    incident: str
    person: str
    title: str
    text: str
    link: str


@runtime_checkable
class Reminds(Protocol):
    """A way that wakes nobody: mail or chat. What calls (a pager, a webhook to a phone) is none."""

    async def remind(self, reminder: Reminder) -> str:
        """Deliver; returns the proof in a few words. Raises Temporary or Permanent."""


@dataclass(frozen=True)
class Message:
    """One update for one audience. An edit keeps `update` and raises `version` from 1.

    `link` leads to the document; empty for the public.
    """

    incident: str
    update: str
    version: int
    audience: str
    title: str
    text: str
    severity: Severity
    stage: str
    link: str
    at: datetime


@dataclass(frozen=True)
class Receipt:
    """What a channel answered: the proof in a few words, and what `edit` needs to find it."""

    proof: str
    reference: str = ""


class Channel(Protocol):
    """One way to tell an audience."""

    async def post(self, message: Message) -> Receipt:
        """Publish. Raises Temporary or Permanent."""


@runtime_checkable
class Edits(Protocol):
    """A channel that can change what was published."""

    async def edit(self, reference: str, message: Message) -> Receipt:
        """Replace what `post` published. Raises Temporary or Permanent."""


class Links(Protocol):
    """Makes the links that pages and updates carry."""

    def for_page(self, incident: str, page: str) -> str:
        """Where the page's person, and nobody else, answers it with one tap."""

    def document(self, incident: str) -> str:
        """The incident's standard document, to read."""


Ways = Mapping[str, Sequence[tuple[str, Pager]]]
"""Person → (name of the way, pager), in order of preference."""
Channels = Mapping[str, Channel]
"""Name in the roster → channel."""
