"""`daemon.core.people.access.Credentials`, `signing_keys.Keys` and `AssistantLog` in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from daemon.core.people.access import ApiToken, Session
from daemon.core.people.signing_keys import SigningKey, SigningKeys
from daemon.core.ports.assistants import AssistantCall
from daemon.core.values.outcome import Temporary


class MemoryCredentials:
    """Sessions by id, tokens by hash. `failing`: the store does not answer; `full`: it cannot
    write."""

    def __init__(self) -> None:
        self.kept: dict[str, Session] = {}
        self.known: dict[str, ApiToken] = {}
        self.failing = False
        self.full = False

    async def begin_session(self, session: Session) -> None:
        self._may_fail(writes=True)
        over = [each.id for each in self.kept.values() if each.ends_at <= session.started_at]
        for id_ in over:
            del self.kept[id_]
        self.kept[session.id] = session

    async def session(self, id: str, now: datetime) -> Session | None:  # noqa: A002
        self._may_fail()
        session = self.kept.get(id)
        return session if session is not None and session.ends_at > now else None

    async def sessions(self, now: datetime, person: str | None = None) -> list[Session]:
        self._may_fail()
        found = [s for s in self.kept.values() if s.ends_at > now and person in {None, s.person}]
        found.sort(key=lambda s: s.id)
        return sorted(found, key=lambda s: s.started_at, reverse=True)

    async def end_session(self, id: str) -> bool:  # noqa: A002
        self._may_fail(writes=True)
        return self.kept.pop(id, None) is not None

    async def add_token(self, token: ApiToken, digest: str) -> None:
        self._may_fail(writes=True)
        self.known[digest] = token

    async def token(self, digest: str) -> ApiToken | None:
        self._may_fail()
        return self.known.get(digest)

    async def tokens(self, person: str | None = None) -> list[ApiToken]:
        self._may_fail()
        live = [t for t in self.known.values() if t.revoked_at is None]
        found = sorted((t for t in live if person in {None, t.person}), key=lambda t: t.id)
        return sorted(found, key=lambda t: t.created_at, reverse=True)

    async def revoke_token(self, id: str, by: str, at: datetime) -> bool:  # noqa: A002
        self._may_fail(writes=True)
        for digest, token in self.known.items():
            if token.id == id and token.revoked_at is None:
                self.known[digest] = replace(token, revoked_at=at, revoked_by=by)
                return True
        return False

    async def used_token(self, id: str, on: date) -> None:  # noqa: A002
        self._may_fail(writes=True)
        for digest, token in self.known.items():
            if token.id == id:
                self.known[digest] = replace(token, used_on=on)

    def _may_fail(self, *, writes: bool = False) -> None:
        if self.failing or (self.full and writes):
            raise Temporary("the disk of the store is full")


def keys_of(secret: str, **more: Any) -> SigningKeys:
    """The one key of a store."""
    return SigningKeys(keys=(SigningKey(id="0123abcd", secret=secret, **more),))


class MemoryKeys:
    """Keys that are rotated one by one; `failing`: the store does not answer."""

    def __init__(self) -> None:
        self.current = keys_of("a key of the store")
        self.failing = False

    async def rotate(
        self, by: str, now: datetime, *, revoke: bool, longest: timedelta
    ) -> SigningKeys:
        if self.failing:
            raise Temporary("the store cannot be written")
        number = len(self.current.keys)
        new = SigningKey(id=f"{number:08x}", secret=f"key {number}", made_at=now, made_by=by)
        self.current = self.current.rotated(new, revoke=revoke, longest=longest)
        return self.current


class MemoryAssistantLog:
    """The calls of assistants, the oldest first. `failing`: the store does not take them."""

    def __init__(self) -> None:
        self.calls: list[AssistantCall] = []
        self.failing = False

    async def note(self, call: AssistantCall) -> None:
        if self.failing:
            raise Temporary("the store does not answer")
        self.calls.append(call)

    async def newest(self, limit: int) -> list[AssistantCall]:
        return self.calls[::-1][:limit]
