"""Follow-ups as issues of a GitHub repository, by the REST API (version 2022-11-28).

Issues of the label `stopgap` are listed before one is made, for GitHub's search lags behind and its
list does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from daemon.adapters.trackers.client import TrackerClient, field, has_marker, issue_text, objects
from daemon.core.ports.trackers import Issue, IssueDraft, IssueState

_WHO = "GitHub"
LABEL = "stopgap"
"""On every issue of ours; GitHub makes it with the first."""
_PAGE = 100
_MOST_PAGES = 10
"""So many of the newest issues of ours are looked through: a crash is not that long ago."""


class GitHubTracker:
    """One repository, `OWNER/NAME`. The token needs to read and write its issues."""

    name = "github"

    def __init__(
        self, session: aiohttp.ClientSession, url: str, repository: str, token: str, timeout: float
    ) -> None:
        self._path = f"/repos/{repository}/issues"
        self._client = TrackerClient(
            session,
            _WHO,
            url,
            timeout,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            secrets=(token,),
            error_text=_error_text,
            mend="`follow_ups.tracker.github`: the repository, and whether its token may write "
            "issues there",
        )

    async def push(self, draft: IssueDraft) -> Issue:
        """The issue with the marker, or a new one. Raises Temporary, Permanent."""
        found = await self._found(draft)
        if found is None:
            body = {"title": draft.title, "body": issue_text(draft), "labels": [LABEL]}
            found = await self._client.post(self._path, body)
        return Issue(str(field(found, "number", _WHO)), str(found.get("html_url") or ""))

    async def state(self, key: str) -> IssueState:
        """What became of it. Raises Temporary, Permanent."""
        issue = await self._client.get(f"{self._path}/{key}")
        if field(issue, "state", _WHO) != "closed":
            return "open"
        return "dropped" if issue.get("state_reason") in {"not_planned", "duplicate"} else "done"

    async def _found(self, draft: IssueDraft) -> Any:
        for page in range(1, _MOST_PAGES + 1):
            issues = await self._client.get(
                self._path,
                labels=LABEL,
                state="all",
                sort="created",
                direction="desc",
                per_page=str(_PAGE),
                page=str(page),
            )
            listed = objects(issues)
            for issue in listed:
                if has_marker(issue.get("body"), draft):
                    return issue
            if len(listed) < _PAGE:
                break
        return None


def _error_text(refusal: Mapping[str, Any]) -> str:
    """`{"message": "Validation Failed", "errors": [{"field": "title", "code": "missing"}]}`."""
    errors = refusal.get("errors")
    listed = [
        " ".join(str(error[name]) for name in ("field", "code", "message") if error.get(name))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, Mapping)
    ]
    return "; ".join(filter(None, (str(refusal.get("message") or ""), *listed)))
