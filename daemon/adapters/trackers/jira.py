"""Follow-ups as issues of a Jira project, by the REST API (version 2, whose texts are plain).

Cloud takes a user's mail address with an API token, and searches at `search/jql`; a Data Center
takes a personal access token alone, and searches at `search`. Each issue has the marker as a label
of its own, for that is what Jira finds exactly.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from daemon.adapters.trackers.client import TrackerClient, field, issue_text
from daemon.core.ports.trackers import Issue, IssueDraft, IssueState

_WHO = "Jira"
_LABEL = "stopgap"
_NOT_DONE = frozenset(
    {"won't do", "won't fix", "wont do", "cannot reproduce", "duplicate", "declined"}
)
"""Resolutions of an issue that nobody did, as Jira ships them."""


class JiraTracker:
    """One project, by its key. `user` None: a Data Center."""

    name = "jira"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        project: str,
        issue_type: str,
        user: str | None,
        token: str,
        timeout: float,
    ) -> None:
        self._url = url.rstrip("/")
        self._project = project
        self._type = issue_type
        self._search = "/rest/api/2/search/jql" if user else "/rest/api/2/search"
        basic = b64encode(f"{user}:{token}".encode()).decode()
        self._client = TrackerClient(
            session,
            _WHO,
            url,
            timeout,
            headers={"Authorization": f"Basic {basic}" if user else f"Bearer {token}"},
            secrets=(token, basic),
            error_text=_error_text,
            mend="`follow_ups.tracker.jira`: the project, its issue type, and whether the token "
            "may create issues there",
        )

    async def push(self, draft: IssueDraft) -> Issue:
        """The issue with the marker, or a new one. Raises Temporary, Permanent."""
        jql = f'project = "{self._project}" AND labels = "{draft.marker}"'
        answer = await self._client.get(self._search, jql=jql, fields="summary", maxResults="1")
        found = field(answer, "issues", _WHO)
        issue = (
            found[0] if found else await self._client.post("/rest/api/2/issue", self._new(draft))
        )
        key = str(field(issue, "key", _WHO))
        return Issue(key, f"{self._url}/browse/{key}")

    async def state(self, key: str) -> IssueState:
        """What became of it. Raises Temporary, Permanent."""
        path = f"/rest/api/2/issue/{quote(key, safe='')}"
        fields = field(await self._client.get(path, fields="status,resolution"), "fields", _WHO)
        category = ((fields.get("status") or {}).get("statusCategory") or {}).get("key")
        if category != "done":
            return "open"
        resolution = str((fields.get("resolution") or {}).get("name") or "").lower()
        return "dropped" if resolution in _NOT_DONE else "done"

    def _new(self, draft: IssueDraft) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "project": {"key": self._project},
            "issuetype": {"name": self._type},
            "summary": draft.title,
            "description": issue_text(draft),
            "labels": [_LABEL, draft.marker],
        }
        if draft.due is not None:
            fields["duedate"] = draft.due.isoformat()
        return {"fields": fields}


def _error_text(refusal: Mapping[str, Any]) -> str:
    """`{"errorMessages": ["…"], "errors": {"issuetype": "…"}}`."""
    messages, errors = refusal.get("errorMessages"), refusal.get("errors")
    listed = [str(message) for message in (messages if isinstance(messages, list) else [])]
    named = errors.items() if isinstance(errors, Mapping) else ()
    return "; ".join([*listed, *(f"{name}: {words}" for name, words in named)])
