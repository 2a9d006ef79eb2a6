"""Follows a rollout to its end, and a little further: whoever undoes it is named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from daemon.core.values.outcome import Outcome, Permanent, Result, Temporary
from daemon.core.values.units import Duration, format_duration, printable
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import MANAGER, ClusterClient
from recovery_actions.kubernetes.errors import Missing, NotDone
from recovery_actions.kubernetes.guards import standing_still, taken_away
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.rollout import rollout_status
from recovery_actions.reasons import ActionReason, ending

RolloutLimit = Annotated[Duration, Field(gt=timedelta(0), le=timedelta(hours=2))]
"""How long a rollout may take. There is no waiting without an end."""

HoldTime = Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=10))]
"""How long after the end of a rollout somebody may still be seen to undo it."""

_EVERY = 1.0
"""Seconds between two looks."""

_REPORT_EVERY = 5.0
"""Seconds between two lines for the timeline."""


@dataclass(frozen=True)
class PollPace:
    """How time passes; tests have their own."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class RolloutEnd:
    """How a rollout ended: a word, and what is to be said after 'it was rolled back, '. `midway`:
    it has not, but has come as far as was asked for."""

    result: Result
    reason: ActionReason | Literal[""]
    text: str
    midway: bool = False

    def outcome(
        self, done: ActionReason, text: str, facts: dict[str, str], notes: Sequence[str] = ()
    ) -> Outcome:
        """As the end of a run; `done` is the reason if all went well. `notes` are said after."""
        joint = ", and" if self.result == "done" else ", but"
        reason = self.reason or done
        detail = "; ".join([f"{text}{joint} {self.text}", *filter(None, notes)])
        return ending(result=self.result, reason=reason, detail=detail, facts=facts)


@dataclass
class Rollout:
    """A rollout that we have started.

    `ours` says whether the workload still asks for what we asked for. `help_out` is called while
    it goes on, and gives a sentence if something is in the way. `stale`: see `rollout_status`.
    `meddlers` tells who has changed it since, by name, the newest last.
    """

    client: ClusterClient
    workload: Workload
    ours: Callable[[Raw], bool]
    report: Callable[[str], Awaitable[None]]
    limit: timedelta
    hold: timedelta
    pace: PollPace
    stale: str = ""
    help_out: Callable[[Raw], Awaitable[str]] | None = None
    meddlers: Callable[[Raw], list[str]] | None = None

    async def follow(
        self, until: Callable[[Raw], bool] | None = None, limit: timedelta | None = None
    ) -> RolloutEnd:
        """Wait until it has ended, whichever way; or is as far as `until` says, within `limit`."""
        limit = limit or self.limit
        begin = self.pace.clock()
        finished: float | None = None
        finish = seen = hint = ""
        reported_at = begin - _REPORT_EVERY
        while True:
            raw: dict[str, Any] | None = None
            pause, known = _EVERY, hint
            try:
                raw = await self.client.get(self.workload.resource)
            except Temporary as error:
                text = str(error)
                pause = error.wait if isinstance(error, NotDone) else _EVERY
            except Missing:
                return RolloutEnd(
                    "failed", "reverted", f"{self.workload.title} has been deleted since"
                )
            except Permanent as error:
                return RolloutEnd(
                    "unknown", "rollout_unknown", f"how it goes on is not known: {error}"
                )
            now = self.pace.clock()
            if raw is not None and (wrong := self._wrong(raw, finished is not None)):
                return wrong
            if raw is not None and finished is None:
                status = rollout_status(self.workload.kind, raw, self.stale)
                text = status.text
                if not status.finished:
                    hint = await self.hint(raw)
                    text = f"{text}; {hint}" if hint else text
                if status.failed:
                    return RolloutEnd("failed", "progress_deadline_exceeded", printable(text))
                if status.finished:
                    finished, finish = now, text
                elif until is not None and until(raw):
                    return RolloutEnd("done", "", text, midway=True)
            if finished is not None:
                if now - finished >= self.hold.total_seconds():
                    return RolloutEnd("done", "", finish)
            elif now - begin >= limit.total_seconds():
                late = f"the rollout took more than {format_duration(limit)}: {text}"
                return RolloutEnd("failed", "rollout_timeout", late)
            # Why it does not go on is told at once.
            due = hint != known or now - reported_at >= _REPORT_EVERY
            if finished is None and text != seen and due:
                seen, reported_at = text, now
                await self.report(text)
            await self.pace.sleep(pause)

    async def hint(self, raw: Raw) -> str:
        """What is in the way, by `help_out`; empty if nothing is known."""
        try:
            return "" if self.help_out is None else await self.help_out(raw)
        except (Temporary, Permanent):
            return ""  # the look at the workload itself says what is wrong, if it goes on

    def _wrong(self, raw: Raw, finished: bool) -> RolloutEnd | None:
        if gone := taken_away(self.workload, raw):
            return RolloutEnd("failed", "reverted", gone.text)
        if not self.ours(raw):
            return RolloutEnd("failed", "reverted", self.changed_by(raw))
        if finished:
            return None
        still = standing_still(self.workload, raw)
        return None if still is None else RolloutEnd("failed", still.reason, still.text)

    def changed_by(self, raw: Raw) -> str:
        """Who has changed it since, and to what."""
        images = printable(objects.images(objects.template_of(raw)))
        changed = objects.managers(raw, "f:spec", "f:template")
        newest = [name for name, _ in changed if name != MANAGER]
        others = newest if self.meddlers is None else self.meddlers(raw)
        who = f"{printable(others[-1])} (managedFields)" if others else "somebody"
        return f"{who} has changed it since: it runs {images} now"
