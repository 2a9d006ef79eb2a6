"""`argocd_rollback`: have Argo CD sync an application back to what was measured healthy.

    - action: argocd_rollback
      with: {application: checkout}

Git still says the new revision afterwards, so the application is OutOfSync until somebody
reverts there; with auto-sync on, Argo CD refuses, and so do we. An application that an
ApplicationSet generates is left alone, too: its controller sets the spec back, and may sync it
anew. For both, `git_revert` is the way. The preflight has Argo CD try it as a dry run, which it
shows as an operation of the application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Result, Temporary
from daemon.core.values.units import Duration, format_duration
from recovery_actions.argocd import (
    Argo,
    ArgoCDPlace,
    RequestUncertain,
    Unwilling,
    why_not_configured,
)
from recovery_actions.argocd_follow import (
    SYNC_EVERY,
    displaced,
    follow_sync,
    landed,
    moved,
    under_way,
)
from recovery_actions.argocd_state import Application, Deployment, short
from recovery_actions.reasons import NotReady, as_outcome, ending
from recovery_actions.waiting import Countdown, Pause
from recovery_actions.workshop import Workshop

DRY_RUN = timedelta(minutes=1)
"""How long a dry run may take."""


class ArgoCDRollbackParams(ArgoCDPlace):
    """`to_id` is an entry of the application's history that a person has chosen. `prune` deletes
    what the older revision does not have.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"application": "checkout"}]})

    to_id: int | None = Field(default=None, ge=0)
    prune: bool = False
    timeout: Duration = Field(default=timedelta(minutes=5), gt=timedelta(0))


class ArgoCDRollback:
    """Go back to the newest revision that was measured healthy while it was live."""

    name = "argocd_rollback"
    risk = "can be undone by a sync; all of the application goes back, its configuration too"
    Params: type[BaseModel] = ArgoCDRollbackParams
    goes_back = True

    def __init__(self, workshop: Workshop, pause: Pause = asyncio.sleep) -> None:
        self._workshop = workshop
        self._pause = pause

    def allowed(self, params: ArgoCDRollbackParams) -> str | None:
        """Which setting of Argo CD is missing, or None."""
        return why_not_configured(self._workshop)

    def target(self, params: ArgoCDRollbackParams) -> str:
        """'argocd:' and the application."""
        return params.target

    async def show(self, params: ArgoCDRollbackParams, context: ActionContext) -> Mapping[str, str]:
        """The live revision, health, sync state and the last operation."""
        seen = await self._argo(params, context).get()
        operation = f"{seen.operation.phase} {seen.operation.message}".strip()
        live = f"{seen.live.item}, history id {seen.live.id}" if seen.live else "nothing"
        shown = {"live": live, "health": seen.health, "sync": seen.sync, "operation": operation}
        return {key: value for key, value in shown.items() if value}

    async def preflight(
        self, params: ArgoCDRollbackParams, context: ActionContext
    ) -> Ready | Refused:
        """Refuses with `not_configured`, `forbidden`, `no_such_application`,
        `managed_by_applicationset`, `auto_sync`, `operation_running`, `no_history`,
        `changed_meanwhile`, `no_healthy_item`, `dry_run_failed` or `refused_by_argocd`.
        """
        argo = self._argo(params, context)
        try:
            seen = await argo.get()
            if refused := _obstacle(params, seen):
                return refused
            chosen = await self._chosen(params, seen, context)
            if isinstance(chosen, Refused):
                return chosen
            if refused := await self._dry_run(argo, params, chosen):
                return refused
        except Unwilling as error:
            return _why(params, error)
        live = seen.history[-1]
        return Ready(
            f"have Argo CD sync {params.application} from {short(live.item)} back to "
            f"{short(chosen.item)} (history id {chosen.id})",
            {"from": live.item, "to": chosen.item, "id": str(chosen.id), "last": str(live.id)},
        )

    async def run(
        self, params: ArgoCDRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Order the rollback, then wait until it is live and healthy. Refuses as preflight does;
        fails with `not_accepted`, `sync_failed`, `not_healthy` or `reverted`; `unknown` with
        `timeout` or `lost_sight`.
        """
        argo = self._argo(params, context)
        try:
            seen = await argo.get()
            if landed(seen, intent) == "unknown":
                return displaced(params, seen, intent, "refused", "changed_meanwhile")
            if not under_way(seen, intent):
                if refused := _obstacle(params, seen) or moved(params, seen, intent):
                    return as_outcome(refused)
                if missed := await self._order(argo, params, intent):
                    return missed
            await context.progress(f"Argo CD syncs {params.application} to {short(intent['to'])}")
        except Unwilling as error:
            refused = _why(params, error)
            return as_outcome(refused)
        return await follow_sync(
            argo, params, intent, context.progress, params.timeout, self._pause
        )

    async def check(
        self, params: ArgoCDRollbackParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """By the history and the operation: `half_done` while ours goes on or has failed."""
        return landed(await self._argo(params, context).get(), intent)

    def _argo(self, params: ArgoCDRollbackParams, context: ActionContext) -> Argo:
        return Argo(self._workshop, params, context.must_act)

    async def _chosen(
        self, params: ArgoCDRollbackParams, seen: Application, context: ActionContext
    ) -> Deployment | Refused:
        """The entry of the history to go back to."""
        live = seen.history[-1]
        if context.expected not in {"", live.item}:
            text = (
                f"{short(context.expected)} was to be rolled back, but {short(live.item)} is live "
                "in Argo CD; look who synced"
            )
            return NotReady("changed_meanwhile", text)
        if params.to_id is not None:
            found = [entry for entry in seen.history if entry.id == params.to_id]
            if not found or found[0] is live:
                why = "is live already" if found else "is not in the history of Argo CD"
                return NotReady("no_healthy_item", f"history id {params.to_id} {why}")
            return found[0]
        candidate = await context.choose(live.item, seen.changes(self.target(params)))
        if candidate.reason == "no_healthy_item":
            return NotReady("no_healthy_item", candidate.text)
        found = [entry for entry in seen.history if entry.item == candidate.item]
        if not found or candidate.item == live.item:
            why = "is live already" if found else "is no longer in the history of Argo CD"
            return NotReady("no_healthy_item", f"{short(candidate.item)} was healthy, but {why}")
        return found[-1]

    async def _dry_run(
        self, argo: Argo, params: ArgoCDRollbackParams, chosen: Deployment
    ) -> Refused | None:
        """Whether Argo CD could do it: the revision exists still, and its manifests are valid."""
        seen = await argo.rollback(chosen.id, prune=params.prune, dry=True)
        patience = Countdown(DRY_RUN, SYNC_EVERY, self._pause)
        while seen.operation.running:
            if not await patience.lasts():
                limit = format_duration(DRY_RUN)
                text = f"the dry run of {params.application} did not end within {limit}"
                return NotReady("dry_run_failed", text)
            seen = await argo.get()
        if seen.operation.phase == "Succeeded":
            return None
        what = f"{seen.operation.phase} {seen.operation.message}".strip()
        text = f"the dry run of going back to {short(chosen.item)} ended with {what or 'nothing'}"
        return NotReady("dry_run_failed", text)

    async def _order(
        self, argo: Argo, params: ArgoCDRollbackParams, intent: Mapping[str, str]
    ) -> Outcome | None:
        """Order it once. An order without an answer may have been taken: look instead."""
        try:
            await argo.rollback(int(intent["id"]), prune=params.prune, dry=False)
        except Temporary as error:
            try:
                if under_way(await argo.get(), intent):
                    return None
            except Temporary:
                text = f"it was ordered, but nobody knows whether Argo CD took it: {error}"
                return ending(result="unknown", reason="lost_sight", detail=text)
            late = isinstance(error, RequestUncertain)
            text = f"Argo CD has not taken the order{' so far' if late else ''}: {error}"
            result: Result = "unknown" if late else "failed"
            return ending(result=result, reason="not_accepted", detail=text)
        return None


def _obstacle(params: ArgoCDRollbackParams, seen: Application) -> Refused | None:
    """What stands in the way whichever revision we go back to."""
    if seen.generated_by:
        return _generated(params, seen)
    if seen.auto_sync:
        return _auto_sync(params)
    if seen.operation.running:
        what = f"{seen.operation.phase} {seen.operation.message}".strip()
        text = f"an operation of {params.application} goes on in Argo CD: {what}"
        return NotReady("operation_running", f"{text}; wait for its end, or terminate it there")
    if seen.live is None:
        text = f"Argo CD has no history of {params.application}, so nothing to go back to"
        return NotReady("no_history", text)
    return None


def _auto_sync(params: ArgoCDRollbackParams) -> Refused:
    text = (
        f"auto-sync is on for {params.application}, so Argo CD refuses rollbacks and would undo "
        f"them; {_in_git(params)}, or first switch it off: "
        f"argocd app set {params.application} --sync-policy none"
    )
    return NotReady("auto_sync", text)


def _generated(params: ArgoCDRollbackParams, seen: Application) -> Refused:
    text = (
        f"{params.application} is generated by the ApplicationSet {seen.generated_by}, whose "
        "controller sets the application's spec back (auto-sync that was switched off, too) and "
        f"may sync the new revision again; {_in_git(params)}"
    )
    return NotReady("managed_by_applicationset", text)


def _in_git(params: ArgoCDRollbackParams) -> str:
    return f"revert it in Git: git_revert with `application: {params.application}`"


def _why(params: ArgoCDRollbackParams, error: Unwilling) -> Refused:
    return _auto_sync(params) if error.reason == "auto_sync" else NotReady(error.reason, error.text)
