"""Digests that chain stored rows together: SHA-256, or HMAC-SHA256 with a key kept elsewhere.

A digest tells by itself how it was made: bare hex is SHA-256, `hmac-sha256:KEY:…` names the key
by an identifier that is derived from it. So a key can be introduced and changed, and what was
written before still verifies.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256 as _sha256
from json.encoder import encode_basestring_ascii as quoted

__all__ = ["SHORTEST_KEY", "UNKEYED", "Keyring", "Seal", "key_of", "quoted"]

_KEYED = "hmac-sha256"
SHORTEST_KEY = 16
"""Characters; a shorter key could be guessed from the digests."""


class Seal:
    """Makes digests with one key, or without one."""

    def __init__(self, key: str | None = None) -> None:
        self._key = None if key is None else key.encode()
        named = b"" if self._key is None else hmac.digest(self._key, b"stopgap audit", "sha256")
        self.id = named.hex()[:8]
        """Names the key, and does not tell it; empty without one."""
        self._prefix = f"{_KEYED}:{self.id}:"

    def digest(self, previous: str, *columns: str | int) -> str:
        """The digest of a row: over the digest before it and the columns as stored."""
        parts = [quoted(c) if c.__class__ is str else str(c) for c in (previous, *columns)]
        return self.of(f"[{', '.join(parts)}]")  # what json.dumps makes, in a third of its time

    def of(self, text: str) -> str:
        """The digest of a JSON array that is text already: for who makes millions of them."""
        if self._key is None:
            return _sha256(text.encode()).hexdigest()
        return self._prefix + hmac.digest(self._key, text.encode(), "sha256").hex()


UNKEYED = Seal()


class Keyring:
    """The key that new digests are made with, and those that older ones were."""

    def __init__(self, current: Seal = UNKEYED, former: Iterable[Seal] = ()) -> None:
        self.current = current
        self._known = {seal.id: seal for seal in (UNKEYED, *former, current)}

    def find(self, key: str) -> Seal | None:
        """The seal with that identifier, if it is known here."""
        return self._known.get(key)


def key_of(digest: str) -> str:
    """The identifier of the key that a digest was made with; empty for SHA-256."""
    kind, _, rest = str(digest).partition(":")  # in an edited file it may be of any type
    return rest.partition(":")[0] if kind == _KEYED else ""
