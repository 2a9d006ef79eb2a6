"""Who outside the company helps: vendors, and by which names they and expert teams are found."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from daemon.core.people.contact_methods import Address
from daemon.core.values.units import Frozen

NamePattern = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
"""A name of a service, a target or what a rule depends on; `*` stands for anything: `mysql-*`."""


def first_match(patterns: Iterable[str], names: Iterable[str]) -> str:
    """The first of the names that one of the patterns means, whatever its capitals; empty if
    none does."""
    wanted = [pattern.casefold() for pattern in patterns]
    return next((n for n in names if any(fnmatchcase(n.casefold(), p) for p in wanted)), "")


class Vendor(Frozen):
    """Somebody outside who helps: a cloud, a database's maker, a network.

    `name`: as a sentence has it. `what`: what they provide. `matches`: the services and targets
    that they are asked about. `url`, `email`, `phone`: where tickets are opened. `contract`: the
    number by which they know us.
    """

    name: str = Field(min_length=1, max_length=100)
    what: str = Field(default="", max_length=200)
    matches: tuple[NamePattern, ...] = ()
    url: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=500)
    email: Address | None = None
    phone: str | None = Field(default=None, pattern=r"^[0-9+() ./-]{3,40}$")
    contract: str | None = Field(default=None, pattern=r"\S", max_length=100)

    @property
    def ways(self) -> dict[str, str]:
        """How they are reached: url, email, phone, as far as these are known."""
        known = {"url": self.url, "email": self.email, "phone": self.phone}
        return {name: way for name, way in known.items() if way}
