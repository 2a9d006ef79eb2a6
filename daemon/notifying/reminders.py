"""Word to one person by a way that wakes nobody: the first of theirs that takes it."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Reminder, Reminds, Ways
from daemon.notifying.notifier import attempt

NOT_IN_ROSTER = "they are not in the roster any more; give it another owner"
NO_QUIET_WAY = "their contact in the roster has no way that wakes nobody (slack, email, apprise)"


@dataclass(frozen=True)
class Reminded:
    """By which way somebody was told, and its proof; with an empty way, why they were not, and
    whether that may pass (`later`)."""

    method: str
    text: str
    later: bool = False


async def remind_person(ways: Ways, reminder: Reminder, method: str = "") -> Reminded:
    """Tell the person of the reminder, by `method` alone if one is named."""
    failed, later = NO_QUIET_WAY, False
    for name, pager in ways.get(reminder.person, ()):
        if not isinstance(pager, Reminds) or method not in ("", name):
            continue
        sent = await attempt(pager.remind(reminder), reminder.incident, name)
        if isinstance(sent, str):
            return Reminded(name, sent)
        failed, later = sent.text, later or sent.temporary
    return Reminded("", failed, later)


async def remind_quietly(words: Reminder, roster: Roster, ways: Ways) -> tuple[str | None, str]:
    """The way by which the person was told, and the proof; an empty way if there is none to try,
    None if it may work later."""
    if words.person not in roster.people:
        return "", NOT_IN_ROSTER
    sent = await remind_person(ways, words)
    return (None if sent.later else sent.method), sent.text
