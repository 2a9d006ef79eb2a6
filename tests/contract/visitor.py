"""A browser as far as it matters for logins: cookies, forms, and what it says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from daemon.core.people.access import ApiToken, hash_of
from daemon.core.people.scopes import Scope
from daemon.web.site.layout import SITE_HEADERS
from tests.contract.rig import CHEAP, Rig

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PASSWORD = "correct horse battery"
PLAIN = "http://stopgap.test"
"""Where a rig without https is."""


@dataclass
class Seen:
    """An answer."""

    status: int
    text: str
    headers: Any
    set_cookies: dict[str, Morsel[str]]

    @property
    def went_to(self) -> str:
        """Where a redirect leads; it is one."""
        assert self.status == 303, self.text
        return str(self.headers["Location"])

    @property
    def page(self) -> str:
        """The page, once it is sure that it has the headers of one."""
        assert self.headers["Content-Type"] == "text/html; charset=utf-8"
        assert {name: self.headers[name] for name in SITE_HEADERS} == SITE_HEADERS
        return self.text


@dataclass
class Visitor:
    """Follows no redirect; keeps cookies whatever their attributes say."""

    rig: Rig
    cookies: dict[str, str] = field(default_factory=dict)

    async def asks(
        self, method: str, path: str, headers: dict[str, str] | None = None, data: Any = None
    ) -> Seen:
        """Any request."""
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**({"Cookie": jar} if jar else {}), **(headers or {})}
        answer = await self.rig.client.request(
            method, path, headers=sent, data=data, allow_redirects=False
        )
        text = await answer.text()
        new: dict[str, Morsel[str]] = {}
        for header in answer.headers.getall("Set-Cookie", ()):
            new.update(SimpleCookie(header))
        for name, morsel in new.items():
            self.cookies[name] = morsel.value
            if morsel["max-age"] == "0":
                del self.cookies[name]
        return Seen(answer.status, text, answer.headers, new)

    async def opens(self, path: str, headers: dict[str, str] | None = None) -> Seen:
        """GET."""
        return await self.asks("GET", path, headers)

    async def sends(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Seen:
        """A form is posted."""
        body = urlencode(fields, doseq=True)
        return await self.asks("POST", path, {**FORM, **(headers or {})}, body)

    async def logs_in(
        self, name: str = "ada", secret: str = PASSWORD, next_: str = "/you", **headers: str
    ) -> Seen:
        """The login form."""
        fields = {"name": name, "secret": secret, "next": next_}
        return await self.sends("/login", headers, **fields)

    async def csrf(self) -> str:
        """The token in the forms of one's own page."""
        seen = await self.opens("/you")
        found = re.search(r'name="csrf" value="([^"]+)"', seen.page)
        assert found is not None, seen.page
        return unescape(found[1])


def give_passwords(rig: Rig, *names: str) -> None:
    """These people have a password."""
    rig.passwords.update({name: CHEAP.hash(PASSWORD) for name in names})


def give_access(rig: Rig, **accesses: str) -> None:
    """These people have that access from now on."""
    people = dict(rig.roster.people)
    for name, access in accesses.items():
        people[name] = people[name].model_copy(update={"access": access})
    rig.roster = rig.roster.model_copy(update={"people": people})


async def give_token(rig: Rig, person: str, *scopes: Scope, **more: Any) -> dict[str, str]:
    """The header of a new API token."""
    value = f"stopgap_{person}-{'-'.join(scopes)}"
    token = ApiToken(
        **{
            "id": f"id-{person}-{'-'.join(scopes)}",
            "person": person,
            "name": "robot",
            "scopes": scopes,
            "created_at": rig.now,
            **more,
        }
    )
    await rig.credentials.add_token(token, hash_of(value))
    return {"Authorization": f"Bearer {value}"}
