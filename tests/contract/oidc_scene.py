"""A provider of OpenID Connect, our side of it, and somebody who logs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

from daemon.adapters.oidc import OpenIdProvider
from daemon.config.auth import AuthSettings
from tests.contract.rig import Rig, rigged
from tests.contract.visitor import PLAIN, Seen, Visitor
from tests.doubles.oidc import CLIENT, SECRET, Provider
from tests.fakes import START

ADA = {"email": "ada@example.org", "email_verified": True}


@dataclass
class Scene:
    """The provider, and our side of it."""

    there: Provider
    rig: Rig

    async def logs_in(
        self, visitor: Visitor | None = None, path: str = "/you", **claims: Any
    ) -> Seen:
        """The whole way; the answer to the browser that came back."""
        visitor = visitor or Visitor(self.rig)
        seen = await visitor.opens(f"/login/oidc?{urlencode({'next': path})}")
        return await visitor.opens(self.there.agrees(seen.went_to, **(claims or ADA)))

    async def refused(self, **claims: Any) -> str:
        """It comes to no login; what the page says."""
        visitor = Visitor(self.rig)
        seen = await self.logs_in(visitor, **claims)
        assert seen.status in {403, 503}, seen.text
        assert visitor.cookies == {}
        assert self.rig.credentials.kept == {}
        assert SECRET not in seen.text
        return seen.page


@asynccontextmanager
async def scene(secret: str | None = SECRET, **options: Any) -> AsyncIterator[Scene]:
    """`options`: of `auth.oidc`."""
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(Provider(START).serving())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        given = {"issuer": there.url, "client_id": CLIENT, **options}
        settings = AuthSettings.model_validate({"oidc": given})
        assert settings.oidc is not None
        provider = OpenIdProvider(session, there.url, CLIENT, secret, settings.oidc.scopes)
        rig = await stack.enter_async_context(rigged(settings, provider, PLAIN))
        people = dict(rig.roster.people)
        for name, identity in {"ada": "ada@example.org", "bo": "Bo@Example.org"}.items():
            known_as = people[name].known_as.model_copy(update={"oidc": identity})
            people[name] = people[name].model_copy(update={"known_as": known_as})
        rig.roster = rig.roster.model_copy(update={"people": people})
        yield Scene(there, rig)
