"""Check of where people meet over an incident: whether rooms can be opened, and who can come."""

from __future__ import annotations

from collections.abc import AsyncIterator

from daemon.adapters.rooms.slack import SlackRooms
from daemon.app.rooms import rooms_for
from daemon.cli.doctor.context import Installation
from daemon.notifying.rooms import slack_user
from daemon.onboarding.findings import Finding, good, warning, wrong

_PLACE = "rooms"


async def check_rooms(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the rooms that the settings want can be had; nothing if they want none."""
    settings = installation.settings
    rooms = rooms_for(settings, installation.session, installation.secret)
    if settings.rooms.call is not None:
        yield good(_PLACE, f"calls have the address {settings.rooms.call}")
    if rooms is None:
        return
    if not isinstance(rooms, SlackRooms):
        yield good(_PLACE, "a webhook opens them; it was not asked, for it would open one")
        return
    missing = await rooms.missing_scopes()
    if missing:
        text = f"the bot in Slack lacks the scopes {', '.join(missing)}"
        yield wrong(_PLACE, text, "add them to the app in Slack, then reinstall it")
    else:
        yield good(_PLACE, "the bot in Slack answers, and has the scopes that it needs")
    if settings.slack.signing_secret is None:
        text = "messages that are pinned or marked in a room do not come to the timeline"
        mend = "set `slack.signing_secret`, and in Slack the events pin_added and reaction_added"
        yield warning(_PLACE, text, mend)
    roster = installation.roster
    unknown = [name for name in roster.people if not slack_user(roster, name)] if roster else []
    if unknown:
        text = f"{', '.join(unknown)} cannot be invited: their Slack user id is not in the roster"
        yield warning(_PLACE, text, "name it in `people.NAME.known_as.slack`")
