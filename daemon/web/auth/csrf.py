"""What a browser proves by itself, and what it must add so that no other site can act through it.

A cookie goes along with whatever makes a browser ask, also another site's form. So whatever
changes something brings a token that only our own pages know, and comes from our own pages.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from aiohttp import web
from itsdangerous import BadData, URLSafeSerializer

from daemon.web.auth.identity import Identity
from daemon.web.auth.signatures import signed_text
from daemon.web.body import form
from daemon.web.errors import HttpProblem

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST = 4096


class Browser:
    """Makes and checks cookies and CSRF tokens. By `link` people reach us.

    `secrets` are those of the store's keys that verify now, the oldest first; the last one signs.
    """

    def __init__(self, secrets: Callable[[], Sequence[str]], link: str) -> None:
        self._secrets = secrets
        self._link = link.rstrip("/")
        self._home = urlsplit(link).netloc.lower()
        self._secure = link.startswith("https://")

    def cookie(self, kind: str = "") -> str:
        """The name of a cookie; with https browsers take one of that name from this host only."""
        if self._secure:
            return f"__Host-stopgap-{kind}" if kind else "__Host-stopgap"
        return f"stopgap_{kind or 'session'}"

    def read(self, request: web.Request, kind: str = "") -> str:
        """What a cookie holds; empty if there is none."""
        value = request.cookies.get(self.cookie(kind), "")
        return value if len(value) <= _LONGEST else ""

    def keep(self, response: web.Response, value: str, age: timedelta, kind: str = "") -> None:
        """Let the browser keep that for so long."""
        response.set_cookie(
            self.cookie(kind),
            value,
            max_age=int(age.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="Lax",
        )

    def drop(self, response: web.Response, kind: str = "") -> None:
        """Let the browser forget it."""
        self.keep(response, "", timedelta(0), kind)

    def home(self, path: str) -> str:
        """The address by which people reach that path of ours."""
        return f"{self._link}{path}"

    def sign(self, values: Sequence[str], now: datetime) -> str:
        """Values for a cookie that nobody else can make."""
        return self._signer().dumps([now.timestamp(), *values])

    def signed(self, value: str, age: timedelta, now: datetime) -> list[str] | None:
        """The values of such a cookie; None if it is not ours, or older than that."""
        if not signed_text(value):
            return None
        try:
            at, *values = self._signer().loads(value)
        except BadData:
            return None
        return values if timedelta(0) <= now - datetime.fromtimestamp(at, UTC) <= age else None

    def csrf(self, kind: str, subject: str) -> Sequence[str]:
        """The tokens of a session, or of whoever a proxy vouches for: the one to give out, and
        after it those of keys from before, which open pages still have."""
        return self._digests(f"stopgap/csrf/{kind}/{subject}")

    def bound(self, value: str, credential: str) -> Sequence[str]:
        """What binds a session's cookie to the credential that began it: by the key that signs,
        and after it by those from before."""
        return self._digests(f"stopgap/session/{value}/{credential}")

    def _digests(self, message: str) -> Sequence[str]:
        return [
            hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
            for secret in reversed(self._secrets())
        ]

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._secrets(),
            salt="stopgap/login",
            signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
        )

    def check_site(self, request: web.Request) -> None:
        """Raises Problem 403 if another site made the browser send this."""
        origin = request.headers.get("Origin")
        homes = {self._home, request.host.lower()}
        ours = origin is None or origin.lower().partition("://")[2] in homes
        if not ours or request.headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            raise HttpProblem(
                403,
                "From another site",
                "the request came from a page of another site; open the page of Stopgap itself. "
                "Behind a proxy, `external_url` must be the address that people use",
            )

    async def check(self, request: web.Request, who: Identity) -> None:
        """Raises Problem 403 if a change does not come from our own pages."""
        if request.method in SAFE or not who.csrf:
            return
        self.check_site(request)
        header = request.headers.get(CSRF_HEADER)
        if header is None:
            await checked_form(request, who)
        elif not who.gave(header):
            raise _not_ours()


async def checked_form(request: web.Request, who: Identity) -> dict[str, list[str]]:
    """The fields of a form that one of our own pages sent, each with all its values. With a token
    in a header no browser does it by itself. Raises Problem 400, 403, 413."""
    fields = await form(request)
    if who.csrf and not who.gave(fields.get(CSRF_FIELD, [""])[0]):
        raise _not_ours()
    return fields


def _not_ours() -> HttpProblem:
    return HttpProblem(
        403,
        "Not from this page",
        "this form was not made for your login: open its page again and repeat what you did. A "
        f"program sends the header `{CSRF_HEADER}` with the `csrf` of GET /api/v1/me, or better "
        "an API token instead of a cookie",
    )


def local_path(given: str) -> str:
    """Where to go on after a login: a path of our own, or the start page for anything else."""
    plain = given.isascii() and given.isprintable() and " " not in given and "\\" not in given
    inside = given.startswith("/") and not given.startswith("//") and len(given) <= _LONGEST
    return given if plain and inside else "/"
