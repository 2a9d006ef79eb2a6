"""The page of whoever is logged in: their logins and API tokens; an admin sees everybody's."""

from __future__ import annotations

from typing import Any, get_args

from aiohttp import web

from daemon.core.people.access import NEEDED, ApiToken, reaches
from daemon.core.people.scopes import SCOPES, Scope
from daemon.core.values.units import format_duration, parse_duration
from daemon.web.auth.csrf import checked_form
from daemon.web.auth.identity import Identity
from daemon.web.auth.tokens import LASTS, TokenRegistry
from daemon.web.errors import HttpProblem
from daemon.web.site.layout import Frame, to


class You:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        authenticator = frame.context.authenticator
        self._keyring = TokenRegistry(authenticator.credentials, authenticator.clock)

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/you", self.show),
            web.post("/you/tokens", self.create),
            web.post("/you/tokens/{id}/revoke", self.revoke),
            web.post("/you/sessions/{id}/end", self.end),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Everything of them."""
        who = await self._frame.visitor(request)
        return await self._page(request, who, 200)

    async def create(self, request: web.Request) -> web.Response:
        """A new token, on the only page that ever shows it."""
        who = await self._frame.visitor(request)
        given = await checked_form(request, who)
        known: tuple[Scope, ...] = get_args(Scope)
        scopes = [scope for scope in known if scope in given.get("scope", ())]
        name, lasts = (given.get(field, [""])[0].strip() for field in ("name", "expires"))
        try:
            token, secret = await self._keyring.create(
                who, name, scopes, parse_duration(lasts) if lasts else None
            )
        except HttpProblem as problem:
            return await self._page(request, who, problem.status, problem.detail, wish=name)
        except ValueError as error:
            return await self._page(request, who, 400, str(error), wish=name)
        return await self._page(request, who, 200, created=token, secret=secret)

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke a token."""
        who = await self._frame.visitor(request)
        await checked_form(request, who)
        await self._keyring.revoke(who, request.match_info["id"])
        return to("/you")

    async def end(self, request: web.Request) -> web.Response:
        """End a login."""
        who = await self._frame.visitor(request)
        await checked_form(request, who)
        await self._keyring.end(who, request.match_info["id"])
        return to("/you")

    async def _page(
        self,
        request: web.Request,
        who: Identity,
        status: int,
        trouble: str = "",
        *,
        wish: str = "",
        created: ApiToken | None = None,
        secret: str = "",
    ) -> web.Response:
        everybody = who.may("admin")
        context: dict[str, Any] = {
            "heading": "You and your access",
            "everybody": everybody,
            "sessions": await self._keyring.sessions(who, everybody=everybody),
            "tokens": await self._keyring.tokens(who, everybody=everybody),
            "scopes": {s: text for s, text in SCOPES.items() if reaches(who.access, NEEDED[s])},
            "lasts": format_duration(LASTS),
            "trouble": trouble,
            "wish": wish,
            "created": created,
            "secret": secret,
        }
        return await self._frame.page(request, who, "you.html", context, status)
