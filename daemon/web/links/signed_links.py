"""The signed links in pages and updates: making them, and reading them again.

A page's link stands for its person for a day, and serves once; a document's link has no end and
changes nothing. Each kind has its own salt, so that neither passes for the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeSerializer, URLSafeTimedSerializer

VALID = timedelta(hours=24)
"""How long the link in a page lives."""
_SIGNING = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


class BadLink(Exception):
    """The token is not one of ours, or too old (`expired`). Nothing of it is in the text."""

    def __init__(self, *, expired: bool) -> None:
        super().__init__("the link is too old" if expired else "the link is not one of ours")
        self.expired = expired


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

    `link` is how people reach the daemon, without a final slash.
    """

    def __init__(self, secret: str, link: str, clock: Callable[[], datetime]) -> None:
        self.root = link
        self._clock = clock
        self._pages = URLSafeTimedSerializer(
            secret, salt="stopgap/page", signer=_Signer, signer_kwargs={**_SIGNING, "clock": clock}
        )
        self._documents = URLSafeSerializer(secret, salt="stopgap/document", signer_kwargs=_SIGNING)

    def for_page(self, incident: str, page: str) -> str:
        """Where the page's person, and nobody else, answers it with one tap."""
        return f"{self.root}/a/{self._pages.dumps([incident, page])}"

    def document(self, incident: str) -> str:
        """The incident's standard document, to read; the same link every time."""
        return f"{self.root}/d/{self._documents.dumps([incident])}"

    def read_page(self, token: str) -> tuple[str, str]:
        """The incident and the page of a token. Raises BadLink."""
        try:
            # Its age is judged here: a token from a replica whose clock is ahead is not expired.
            (incident, page), signed_at = self._pages.loads(token, return_timestamp=True)
        except (BadData, ValueError, TypeError):
            raise BadLink(expired=False) from None
        if self._clock() - signed_at > VALID:
            raise BadLink(expired=True)
        return incident, page

    def read_document(self, token: str) -> str:
        """The incident of a token. Raises BadLink."""
        try:
            (incident,) = self._documents.loads(token)
        except (BadData, ValueError, TypeError):
            raise BadLink(expired=False) from None
        return str(incident)
