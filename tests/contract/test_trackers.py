"""Trackers: what is on the wire, that no issue is made twice, what becomes of them, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemon.adapters.http import SIGNATURE
from daemon.adapters.trackers.github import GitHubTracker
from daemon.adapters.trackers.gitlab import GitLabTracker
from daemon.adapters.trackers.jira import JiraTracker
from daemon.adapters.trackers.webhook import WebhookTracker
from daemon.core.ports.trackers import FollowsBack, Issue, IssueDraft, Tracker
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import HURRY
from tests.doubles.trackers import TOKEN, USER, GitHub, GitLab, Jira, TrackerDouble

DRAFT = IssueDraft(
    marker="stopgap-1123-x-1",
    title="test the pool",
    text="Follow-up 1 of incident 1123-x, from its review.",
    incident="1123-x",
    follow_up=1,
    owner="ada",
    due=date(2026, 12, 24),
    link="https://stopgap.example/incidents/1123-x",
)
Made = Callable[[aiohttp.ClientSession, str, str, float], Any]


def github(session: aiohttp.ClientSession, url: str, token: str, timeout: float) -> GitHubTracker:
    return GitHubTracker(session, url, "acme/shop", token, timeout)


def gitlab(session: aiohttp.ClientSession, url: str, token: str, timeout: float) -> GitLabTracker:
    return GitLabTracker(session, url, "acme/shop", token, timeout)


def cloud(session: aiohttp.ClientSession, url: str, token: str, timeout: float) -> JiraTracker:
    return JiraTracker(session, url, "OPS", "Task", USER, token, timeout)


def at_home(session: aiohttp.ClientSession, url: str, token: str, timeout: float) -> JiraTracker:
    return JiraTracker(session, url, "OPS", "Task", None, token, timeout)


KINDS: dict[str, tuple[Callable[[], TrackerDouble], Made]] = {
    "github": (GitHub, github),
    "gitlab": (GitLab, gitlab),
    "jira-cloud": (Jira, cloud),
    "jira-at-home": (lambda: Jira(cloud=False), at_home),
}
every = pytest.mark.parametrize("kind", KINDS)


@asynccontextmanager
async def wired(
    kind: str, token: str = TOKEN, timeout: float = 5
) -> AsyncIterator[tuple[Any, Any]]:
    """A tracker, and the double behind it."""
    double, made = KINDS[kind]
    async with aiohttp.ClientSession() as session, double().serving() as served:
        yield made(session, f"{served.url}/", token, timeout), served


@every
async def test_a_follow_up_becomes_an_issue_once(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        first = await tracker.push(DRAFT)
        assert await tracker.push(DRAFT) == first
        assert first.key
        assert first.url.startswith("http")
        assert len(double.issues) == double.creations == 1


@every
async def test_one_whose_answer_was_lost_is_found_again(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        double.lose = True
        with pytest.raises(Temporary, match="answered 502"):
            await tracker.push(DRAFT)
        found = await tracker.push(DRAFT)
        assert found.key in double.issues
        assert len(double.issues) == 1


@every
async def test_another_follow_up_is_another_issue(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        keys = {(await tracker.push(DRAFT)).key}
        other = IssueDraft(**{**vars(DRAFT), "marker": "stopgap-1123-x-2", "due": None})
        keys.add((await tracker.push(other)).key)
        assert keys == set(double.issues)
        assert len(keys) == 2


@every
async def test_the_first_follow_up_is_not_the_tenth(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        tenth = IssueDraft(**{**vars(DRAFT), "marker": f"{DRAFT.marker}0"})
        keys = {(await tracker.push(tenth)).key, (await tracker.push(DRAFT)).key}
        assert len(keys) == len(double.issues) == 2


@every
async def test_the_issue_says_who_until_when_and_where_to_read_more(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        key = (await tracker.push(DRAFT)).key
        issue = double.issues[key]
        fields = issue.get("fields", issue)
        text = fields.get("body") or fields["description"]
        assert DRAFT.title in {fields.get("title"), fields.get("summary")}
        for part in (DRAFT.text, "Owner: ada, due 2026-12-24", DRAFT.link, DRAFT.marker):
            assert part in text
        day = fields.get("duedate") or fields.get("due_date")
        assert day == (None if kind == "github" else "2026-12-24")


@every
async def test_an_issue_is_open_until_it_is_closed_there(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        assert isinstance(tracker, FollowsBack)
        key = (await tracker.push(DRAFT)).key
        assert await tracker.state(key) == "open"
        if isinstance(double, Jira):
            double.end(key, "Done")
        else:
            double.issues[key] |= {"state": "closed", "state_reason": "completed"}
        assert await tracker.state(key) == "done"


@pytest.mark.parametrize("reason", ["not_planned", "duplicate"])
async def test_an_issue_of_github_that_nobody_will_do_is_dropped(reason: str) -> None:
    async with wired("github") as (tracker, double):
        key = (await tracker.push(DRAFT)).key
        double.issues[key] |= {"state": "closed", "state_reason": reason}
        assert await tracker.state(key) == "dropped"


@pytest.mark.parametrize("resolution", ["Won't Do", "Duplicate"])
async def test_an_issue_of_jira_that_nobody_will_do_is_dropped(resolution: str) -> None:
    async with wired("jira-cloud") as (tracker, double):
        key = (await tracker.push(DRAFT)).key
        double.end(key, resolution)
        assert await tracker.state(key) == "dropped"


async def test_github_is_looked_through_beyond_its_first_page() -> None:
    async with wired("github") as (tracker, double):
        key = (await tracker.push(DRAFT)).key
        for number in range(130):
            double.add(f"other {number}", None, ["stopgap"])
        double.issues[key]["state"] = "closed"
        assert (await tracker.push(DRAFT)).key == key
        assert double.creations == 1


@every
async def test_wrong_credentials_are_told_with_the_mend_and_without_the_secret(kind: str) -> None:
    wrong = "a-wrong-token-that-is-secret-all-the-same"
    async with wired(kind, wrong) as (tracker, _):
        for asking in (tracker.push(DRAFT), tracker.state("1")):
            with pytest.raises(Permanent) as caught:
                await asking
            assert "answered 401" in str(caught.value)
            assert f"`follow_ups.tracker.{kind.partition('-')[0]}`" in str(caught.value)
            assert wrong not in str(caught.value)
            assert "127.0.0.1" not in str(caught.value)


@every
async def test_an_issue_that_is_gone_is_told(kind: str) -> None:
    async with wired(kind) as (tracker, _):
        with pytest.raises(Permanent, match="answered 404"):
            await tracker.state("OPS-404")


@every
@pytest.mark.parametrize("mood", [429, 500, 503])
async def test_what_may_pass_is_temporary(kind: str, mood: int) -> None:
    async with wired(kind) as (tracker, double):
        double.mood = mood
        with pytest.raises(Temporary, match=f"answered {mood}"):
            await tracker.push(DRAFT)


@every
async def test_nobody_there_and_no_answer_are_temporary(kind: str) -> None:
    async with wired(kind, timeout=HURRY) as (tracker, double):
        double.mood = "hang"
        with pytest.raises(Temporary, match="cannot be reached"):
            await tracker.push(DRAFT)


async def test_a_refusal_is_told_in_the_trackers_own_words() -> None:
    blank = IssueDraft(**{**vars(DRAFT), "title": ""})
    async with wired("github") as (tracker, _):
        with pytest.raises(Permanent, match="422: Validation Failed; title missing_field"):
            await tracker.push(blank)
    async with wired("gitlab") as (tracker, _):
        with pytest.raises(Permanent, match=r"400: title: \[\"can't be blank\"\]"):
            await tracker.push(blank)
    async with aiohttp.ClientSession() as session, Jira().serving() as double:
        epic = JiraTracker(session, double.url, "OPS", "Epic", USER, TOKEN, 5)
        with pytest.raises(Permanent, match="400: issuetype: Specify a valid issue type"):
            await epic.push(DRAFT)


@every
async def test_what_is_no_api_is_told(kind: str) -> None:
    async with wired(kind) as (tracker, double):
        double.mood = 200
        with pytest.raises(Permanent, match="is the address that of its API"):
            await tracker.push(DRAFT)


async def test_an_address_that_is_none_is_told_without_it() -> None:
    async with aiohttp.ClientSession() as session:
        tracker: Tracker = github(session, "ftp://secret.example", TOKEN, 5)
        with pytest.raises(Permanent) as caught:
            await tracker.push(DRAFT)
    assert str(caught.value) == "the address of GitHub is not a URL of http or https"


async def test_a_webhook_gets_the_follow_up_signed() -> None:
    async with aiohttp.ClientSession() as session, GitHub().serving() as double:
        double.mood = 202
        url = f"{double.url}/hook"
        tracker = WebhookTracker(session, url, "signing-secret", 5)
        assert await tracker.push(DRAFT) == Issue("")
        asked = double.asked[-1]
        assert json.loads(asked["body"]) == {**vars(DRAFT), "due": "2026-12-24"}
        assert asked["headers"][SIGNATURE].startswith("v1=")
        assert not isinstance(tracker, FollowsBack)
        double.mood = 503
        with pytest.raises(Temporary, match="the webhook of follow-ups answered 503"):
            await tracker.push(DRAFT)


@every
@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ([1, None], 200, "answered without `"),
        (dict.fromkeys(("number", "iid", "key", "issues", "fields", "state")), 200, "`"),
        ({}, 301, "answered 301: it has moved; look at `follow_ups.tracker."),
    ],
)
async def test_an_answer_of_another_shape_is_said_and_is_no_issue(
    kind: str, answer: Any, status: int, said: str
) -> None:
    async def answers(_: web.Request) -> web.Response:
        return web.json_response(answer, status=status)

    served = web.Application()
    served.router.add_route("*", "/{path:.*}", answers)
    async with TestServer(served) as server, aiohttp.ClientSession() as session:
        tracker = KINDS[kind][1](session, str(server.make_url("/")), TOKEN, 5)
        for asked in (tracker.push(DRAFT), tracker.state("1")):
            with pytest.raises(Permanent, match=re.escape(said)):
                await asked
