"""What an application's state means for a rollback of ours, and following it to its end.

An intent says `from`, `to` (revisions), `id` (the entry to go back to) and `last` (the newest
entry when this was decided): whatever became live since has a higher number than `last`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Literal

from daemon.core.ports.actions import Landed, Refused
from daemon.core.values.outcome import Outcome, Temporary
from daemon.core.values.units import format_duration
from recovery_actions.argocd import Argo, ArgoCDPlace
from recovery_actions.argocd_state import Application, Deployment, short
from recovery_actions.reasons import ActionReason, NotReady, ending
from recovery_actions.waiting import Countdown, Pause

SYNC_EVERY = timedelta(seconds=2)
"""Between two looks at an operation that goes on."""
_BROKEN = frozenset({"Failed", "Error"})
_LIVE = "live"

Intent = Mapping[str, str]


def landed(seen: Application, intent: Intent) -> Landed:
    """Whether it came true. `half_done`: our sync goes on, or has failed midway."""
    new = newer(seen, intent)
    if new is not None and new.item != intent["to"]:
        return "unknown"
    if under_way(seen, intent):
        return "half_done" if seen.operation.running else "done"
    # The last operation before ours was a dry run, so a failed sync to `to` is a later one.
    failed = seen.operation.phase in _BROKEN and _ours(seen, intent)
    return "half_done" if failed else "not_done"


def under_way(seen: Application, intent: Intent) -> bool:
    """Whether our sync goes on or has come to its end, so that it need not be ordered."""
    new = newer(seen, intent)
    at_its_end = new is not None and new.item == intent["to"]
    return at_its_end or (seen.operation.running and _ours(seen, intent))


def newer(seen: Application, intent: Intent) -> Deployment | None:
    """What has become live since this was decided."""
    return seen.live if seen.live is not None and seen.live.id > int(intent["last"]) else None


def moved(place: ArgoCDPlace, seen: Application, intent: Intent) -> Refused | None:
    """Whether something else is live than when this was decided."""
    live = seen.history[-1]
    if str(live.id) == intent["last"]:
        return None
    text = (
        f"history id {intent['last']} of {place.application} was live when this was decided, and "
        f"{live.id} ({short(live.item)}) is now: somebody else has synced, so it was left alone"
    )
    return NotReady("changed_meanwhile", text)


async def follow_sync(
    argo: Argo,
    place: ArgoCDPlace,
    intent: Intent,
    report: Callable[[str], Awaitable[None]],
    limit: timedelta,
    pause: Pause,
) -> Outcome:
    """Wait until it is live and healthy, or clear that it will not be."""
    patience = Countdown(limit, SYNC_EVERY, pause)
    last_stage = trouble = ""
    fresh = False
    while True:
        # Health may be that of before the sync until Argo CD has compared once more; asked for
        # that once, it goes on by itself.
        refresh = last_stage.startswith(_LIVE) and not fresh
        fresh = fresh or refresh
        try:
            seen = await argo.get(refresh=refresh)
        except Temporary as error:
            trouble = str(error)
        else:
            trouble = ""
            if outcome := _over(place, seen, intent, fresh):
                return outcome
            if (stage := _stage(seen, intent, fresh)) != last_stage:
                await report(stage)
            last_stage = stage
        if not await patience.lasts():
            return _out_of_time(intent, last_stage, trouble, limit)


def displaced(
    place: ArgoCDPlace,
    seen: Application,
    intent: Intent,
    result: Literal["unknown", "failed", "refused"],
    reason: ActionReason,
) -> Outcome:
    """Somebody else has synced something else."""
    now = seen.operation.item if seen.operation.running else ""
    now = now or (seen.live.item if seen.live else "nothing")
    text = (
        f"{place.application} was to go back to {short(intent['to'])}, but somebody has synced "
        f"{short(now)} meanwhile; look in Argo CD who it was"
    )
    return ending(result=result, reason=reason, detail=text, facts=_facts(seen, intent))


def _ours(seen: Application, intent: Intent) -> bool:
    return seen.operation.item == intent["to"] and not seen.operation.dry


def _over(place: ArgoCDPlace, seen: Application, intent: Intent, fresh: bool) -> Outcome | None:
    """How it ended, or None while it goes on. `fresh`: the health is that of after the sync."""
    new, operation = newer(seen, intent), seen.operation
    if new is not None and new.item != intent["to"]:
        return displaced(place, seen, intent, "failed", "reverted")
    facts = _facts(seen, intent)
    if operation.running:
        if operation.item in {"", intent["to"]} or operation.dry:
            return None
        return displaced(place, seen, intent, "failed", "reverted")
    if new is not None:
        if not fresh or seen.health != "Healthy":
            return None
        text = f"{place.application} is back at {short(intent['to'])}, and healthy in Argo CD"
        return ending(result="done", reason="rolled_back", detail=text, facts=facts)
    if operation.phase in _BROKEN:
        text = (
            f"Argo CD could not sync {place.application} to {short(intent['to'])}: "
            f"{operation.phase} {operation.message}; some of it may have been changed"
        )
        return ending(result="failed", reason="sync_failed", detail=text, facts=facts)
    return None


def _stage(seen: Application, intent: Intent, fresh: bool) -> str:
    """How far it is, for the timeline."""
    if newer(seen, intent) is not None:
        return f"{_LIVE}, health {seen.health or 'unknown'}" if fresh else _LIVE
    return f"sync {seen.operation.phase or 'pending'}"


def _out_of_time(intent: Intent, last_stage: str, trouble: str, limit: timedelta) -> Outcome:
    spent = format_duration(limit)
    facts = {"from": intent["from"], "to": intent["to"]}
    if trouble:
        text = f"how the rollback ends could not be seen within {spent}: {trouble}"
        return ending(result="unknown", reason="lost_sight", detail=text, facts=facts)
    if last_stage.startswith(_LIVE):
        text = f"{short(intent['to'])} is {last_stage}, not Healthy within {spent}"
        return ending(result="failed", reason="not_healthy", detail=text, facts=facts)
    text = (
        f"the sync to {short(intent['to'])} has not ended within {spent} ({last_stage}); it goes on"
    )
    return ending(result="unknown", reason="timeout", detail=text, facts=facts)


def _facts(seen: Application, intent: Intent) -> dict[str, str]:
    live = seen.live.item if seen.live else ""
    facts = {"from": intent["from"], "to": intent["to"], "live": live, "health": seen.health}
    return {key: value for key, value in facts.items() if value}
