"""GitHub and GitLab as far as a revert talks with them, over one repository in memory.

They refuse what the real ones refuse, in their words: a branch that exists, a push that is no
fast-forward, a second request for one branch, a file that changed since.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.doubles.git_repository import Repository, Request, StoredCommit, blob_id
from tests.doubles.serving import Double

TOKEN = "git-token-nobody-may-see"


class GitHostDouble(Double):
    """`writes` are the requests that changed something. `loses`: so many of the next answers to
    them never come, though what was asked for is done. `before_write` is called before each.
    `hidden`: all that is there is answered as if it were not."""

    def __init__(self) -> None:
        super().__init__()
        self.repo = Repository()
        self.writes: list[str] = []
        self.loses = 0
        self.hidden = False
        self.before_write: Callable[[str], None] = lambda what: None

    def wrote(self, what: str, content: Any, status: int = 201) -> web.Response:
        """The answer to a change."""
        self.writes.append(what)
        if self.loses:
            self.loses -= 1
            return web.Response(status=502, text="<html>bad gateway</html>")
        return web.json_response(content, status=status)


class GitHubHost(GitHostDouble):
    """The Git data API, pulls, and what is read of a repository."""

    def routes(self) -> list[web.RouteDef]:
        path = f"/repos/{self.repo.name}"
        asked = [
            web.get(path, self.repository),
            web.get(f"{path}/branches/{{name:.+}}", self.branch),
            web.get(f"{path}/commits", self.commits),
            web.get(f"{path}/commits/{{name:.+}}", self.commit),
            web.get(f"{path}/compare/{{base}}...{{head}}", self.compare),
            web.get(f"{path}/git/commits/{{sha}}", self.git_commit),
            web.get(f"{path}/git/trees/{{sha}}", self.git_tree),
            web.post(f"{path}/git/trees", self.make_tree),
            web.post(f"{path}/git/commits", self.make_commit),
            web.post(f"{path}/git/refs", self.make_ref),
            web.patch(f"{path}/git/refs/heads/{{name:.+}}", self.move_ref),
            web.get(f"{path}/pulls", self.pulls),
            web.post(f"{path}/pulls", self.open_pull),
            web.route("*", "/{anything:.*}", self.nothing),
        ]
        return [web.route(one.method, one.path, self._guarded(one.handler)) for one in asked]

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                said = f"Bad credentials: {request.headers.get('Authorization')}"
                return web.json_response({"message": said}, status=401)
            if self.hidden:
                return _said(404, "Not Found")
            if request.method != "GET":
                self.before_write(request.path)
            response: web.StreamResponse = await handler(request)
            return response

        return guarded

    async def nothing(self, request: web.Request) -> web.Response:
        return _said(404, "Not Found")

    async def repository(self, request: web.Request) -> web.Response:
        rights = {"admin": False, "push": self.repo.writable, "pull": True}
        url = f"https://github.example/{self.repo.name}"
        seen = {"default_branch": "main", "html_url": url, "archived": False}
        return web.json_response({**seen, "permissions": rights})

    async def branch(self, request: web.Request) -> web.Response:
        sha = self.repo.branches.get(request.match_info["name"])
        if sha is None:
            return _said(404, "Branch not found")
        return web.json_response(
            {"name": request.match_info["name"], "commit": self._shown(self.repo.commits[sha])}
        )

    async def commits(self, request: web.Request) -> web.Response:
        found = self.repo.history(request.query["sha"])
        return web.json_response([self._shown(one) for one in found[:100]])

    async def commit(self, request: web.Request) -> web.Response:
        found = self.repo.find(request.match_info["name"])
        if found is None:
            return _said(422, f"No commit found for SHA: {request.match_info['name']}")
        return web.json_response(self._shown(found))

    async def compare(self, request: web.Request) -> web.Response:
        base, head = request.match_info["base"], request.match_info["head"]
        if self.repo.find(base) is None or self.repo.find(head) is None:
            return _said(404, "Not Found")
        ahead, behind = self.repo.contains(head, base), self.repo.contains(base, head)
        status = {(True, True): "identical", (True, False): "ahead", (False, True): "behind"}
        return web.json_response({"status": status.get((ahead, behind), "diverged"), "commits": []})

    async def git_commit(self, request: web.Request) -> web.Response:
        found = self.repo.commits.get(request.match_info["sha"])
        if found is None:
            return _said(404, "Not Found")
        return web.json_response({"sha": found.sha, "tree": {"sha": self.repo.tree(found.files)}})

    async def git_tree(self, request: web.Request) -> web.Response:
        files = self.repo.trees.get(request.match_info["sha"])
        if files is None or request.query.get("recursive") != "1":
            return _said(404, "Not Found")
        folders = {path.rpartition("/")[0] for path in files} - {""}
        listed = [{"path": one, "mode": "040000", "type": "tree", "sha": "0"} for one in folders]
        listed += [
            {"path": path, "mode": mode, "type": "blob", "sha": blob_id(content)}
            for path, (mode, content) in files.items()
        ]
        return web.json_response({"tree": listed, "truncated": False})

    async def make_tree(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["base_tree"] not in self.repo.trees:
            return _said(422, "base_tree is not a valid tree oid")
        files = dict(self.repo.trees[body["base_tree"]])
        for one in body["tree"]:
            if one["sha"] is None:
                if files.pop(one["path"], None) is None:
                    return _said(422, "GitRPC::BadObjectState")
                continue
            content = self.repo.blob(one["sha"])
            if content is None:
                return _said(422, f"tree.sha {one['sha']} is not a valid blob")
            files[one["path"]] = (one["mode"], content)
        return self.wrote("tree", {"sha": self.repo.tree(files)})

    async def make_commit(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["tree"] not in self.repo.trees:
            return _said(422, "Tree SHA does not exist")
        files = self.repo.trees[body["tree"]]
        made = self.repo.add(files, body["message"], tuple(body["parents"]))
        return self.wrote("commit", {"sha": made.sha})

    async def make_ref(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = body["ref"].removeprefix("refs/heads/")
        if body["sha"] not in self.repo.commits:
            return _said(422, "Object does not exist")
        if name in self.repo.branches:
            return _said(422, "Reference already exists")
        self.repo.branches[name] = body["sha"]
        return self.wrote("branch", {"ref": body["ref"], "object": {"sha": body["sha"]}})

    async def move_ref(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.match_info["name"]
        if name not in self.repo.branches:
            return _said(422, "Reference does not exist")
        if name in self.repo.protected:
            return _said(
                422, "Required status check is expected. Changes must be made through a PR"
            )
        if not self.repo.contains(body["sha"], self.repo.branches[name]):
            assert body["force"] is False
            return _said(422, "Update is not a fast forward")
        self.repo.branches[name] = body["sha"]
        return self.wrote("push", {"ref": name, "object": {"sha": body["sha"]}}, 200)

    async def pulls(self, request: web.Request) -> web.Response:
        assert request.query["state"] == "all"
        owner, _, branch = request.query["head"].partition(":")
        assert owner == self.repo.name.partition("/")[0]
        found = [
            one
            for one in reversed(self.repo.requests)
            if one.branch == branch and one.onto == request.query["base"]
        ]
        return web.json_response([self._pull(one) for one in found])

    async def open_pull(self, request: web.Request) -> web.Response:
        body = await request.json()
        refused = _unfit(self.repo, body["head"], body["base"])
        if refused == "there":
            said = f"A pull request already exists for acme:{body['head']}."
            return _said(422, "Validation Failed", [{"message": said}])
        if refused:
            return _said(422, "Validation Failed", [{"message": refused}])
        made = Request(
            len(self.repo.requests) + 1, body["head"], body["base"], body["title"], body["body"]
        )
        self.repo.requests.append(made)
        return self.wrote("request", self._pull(made))

    def _pull(self, one: Request) -> dict[str, Any]:
        return {
            "number": one.number,
            "html_url": f"https://github.example/{self.repo.name}/pull/{one.number}",
            "state": "open" if one.state == "open" else "closed",
            "merged_at": "2025-03-09T14:10:00Z" if one.state == "merged" else None,
            "merge_commit_sha": one.commit or None,
        }

    def _shown(self, one: StoredCommit) -> dict[str, Any]:
        return {
            "sha": one.sha,
            "commit": {"message": one.message},
            "parents": [{"sha": sha} for sha in one.parents],
            "html_url": f"https://github.example/{self.repo.name}/commit/{one.sha}",
        }


class GitLabHost(GitHostDouble):
    """The commits API, files, branches and merge requests of one project."""

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v4/projects/{project}"
        asked = [
            web.get(path, self.project),
            web.get(f"{path}/repository/branches/{{name}}", self.branch),
            web.get(f"{path}/repository/commits", self.commits),
            web.get(f"{path}/repository/commits/{{sha}}", self.commit),
            web.get(f"{path}/repository/merge_base", self.merge_base),
            web.get(f"{path}/repository/tree", self.tree),
            web.get(f"{path}/repository/files/{{file}}", self.file),
            web.get(f"{path}/repository/blobs/{{sha}}", self.blob),
            web.post(f"{path}/repository/commits", self.make_commit),
            web.get(f"{path}/merge_requests", self.requests),
            web.post(f"{path}/merge_requests", self.open_request),
            web.route("*", "/{anything:.*}", self.nothing),
        ]
        return [web.route(one.method, one.path, self._guarded(one.handler)) for one in asked]

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if request.headers.get("PRIVATE-TOKEN") != TOKEN:
                said = f"401 Unauthorized: {request.headers.get('PRIVATE-TOKEN')}"
                return web.json_response({"message": said}, status=401)
            if self.hidden or request.match_info.get("project", self.repo.name) != self.repo.name:
                return _said(404, "404 Project Not Found")
            if request.method != "GET":
                self.before_write(request.path)
            response: web.StreamResponse = await handler(request)
            return response

        return guarded

    async def nothing(self, request: web.Request) -> web.Response:
        return web.json_response({"error": "404 Not Found"}, status=404)

    async def project(self, request: web.Request) -> web.Response:
        access = {"access_level": 30 if self.repo.writable else 20}
        url = f"https://gitlab.example/{self.repo.name}"
        seen = {"default_branch": "main", "web_url": url, "archived": False}
        rights = {"project_access": access, "group_access": None}
        return web.json_response({**seen, "permissions": rights})

    async def branch(self, request: web.Request) -> web.Response:
        sha = self.repo.branches.get(request.match_info["name"])
        if sha is None:
            return _said(404, "404 Branch Not Found")
        return web.json_response({"commit": self._raw(self.repo.commits[sha])})

    async def commits(self, request: web.Request) -> web.Response:
        found = self.repo.history(request.query["ref_name"])
        return web.json_response([self._raw(one) for one in found[:100]])

    async def commit(self, request: web.Request) -> web.Response:
        found = self.repo.find(request.match_info["sha"])
        return _said(404, "404 Commit Not Found") if found is None else self._one(found)

    async def merge_base(self, request: web.Request) -> web.Response:
        later, earlier = request.query.getall("refs[]")
        for ref in (later, earlier):
            if self.repo.find(ref) is None:
                return _said(400, f"Could not find ref: {ref}")
        found = next(
            one for one in self.repo.history(later) if self.repo.contains(earlier, one.sha)
        )
        return self._one(found)

    async def tree(self, request: web.Request) -> web.Response:
        found = self.repo.find(request.query["ref"])
        if found is None:
            return _said(404, "404 Tree Not Found")
        inside = f"{request.query['path']}/" if "path" in request.query else ""
        listed = [
            {"id": blob_id(content), "name": path, "type": "blob", "path": path, "mode": mode}
            for path, (mode, content) in sorted(found.files.items())
            if path.startswith(inside)
        ]
        if inside and not listed:
            return _said(404, "404 invalid revision or path Not Found")
        size, page = int(request.query["per_page"]), int(request.query["page"])
        return web.json_response(listed[(page - 1) * size : page * size])

    async def file(self, request: web.Request) -> web.Response:
        path = request.match_info["file"]
        found = self.repo.find(request.query["ref"])
        if found is None or path not in found.files:
            return _said(404, "404 File Not Found")
        mode, content = found.files[path]
        return web.json_response(
            {
                "file_path": path,
                "blob_id": blob_id(content),
                "last_commit_id": self._last(found, path),
                "execute_filemode": mode == "100755",
            }
        )

    async def blob(self, request: web.Request) -> web.Response:
        content = self.repo.blob(request.match_info["sha"])
        if content is None:
            return _said(404, "404 Blob Not Found")
        encoded = base64.b64encode(content).decode()
        return web.json_response({"encoding": "base64", "content": encoded})

    async def make_commit(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert "force" not in body
        name = body["branch"]
        if "start_sha" in body and name in self.repo.branches:
            there = f"A branch called '{name}' already exists. Switch to that branch in order to"
            return _said(400, f"{there} make changes")
        if name in self.repo.protected:
            return _said(403, "403 Forbidden - You are not allowed to push into this branch")
        start = self.repo.find(body.get("start_sha", name))
        if start is None:
            return _said(400, "You can only create or edit files when you are on a branch")
        files = dict(start.files)
        for action in body["actions"]:
            if refused := self._acted(files, action, start):
                return _said(400, refused)
        made = self.repo.add(files, body["commit_message"], (start.sha,))
        self.repo.branches[name] = made.sha
        return self.wrote("branch" if "start_sha" in body else "push", self._raw(made))

    def _acted(self, files: Any, action: dict[str, Any], start: StoredCommit) -> str:
        """Do one action of a commit; says why not."""
        path, what = action["file_path"], action["action"]
        if what == "create" and any(one.startswith(f"{path}/") for one in files):
            return "A directory with this name already exists"
        if what == "create" and path in files:
            return "A file with this name already exists"
        if what != "create" and path not in files:
            return "A file with this name doesn't exist"
        last = action.get("last_commit_id")
        if last and last != self._last(start, path):
            return f"You are attempting to update a file that has changed since: {path}"
        if what == "delete":
            del files[path]
        elif what == "chmod":
            files[path] = ("100755" if action["execute_filemode"] else "100644", files[path][1])
        else:
            mode = files[path][0] if path in files else "100644"
            files[path] = (mode, base64.b64decode(action["content"]))
        return ""

    async def requests(self, request: web.Request) -> web.Response:
        assert request.query["state"] == "all"
        found = [
            one
            for one in reversed(self.repo.requests)
            if one.branch == request.query["source_branch"]
            and one.onto == request.query["target_branch"]
        ]
        return web.json_response([self._request(one) for one in found])

    async def open_request(self, request: web.Request) -> web.Response:
        body = await request.json()
        refused = _unfit(self.repo, body["source_branch"], body["target_branch"])
        if refused == "there":
            said = "Another open merge request already exists for this source branch: !1"
            return web.json_response({"message": [said]}, status=409)
        if refused:
            return web.json_response({"message": {"base": [refused]}}, status=422)
        made = Request(
            len(self.repo.requests) + 1,
            body["source_branch"],
            body["target_branch"],
            body["title"],
            body["description"],
        )
        self.repo.requests.append(made)
        return self.wrote("request", self._request(made))

    def _request(self, one: Request) -> dict[str, Any]:
        return {
            "iid": one.number,
            "web_url": f"https://gitlab.example/{self.repo.name}/-/merge_requests/{one.number}",
            "state": "opened" if one.state == "open" else one.state,
            "merge_commit_sha": one.commit or None,
            "squash_commit_sha": None,
            "sha": self.repo.branches.get(one.branch),
        }

    def _last(self, commit: StoredCommit, path: str) -> str:
        """The commit that changed a path last."""
        last = commit
        for one in self.repo.history(commit.sha)[1:]:
            if one.files.get(path) != commit.files.get(path):
                break
            last = one
        return last.sha

    def _one(self, one: StoredCommit) -> web.Response:
        return web.json_response(self._raw(one))

    def _raw(self, one: StoredCommit) -> dict[str, Any]:
        return {
            "id": one.sha,
            "message": one.message,
            "parent_ids": list(one.parents),
            "web_url": f"https://gitlab.example/{self.repo.name}/-/commit/{one.sha}",
        }


def _unfit(repo: Repository, branch: str, onto: str) -> str:
    """Why no request can be opened; `there` if it is open already."""
    if branch not in repo.branches:
        return "head invalid"
    if any(one.branch == branch and one.state == "open" for one in repo.requests):
        return "there"
    return f"No commits between {onto} and {branch}" if repo.contains(onto, branch) else ""


def _said(status: int, message: str, errors: list[Any] | None = None) -> web.Response:
    said: dict[str, Any] = {"message": message, **({"errors": errors} if errors else {})}
    return web.Response(status=status, text=json.dumps(said), content_type="application/json")
