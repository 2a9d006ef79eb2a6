"""The section `follow_ups` of stopgap.yaml: when people are reminded, and by which tracker."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from daemon.core.people.contact_methods import Address, Reference
from daemon.core.values.units import Duration, Frozen, parse_duration


def _hour(value: object) -> object:
    if isinstance(value, time):
        return value
    try:
        found = time.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise ValueError('write it like "09:00", in quotes')
    return found


def _zone(value: object) -> object:
    try:
        return value if isinstance(value, ZoneInfo) else ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; write it like Europe/Berlin") from None


HourOfDay = Annotated[
    time,
    BeforeValidator(_hour),
    PlainSerializer(lambda at: at.strftime("%H:%M")),
    WithJsonSchema({"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}),
]
"""An hour of the day: "09:00"."""
ZoneName = Annotated[
    ZoneInfo,
    BeforeValidator(_zone),
    PlainSerializer(str),
    WithJsonSchema({"type": "string"}),
]
"""A time zone by its IANA name."""


class GitHubIssues(Frozen):
    """Issues of a repository, `OWNER/NAME`. `url`: of a GitHub Enterprise Server,
    `https://github.example.org/api/v3`."""

    repository: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")
    token: Reference
    url: str = Field(default="https://api.github.com", pattern="^https?://")


class GitLabIssues(Frozen):
    """Issues of a project, by its path or number."""

    project: str = Field(min_length=1)
    token: Reference
    url: str = Field(default="https://gitlab.com", pattern="^https?://")


class JiraIssues(Frozen):
    """Issues of a project, by its key. `user`: the mail address that an API token of Jira Cloud
    belongs to; without it the token is a Data Center's personal access token."""

    url: str = Field(pattern="^https?://")
    project: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    type: str = Field(default="Task", min_length=1)
    user: Address | None = None
    token: Reference


class IssueWebhook(Frozen):
    """A URL that takes a POST of each follow-up; with `secret` it is signed with HMAC-SHA256."""

    url: Reference
    secret: Reference | None = None


class TrackerSettings(Frozen):
    """Where follow-ups go as issues; exactly one."""

    github: GitHubIssues | None = None
    gitlab: GitLabIssues | None = None
    jira: JiraIssues | None = None
    webhook: IssueWebhook | None = None

    @model_validator(mode="after")
    def _one(self) -> TrackerSettings:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("give exactly one of `github`, `gitlab`, `jira`, `webhook`")
        return self


class FollowUpSettings(Frozen):
    """When the owner of a follow-up is reminded: so long `before` the due day, and on it, within
    working hours that begin `at` that hour in `zone`. `tracker`: where follow-ups go as issues."""

    before: Duration = Field(default=parse_duration("2d"), ge=timedelta(days=1))
    at: HourOfDay = time(9)
    zone: ZoneName = ZoneInfo("UTC")
    tracker: TrackerSettings | None = None
