"""Tells those who were called that it is over: an effect of a decision."""

from __future__ import annotations

from daemon.core.decision import TellEnding
from daemon.core.incident import events as e
from daemon.core.ports.notification import Links, Reminder, Ways
from daemon.core.response.endings import (
    ENDING_TRIES,
    STORM_ENDING_TEXT,
    ending_text,
    storm_ending_title,
)
from daemon.core.values.drill_key import marked
from daemon.notifying.reminders import remind_person
from daemon.repository import IncidentRepository


async def tell_ending(
    repository: IncidentRepository, incident: str, order: TellEnding, ways: Ways, links: Links
) -> None:
    """Tell one person by one way, and journal what came of it."""
    current = await repository.load(incident)
    title, text = current.title, ending_text(current)
    if order.ending == "storm":
        title, text = storm_ending_title(current), STORM_ENDING_TEXT
    words = Reminder(
        incident=incident,
        person=order.person,
        title=title,
        text=text if current.drill is None else marked(text),
        link=links.document(incident),
    )
    sent = await remind_person(ways, words, order.method)
    known = current.call_answers.word(order.person, order.ending)
    event: e.Event
    if sent.method:
        event = e.EndingTold(
            person=order.person,
            ending=order.ending,
            recoveries=order.recoveries,
            method=sent.method,
            proof=sent.text,
        )
    else:
        failures = 0 if known is None or known.told else known.failures
        event = e.EndingUntold(
            person=order.person,
            ending=order.ending,
            recoveries=order.recoveries,
            method=order.method,
            error=sent.text,
            last=not sent.later or failures + 1 >= ENDING_TRIES,
        )
    await repository.report(incident, event)
