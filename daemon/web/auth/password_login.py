"""A name with a password, or a person's own token, as proof of who logs in; guessing is slow.

A wrong name and a wrong password get the same answer after the same work. A name that somebody
else guesses at has to wait too, for its password alone: with the token one gets in all the same.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import structlog

from daemon.web.addresses import block_of
from daemon.web.auth.authenticator import Authenticator, Login
from daemon.web.auth.passwords import Busy
from daemon.web.auth.throttle import Throttle
from daemon.web.errors import HttpProblem
from daemon.web.seldom import Seldom

_log = structlog.get_logger()

FIRST, MOST = timedelta(seconds=2), timedelta(minutes=5)
FREE_OF_NAME = 5
FREE_OF_ADDRESS = 20
"""More, for a whole office may come from one address."""
WRONG = (
    "This name and this password or token do not fit together. The password is the one that the "
    "roster has the hash of; an API token is for programs and does not log in."
)


class Proving:
    """Holds the counts of failures, in this process alone."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._names = Throttle(FREE_OF_NAME, FIRST, MOST)
        self._addresses = Throttle(FREE_OF_ADDRESS, FIRST, MOST)
        self._seldom = Seldom()

    async def prove(self, name: str, secret: str, address: str) -> Login:
        """Who this is. Raises Problem 401; 429 with Retry-After, of a name or an address."""
        now, block, short = self._authenticator.clock(), block_of(address), name[:100]
        self._must_not_wait(self._addresses.wait(block, now), name, address, now)
        self._addresses.begin(block, now)
        owner = self._authenticator.secrets.now.person_of(secret.strip())
        if owner is not None and owner in self._authenticator.roster().people:
            if name not in {"", owner}:
                raise self._wrong(name, address)
            self._addresses.forgive(block)
            return Login(owner, "token")
        self._must_not_wait(self._names.wait(short, now), name, address, now)
        self._names.begin(short, now)
        if not await self._password_fits(name, secret):
            raise self._wrong(name, address)
        self._addresses.forgive(block)
        self._names.forget(short)
        return Login(name, "password")

    async def _password_fits(self, name: str, password: str) -> bool:
        known = None
        if name in self._authenticator.roster().people:
            known = self._authenticator.secrets.now.password_of(name)
        try:
            return await self._authenticator.passwords.fits(known, password)
        except Busy:
            raise _wait(2, "Too many people log in at this moment") from None

    def _must_not_wait(self, wait: timedelta, name: str, address: str, now: datetime) -> None:
        if wait > timedelta(0):
            count = self._seldom.due(block_of(address), now.timestamp())
            if count > 0:  # of those who do not wait, one line a minute
                self._log("login refused, too many failures", name, address, count=count)
            raise _wait(math.ceil(wait.total_seconds()), "That was wrong too often")

    def _wrong(self, name: str, address: str) -> HttpProblem:
        self._log("login failed", name, address)
        return HttpProblem(401, "Not logged in", WRONG)

    def _log(self, what: str, name: str, address: str, **more: int) -> None:
        # A name that the roster does not have may be a password in the wrong field.
        known = name in self._authenticator.roster().people
        _log.warning(what, person=name if known else "not in the roster", address=address, **more)


def _wait(seconds: int, why: str) -> HttpProblem:
    text = f"{why}; try again in {seconds} s. The command line works with a token meanwhile."
    return HttpProblem(429, "Wait a little", text, retry_after=seconds)
