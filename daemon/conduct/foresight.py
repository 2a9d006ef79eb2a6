"""The first questions of an incident, asked while it is still being written down.

Asking changes nothing, so that it need not wait for the disk: what is done about the incident does.
If it is not written down after all, the answers are dropped.
"""

from __future__ import annotations

import asyncio

from daemon.measuring.first_questions import begin_questions
from daemon.measuring.queries import AS_GOOD_AS_NOW, Survey


class Foresight:
    """Measurements that were begun before their incidents were; of one incident at a time, for in
    a storm they would only go before those of others."""

    def __init__(self) -> None:
        self._begun: dict[str, Survey] = {}
        self._asking: asyncio.Task[None] | None = None

    def begin(self, incident: str, survey: Survey) -> None:
        """Ask what its measurement will ask first, unless others are asked for just now."""
        if self._asking is not None:
            return
        self._begun[incident] = survey
        self._asking = asyncio.create_task(_ask(survey))
        self._asking.add_done_callback(self._asked)
        seconds = AS_GOOD_AS_NOW.total_seconds()
        asyncio.get_running_loop().call_later(seconds, self._begun.pop, incident, None)

    def of(self, incident: str) -> Survey | None:
        """What was begun of it; for one measurement."""
        return self._begun.pop(incident, None)

    def _asked(self, asking: asyncio.Task[None]) -> None:
        self._asking = None


async def _ask(survey: Survey) -> None:
    await begin_questions(survey)
    if survey.asked:
        await asyncio.wait(survey.asked.values())
