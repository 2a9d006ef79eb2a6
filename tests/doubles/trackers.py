"""Issue trackers as far as we talk with them: GitHub, GitLab, Jira in the cloud and at home.

Their answers are those of the vendors' REST documentation, cut to what anybody reads of them.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.doubles.serving import Double

TOKEN = "a-token-nobody-may-see"
USER = "bot@example.org"


class TrackerDouble(Double):
    """`issues` by key, each as its tracker answers it. `lose`: the answer to the next creation
    never comes, though the issue is made. `headers` go with every answer in a mood."""

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, dict[str, Any]] = {}
        self.lose = False

    def made(self, key: str, issue: dict[str, Any]) -> web.Response:
        """The answer to a creation."""
        self.issues[key] = issue
        if self.lose:
            self.lose = False
            raise web.HTTPBadGateway
        return web.json_response(issue, status=201)

    @property
    def creations(self) -> int:
        """How many issues were to be made."""
        return sum(bool(asked["body"]) for asked in self.asked)


class GitHub(TrackerDouble):
    """One repository, acme/shop."""

    def routes(self) -> list[web.RouteDef]:
        path = "/repos/acme/shop/issues"
        return [
            web.get(path, self.listed),
            web.post(path, self.create),
            web.get(f"{path}/{{number}}", self.get),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """The issues with a label, the newest first, a page at a time."""
        _must(request, f"Bearer {TOKEN}")
        query = request.query
        wanted = [
            issue
            for issue in reversed(self.issues.values())
            if any(label["name"] == query["labels"] for label in issue["labels"])
            and query.get("state", "open") in {"all", issue["state"]}
        ]
        size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
        return web.json_response(wanted[(page - 1) * size : page * size])

    async def create(self, request: web.Request) -> web.Response:
        """Make an issue; labels that are not there are made, too."""
        _must(request, f"Bearer {TOKEN}")
        sent = await request.json()
        if not sent.get("title"):
            said = {"resource": "Issue", "field": "title", "code": "missing_field"}
            refusal = {"message": "Validation Failed", "errors": [said], "status": "422"}
            return web.json_response(refusal, status=422)
        return self.add(sent["title"], sent["body"], sent["labels"])

    def add(self, title: str, body: str | None, labels: list[str]) -> web.Response:
        """An issue, whoever made it."""
        number = len(self.issues) + 1
        return self.made(
            str(number),
            {
                "number": number,
                "html_url": f"https://github.com/acme/shop/issues/{number}",
                "state": "open",
                "state_reason": None,
                "title": title,
                "body": body,
                "labels": [{"name": label} for label in labels],
            },
        )

    async def get(self, request: web.Request) -> web.Response:
        """One issue."""
        _must(request, f"Bearer {TOKEN}")
        issue = self.issues.get(request.match_info["number"])
        if issue is None:
            return web.json_response({"message": "Not Found", "status": "404"}, status=404)
        return web.json_response(issue)


class GitLab(TrackerDouble):
    """One project, acme/shop."""

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v4/projects/{project:acme(?:%2F|/)shop}/issues"
        return [
            web.get(path, self.listed),
            web.post(path, self.create),
            web.get(f"{path}/{{iid}}", self.get),
        ]

    async def listed(self, request: web.Request) -> web.Response:
        """The issues whose description has that text."""
        _token(request)
        query = request.query
        assert query["in"] == "description"
        found = [
            issue
            for issue in self.issues.values()
            if query["search"] in issue["description"] and query["labels"] in issue["labels"]
        ]
        return web.json_response(found)

    async def create(self, request: web.Request) -> web.Response:
        """Make an issue."""
        _token(request)
        assert "%2F" in request.raw_path or request.match_info["project"] == "acme/shop"
        sent = await request.json()
        if not sent.get("title"):
            return web.json_response({"message": {"title": ["can't be blank"]}}, status=400)
        iid = len(self.issues) + 1
        issue = {
            "id": 1000 + iid,
            "iid": iid,
            "state": "opened",
            "title": sent["title"],
            "description": sent["description"],
            "labels": sent["labels"].split(","),
            "due_date": sent.get("due_date"),
            "web_url": f"https://gitlab.com/acme/shop/-/issues/{iid}",
        }
        return self.made(str(iid), issue)

    async def get(self, request: web.Request) -> web.Response:
        """One issue, by its number in the project."""
        _token(request)
        issue = self.issues.get(request.match_info["iid"])
        if issue is None:
            return web.json_response({"message": "404 Not found"}, status=404)
        return web.json_response(issue)


class Jira(TrackerDouble):
    """One project, OPS. `cloud`: it takes a user with a token, and searches at `search/jql`."""

    def __init__(self, *, cloud: bool = True) -> None:
        super().__init__()
        self.cloud = cloud

    def routes(self) -> list[web.RouteDef]:
        search = "/rest/api/2/search/jql" if self.cloud else "/rest/api/2/search"
        return [
            web.get(search, self.search),
            web.post("/rest/api/2/issue", self.create),
            web.get("/rest/api/2/issue/{key}", self.get),
        ]

    def _must(self, request: web.Request) -> None:
        basic = b64encode(f"{USER}:{TOKEN}".encode()).decode()
        _must(request, f"Basic {basic}" if self.cloud else f"Bearer {TOKEN}")

    async def search(self, request: web.Request) -> web.Response:
        """Issues by a label of one project; `fields` are all that is told of them."""
        self._must(request)
        asked = re.fullmatch(r'project = "(\w+)" AND labels = "([\w.-]+)"', request.query["jql"])
        assert asked is not None, request.query["jql"]
        found = [
            {"id": "1", "key": key, "fields": {"summary": issue["fields"]["summary"]}}
            for key, issue in self.issues.items()
            if asked[2] in issue["fields"]["labels"] and asked[1] == "OPS"
        ]
        return web.json_response({"issues": found, "isLast": True})

    async def create(self, request: web.Request) -> web.Response:
        """Make an issue; the answer has its key and little more."""
        self._must(request)
        fields = (await request.json())["fields"]
        if fields["issuetype"]["name"] not in {"Task", "Bug"}:
            errors = {"issuetype": "Specify a valid issue type"}
            return web.json_response({"errorMessages": [], "errors": errors}, status=400)
        key = f"OPS-{len(self.issues) + 1}"
        fields["status"] = {"name": "To Do", "statusCategory": {"key": "new"}}
        fields["resolution"] = None
        self.made(key, {"key": key, "fields": fields})
        return web.json_response({"id": "10000", "key": key, "self": "x"}, status=201)

    async def get(self, request: web.Request) -> web.Response:
        """One issue."""
        self._must(request)
        issue = self.issues.get(unquote(request.match_info["key"]))
        if issue is None:
            said = ["Issue does not exist or you do not have permission to see it."]
            return web.json_response({"errorMessages": said, "errors": {}}, status=404)
        return web.json_response(issue)

    def end(self, key: str, resolution: str) -> None:
        """Somebody closes it."""
        fields = self.issues[key]["fields"]
        fields["status"] = {"name": "Done", "statusCategory": {"key": "done"}}
        fields["resolution"] = {"name": resolution}


def _must(request: web.Request, authorization: str) -> None:
    if request.headers.get("Authorization") != authorization:
        raise _refused(f"Bad credentials: {request.headers.get('Authorization')}")


def _token(request: web.Request) -> None:
    if request.headers.get("PRIVATE-TOKEN") != TOKEN:
        raise _refused(f"401 Unauthorized: {request.headers.get('PRIVATE-TOKEN')}")


def _refused(message: str) -> web.HTTPException:
    """Worse than the vendors: it repeats what it was sent."""
    text = json.dumps({"message": message})
    return web.HTTPUnauthorized(text=text, content_type="application/json")
