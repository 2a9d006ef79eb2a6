"""The signed links in pages and updates: making them, and reading them again.

A page's link stands for its person for a day, and serves once; a document's link has no end and
changes nothing. Each kind has its own salt, so that neither passes for the other.

A link names the key that signed it: `/a/3f9a1c07.<what is signed>`. Those from before keys had
names are tried with the key of that time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from itsdangerous import BadData, TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

from daemon.core.people.signing_keys import KEY_ID, SigningKeys
from daemon.web.auth.signatures import signed_text

LINK_PATHS = ("/a/", "/d/")
"""Under which paths they stand."""
VALID = timedelta(hours=24)
"""How long the link in a page lives."""
_SIGNING = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


CalendarKind = Literal["schedule", "person"]
TokenRefusal = Literal["unknown", "old", "void"]


class BadLink(Exception):
    """Why a token is not taken: not one of ours, too old, or its key has been rotated out.
    Nothing of it is in the text."""

    def __init__(self, why: TokenRefusal) -> None:
        super().__init__(f"the link is {why}")
        self.why: TokenRefusal = why


class _Signer(TimestampSigner):
    """Signs with the time of the daemon's own clock."""

    def __init__(self, *arguments: Any, clock: Callable[[], datetime], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock = clock

    def get_timestamp(self) -> int:
        """Unix seconds."""
        return int(self._clock().timestamp())


class SignedLinks:
    """`daemon.core.ports.notification.Links`.

    `keys` as they stand; `link` is how people reach the daemon, without a final slash. Documents
    open by a rotated key for `grace`.
    """

    def __init__(
        self,
        keys: Callable[[], SigningKeys],
        link: str,
        clock: Callable[[], datetime],
        grace: timedelta,
    ) -> None:
        self.root = link
        self._keys = keys
        self._clock = clock
        self._grace = grace

    def for_page(self, incident: str, page: str) -> str:
        """Where the page's person, and nobody else, answers it with one tap."""
        key = self._keys().signing
        return f"{self.root}/a/{key.id}.{self._pages(key.secret).dumps([incident, page])}"

    def document(self, incident: str) -> str:
        """The incident's standard document, to read; the same link until the keys are rotated."""
        key = self._keys().signing
        return f"{self.root}/d/{key.id}.{_documents(key.secret).dumps([incident])}"

    def calendar(self, kind: CalendarKind, name: str) -> str:
        """Where a calendar program reads the shifts of a schedule or of a person; the same link
        until the keys are rotated."""
        key = self._keys().signing
        signed = _calendars(key.secret).dumps([kind, name])
        part = "people/" if kind == "person" else ""
        return f"{self.root}/oncall/{part}{quote(name, safe='')}.ics?key={key.id}.{signed}"

    def opens_calendar(self, token: str, kind: CalendarKind, name: str) -> bool:
        """Whether a token opens that calendar. Raises BadLink if it is none of ours any more."""
        secret, signed = self._opened(token, self._grace, "void")
        try:
            opened = _calendars(secret).loads(signed)
        except (BadData, ValueError, TypeError):
            raise BadLink("unknown") from None
        return bool(opened == [kind, name])

    def read_page(self, token: str) -> tuple[str, str]:
        """The incident and the page of a token. Raises BadLink."""
        secret, signed = self._opened(token, VALID, "old")
        try:
            # Its age is judged here: a token from a replica whose clock is ahead is not expired.
            (incident, page), signed_at = self._pages(secret).loads(signed, return_timestamp=True)
        except (BadData, ValueError, TypeError):
            raise BadLink("unknown") from None
        if self._clock() - signed_at > VALID:
            raise BadLink("old")
        return incident, page

    def read_document(self, token: str) -> str:
        """The incident of a token. Raises BadLink."""
        secret, signed = self._opened(token, self._grace, "void")
        try:
            (incident,) = _documents(secret).loads(signed)
        except (BadData, ValueError, TypeError):
            raise BadLink("unknown") from None
        return str(incident)

    def _opened(self, token: str, lifetime: timedelta, over: TokenRefusal) -> tuple[str, str]:
        """What must have signed a token of that lifetime, and what is signed. Raises BadLink, for
        `over` if its key does not verify any more."""
        named, _, signed = token.partition(".")
        if KEY_ID.fullmatch(named):
            key = self._keys().named(named)
        else:
            signed = token
            key = next((key for key in self._keys().keys if key.nameless), None)
        if key is None or not signed_text(signed):
            raise BadLink("unknown")
        if not key.verifies(self._clock(), lifetime):
            raise BadLink("void" if key.revoked else over)
        return key.secret, signed

    def _pages(self, secret: str) -> URLSafeTimedSerializer:
        options = {**_SIGNING, "clock": self._clock}
        return URLSafeTimedSerializer(
            secret, salt="stopgap/page", signer=_Signer, signer_kwargs=options
        )


def _documents(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="stopgap/document", signer_kwargs=_SIGNING)


def _calendars(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="stopgap/calendar", signer_kwargs=_SIGNING)
