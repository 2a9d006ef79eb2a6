"""A project on GitLab, by its REST API (v4): the commits API, and merge requests.

A commit of several actions is made at once with its branch. GitLab's own `revert` is no use here:
it merges, takes whole commits, and one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote, urlencode

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

_PAGE = 100
_MOST_PAGES = 100
_FILE, _EXECUTABLE = "100644", "100755"
_DEVELOPER = 30
"""The access level from which one may push."""

_THERE = ("already exists",)
_CHANGED = ("has changed since", "already exists", "doesn't exist", "you are attempting to")


class GitLabProject:
    """One project, `group/name`. The token needs the scope `api` and the role Developer."""

    def __init__(
        self, workshop: Workshop, repository: str, must_act: Callable[[], None] = may_always
    ) -> None:
        self._client = GitClient(
            workshop, "GitLab", "PRIVATE-TOKEN", "{}", "/api/v4", must_act=must_act
        )
        self._name = repository
        self._path = f"/projects/{_quoted(repository)}"

    async def repository(self) -> HostedRepository:
        """The project itself."""
        seen = await self._client.get(self._path)
        if seen is None:
            raise self._no_project()
        rights = seen.get("permissions")
        levels = [
            int(access.get("access_level") or 0)
            for access in (rights.values() if isinstance(rights, Mapping) else ())
            if isinstance(access, Mapping)
        ]
        return HostedRepository(
            str(seen.get("default_branch") or ""),
            str(seen.get("web_url") or ""),
            max(levels, default=_DEVELOPER) >= _DEVELOPER and seen.get("archived") is not True,
        )

    async def branch(self, name: str) -> GitCommit | None:
        """The newest commit of a branch."""
        seen = await self._client.get(f"{self._path}/repository/branches/{_quoted(name)}")
        return None if seen is None else _commit(seen["commit"])

    async def commit(self, name: str) -> GitCommit | None:
        """A commit by its id, which may be cut short."""
        seen = await self._client.get(f"{self._path}/repository/commits/{_quoted(name)}")
        return None if seen is None else _commit(seen)

    async def newest(self, branch: str) -> Sequence[GitCommit]:
        """The newest hundred commits of a branch."""
        path = f"{self._path}/repository/commits"
        seen = await self._client.get(path, ref_name=branch, per_page=str(_PAGE))
        return [_commit(one) for one in seen or ()]

    async def contains(self, later: str, earlier: str) -> bool:
        """By the merge base of the two."""
        path = f"{self._path}/repository/merge_base"
        query = [("refs[]", later), ("refs[]", earlier)]
        answer = await self._client.ask("GET", path, query=query)
        if answer.status in {400, 404}:  # no such commit, or nothing in common
            return False
        return bool(self._client.content(answer)["id"] == earlier)

    async def files(self, commit: str, folders: Sequence[str]) -> FileTree:
        """The files of a commit, a page at a time. Raises GitRefusal if they are too many."""
        found: dict[str, TreeEntry] = {}
        for folder in folders or ("",):
            found |= await self._listed(commit, folder)
        return found

    async def commit_to_new_branch(
        self, branch: str, start: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """One request: the branch and its commit are made together, or not at all."""
        actions = [action for one in _in_turn(changes) for action in await self._actions(one, "")]
        body = {"branch": branch, "start_sha": start.sha, "commit_message": message}
        answer = await self._commit({**body, "actions": actions})
        self._taken(answer, _THERE)

    async def commit_to_branch(
        self, branch: str, head: GitCommit, message: str, changes: Sequence[FileChange]
    ) -> None:
        """GitLab puts a commit upon whatever is newest, so each file says what it was in `head`."""
        actions = []
        for one in _in_turn(changes):
            last = await self._last_change(one.path, head.sha) if one.now else ""
            actions += await self._actions(one, last)
        body = {"branch": branch, "commit_message": message, "actions": actions}
        self._taken(await self._commit(body), _CHANGED)

    async def find_request(self, branch: str, onto: str) -> MergeRequest | None:
        """The newest merge request of a branch."""
        seen = await self._client.get(
            f"{self._path}/merge_requests",
            source_branch=branch,
            target_branch=onto,
            state="all",
            order_by="created_at",
            sort="desc",
        )
        if seen is None:
            raise self._no_project()
        return _request(seen[0]) if seen else None

    async def open_request(self, branch: str, onto: str, title: str, text: str) -> MergeRequest:
        """Open a merge request."""
        body = {
            "source_branch": branch,
            "target_branch": onto,
            "title": title,
            "description": text,
            "remove_source_branch": True,
        }
        answer = await self._client.ask("POST", f"{self._path}/merge_requests", body=body)
        self._taken(answer, _THERE)
        return _request(answer.content)

    def request_url(self, repository: HostedRepository, branch: str, onto: str) -> str:
        """Where people ask for a branch to be merged onto another."""
        asked = {"source_branch": branch, "target_branch": onto}
        query = urlencode({f"merge_request[{key}]": name for key, name in asked.items()})
        return f"{repository.url}/-/merge_requests/new?{query}"

    def history_url(self, repository: HostedRepository, branch: str, path: str) -> str:
        """Where people see what became of a path."""
        return f"{repository.url}/-/commits/{quote(branch)}/{quote(path)}"

    def _no_project(self) -> GitRefusal:
        text = f"GitLab knows no project {self._name}, or hides it from us: look whether the "
        return GitRefusal("forbidden", f"{text}token (git.token) may read and write it")

    async def _listed(self, commit: str, folder: str) -> dict[str, TreeEntry]:
        query = {"ref": commit, "recursive": "true", "per_page": str(_PAGE)}
        if folder:
            query["path"] = folder
        found = {}
        for page in range(1, _MOST_PAGES + 1):
            path = f"{self._path}/repository/tree"
            seen = await self._client.get(path, **query, page=str(page))
            for one in seen or ():
                if one["type"] != "tree":
                    found[str(one["path"])] = TreeEntry(str(one["mode"]), str(one["id"]))
            if len(seen or ()) < _PAGE:
                # A path that is a file has no tree: GitLab answers with nothing, or with 404.
                if folder and not found:
                    found = await self._single(folder, commit)
                return found
        most = f"{_PAGE * _MOST_PAGES:,}"
        text = f"the repository has more than {most} files; name the folders in `paths`"
        raise GitRefusal("not_revertible", text)

    async def _single(self, path: str, commit: str) -> dict[str, TreeEntry]:
        seen = await self._file(path, commit)
        if seen is None:
            return {}
        mode = _EXECUTABLE if seen.get("execute_filemode") is True else _FILE
        return {path: TreeEntry(mode, str(seen["blob_id"]))}

    async def _file(self, path: str, commit: str) -> Any:
        return await self._client.get(f"{self._path}/repository/files/{_quoted(path)}", ref=commit)

    async def _last_change(self, path: str, commit: str) -> str:
        seen = await self._file(path, commit)
        return str(seen["last_commit_id"]) if seen else ""

    async def _actions(self, change: FileChange, last: str) -> list[dict[str, Any]]:
        """What the commits API is told for one path."""
        guard = {"last_commit_id": last} if last else {}
        then, now = change.then, change.now
        if then is None:
            return [{"action": "delete", "file_path": change.path, **guard}]
        if {then.mode, (now or then).mode} - {_FILE, _EXECUTABLE}:
            text = f"{change.path} is a link or a submodule, which GitLab's API cannot bring back"
            raise GitRefusal("not_revertible", f"{text}; revert by hand")
        actions: list[dict[str, Any]] = []
        if now is None or now.sha != then.sha:
            blob = await self._client.get(f"{self._path}/repository/blobs/{then.sha}")
            if blob is None:
                raise GitRefusal("commit_missing", f"GitLab lacks the content of {change.path}")
            actions.append(
                {
                    "action": "create" if now is None else "update",
                    "file_path": change.path,
                    "encoding": "base64",
                    "content": blob["content"],
                    **guard,
                }
            )
        if then.mode != (now.mode if now else _FILE):
            executable = then.mode == _EXECUTABLE
            mode = {"file_path": change.path, "execute_filemode": executable}
            actions.append({"action": "chmod", **mode})
        return actions

    async def _commit(self, body: Mapping[str, Any]) -> GitAnswer:
        path = f"{self._path}/repository/commits"
        return await self._client.ask("POST", path, body=body)

    def _taken(self, answer: GitAnswer, overtaken: Sequence[str]) -> None:
        said = answer.message.lower()
        if answer.status in {400, 409} and any(words in said for words in overtaken):
            raise Overtaken(f"GitLab answered {answer.status}: {answer.message}")
        self._client.content(answer)


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _in_turn(changes: Sequence[FileChange]) -> Sequence[FileChange]:
    """What is deleted comes first: it may be a folder where a file is to be, or the file in it."""
    return sorted(changes, key=lambda one: one.then is not None)


def _commit(raw: Mapping[str, Any]) -> GitCommit:
    parents = tuple(str(one) for one in raw.get("parent_ids") or ())
    return GitCommit(
        str(raw["id"]), str(raw.get("message") or ""), parents, str(raw.get("web_url") or "")
    )


def _request(raw: Mapping[str, Any]) -> MergeRequest:
    states: dict[str, Literal["open", "merged", "closed"]] = {
        "merged": "merged",
        "closed": "closed",
    }
    state = states.get(str(raw.get("state")), "open")  # `locked` is one that is being merged
    # Squashed or merged by a commit of its own; fast-forwarded it is the branch's newest.
    ways = ("merge_commit_sha", "squash_commit_sha", "sha")
    commit = next((str(raw[way]) for way in ways if raw.get(way)), "")
    url = str(raw.get("web_url") or "")
    return MergeRequest(f"merge request !{raw['iid']}", url, state, commit)
