"""`git_revert`: ask for the revert of what brought the trouble, where Git says what is live.

    - action: git_revert
      with: {repository: acme/shop-deploy, application: checkout, paths: [apps/checkout]}
      within: 1h

Where Argo CD or Flux would undo a live change, what goes back is the repository: the files that
the suspect's commits changed get their former content, in one commit on a branch of its own, with a
pull request (GitHub) or merge request (GitLab). With `direct: true`, which stopgap.yaml must allow,
the commit goes to the branch itself. Nothing is forced, and nothing is touched that somebody has
changed since. To be asked for is not to be done: it is done when the request is merged and, with an
`application`, when Argo CD has brought it live. Until then it waits, as long as `within` allows;
without an `application` let the rule's `verify: settle` cover the interval of whoever deploys.

Safe to kill at every point, for all is looked for by the name of its branch, or by the last line of
its commit, before it is made:

    branch      request     it means                run, again
    none        none        nothing has happened    makes both
    ours        none        killed between          opens the request
    any         open        asked for               waits
    any         merged      it goes live            waits for Argo CD, or does nothing
    any         closed      somebody said no        fails
    another's   none        the name is taken       refuses
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Temporary
from daemon.core.values.units import printable
from recovery_actions.argocd import Argo, Unwilling, why_not_configured
from recovery_actions.argocd_state import Application, short
from recovery_actions.git.client import why_git_not_configured
from recovery_actions.git.following import RevertRun
from recovery_actions.git.github import GitHubRepository
from recovery_actions.git.gitlab import GitLabProject
from recovery_actions.git.hosting import GitCommit, GitHost, GitRefusal
from recovery_actions.git.params import GitRevertParams
from recovery_actions.git.reverting import (
    is_commit_id,
    listed_paths,
    look_at_branch,
    names_repository,
)
from recovery_actions.reasons import NotReady, as_outcome
from recovery_actions.waiting import Countdown, Pause
from recovery_actions.workshop import Workshop

_EVERY = timedelta(seconds=10)
"""Between two looks at a request that waits for its merge."""
_USUAL = timedelta(minutes=10)
_IN_TIME = 0.95
"""The part of `within` that is waited for; the rest is for the last word."""


@dataclass(frozen=True)
class _Span:
    """What is to be reverted: all between two commits."""

    before: str
    after: GitCommit


class GitRevert:
    """Bring the files back that the suspect's commits changed, by a request or by a commit."""

    name = "git_revert"
    risk = (
        "can be undone by reverting the revert; all that those commits changed in `paths` goes "
        "back, once it is merged"
    )
    Params: type[BaseModel] = GitRevertParams

    def __init__(self, workshop: Workshop, pause: Pause = asyncio.sleep) -> None:
        self._workshop = workshop
        self._pause = pause

    def allowed(self, params: GitRevertParams) -> str | None:
        """Which setting is missing or forbids it, or None."""
        refused = self._forbidden(params)
        return refused.text if refused else None

    def target(self, params: GitRevertParams) -> str:
        """The application's, which argocd_rollback shares; else 'git:' and the repository."""
        return params.place.target if params.place else f"git:{params.repository}"

    async def show(self, params: GitRevertParams, context: ActionContext) -> Mapping[str, str]:
        """The newest commit of the branch."""
        host = self._host(params, context)
        onto = params.branch or (await host.repository()).default_branch
        head = await host.branch(onto)
        return {onto: f"{short(head.sha)} {printable(head.subject)}" if head else "no branch"}

    async def preflight(self, params: GitRevertParams, context: ActionContext) -> Ready | Refused:
        """Refuses with `not_configured`, `repository_not_allowed`, `direct_not_allowed`,
        `forbidden`, `commit_unknown`, `commit_missing`, `not_on_branch`, `other_repository`,
        `no_such_application`, `no_history`, `no_healthy_item`, `changed_meanwhile`,
        `already_reverted`, `not_revertible` or `refused_by_git_host`.
        """
        if refused := self._forbidden(params):
            return refused
        host = self._host(params, context)
        try:
            repository = await host.repository()
            if not repository.writable:
                text = f"the token (git.token) may not push to {params.repository}, or that is "
                return NotReady("forbidden", f"{text}archived; give it the right to write")
            span = await self._span(params, context, host)
            if isinstance(span, Refused):
                return span
            onto = params.branch or repository.default_branch
            found = await look_at_branch(
                params, host, repository, onto, span.before, span.after.sha
            )
        except (GitRefusal, Unwilling) as error:
            return NotReady(error.reason, error.text)
        if isinstance(found, Refused):
            return found
        files = [one.path for one in found.todo.changes]
        way = f"by a commit on {onto}" if params.direct else f"by a request to merge onto {onto}"
        intent = {
            "from": span.after.sha,
            "to": span.before,
            "onto": onto,
            "branch": _branch_of(params, context, span),
            "subject": printable(span.after.subject)[:200],
        }
        return Ready(
            f"revert {short(span.after.sha)} ({printable(span.after.subject)[:100]}) in "
            f"{params.repository} back to {short(span.before)}: {listed_paths(files)}, {way}",
            intent,
            f"revert {short(span.after.sha)} in {params.repository}",
        )

    async def run(
        self, params: GitRevertParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """Ask for it, or commit it; then wait until it is merged, and live. Refuses as preflight
        does, and with `branch_taken`; fails with `request_closed`, `not_merged`, `not_synced` or
        `unreachable`; `unknown` with `lost_sight`.
        """
        if refused := self._forbidden(params):
            return as_outcome(refused)
        revert = self._revert(params, intent, context)
        limit = (context.within or _USUAL) * _IN_TIME
        patience = Countdown(limit, _EVERY, self._pause)
        while True:
            try:
                outcome = await revert.advance()
            except Temporary as error:
                outcome, revert.trouble = None, str(error)
            except (GitRefusal, Unwilling) as error:
                outcome = revert.refused(NotReady(error.reason, error.text))
            if outcome is not None:
                return outcome
            if not await patience.lasts():
                return await revert.out_of_time(limit)

    async def check(
        self, params: GitRevertParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """By the request, or by the commit on the branch; `half_done` while it waits for a merge or
        for Argo CD, and if it was closed."""
        revert = self._revert(params, intent, context)
        merged = await revert.landed()
        if merged is not None:
            return "done" if await revert.live(merged) else "half_done"
        return "half_done" if not params.direct and await revert.asked() else "not_done"

    def _revert(
        self, params: GitRevertParams, intent: Mapping[str, str], context: ActionContext
    ) -> RevertRun:
        host = self._host(params, context)
        return RevertRun(host, self._argo(params), params, intent, context)

    def _forbidden(self, params: GitRevertParams) -> NotReady | None:
        git = self._workshop.git
        if missing := why_git_not_configured(self._workshop):
            return NotReady("not_configured", missing)
        if params.place and (missing := why_not_configured(self._workshop)):
            return NotReady("not_configured", missing)
        if params.repository.lower() not in {one.lower() for one in git.allow}:
            text = f"{params.repository} is not in the list of allowed repositories; to allow it, "
            mend = f'add this line to stopgap.yaml under `git: allow:`  - "{params.repository}"'
            return NotReady("repository_not_allowed", text + mend)
        if params.direct and not git.direct:
            text = "`direct: true` commits without a request, which stopgap.yaml does not allow; "
            mend = "set `git: {direct: true}` there, or leave it out of the rule"
            return NotReady("direct_not_allowed", text + mend)
        return None

    def _host(self, params: GitRevertParams, context: ActionContext) -> GitHost:
        kind = GitLabProject if self._workshop.git.api == "gitlab" else GitHubRepository
        return kind(self._workshop, params.repository, context.must_act)

    def _argo(self, params: GitRevertParams) -> Argo | None:
        return Argo(self._workshop, params.place) if params.place else None

    # ── what is to be reverted ────────────────────────────────────────────────────────────────

    async def _span(
        self, params: GitRevertParams, context: ActionContext, host: GitHost
    ) -> _Span | Refused:
        """From which commit on, and up to which."""
        argo, before, after = self._argo(params), "", params.commit or ""
        if not after and argo is not None:
            chosen = await self._live_span(params, context, await argo.get())
            if isinstance(chosen, Refused):
                return chosen
            before, after = chosen
        suspect = context.suspect
        if not after and suspect is not None and is_commit_id(suspect.item):
            after = suspect.item
            before = suspect.previous if is_commit_id(suspect.previous) else ""
        if not after:
            text = "nothing tells which commit to revert: name `commit` or `application`, or have "
            return NotReady("commit_unknown", f"{text}changes reported with the commit as item")
        commit = await host.commit(after)
        if commit is None:
            text = f"there is no commit {short(after)} in {params.repository}; it may have been "
            return NotReady("commit_missing", f"{text}rewritten")
        before = before or next(iter(commit.parents), "")
        if not before:
            text = f"{short(commit.sha)} is the first commit of {params.repository}: nothing was "
            return NotReady("not_revertible", f"{text}there before it")
        if not await host.contains(commit.sha, before):
            text = f"{short(commit.sha)} does not come after {short(before)} in {params.repository}"
            return NotReady("not_revertible", f"{text}; somebody has rewritten it, revert by hand")
        return _Span(before, commit)

    async def _live_span(
        self, params: GitRevertParams, context: ActionContext, seen: Application
    ) -> tuple[str, str] | Refused:
        """What Argo CD has live, and what was live and healthy before."""
        live = seen.live
        if live is None:
            text = f"Argo CD has no history of {params.application}, so nothing to go back to"
            return NotReady("no_history", text)
        if context.expected not in {"", live.item}:
            text = f"{short(context.expected)} was to be reverted, but {short(live.item)} is live "
            return NotReady("changed_meanwhile", f"{text}in Argo CD; look who synced")
        if live.repository and not names_repository(live.repository, params.repository):
            text = f"{params.application} is deployed from {printable(live.repository)}, not from "
            return NotReady("other_repository", f"{text}{params.repository}")
        candidate = await context.choose(live.item, seen.changes(self.target(params)))
        if candidate.reason == "no_healthy_item":
            return NotReady("no_healthy_item", candidate.text)
        for item in (live.item, candidate.item):
            if not is_commit_id(item):
                text = f"{short(item)} is no commit (a chart, or several sources); name `commit`"
                return NotReady("commit_unknown", text)
        return candidate.item, live.item


def _branch_of(params: GitRevertParams, context: ActionContext, span: _Span) -> str:
    """The branch's name: the same whenever the same step reverts the same."""
    identity = "\n".join((context.token, params.repository, span.before, span.after.sha))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:10]
    readable = re.sub("[^A-Za-z0-9]+", "-", context.incident).strip("-")[:60] or "incident"
    return f"stopgap/revert-{readable}-{digest}"
