"""A Git repository in memory: what the doubles of GitHub and GitLab host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

Files = dict[str, tuple[str, bytes]]
"""A commit's files: the mode and the content by path."""


def _digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def blob_id(content: bytes) -> str:
    """The id that Git gives a content."""
    return _digest(b"blob %d\0" % len(content) + content)


@dataclass(frozen=True)
class StoredCommit:
    """A commit as it was made."""

    sha: str
    message: str
    parents: tuple[str, ...]
    files: Files


@dataclass
class Request:
    """A pull or merge request."""

    number: int
    branch: str
    onto: str
    title: str
    text: str
    state: str = "open"
    commit: str = ""


@dataclass
class Repository:
    """`acme/shop-deploy`: commits, branches and requests. `protected` branches take no push."""

    name: str = "acme/shop-deploy"
    commits: dict[str, StoredCommit] = field(default_factory=dict)
    trees: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    protected: set[str] = field(default_factory=set)
    writable: bool = True

    def add(self, files: Files, message: str, parents: tuple[str, ...]) -> StoredCommit:
        """Make a commit, which is on no branch yet."""
        # Git's ids differ by the time, too; here by the number of what was made before.
        identity = f"{len(self.commits)} {message} {parents} {sorted(files.items())}"
        sha = _digest(identity.encode())
        self.commits[sha] = StoredCommit(sha, message, parents, dict(files))
        self.tree(files)
        return self.commits[sha]

    def push(self, message: str, branch: str = "main", **files: str | None) -> str:
        """Somebody pushes a commit that sets these files (`a__b` is a/b.yaml); None deletes one."""
        tip = self.branches.get(branch)
        now = dict(self.commits[tip].files) if tip else {}
        for name, content in files.items():
            path = f"{name.replace('__', '/')}.yaml"
            now.pop(path, None)
            if content is not None:
                now[path] = ("100644", content.encode())
        made = self.add(now, message, (tip,) if tip else ())
        self.branches[branch] = made.sha
        return made.sha

    def text(self, path: str, branch: str = "main") -> str | None:
        """What a file holds on a branch; None if it is not there."""
        found = self.commits[self.branches[branch]].files.get(path)
        return found[1].decode() if found else None

    def tree(self, files: Files) -> str:
        """The id of a tree of these files."""
        listed = sorted((path, mode, blob_id(content)) for path, (mode, content) in files.items())
        sha = _digest(repr(listed).encode())
        self.trees[sha] = dict(files)
        return sha

    def blob(self, sha: str) -> bytes | None:
        """A content by its id."""
        every = (content for one in self.commits.values() for _, content in one.files.values())
        return next((content for content in every if blob_id(content) == sha), None)

    def find(self, name: str) -> StoredCommit | None:
        """A commit by its id, cut short perhaps, or a branch."""
        name = self.branches.get(name, name)
        found = [one for sha, one in self.commits.items() if sha.startswith(name)]
        return found[0] if len(found) == 1 and len(name) >= 7 else None

    def history(self, name: str) -> list[StoredCommit]:
        """A commit and all before it, the newest first."""
        found = self.find(name)
        todo, seen = ([found.sha] if found else []), dict[str, StoredCommit]()
        while todo:
            sha = todo.pop(0)
            if sha not in seen:
                seen[sha] = self.commits[sha]
                todo += seen[sha].parents
        return list(seen.values())

    def contains(self, later: str, earlier: str) -> bool:
        """Whether one commit is in another's history."""
        found = self.find(earlier)
        return found is not None and found.sha in {one.sha for one in self.history(later)}

    def merge(self, request: Request, *, squash: bool = False) -> str:
        """Somebody merges a request: the files that its branch changed go onto the other."""
        source, onto = self.branches[request.branch], self.branches[request.onto]
        base = next(one for one in self.history(source) if self.contains(onto, one.sha)).files
        theirs, now = self.commits[source].files, dict(self.commits[onto].files)
        for path in {*base, *theirs}:
            if theirs.get(path) != base.get(path):
                now.pop(path, None)
                now |= {path: theirs[path]} if path in theirs else {}
        parents = (onto,) if squash else (onto, source)
        made = self.add(now, f"Merge {request.branch}", parents)
        self.branches[request.onto] = made.sha
        request.state, request.commit = "merged", made.sha
        return made.sha
