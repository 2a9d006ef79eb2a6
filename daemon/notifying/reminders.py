"""Reminders: word to one person by a way that wakes nobody."""

from __future__ import annotations

from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Reminder, Reminds, Ways
from daemon.notifying.notifier import attempt

NOT_IN_ROSTER = "they are not in the roster any more; give it another owner"
NO_QUIET_WAY = "their contact in the roster has no way that wakes nobody (slack, email, apprise)"


async def remind_quietly(words: Reminder, roster: Roster, ways: Ways) -> tuple[str | None, str]:
    """The way by which the person was told, and the proof; an empty way if there is none to try,
    None if it may work later."""
    gone = words.person not in roster.people
    failed, later = NOT_IN_ROSTER if gone else NO_QUIET_WAY, False
    for method, pager in ways.get(words.person, ()):
        if not isinstance(pager, Reminds):
            continue
        sent = await attempt(pager.remind(words), words.incident, method)
        if isinstance(sent, str):
            return method, sent
        failed, later = sent.text, later or sent.temporary
    return (None if later else ""), failed
