"""The fold of what those who were called answer, and of what they were told at the end."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.call_answers import CallAnswers, Declined, EndingWord, Snoozed
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_call_answer(incident: Incident, at: datetime, event: e.CallAnswerEvent) -> Incident:
    """The incident after one more answer, or word of the end."""
    known = incident.call_answers
    match event:
        case e.CallDeclined():
            answer = Declined(at, incident.people.campaign)
            waiting = {p: s for p, s in known.snoozed.items() if p != event.person}
            declined = {**known.declined, event.person: answer}
            after = replace(known, declined=declined, snoozed=waiting)
        case e.CallSnoozed():
            snoozed = Snoozed(event.until, incident.people.campaign)
            number = known.snoozes.get(event.person, 0) + 1
            after = replace(
                known,
                snoozed={**known.snoozed, event.person: snoozed},
                snoozes={**known.snoozes, event.person: number},
            )
        case e.EndingTold():
            word = EndingWord(event.recoveries, event.ending, at, told=True)
            after = _with_word(known, event.person, word)
        case e.EndingUntold():
            before = known.word(event.person, event.ending)
            same = before is not None and (before.recoveries, before.ending) == (
                event.recoveries,
                event.ending,
            )
            failures = 1 + (before.failures if before is not None and same else 0)
            word = EndingWord(event.recoveries, event.ending, at, event.last, failures)
            after = _with_word(known, event.person, word)
        case _:
            assert_never(event)
    return replace(incident, call_answers=after)


def _with_word(known: CallAnswers, person: str, word: EndingWord) -> CallAnswers:
    if word.ending == "storm":
        return replace(known, storm_words={**known.storm_words, person: word})
    return replace(known, words={**known.words, person: word})


def recovered_again(known: CallAnswers) -> CallAnswers:
    """The same after one more recovery."""
    return replace(known, recoveries=known.recoveries + 1)
