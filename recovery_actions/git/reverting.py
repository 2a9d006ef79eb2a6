"""Which files a revert brings back, and whether it may: only what nobody has touched since."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recovery_actions.argocd_state import short
from recovery_actions.git.hosting import (
    FileChange,
    FileTree,
    GitCommit,
    GitHost,
    HostedRepository,
)
from recovery_actions.git.params import GitRevertParams
from recovery_actions.reasons import NotReady

_FULL = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_FILES = 100
"""A revert of more files is no mend of one service."""


def is_commit_id(item: str) -> bool:
    """Whether an item of a change is the whole id of one commit."""
    return _FULL.fullmatch(item) is not None


def names_repository(address: str, repository: str) -> bool:
    """Whether an address as Git clones it (HTTPS or SSH) is that of the repository."""
    path = re.sub(r"^(?:[a-z+]+://)?(?:[^@/]+@)?[^:/]+(?::\d+)?[:/]", "", address.strip())
    return path.rstrip("/").removesuffix(".git").lower() == repository.lower()


@dataclass(frozen=True)
class FileRestoration:
    """What is to be changed so that all is as before. `touched`: paths that somebody has changed
    since, for which nothing is changed at all; `found`: so many paths were changed at first."""

    changes: tuple[FileChange, ...]
    touched: tuple[str, ...]
    found: int


def files_to_restore(before: FileTree, after: FileTree, now: FileTree) -> FileRestoration:
    """What leads from `now` back to `before`, for the paths that differ between `before` and
    `after`. A path that is as before already needs nothing."""
    changed = sorted(p for p in {*before, *after} if before.get(p) != after.get(p))
    left = [path for path in changed if now.get(path) != before.get(path)]
    touched = tuple(path for path in left if now.get(path) != after.get(path))
    changes = () if touched else tuple(FileChange(p, now.get(p), before.get(p)) for p in left)
    return FileRestoration(changes, touched, len(changed))


def listed_paths(paths: Sequence[str]) -> str:
    """Some of the paths, for a sentence."""
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"


@dataclass(frozen=True)
class BranchLook:
    """A branch at one moment, and what there is to bring back on it."""

    head: GitCommit
    todo: FileRestoration


async def look_at_branch(
    params: GitRevertParams,
    host: GitHost,
    repository: HostedRepository,
    onto: str,
    before: str,
    after: str,
) -> BranchLook | NotReady:
    """What leads the branch `onto` from the commit `after` back to `before`. `not_on_branch`,
    `changed_meanwhile`, `already_reverted` or `not_revertible`; raises as the host does."""
    head = await host.branch(onto)
    if head is None or not await host.contains(head.sha, after):
        where = "is not on" if head else "cannot be reverted, for there is no branch"
        text = f"{short(after)} {where} {onto} of {params.repository}"
        return NotReady("not_on_branch", f"{text}; name the branch that is deployed")
    trees = [await host.files(one, params.paths) for one in (before, after, head.sha)]
    todo = files_to_restore(*trees)
    within = f" in {listed_paths(params.paths)}" if params.paths else ""
    if todo.touched:
        url = host.history_url(repository, onto, todo.touched[0])
        text = f"{listed_paths(todo.touched)} changed again since {short(after)}, so it is left to "
        return NotReady("changed_meanwhile", f"{text}people: look at {url}")
    if not todo.found:
        text = f"nothing{within} differs between {short(before)} and {short(after)}"
        return NotReady("not_revertible", f"{text}; look at `paths`")
    if not todo.changes:
        text = f"{onto} of {params.repository}{within} is as it was before {short(after)} already"
        return NotReady("already_reverted", f"{text}; look whether it is deployed")
    if len(todo.changes) > _MOST_FILES:
        text = f"{len(todo.changes)} files would go back; name `paths`, or revert by hand"
        return NotReady("not_revertible", text)
    return BranchLook(head, todo)
