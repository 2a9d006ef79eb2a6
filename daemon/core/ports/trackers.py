"""The port to issue trackers: follow-ups become issues there, and end when those are closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol, runtime_checkable

IssueState = Literal["open", "done", "dropped"]
"""What an issue says of its follow-up; `dropped`: it was closed as not to be done."""


@dataclass(frozen=True)
class IssueDraft:
    """A follow-up as an issue. `marker` stands in it, and in no other issue: by that it is found
    again before it would be made twice. `text` is plain, and others wrote parts of it."""

    marker: str
    title: str
    text: str
    incident: str
    follow_up: int
    owner: str
    due: date | None
    link: str


@dataclass(frozen=True)
class Issue:
    """Where the issue is: `key` as the tracker calls it, `url` for people. Both may be empty."""

    key: str
    url: str = ""


class Tracker(Protocol):
    """One tracker."""

    @property
    def name(self) -> str:
        """What it is called in sentences: github, gitlab, jira, webhook."""

    async def push(self, draft: IssueDraft) -> Issue:
        """The issue of this draft: the one that is there already, else a new one. Raises Temporary
        or Permanent; no error holds a secret."""


@runtime_checkable
class FollowsBack(Protocol):
    """A tracker that can be asked what became of an issue."""

    async def state(self, key: str) -> IssueState:
        """What it says of the follow-up. Raises Temporary, or Permanent if it is not there."""
