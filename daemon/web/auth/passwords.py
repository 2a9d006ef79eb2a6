"""Whether a password fits its argon2id hash: in threads, and not many at once."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

HASHES_AT_ONCE = 2
"""Each takes 64 MiB and a core for a while."""
WAITING = 20
LONGEST_PASSWORD = 1024
"""Characters of a password; more are none."""


class Busy(Exception):
    """Too many passwords are being verified already."""


class Passwords:
    """Verifies passwords. `hasher` has the costs of the hash that unknown names are held to."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._nobody = _nobodys_hash(hasher)
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0

    async def fits(self, known: str | None, password: str) -> bool:
        """Whether it fits; without a hash it costs as much and never does. Raises Busy."""
        if self._waiting >= WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with self._turns:
                given = password[:LONGEST_PASSWORD].encode("utf-8", "surrogatepass")
                fits = await asyncio.to_thread(self._verify, known or self._nobody, given)
        finally:
            self._waiting -= 1
        return fits and known is not None and len(password) <= LONGEST_PASSWORD

    def _verify(self, known: str, given: bytes) -> bool:
        try:
            return self._hasher.verify(known, given)
        except (Argon2Error, InvalidHashError):
            return False


def _nobodys_hash(hasher: PasswordHasher) -> str:
    """A hash of no password that costs as much to verify as any other, and nothing to make."""
    sizes = (hasher.salt_len, hasher.hash_len)
    salt, digest = (b64encode(os.urandom(size)).rstrip(b"=").decode() for size in sizes)
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"
