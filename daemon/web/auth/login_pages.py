"""Logging in with a name and a password or token, and logging out."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from aiohttp import web

from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.csrf import local_path
from daemon.web.auth.password_login import Proving
from daemon.web.body import form
from daemon.web.errors import HttpProblem, problem_answer
from daemon.web.site.layout import SITE_HEADERS, to
from daemon.web.site.templates import rendered


class LoginPages:
    """The routes."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._proving = Proving(authenticator)

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [
            web.get("/login", self.show),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """The form; whoever is logged in already goes on."""
        path = local_path(request.query.get("next", "/"))
        try:
            await self._authenticator.identify(request)
        except HttpProblem as problem:
            trouble = problem.detail if problem.status == 403 else ""
            return login_page(self._authenticator, 200, path, trouble=trouble)
        return to(path)

    async def log_in(self, request: web.Request) -> web.Response:
        """Begin a session. A browser gets the form again, and a program a problem document."""
        given = {name: values[0] for name, values in (await form(request)).items()}
        name, path = given.get("name", "").strip(), local_path(given.get("next", "/"))
        try:
            self._authenticator.browser.check_site(request)
            login = await self._proving.prove(
                name, given.get("secret", ""), self._authenticator.address(request)
            )
        except HttpProblem as problem:
            if "application/json" in request.headers.get("Accept", ""):
                return problem_answer(problem)
            response = login_page(self._authenticator, problem.status, path, problem.detail, name)
            response.headers.update(problem.headers)
            return response
        response = to(path)
        await self._authenticator.begin(request, response, login)
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """End the session of this browser."""
        response = to("/login")
        try:
            who = await self._authenticator.identify(request)
        except HttpProblem as problem:
            if problem.status != 401:
                raise
        else:
            await self._authenticator.end(request, who)
        self._authenticator.browser.drop(response)
        return response


def login_page(
    authenticator: Authenticator,
    status: int,
    path: str,
    trouble: str = "",
    name: str = "",
) -> web.Response:
    """The form, and what went wrong. `path`: where it goes on to, a path of our own."""
    oidc = authenticator.settings.oidc
    context = {
        "heading": "Log in",
        "trouble": trouble,
        "name": name,
        "next": path,
        "provider": "" if oidc is None else urlsplit(oidc.issuer).netloc,
        "provider_link": f"/login/oidc?{urlencode({'next': path})}",
    }
    response = rendered("login.html", context, status)
    response.headers.update(SITE_HEADERS)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
