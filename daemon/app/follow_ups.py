"""Builds what reminds people: of follow-ups, with their tracker, and of last words."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from daemon.adapters.trackers.github import GitHubTracker
from daemon.adapters.trackers.gitlab import GitLabTracker
from daemon.adapters.trackers.jira import JiraTracker
from daemon.adapters.trackers.webhook import WebhookTracker
from daemon.config.active import ActiveConfig, Live
from daemon.config.follow_ups import TrackerSettings
from daemon.config.settings import Settings
from daemon.core.ports.trackers import Tracker
from daemon.core.response.follow_ups import ReminderTiming
from daemon.instrumentation import Observer
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.reporting.reviews import Reviews, renew_review
from daemon.repository import IncidentRepository
from daemon.watching.follow_ups import FollowUpKeeper
from daemon.watching.last_word import LastWordKeeper


def follow_ups_for(
    settings: Settings,
    session: aiohttp.ClientSession,
    secret: Callable[[str], str],
    repository: IncidentRepository,
    active: Live[ActiveConfig],
    reviews: Reviews,
    observer: Observer,
) -> FollowUpKeeper:
    """The keeper. Raises Permanent if a secret of the tracker is not there."""
    chosen, site = settings.follow_ups, settings.external_url.rstrip("/")
    return FollowUpKeeper(
        repository,
        active,
        timing_for(settings),
        tracker_for(chosen.tracker, session, secret) if chosen.tracker is not None else None,
        renew=lambda incident: renew_review(repository, incident, reviews, active.now.roster),
        page=lambda incident: f"{site}/incidents/{incident}#learning",
        observer=observer,
    )


def last_word_for(
    settings: Settings,
    repository: IncidentRepository,
    active: Live[ActiveConfig],
    observer: Observer,
) -> LastWordKeeper:
    """Who reminds of the last word to the customers."""
    site = settings.external_url.rstrip("/")
    return LastWordKeeper(
        repository,
        active,
        timing_for(settings),
        page=lambda incident: f"{site}/incidents/{incident}#last-word",
        observer=observer,
    )


def timing_for(settings: Settings) -> ReminderTiming:
    """When people are reminded of their follow-ups."""
    chosen = settings.follow_ups
    return ReminderTiming(chosen.before, chosen.at, chosen.zone)


def tracker_for(
    chosen: TrackerSettings, session: aiohttp.ClientSession, secret: Callable[[str], str]
) -> Tracker:
    """The tracker that the settings choose. Raises Permanent if a secret of it is not there."""
    if chosen.github is not None:
        github = chosen.github
        token = secret(github.token)
        return GitHubTracker(session, github.url, github.repository, token, DEADLINE_SECONDS)
    if chosen.gitlab is not None:
        gitlab = chosen.gitlab
        token = secret(gitlab.token)
        return GitLabTracker(session, gitlab.url, gitlab.project, token, DEADLINE_SECONDS)
    if chosen.jira is not None:
        jira = chosen.jira
        return JiraTracker(
            session,
            jira.url,
            jira.project,
            jira.type,
            jira.user,
            secret(jira.token),
            DEADLINE_SECONDS,
        )
    if chosen.webhook is not None:
        signing = secret(chosen.webhook.secret) if chosen.webhook.secret else None
        return WebhookTracker(session, secret(chosen.webhook.url), signing, DEADLINE_SECONDS)
    raise AssertionError("the settings have exactly one tracker")
