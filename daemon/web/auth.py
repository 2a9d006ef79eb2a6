"""Who is asking. People by their own token, Alertmanager by its own; both in constant time.

Where no webhook token is set, the daemon listens on loopback only, and the webhook takes what
comes from this machine. A person's deed always needs that person's token.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from daemon.settings import same_secret
from daemon.web.problems import Problem


class Doorkeeper:
    """Knows the tokens: people's by name, and the webhook's."""

    def __init__(self, people: Mapping[str, str], webhook: str | None) -> None:
        self._people = people
        self._webhook = webhook

    def person(self, request: web.Request) -> str:
        """Who this is. Raises Problem 401."""
        token = bearer(request)
        found = [n for n, known in self._people.items() if token and same_secret(token, known)]
        if not found:
            raise Problem(
                401,
                "Who are you?",
                "send `Authorization: Bearer …` with your own token; for the command line set "
                "STOPGAP_TOKEN, or give --token-file",
            )
        return found[0]

    def sender(self, request: web.Request) -> None:
        """Whether this may deliver alerts. Raises Problem 401."""
        if self._webhook is None:
            return
        token = bearer(request) or _basic_password(request)
        if not token or not same_secret(token, self._webhook):
            raise Problem(
                401,
                "Wrong credentials",
                "Alertmanager must send the webhook token: http_config.authorization.credentials",
            )


def bearer(request: web.Request) -> str:
    """The bearer token of a request; empty if it has none."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _basic_password(request: web.Request) -> str:
    kind, _, coded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(coded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
