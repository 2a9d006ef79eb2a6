"""What a revert asks of whoever hosts the repository; GitHub and GitLab each answer it.

Everything here is read and written by their APIs, so nothing is cloned. Nothing is ever forced:
a branch that is there already, or has moved meanwhile, is `Overtaken`, and looked at anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions.reasons import ActionReason


class GitRefusal(Permanent):
    """The host will not, or cannot be asked: an enumerated reason and the sentence."""

    def __init__(self, reason: ActionReason, text: str) -> None:
        super().__init__(text)
        self.reason: ActionReason = reason
        self.text = text


class Overtaken(Temporary):
    """What was to be made is there already, or stands on what is no longer newest."""


@dataclass(frozen=True)
class TreeEntry:
    """What stands at a path: a file's mode ('100644') and the id of its content."""

    mode: str
    sha: str


FileTree = Mapping[str, TreeEntry]
"""The files of a commit by their path."""


@dataclass(frozen=True)
class GitCommit:
    """A commit; `sha` is whole, `url` is for people."""

    sha: str
    message: str
    parents: tuple[str, ...]
    url: str

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True)
class HostedRepository:
    """`url` is for people; `writable`: whether the token may push to it, as far as is told."""

    default_branch: str
    url: str
    writable: bool


@dataclass(frozen=True)
class MergeRequest:
    """A pull request, or a merge request. `title`: how people call it ('pull request #7').
    `commit`: by which it came onto the branch, once it is merged."""

    title: str
    url: str
    state: Literal["open", "merged", "closed"]
    commit: str = ""


@dataclass(frozen=True)
class FileChange:
    """What a revert does to one path: from `now` to `then`; None is no file."""

    path: str
    now: TreeEntry | None
    then: TreeEntry | None


class GitHost(Protocol):
    """One repository. All raise Temporary (down, slow, a limit) and GitRefusal."""

    async def repository(self) -> HostedRepository:
        """The repository itself."""

    async def branch(self, name: str) -> GitCommit | None:
        """The newest commit of a branch; None if there is no such branch."""

    async def commit(self, name: str) -> GitCommit | None:
        """A commit by its id, which may be cut short; None if there is none."""

    async def newest(self, branch: str) -> Sequence[GitCommit]:
        """The newest hundred commits of a branch, the newest first."""

    async def contains(self, later: str, earlier: str) -> bool:
        """Whether one commit is among another's ancestors, or the same."""

    async def files(self, commit: str, folders: Sequence[str]) -> FileTree:
        """The files of a commit: all, or those in the folders (which may be files, too)."""

    async def commit_to_new_branch(
        self, branch: str, start: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """Make a branch of one commit upon `start`. Raises Overtaken if it is there."""

    async def commit_to_branch(
        self, branch: str, head: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """Add one commit to a branch. Raises Overtaken if the branch, or one of the files, is not
        as it was in `head`."""

    async def find_request(self, branch: str, onto: str) -> MergeRequest | None:
        """The newest request to merge a branch onto another, open or not."""

    async def open_request(self, branch: str, onto: str, title: str, text: str) -> MergeRequest:
        """Ask for a branch to be merged. Raises Overtaken if it is asked for already."""

    def request_url(self, repository: HostedRepository, branch: str, onto: str) -> str:
        """Where people ask for a branch to be merged onto another."""

    def history_url(self, repository: HostedRepository, branch: str, path: str) -> str:
        """Where people see what became of a path."""
