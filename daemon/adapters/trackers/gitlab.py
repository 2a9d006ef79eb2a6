"""Follow-ups as issues of a GitLab project, by the REST API (v4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp

from daemon.adapters.trackers.client import TrackerClient, field, has_marker, issue_text, objects
from daemon.core.ports.trackers import Issue, IssueDraft, IssueState

_WHO = "GitLab"
_LABEL = "stopgap"


class GitLabTracker:
    """One project, by its path or its number. The token needs the scope `api`.

    GitLab does not tell why an issue was closed, so a closed one is done.
    """

    name = "gitlab"

    def __init__(
        self, session: aiohttp.ClientSession, url: str, project: str, token: str, timeout: float
    ) -> None:
        self._path = f"/api/v4/projects/{quote(project, safe='')}/issues"
        self._client = TrackerClient(
            session,
            _WHO,
            url,
            timeout,
            headers={"PRIVATE-TOKEN": token},
            secrets=(token,),
            error_text=_error_text,
            mend="`follow_ups.tracker.gitlab`: the project, and whether its token has the scope "
            "`api` there",
        )

    async def push(self, draft: IssueDraft) -> Issue:
        """The issue with the marker, or a new one. Raises Temporary, Permanent."""
        search = {"search": draft.marker, "in": "description", "labels": _LABEL}
        found = await self._client.get(self._path, **search)
        ours = (one for one in objects(found) if has_marker(one.get("description"), draft))
        issue: Any = next(ours, None)
        if issue is None:
            body = {"title": draft.title, "description": issue_text(draft), "labels": _LABEL}
            if draft.due is not None:
                body["due_date"] = draft.due.isoformat()
            issue = await self._client.post(self._path, body)
        return Issue(str(field(issue, "iid", _WHO)), str(issue.get("web_url") or ""))

    async def state(self, key: str) -> IssueState:
        """What became of it. Raises Temporary, Permanent."""
        issue = await self._client.get(f"{self._path}/{key}")
        return "done" if field(issue, "state", _WHO) == "closed" else "open"


def _error_text(refusal: Mapping[str, Any]) -> str:
    """`{"message": {"title": ["can't be blank"]}}`, `{"message": "404 Project Not Found"}` or
    `{"error": "insufficient_scope", "error_description": "…"}`."""
    message = refusal.get("message")
    if isinstance(message, Mapping):
        return "; ".join(f"{name}: {words}" for name, words in message.items())
    parts = (message, refusal.get("error"), refusal.get("error_description"))
    return ": ".join(str(part) for part in parts if part)
