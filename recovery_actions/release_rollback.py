"""`release_rollback`: switch `current` back to a release that was measured healthy, and restart.

    - action: release_rollback
      with: {directory: /srv/shop, restart: [systemctl, restart, shop]}

It acts on the machine of the daemon that runs it. Of several replicas that is whichever conducts
the incident: `directory` has to be one that they share, and `restart` to reach the service from
each of them.

Safe to kill at every point. What a successor finds, and what it makes of it:

    current   state file          it means                          run, again
    from      not restarted       not switched yet                  switches, restarts
    to        ours, linked        switched, restart not known       waits for one that is at
                                                                    work, restarts
    to        ours, restarted     done                              does nothing
    anything else                 somebody else has switched it     refuses
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Duration, Frozen
from recovery_actions.commands import (
    GRACE,
    Argv,
    run_argv,
    shown_command,
    why_not_allowed,
    why_not_runnable,
)
from recovery_actions.left_running import end, is_running, mark_of, outlive
from recovery_actions.reasons import ActionReason, NotReady, as_outcome, ending
from recovery_actions.releases import DirectoryText, ReleaseDirectory, release_target
from recovery_actions.workshop import Workshop

_T = TypeVar("_T")


class ReleaseRollbackParams(Frozen):
    """`directory` holds `releases/` and `current`; `restart` makes the service read `current`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"directory": "/srv/shop", "restart": ["systemctl", "restart", "shop"]}]
        }
    )

    directory: DirectoryText
    restart: Argv
    restart_timeout: Duration = Field(default=timedelta(seconds=60), gt=timedelta(0))


class ReleaseRollback:
    """Go back to the newest release that was measured healthy while it was live."""

    name = "release_rollback"
    risk = (
        "can be undone: `current` is switched back the same way; the restart may fail "
        "requests for a moment"
    )
    Params: type[BaseModel] = ReleaseRollbackParams
    goes_back = True

    def __init__(self, workshop: Workshop) -> None:
        self._allow = workshop.commands
        self._base = workshop.base
        self._umask = workshop.umask

    def allowed(self, params: ReleaseRollbackParams) -> str | None:
        """Why the settings do not allow the restart command, or None if they do."""
        return why_not_allowed(params.restart, self._allow)

    def target(self, params: ReleaseRollbackParams) -> str:
        """'release:' and the folder: whoever switches the same `current` shares the lock."""
        return release_target(params.directory)

    async def preflight(
        self, params: ReleaseRollbackParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `command_not_allowed`, `program_missing`, `no_directory`,
        `not_a_release_directory`, `not_writable`, `changed_meanwhile`, `no_healthy_item` or
        `release_missing`.
        """
        releases = self._releases(params)
        if refused := await asyncio.to_thread(self._obstacle, params, releases):
            return refused
        live = await asyncio.to_thread(releases.live)
        if context.expected not in {"", live}:
            text = (
                f"{context.expected} was to be rolled back, but {live} is live; look who deployed"
            )
            return NotReady("changed_meanwhile", text)
        candidate = await context.choose(live)
        if candidate.reason == "no_healthy_item":
            return NotReady("no_healthy_item", candidate.text)
        if candidate.item == live:
            return NotReady(
                "no_healthy_item", f"{live} is live already; there is no other to go to"
            )
        if not await asyncio.to_thread(releases.has, candidate.item):
            return _release_missing(releases, candidate.item)
        return Ready(
            f"switch current from {live} to {candidate.item} "
            f"and run {shown_command(params.restart)}",
            {"from": live, "to": candidate.item},
            f"{live} → {candidate.item} on {releases.path.name}, then restart",
        )

    async def run(
        self, params: ReleaseRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Switch, then restart. Refuses as preflight does, and with `locked` or
        `changed_meanwhile`; fails with `switch_failed`, `restart_failed` or `restart_timeout`.
        """
        releases = self._releases(params)
        if obstacle := await asyncio.to_thread(self._obstacle, params, releases):
            return as_outcome(obstacle)
        try:
            lock = releases.lock()
        except BlockingIOError:
            text = f"another process is just rolling back in {releases.path}"
            return as_outcome(NotReady("locked", text))
        except OSError as error:
            return as_outcome(_not_writable(releases, error.strerror))
        with lock:
            if failed := await self._outlived(params, releases, context):
                return failed
            context.must_act()
            switched = await _to_the_end(lambda: _switch(releases, intent, context.token))
            if isinstance(switched, Outcome):
                return switched
            await context.progress(switched)
            return await self._restart(params, releases, intent, context)

    async def _outlived(
        self, params: ReleaseRollbackParams, releases: ReleaseDirectory, context: ActionContext
    ) -> Outcome | None:
        """Wait for the restart of an earlier run: two at a time could leave neither."""
        mark = await asyncio.to_thread(releases.running, context.token)
        if not is_running(mark):
            return None
        await context.progress("waiting for the restart that was begun before")
        if await outlive(mark, params.restart_timeout):
            return None
        context.must_act()
        if await end(mark):
            return None
        text = f"{shown_command(params.restart)} was begun before, and cannot be stopped"
        return ending(result="failed", reason="restart_timeout", detail=text)

    def lingers(self, params: ReleaseRollbackParams) -> timedelta:
        """Until the restart is ended, if whoever started it still lives."""
        return params.restart_timeout + GRACE

    async def check(
        self, params: ReleaseRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """Look at `current` and at what the run has left behind. A switch without a restart is
        `half_done`: running again goes on with the restart.
        """
        releases = self._releases(params)
        live = await asyncio.to_thread(releases.live)
        phase = await asyncio.to_thread(releases.phase, context.token)
        if live == intent["to"] and phase is not None:
            return "done" if phase == "restarted" else "half_done"
        # Back at `from` after a restart is somebody's decision against ours.
        return "not_done" if live == intent["from"] and phase != "restarted" else "unknown"

    def _releases(self, params: ReleaseRollbackParams) -> ReleaseDirectory:
        return ReleaseDirectory(self._base / params.directory)

    def _obstacle(
        self, params: ReleaseRollbackParams, releases: ReleaseDirectory
    ) -> Refused | None:
        """What stands in the way whichever release we go back to."""
        if text := self.allowed(params):
            return NotReady("command_not_allowed", text)
        # Found out after the switch, this would leave the old process beside a new link.
        if text := why_not_runnable(params.restart, self._base):
            return NotReady("program_missing", text)
        if not os.path.isdir(releases.path):
            return NotReady("no_directory", f"there is no folder {releases.path}")
        if not releases.live():
            return NotReady("not_a_release_directory", releases.fault())
        if not os.access(releases.path, os.W_OK | os.X_OK):
            return _not_writable(releases, "no permission")
        return None

    async def _restart(
        self,
        params: ReleaseRollbackParams,
        releases: ReleaseDirectory,
        intent: Mapping[str, str],
        context: ActionContext,
    ) -> Outcome:
        before, after = intent["from"], intent["to"]

        async def began(process: int) -> None:
            # Without the mark a successor does not wait for it; no reason to fail.
            with suppress(OSError):
                await _to_the_end(
                    lambda: releases.write_phase(
                        context.token, before, after, "linked", mark_of(process)
                    )
                )

        context.must_act()
        ran = await run_argv(params.restart, params.restart_timeout, self._base, self._umask, began)
        live = await asyncio.to_thread(releases.live)
        facts = {"from": before, "to": after, "live": live, "output": ran.output}
        if live != after:
            text = (
                f"while {shown_command(params.restart)} ran, "
                f"somebody switched current to {live or '?'}"
            )
            return ending(result="unknown", reason="changed_meanwhile", detail=text, facts=facts)
        if ran.reason != "succeeded":
            late = ran.reason == "timeout"
            reason: ActionReason = "restart_timeout" if late else "restart_failed"
            text = f"current was switched from {before} to {after} and stays there, but {ran.text}"
            return ending(result="failed", reason=reason, detail=text, facts=facts)
        # The outcome goes to the journal anyway; this mark only spares a second restart after a
        # crash, so a full disk does not turn a success into a failure.
        with suppress(OSError):
            await _to_the_end(
                lambda: releases.write_phase(context.token, before, after, "restarted")
            )
        await context.progress("restarted")
        text = f"current was switched from {before} to {after}, and {ran.text}"
        return ending(result="done", reason="rolled_back", detail=text, facts=facts)


def _switch(releases: ReleaseDirectory, intent: Mapping[str, str], token: str) -> Outcome | str:
    """Compare and swap, or find it done: the progress to tell, or the outcome if all is over."""
    before, after = intent["from"], intent["to"]
    live, phase = releases.live(), releases.phase(token)
    if live == after and phase == "restarted":
        text = f"current was switched to {after} and restarted already"
        return ending(result="done", reason="rolled_back", detail=text, facts=dict(intent))
    if live == after and phase == "linked":
        return f"current → {after} already, going on with the restart"
    if live != before or phase == "restarted":
        return _changed_meanwhile(releases, before)
    if not releases.has(after):
        return as_outcome(_release_missing(releases, after))
    try:
        releases.write_phase(token, before, after, "linked")
        if not releases.switch(before, after):
            return _changed_meanwhile(releases, before)
    except OSError as error:
        text = (
            f"could not switch current from {before} to {after}: {error.strerror}; "
            f"it points to {releases.live() or 'no release'} now, and nothing was restarted"
        )
        return ending(result="failed", reason="switch_failed", detail=text, facts=dict(intent))
    return f"current → {after}"


async def _to_the_end(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread; a cancellation waits for its end, then goes on.

    The lock must not be given back while the thread is still switching.
    """
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


def _changed_meanwhile(releases: ReleaseDirectory, before: str) -> Outcome:
    live = releases.live() or "no release"
    text = (
        f"current pointed to {before} when this was decided, and points to {live} now: "
        "somebody else has switched it, so it was left alone"
    )
    return ending(result="refused", reason="changed_meanwhile", detail=text, facts={"live": live})


def _release_missing(releases: ReleaseDirectory, name: str) -> Refused:
    text = f"release {name!r} was healthy, but is no longer in {releases.path}/releases"
    return NotReady("release_missing", text)


def _not_writable(releases: ReleaseDirectory, why: str | None) -> Refused:
    text = f"the daemon may not write in {releases.path} ({why}), so it cannot switch current"
    return NotReady("not_writable", text)
