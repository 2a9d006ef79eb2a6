"""Builds where people meet over an incident: the service of its room, the address of its call."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32encode
from collections.abc import Callable

import aiohttp

from daemon.adapters.rooms.slack import SlackRooms
from daemon.adapters.rooms.webhook import WebhookRooms
from daemon.adapters.slack import slack_client
from daemon.config.settings import Settings
from daemon.core.people.signing_keys import SigningKeys
from daemon.core.ports.rooms import Rooms, TendsRooms
from daemon.core.response.rooms import RoomPolicy
from daemon.core.values.outcome import Permanent
from daemon.notifying.notifier import DEADLINE_SECONDS
from daemon.notifying.rooms import MeetingPlaces

_SECRET_LENGTH = 20
"""Letters and digits of the part of a call's address that nobody can guess: 100 bits."""


def places_for(
    settings: Settings,
    session: aiohttp.ClientSession,
    secret: Callable[[str], str],
    keys: Callable[[], SigningKeys],
) -> MeetingPlaces:
    """What the settings have set up. Raises Permanent naming a secret that is not there."""
    chosen = settings.rooms
    rooms = rooms_for(settings, session, secret)
    policy = RoomPolicy(
        room=rooms.name if rooms is not None else "",
        tends=isinstance(rooms, TendsRooms),
        call=chosen.call is not None,
        open_from=chosen.open_from or "",
        archive_after=chosen.archive_after,
    )
    prefix = chosen.slack.prefix if chosen.slack is not None else ""
    template = chosen.call
    if template is None:
        return MeetingPlaces(policy, rooms, prefix)
    return MeetingPlaces(
        policy, rooms, prefix, lambda incident: call_address(template, incident, keys())
    )


def marks_of(settings: Settings) -> frozenset[str]:
    """The reactions by which a message of a room comes to its timeline."""
    slack = settings.rooms.slack
    return frozenset(slack.marks) if slack is not None else frozenset()


def call_address(template: str, incident: str, keys: SigningKeys) -> str:
    """The address of an incident's call. Its secret follows from the key that signs links."""
    message = f"stopgap/call/{incident}".encode()
    digest = hmac.new(keys.signing.secret.encode(), message, hashlib.sha256).digest()
    hidden = b32encode(digest).decode().lower()[:_SECRET_LENGTH]
    return template.replace("{incident}", incident).replace("{secret}", hidden)


def rooms_for(
    settings: Settings, session: aiohttp.ClientSession, secret: Callable[[str], str]
) -> Rooms | None:
    """The service that opens rooms. Raises Permanent naming a secret that is not there."""
    chosen = settings.rooms
    if chosen.slack is not None:
        slack = settings.slack
        if slack.token is None:
            raise Permanent("`rooms.slack` needs the bot's token: set `slack.token`")
        client = slack_client(session, secret(slack.token), slack.url, DEADLINE_SECONDS)
        return SlackRooms(client, private=chosen.slack.private)
    if chosen.webhook is not None:
        signing = secret(chosen.webhook.secret) if chosen.webhook.secret else None
        url = secret(chosen.webhook.url)
        return WebhookRooms(session, url, signing, DEADLINE_SECONDS)
    return None
