"""What actions are built with: the settings they may need, and clients that are made on demand.

The composition root makes one workshop, hands it to every action, and closes it at the end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import aiohttp

from daemon.adapters.outgoing.sessions import outgoing_session
from daemon.core.values.outcome import Permanent
from daemon.core.values.outgoing import NOTHING_ALLOWED, OutgoingPolicy

_T = TypeVar("_T")


def _no_secrets(reference: str) -> str:
    raise Permanent(f"the secret {reference} cannot be read here")


class NoSuchCluster(Permanent):
    """The settings have no cluster of that name."""


@dataclass(frozen=True)
class Cluster:
    """Where Kubernetes is: `kubernetes:` of stopgap.yaml, or one of `clusters:` in it."""

    kubeconfig: Path | None = None
    context: str | None = None
    timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True)
class ArgoCD:
    """Where Argo CD is: `argocd:` of stopgap.yaml. `token` is a reference to a secret."""

    url: str | None = None
    token: str | None = None
    timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True)
class GitHosting:
    """Where the GitOps repositories are: `git:` of stopgap.yaml. `token` is a reference to a
    secret; `allow` lists the only repositories that may be changed; `direct`: by a commit on their
    branch, too."""

    api: Literal["github", "gitlab"] | None = None
    url: str | None = None
    token: str | None = None
    allow: Sequence[str] = ()
    direct: bool = False
    timeout: timedelta = timedelta(seconds=10)


@dataclass
class Workshop:
    """`base` is the folder of stopgap.yaml, against which relative paths are resolved.

    `cluster` is the one of whoever names none, `clusters` are those that can be named.
    `commands` and `hosts` are what the settings allow; `options` maps an action's name to its
    part of `actions:`. `umask` is that of the commands; -1 is our own, which keeps what we write
    to ourselves. `secret` reads `env:NAME` or `file:PATH` and raises Permanent without
    telling the content; call it as late as possible, and keep what it gives out of every text.
    `outgoing` is where connections may lead; `session` keeps to it.
    """

    base: Path
    commands: Sequence[Sequence[str]] = ()
    hosts: Sequence[str] = ()
    cluster: Cluster = Cluster()
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    argocd: ArgoCD = ArgoCD()
    git: GitHosting = GitHosting()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    umask: int = -1
    secret: Callable[[str], str] = _no_secrets
    outgoing: OutgoingPolicy = NOTHING_ALLOWED
    _session: aiohttp.ClientSession | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _shared: dict[object, object] = field(default_factory=dict)

    def cluster_of(self, name: str | None) -> Cluster:
        """The cluster of that name. Raises NoSuchCluster."""
        if not name:
            return self.cluster
        if name not in self.clusters:
            known = ", ".join(sorted(self.clusters)) or "none"
            text = f"there is no {name!r} in `kubernetes.clusters` of stopgap.yaml"
            raise NoSuchCluster(f"{text}; known: {known}")
        return self.clusters[name]

    def session(self) -> aiohttp.ClientSession:
        """One HTTP client for all actions, made when it is first asked for; needs a loop.

        It keeps no cookies, which would carry something from one incident into the next.
        """
        if self._session is None or self._session.closed:
            jar = aiohttp.DummyCookieJar()
            self._session = outgoing_session(self.outgoing, cookie_jar=jar)
            self._stack.push_async_callback(self._session.close)
        return self._session

    def shared(self, make: Callable[[Workshop], _T]) -> _T:
        """What `make` builds of this workshop: built once, for all who ask by the same `make`."""
        if make not in self._shared:
            self._shared[make] = make(self)
        return cast(_T, self._shared[make])

    def on_close(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have something closed together with the workshop, the last first."""
        self._stack.push_async_callback(callback)

    async def close(self) -> None:
        """Close what was made. What is asked for afterwards is made anew."""
        await self._stack.aclose()
        self._session = None
