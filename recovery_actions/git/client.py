"""Asks the REST API of a Git host in JSON. No text that comes of it names the token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from daemon.core.ports.actions import may_always
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from recovery_actions.addresses import sendable
from recovery_actions.git.hosting import GitRefusal
from recovery_actions.http_exchange import Lost, NotSent, exchange, quoted
from recovery_actions.workshop import Workshop

_MOST = 16 << 20
"""Bytes of an answer beyond which it is not read; the list of all files can be large."""

_DEFAULT_URLS = {"github": "https://api.github.com", "gitlab": "https://gitlab.com"}


def why_git_not_configured(workshop: Workshop) -> str | None:
    """Which setting is missing, or None."""
    missing = [name for name in ("api", "token") if not getattr(workshop.git, name)]
    if not missing:
        return None
    return f"no Git host is known: set {' and '.join(missing)} under `git:` in stopgap.yaml"


@dataclass(frozen=True)
class GitAnswer:
    """The status, and the JSON of the body; None if it is none."""

    status: int
    content: Any

    @property
    def message(self) -> str:
        """What an answer that is no success says, in one line. GitLab has lists and mappings there,
        GitHub a list of errors beside it."""
        if not isinstance(self.content, Mapping):
            return ""
        errors = self.content.get("errors")
        listed = errors if isinstance(errors, list) else []
        said = [self.content.get("message") or self.content.get("error")]
        said += [one.get("message") if isinstance(one, Mapping) else one for one in listed]
        texts = (one if isinstance(one, str) else json.dumps(one) for one in said if one)
        return " ".join(printable("; ".join(texts)).split())


class GitClient:
    """The API of the host of stopgap.yaml; `who` is its name in sentences. Right before each
    request that changes something `must_act` is asked."""

    def __init__(
        self,
        workshop: Workshop,
        who: str,
        header: str,
        form: str,
        root: str = "",
        must_act: Callable[[], None] = may_always,
    ) -> None:
        self.who = who
        self._must_act = must_act
        self._workshop = workshop
        self._header = header
        self._form = form
        self._root = root

    async def get(self, path: str, /, **query: str) -> Any:
        """What stands at a path; None for 404. Raises Temporary and GitRefusal."""
        answer = await self.ask("GET", path, query=query)
        if answer.status == 404:
            return None
        return self.content(answer)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
    ) -> GitAnswer:
        """Send one request. Raises Temporary, also if nobody knows whether it arrived (then look),
        and GitRefusal without settings."""
        git = self._workshop.git
        if obstacle := why_git_not_configured(self._workshop):
            raise GitRefusal("not_configured", obstacle)
        token = self._workshop.secret(git.token or "").strip()
        if not sendable(token):
            raise Permanent(f"what {git.token} holds (git.token) cannot be sent in a header")
        base = (git.url or _DEFAULT_URLS[git.api or "github"]).rstrip("/") + self._root
        url = f"{base}{path}{'?' + urlencode(query) if query else ''}"
        headers = {
            "Accept": "application/json",
            "User-Agent": "stopgap",
            self._header: self._form.format(token),
        }
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if method != "GET":
            self._must_act()
        try:
            answer = await exchange(
                self._workshop.session(), method, url, headers, content, git.timeout, _MOST + 1
            )
        except NotSent as error:
            raise Temporary(f"{self.who} cannot be reached: {error}") from None
        except Lost as error:
            raise Temporary(f"{self.who} did not answer: {error}") from None
        if len(answer.body) > _MOST:
            text = (
                f"{self.who} answered with more than {_MOST >> 20} MB, which is never read: name "
            )
            text += "the folders in `paths`, or revert by hand what is that large"
            raise GitRefusal("not_revertible", text)
        try:
            parsed = json.loads(answer.body.replace(token.encode(), b"..."))
        except (ValueError, RecursionError):
            parsed = None
        return GitAnswer(answer.status, parsed)

    def content(self, answer: GitAnswer) -> Any:
        """What a success answered. Raises what anything else means."""
        if 200 <= answer.status < 300 and answer.content is not None:
            return answer.content
        raise self._refusal(answer)

    def _refusal(self, answer: GitAnswer) -> Temporary | GitRefusal:
        """What an answer that is no success means."""
        message = quoted(answer.message, ())
        text = f"{self.who} answered {answer.status}{f': {message}' if message else ''}"
        limited = answer.status == 403 and "rate limit" in message.lower()
        if answer.status in {408, 429} or answer.status >= 500 or limited:
            return Temporary(text)
        if answer.content is None or 300 <= answer.status < 400:
            mend = "look at git.url in stopgap.yaml, and whether the repository has moved"
            return GitRefusal("refused_by_git_host", f"{text}, which is not its API; {mend}")
        if answer.status == 401:
            mend = "its token (git.token) is wrong or expired"
            return GitRefusal("forbidden", f"{text}; {mend}")
        if answer.status in {403, 404}:
            mend = "the token (git.token) has to read and write the repository and its requests"
            return GitRefusal("forbidden", f"{text}; {mend}")
        return GitRefusal("refused_by_git_host", text)
