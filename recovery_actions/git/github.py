"""A repository on GitHub, by its REST API: the Git data API, and pulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from daemon.core.ports.actions import may_always
from recovery_actions.git.client import GitAnswer, GitClient
from recovery_actions.git.hosting import (
    FileChange,
    FileTree,
    GitCommit,
    GitRefusal,
    HostedRepository,
    MergeRequest,
    Overtaken,
    TreeEntry,
)
from recovery_actions.workshop import Workshop

_SUBMODULE = "160000"


class GitHubRepository:
    """One repository, `owner/name`. The token needs contents and pull requests, read and write."""

    def __init__(
        self, workshop: Workshop, repository: str, must_act: Callable[[], None] = may_always
    ) -> None:
        self._client = GitClient(
            workshop, "GitHub", "Authorization", "Bearer {}", must_act=must_act
        )
        self._owner = repository.partition("/")[0]
        self._path = f"/repos/{quote(repository)}"

    async def repository(self) -> HostedRepository:
        """The repository itself."""
        seen = await self._client.get(self._path)
        if seen is None:
            raise _no_repository(self._path)
        rights = seen.get("permissions")
        may_push = not isinstance(rights, Mapping) or rights.get("push") is True
        return HostedRepository(
            str(seen.get("default_branch") or ""),
            str(seen.get("html_url") or ""),
            may_push and seen.get("archived") is not True,
        )

    async def branch(self, name: str) -> GitCommit | None:
        """The newest commit of a branch."""
        seen = await self._client.get(f"{self._path}/branches/{_quoted(name)}")
        return None if seen is None else _commit(seen["commit"])

    async def commit(self, name: str) -> GitCommit | None:
        """A commit by its id, which may be cut short."""
        answer = await self._client.ask(
            "GET", f"{self._path}/commits/{_quoted(name)}", query={"per_page": "1"}
        )
        if answer.status in {404, 422}:  # 422: no commit found for that id
            return None
        return _commit(self._client.content(answer))

    async def newest(self, branch: str) -> Sequence[GitCommit]:
        """The newest hundred commits of a branch."""
        seen = await self._client.get(f"{self._path}/commits", sha=branch, per_page="100")
        return [_commit(one) for one in seen or ()]

    async def contains(self, later: str, earlier: str) -> bool:
        """By the comparison; its second page has no files, which may be many."""
        span = f"{_quoted(earlier)}...{_quoted(later)}"
        seen = await self._client.get(f"{self._path}/compare/{span}", per_page="1", page="2")
        return seen is not None and seen.get("status") in {"ahead", "identical"}

    async def files(self, commit: str, folders: Sequence[str]) -> FileTree:
        """All files of the commit's tree. Raises GitRefusal if GitHub cuts the list off."""
        path = f"{self._path}/git/trees/{await self._tree_of(commit)}"
        seen = await self._client.get(path, recursive="1")
        if seen is None:
            raise GitRefusal("commit_missing", f"GitHub has no files of commit {commit[:12]}")
        if seen.get("truncated") is True:
            text = "the repository has more files than GitHub lists at once; revert by hand"
            raise GitRefusal("not_revertible", text)
        return {
            str(one["path"]): TreeEntry(str(one["mode"]), str(one["sha"]))
            for one in seen.get("tree", ())
            if one.get("type") != "tree" and _inside(str(one["path"]), folders)
        }

    async def commit_to_new_branch(
        self, branch: str, start: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """Make the commit, then the branch; a commit without a branch is nobody's."""
        made = await self._make(start, message, changes)
        body = {"ref": f"refs/heads/{branch}", "sha": made}
        answer = await self._client.ask("POST", f"{self._path}/git/refs", body=body)
        self._taken(answer, "already exists")

    async def commit_to_branch(
        self, branch: str, head: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """Make the commit, then move the branch to it, which GitHub refuses if that is no
        fast-forward."""
        made = await self._make(head, message, changes)
        path = f"{self._path}/git/refs/heads/{_quoted(branch)}"
        answer = await self._client.ask("PATCH", path, body={"sha": made, "force": False})
        self._taken(answer, "fast forward")

    async def find_request(self, branch: str, onto: str) -> MergeRequest | None:
        """The newest pull request of a branch."""
        seen = await self._client.get(
            f"{self._path}/pulls",
            head=f"{self._owner}:{branch}",
            base=onto,
            state="all",
            sort="created",
            direction="desc",
        )
        if seen is None:
            raise _no_repository(self._path)
        return _request(seen[0]) if seen else None

    async def open_request(self, branch: str, onto: str, title: str, text: str) -> MergeRequest:
        """Open a pull request."""
        body = {"title": title, "body": text, "head": branch, "base": onto}
        answer = await self._client.ask("POST", f"{self._path}/pulls", body=body)
        self._taken(answer, "already exists")
        return _request(answer.content)

    def request_url(self, repository: HostedRepository, branch: str, onto: str) -> str:
        """Where people ask for a branch to be merged onto another."""
        return f"{repository.url}/compare/{quote(onto)}...{quote(branch)}?expand=1"

    def history_url(self, repository: HostedRepository, branch: str, path: str) -> str:
        """Where people see what became of a path."""
        return f"{repository.url}/commits/{quote(branch)}/{quote(path)}"

    async def _make(self, parent: GitCommit, message: str, changes: Sequence[FileChange]) -> str:
        """A commit upon another that changes nothing but these paths; gives its id."""
        tree = [
            {
                "path": one.path,
                "mode": (one.then or one.now or TreeEntry("100644", "")).mode,
                "type": _kind(one),
                "sha": one.then.sha if one.then else None,
            }
            for one in changes
        ]
        body = {"base_tree": await self._tree_of(parent.sha), "tree": tree}
        made = await self._post("/git/trees", body)
        commit = {"message": message, "tree": made["sha"], "parents": [parent.sha]}
        return str((await self._post("/git/commits", commit))["sha"])

    async def _tree_of(self, commit: str) -> str:
        seen = await self._client.get(f"{self._path}/git/commits/{_quoted(commit)}")
        if seen is None:
            raise GitRefusal("commit_missing", f"GitHub has no commit {commit[:12]}")
        return str(seen["tree"]["sha"])

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._client.content(await self._client.ask("POST", self._path + path, body=body))

    def _taken(self, answer: GitAnswer, overtaken: str) -> None:
        if answer.status in {409, 422} and overtaken in answer.message.lower():
            raise Overtaken(f"GitHub answered {answer.status}: {answer.message}")
        self._client.content(answer)


def _no_repository(path: str) -> GitRefusal:
    name = path.removeprefix("/repos/")
    text = f"GitHub knows no repository {name}, or hides it from us: look whether the token "
    return GitRefusal("forbidden", f"{text}(git.token) may read and write it")


def _kind(change: FileChange) -> str:
    entry = change.then or change.now
    return "commit" if entry is not None and entry.mode == _SUBMODULE else "blob"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _inside(path: str, folders: Sequence[str]) -> bool:
    return not folders or any(path == one or path.startswith(f"{one}/") for one in folders)


def _commit(raw: Mapping[str, Any]) -> GitCommit:
    said = raw.get("commit")
    message = said.get("message") if isinstance(said, Mapping) else ""
    parents = tuple(str(one["sha"]) for one in raw.get("parents") or ())
    return GitCommit(str(raw["sha"]), str(message or ""), parents, str(raw.get("html_url") or ""))


def _request(raw: Mapping[str, Any]) -> MergeRequest:
    state: Literal["open", "merged", "closed"] = (
        "closed" if raw.get("state") == "closed" else "open"
    )
    if raw.get("merged_at"):
        state = "merged"
    url, commit = str(raw.get("html_url") or ""), str(raw.get("merge_commit_sha") or "")
    return MergeRequest(f"pull request #{raw['number']}", url, state, commit)
