"""`helm_rollback`: have Helm go back to a revision that was measured healthy.

    - action: helm_rollback
      with: {release: shop, namespace: prod}

Always to a revision by its number: without one, Helm goes to the last but one, even if that
failed. The settings must allow the whole command; the refusal says the line to add.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Temporary
from daemon.core.values.units import Duration
from recovery_actions.commands import (
    GRACE,
    CommandReason,
    Ran,
    run_argv,
    shown_command,
    why_not_allowed,
    why_not_runnable,
)
from recovery_actions.helm import (
    HelmForbidden,
    HelmPlace,
    HelmRevision,
    NoSuchRelease,
    changes,
    cluster_flags,
    release_history,
)
from recovery_actions.reasons import ActionReason, NotReady, as_outcome, ending
from recovery_actions.waiting import Countdown, Pause
from recovery_actions.workshop import NoSuchCluster, Workshop

_EVERY = timedelta(seconds=3)
"""Between two looks at a rollback that an earlier run has left behind."""
_GONE = frozenset({"uninstalled", "uninstalling"})
_FAILURES = ('Rollback "', 'Release "')
"""How Helm begins the description of a rollback that has failed."""
_FAILED: dict[CommandReason, ActionReason] = {
    "exit_status": "helm_failed",
    "timeout": "helm_timeout",
    "not_started": "not_started",
}


class HelmRollbackParams(HelmPlace):
    """`to_revision` is a revision that a person has chosen. `timeout` is Helm's own: for each
    hook, and for the pods to be ready.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"release": "checkout", "namespace": "prod"}]}
    )

    to_revision: int | None = Field(default=None, ge=1)
    timeout: Duration = Field(
        default=timedelta(minutes=5), ge=timedelta(seconds=1), le=timedelta(hours=1)
    )


class HelmRollback:
    """Go back to the newest revision that was measured healthy while it was live."""

    name = "helm_rollback"
    risk = (
        "can be undone by another rollback; all of the release goes back, its "
        "configuration too, and its hooks run"
    )
    Params: type[BaseModel] = HelmRollbackParams
    goes_back = True

    def __init__(self, workshop: Workshop, pause: Pause = asyncio.sleep) -> None:
        self._workshop = workshop
        self._pause = pause

    def allowed(self, params: HelmRollbackParams) -> str | None:
        """Why the settings do not allow the rollback, or None if they do. Looking is allowed."""
        revision = "*" if params.to_revision is None else str(params.to_revision)
        try:
            argv = self._argv(params, revision)
        except NoSuchCluster:
            return None  # it is not this list that says so
        return why_not_allowed(argv, self._workshop.commands)

    def target(self, params: HelmRollbackParams) -> str:
        """'helm:', the namespace and the release."""
        return params.target

    async def show(self, params: HelmRollbackParams, context: ActionContext) -> Mapping[str, str]:
        """The newest revisions, as Helm tells them; nothing if we may not run it."""
        if self._obstacle(params):
            return {}
        newest = (await release_history(params, self._workshop))[-5:]
        return {
            f"revision {one.number}": f"{one.status}, {one.chart}: {one.description}"
            for one in reversed(newest)
        }

    async def preflight(
        self, params: HelmRollbackParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `no_such_cluster`, `command_not_allowed`, `program_missing`,
        `no_such_release`, `forbidden`, `pending`, `no_history`, `changed_meanwhile` or
        `no_healthy_item`.
        """
        if refused := self._obstacle(params):
            return refused
        try:
            found = await release_history(params, self._workshop)
        except (NoSuchRelease, HelmForbidden) as error:
            return _unreadable(error)
        if refused := _unfit(params, found):
            return refused
        chosen = await _chosen(params, found, context)
        if isinstance(chosen, Refused):
            return chosen
        live = found[-1]
        argv = self._argv(params, str(chosen.number))
        return Ready(
            f"roll {params.release} back from {live.title} to {chosen.title} "
            f"by {shown_command(argv)}",
            {
                "from": live.item,
                "to": chosen.item,
                "revision": str(chosen.number),
                "last": str(live.number),
            },
        )

    async def run(
        self, params: HelmRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Roll back, and wait as Helm waits. Refuses as preflight does; fails with
        `helm_failed`, `helm_timeout` or `not_started`; `unknown` with `changed_meanwhile`.
        """
        if refused := self._obstacle(params):
            return as_outcome(refused)
        try:
            found = await self._ended(params, intent, context)
        except (NoSuchRelease, HelmForbidden) as error:
            return as_outcome(_unreadable(error))
        landed = _landed(found, intent)
        if landed == "done":
            text = f"{params.release} is rolled back already, as {found[-1].title}"
            return ending(result="done", reason="rolled_back", detail=text, facts=_facts(intent))
        if landed == "unknown":
            return as_outcome(_changed(params, found, intent))
        ours = found[-1].number > int(intent["last"])
        if not ours and (refused := _unfit(params, found)):
            return as_outcome(refused)
        if not any(str(one.number) == intent["revision"] and one.ran for one in found):
            text = f"Helm no longer keeps revision {intent['revision']} of {params.release}"
            return as_outcome(NotReady("no_healthy_item", text))
        argv = self._argv(params, intent["revision"])
        await context.progress(f"{shown_command(argv)} has been started")
        context.must_act()
        ran = await run_argv(argv, _longest(params), self._workshop.base, self._workshop.umask)
        return await self._judged(params, intent, ran)

    def lingers(self, params: HelmRollbackParams) -> timedelta:
        """Until Helm is ended, if whoever started it still lives."""
        return _longest(params) + GRACE

    async def check(
        self, params: HelmRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """By Helm's history: `half_done` while a rollback to that revision is pending there, or
        has failed there.
        """
        return _landed(await release_history(params, self._workshop), intent)

    def _argv(self, params: HelmRollbackParams, revision: str) -> list[str]:
        seconds = f"{round(params.timeout.total_seconds())}s"
        argv = [params.helm, "rollback", params.release, revision, "--namespace", params.namespace]
        return [*argv, "--wait", "--timeout", seconds, *cluster_flags(params, self._workshop)]

    def _obstacle(self, params: HelmRollbackParams) -> Refused | None:
        try:
            self._workshop.cluster_of(params.cluster)
        except NoSuchCluster as error:
            return NotReady("no_such_cluster", str(error))
        if text := self.allowed(params):
            return NotReady("command_not_allowed", text)
        if text := why_not_runnable([params.helm], self._workshop.base):
            return NotReady("program_missing", text)
        return None

    async def _ended(
        self, params: HelmRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> list[HelmRevision]:
        """The history, once a rollback that an earlier run of ours began is no longer pending.

        Helm may have outlived us, or died with the machine. When its time is over, it is dead.
        """
        patience = Countdown(params.timeout, _EVERY, self._pause)
        reported = False
        while True:
            found = await release_history(params, self._workshop)
            waiting = found[-1].pending and _landed(found, intent) == "half_done"
            if not waiting or not await patience.lasts():
                return found
            if not reported:
                await context.progress(f"{found[-1].title} is pending already, waiting for Helm")
            reported = True

    async def _judged(
        self, params: HelmRollbackParams, intent: Mapping[str, str], ran: Ran
    ) -> Outcome:
        facts = {**_facts(intent), **({"output": ran.output} if ran.output else {})}
        if ran.reason != "succeeded":
            text = ran.text
            if ran.reason != "not_started":
                text += f"; look what it left behind: helm history {params.release}"
                text += f" --namespace {params.namespace}"
            return ending(result="failed", reason=_FAILED[ran.reason], detail=text, facts=facts)
        try:
            found = await release_history(params, self._workshop)
        except (Temporary, NoSuchRelease, HelmForbidden):
            return ending(result="done", reason="rolled_back", detail=ran.text, facts=facts)
        if _landed(found, intent) != "done":
            refused = _changed(params, found, intent)
            return as_outcome(refused, "unknown", facts)
        text = f"{params.release} is back at {found[-1].title}: {ran.text}"
        return ending(result="done", reason="rolled_back", detail=text, facts=facts)


# ── what a history means ─────────────────────────────────────────────────────────────────────


def _landed(found: Sequence[HelmRevision], intent: Mapping[str, str]) -> Landed:
    since = [one for one in found if one.number > int(intent["last"])]
    if not since:
        return "not_done" if str(found[-1].number) == intent["last"] else "unknown"
    if not all(_ours(one, intent["revision"]) for one in since):
        return "unknown"
    return "done" if since[-1].status == "deployed" else "half_done"


def _ours(one: HelmRevision, revision: str) -> bool:
    """Whether it is what we have Helm do; whoever rolled back to the same has done it for us."""
    if one.status == "failed":
        return one.description.startswith(_FAILURES)
    return one.description == f"Rollback to {revision}"


def _unfit(params: HelmRollbackParams, found: Sequence[HelmRevision]) -> Refused | None:
    """What stands in the way whichever revision we go back to."""
    newest = found[-1]
    if newest.pending:
        text = (
            f"{newest.title} of {params.release} is {newest.status}: somebody is deploying, or "
            "Helm died over it; if nobody is, roll back by hand"
        )
        return NotReady("pending", text)
    if newest.status in _GONE:
        text = f"{params.release} in {params.namespace} is {newest.status}"
        return NotReady("no_such_release", text)
    if not any(one.ran and one.item != newest.item for one in found):
        text = f"Helm keeps no other revision of {params.release} that was rolled out to the end"
        return NotReady("no_history", text)
    return None


async def _chosen(
    params: HelmRollbackParams, found: Sequence[HelmRevision], context: ActionContext
) -> HelmRevision | Refused:
    """The revision to go back to."""
    live = found[-1]
    if context.expected not in {"", live.item, str(live.number)}:
        text = (
            f"revision {context.expected} was to be rolled back, but {live.title} is live; "
            "look who deployed"
        )
        return NotReady("changed_meanwhile", text)
    if params.to_revision is not None:
        good = [one for one in found[:-1] if one.number == params.to_revision and one.ran]
        text = f"revision {params.to_revision} is live, is gone, or was never rolled out"
        return good[0] if good else NotReady("no_healthy_item", text)
    candidate = await context.choose(live.item, changes(params.target, found))
    if candidate.reason == "no_healthy_item":
        return NotReady("no_healthy_item", candidate.text)
    good = [one for one in found if one.item == candidate.item and one.ran]
    if not good or candidate.item == live.item:
        text = f"revision {candidate.item} was healthy, but is live, is gone or failed in Helm"
        return NotReady("no_healthy_item", text)
    return good[-1]


def _changed(
    params: HelmRollbackParams, found: Sequence[HelmRevision], intent: Mapping[str, str]
) -> Refused:
    text = (
        f"revision {intent['last']} of {params.release} was live when this was decided, and "
        f"{found[-1].title} ({found[-1].status}: {found[-1].description}) is the newest now; "
        "look who deployed"
    )
    return NotReady("changed_meanwhile", text)


def _longest(params: HelmRollbackParams) -> timedelta:
    # Helm's timeout is for each of its steps, so it may well need more than one of them.
    return 2 * params.timeout + _EVERY


def _unreadable(error: NoSuchRelease | HelmForbidden) -> Refused:
    forbidden = isinstance(error, HelmForbidden)
    return NotReady("forbidden" if forbidden else "no_such_release", str(error))


def _facts(intent: Mapping[str, str]) -> dict[str, str]:
    return {key: intent[key] for key in ("from", "to", "revision")}
