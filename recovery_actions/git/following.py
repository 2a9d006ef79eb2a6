"""One revert on its way: asked for or committed, merged, and live."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from daemon.core.ports.actions import ActionContext
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from daemon.core.values.units import format_duration
from recovery_actions.argocd import Argo
from recovery_actions.argocd_state import short
from recovery_actions.git.hosting import GitCommit, GitHost, GitRefusal, MergeRequest
from recovery_actions.git.params import GitRevertParams
from recovery_actions.git.reverting import BranchLook, look_at_branch
from recovery_actions.reasons import NotReady, as_outcome, ending

_MARK = "Stopgap-Step: "
"""How the last line of a commit of ours begins; the step's token follows."""


@dataclass(frozen=True)
class Merged:
    """The revert is on the branch, by that commit; `text` is for a sentence."""

    commit: str
    text: str


@dataclass
class RevertRun:
    """What the intent says, done by looking first: each call goes on from what is there.

    `trouble` is why nothing could be seen last; empty when all was well.
    """

    host: GitHost
    argo: Argo | None
    params: GitRevertParams
    intent: Mapping[str, str]
    context: ActionContext
    trouble: str = ""
    _request: MergeRequest | None = None
    _merged: Merged | None = None
    _waiting: str = field(default="not looked at")

    async def advance(self) -> Outcome | None:
        """Do what is next; the outcome when it is over. Raises as the host and Argo CD do, and
        Overtaken if all is to be looked at anew."""
        if self._merged is None:
            ended = await (self._commit() if self.params.direct else self._ask())
            if ended is not None:
                return ended
        live = self._merged is not None and await self.live(self._merged)
        self.trouble = ""
        return self._done() if live else None

    async def landed(self) -> Merged | None:
        """What has put the revert on the branch; None while nothing has."""
        if self.params.direct:
            ours = await self._committed()
            if ours is None:
                return None
            return Merged(ours.sha, f"{short(ours.sha)} is on {self.intent['onto']} ({ours.url})")
        request = await self.host.find_request(self.intent["branch"], self.intent["onto"])
        self._request = request or self._request
        if request is None or request.state != "merged":
            return None
        return Merged(request.commit, f"{request.title} is merged ({request.url})")

    async def asked(self) -> bool:
        """Whether a request, or at least its branch, was made."""
        return self._request is not None or bool(await self.host.branch(self.intent["branch"]))

    async def live(self, merged: Merged) -> bool:
        """Whether Argo CD has it live and healthy; without an application nobody can tell more
        than that it is merged."""
        if self.argo is None:
            return True
        seen = await self.argo.get(refresh=True)
        self._waiting = f"sync {seen.sync or '?'}, health {seen.health or '?'}"
        if seen.live is None or seen.operation.running or seen.health != "Healthy":
            return False
        for item in seen.live.item.split("+"):  # one for each source
            if await self.host.contains(item, merged.commit):
                return True
        return False

    def refused(self, why: NotReady) -> Outcome:
        """How it ends when the host, or Argo CD, will not go on."""
        if self._request is None and self._merged is None:
            return as_outcome(why, facts=self._facts())
        text = f"{self._stand()}, but what became of it cannot be seen: {why.text}"
        return ending(result="unknown", reason="lost_sight", detail=text, facts=self._facts())

    async def out_of_time(self, limit: timedelta) -> Outcome:
        """How it ends when the time is over."""
        spent, facts = format_duration(limit), self._facts()
        if self.trouble:
            text = f"{self._stand()}; nothing could be seen last: {self.trouble}"
            return ending(result="unknown", reason="lost_sight", detail=text, facts=facts)
        if self._merged is not None:
            text = f"{self._stand()}, but Argo CD has not brought it live within {spent} "
            text += f"({self._waiting}); look at {self.params.application} there, and sync it"
            return ending(result="failed", reason="not_synced", detail=text, facts=facts)
        text = f"{self._stand()}, and nobody has merged it within {spent}: nothing is live of it. "
        text += await self._advice()
        return ending(result="failed", reason="not_merged", detail=text, facts=facts)

    async def _advice(self) -> str:
        """What to do with a request that nobody has merged."""
        with suppress(Temporary, Permanent):
            found = await self._still_so()
            if isinstance(found, NotReady):
                return f"Close it, or look whether it still fits: {found.text}"
        return "Merge it if it is right, or close it"

    async def _ask(self) -> Outcome | None:
        """Look for the request, then for its branch; make what is missing."""
        told = self._request is not None
        self._merged = await self.landed()
        if self._request is None:
            branch, onto = self.intent["branch"], self.intent["onto"]
            if refused := await self._branch_of_ours(branch):
                return as_outcome(refused, facts=self._facts())
            title, _, text = self._message().partition("\n\n")
            text = f"{text}\nMerge this to restore service, or close it."
            try:
                self._request = await self.host.open_request(branch, onto, title, text)
            except GitRefusal as error:
                return await self._unasked(branch, onto, error)
        request = self._request
        if request.state == "closed":
            text = f"{request.title} was closed and not merged, so nothing was changed; whoever "
            text += f"closed it knows why: {request.url}"
            facts = self._facts()
            return ending(result="failed", reason="request_closed", detail=text, facts=facts)
        if not told and request.state == "open":
            text = f"{self._stand()}; it goes live when somebody merges it"
            await self.context.progress(f"{text}, and ends here if somebody closes it")
        if self._merged is not None:
            await self.context.progress(self._merged.text)
        return None

    async def _unasked(self, branch: str, onto: str, why: GitRefusal) -> Outcome:
        """How it ends when the branch is made and no request may be opened."""
        url = self.host.request_url(await self.host.repository(), branch, onto)
        text = f"the branch {branch} has the revert, but no request to merge it could be opened: "
        text += f"{why.text}. Nothing is live of it; open the request by hand: {url}"
        return ending(result="failed", reason=why.reason, detail=text, facts=self._facts())

    async def _branch_of_ours(self, branch: str) -> NotReady | None:
        """See that our branch is there with our commit, or why it cannot be."""
        tip = await self.host.branch(branch)
        if tip is None:
            found = await self._still_so()
            if isinstance(found, NotReady):
                return found
            changes = found.todo.changes
            await self.host.commit_to_new_branch(branch, found.head, self._message(), changes)
        elif not self._is_ours(tip):
            text = f"the branch {branch} of {self.params.repository} is not of this step; look at "
            return NotReady("branch_taken", f"{text}it, and delete it if it is nobody's")
        return None

    async def _commit(self) -> Outcome | None:
        """Look for our commit; make it if it is not there."""
        merged = await self.landed()
        if merged is None:
            found = await self._still_so()
            if isinstance(found, NotReady):
                return as_outcome(found, facts=self._facts())
            onto, changes = self.intent["onto"], found.todo.changes
            await self.host.commit_to_branch(onto, found.head, self._message(), changes)
            merged = await self.landed()
        if merged is None:
            raise Temporary(f"the commit is not yet seen on {self.intent['onto']}")
        self._merged = merged
        await self.context.progress(merged.text)
        return None

    def _done(self) -> Outcome:
        name = self.params.application
        after = f"{name} is live with it, and healthy in Argo CD" if name else ""
        after = after or "whoever deploys that branch brings it live, at the end of its interval"
        text = f"{short(self.intent['from'])} is reverted in {self.params.repository}: "
        text += f"{self._stand()}; {after}"
        return ending(result="done", reason="reverted_in_git", detail=text, facts=self._facts())

    async def _still_so(self) -> BranchLook | NotReady:
        repository = await self.host.repository()
        intent = self.intent
        return await look_at_branch(
            self.params, self.host, repository, intent["onto"], intent["to"], intent["from"]
        )

    async def _committed(self) -> GitCommit | None:
        newest = await self.host.newest(self.intent["onto"])
        return next((one for one in newest if self._is_ours(one)), None)

    def _is_ours(self, commit: GitCommit) -> bool:
        return f"{_MARK}{self.context.token}" in commit.message.splitlines()

    def _stand(self) -> str:
        """How far it is, for the beginning of a sentence."""
        if self._merged is not None:
            return self._merged.text
        if self._request is None:
            return "the revert was to be asked for"
        return f"{self._request.title} is open ({self._request.url})"

    def _message(self) -> str:
        intent, incident = self.intent, self.context.incident
        by = f"Stopgap asks for it in incident {incident}.\n\n" if incident else ""
        return (
            f'Revert "{intent["subject"]}"\n\n'
            f"The files that {intent['from']} changed since\n{intent['to']} go back to what they "
            f"were; nobody has changed them since.\n\n{by}{_MARK}{self.context.token}\n"
        )

    def _facts(self) -> dict[str, str]:
        facts = {key: self.intent[key] for key in ("from", "to", "onto")}
        return facts | ({"url": self._request.url} if self._request else {})
