"""Where a store is: a file of SQLite, or a database of PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.core.values.outcome import Permanent

_SCHEMES = ("postgresql://", "postgres://")
_REFERENCES = ("env:", "file:")


_ESCAPED = "%(?!00)[0-9A-Fa-f]{2}"
_ADDRESS = re.compile(
    rf"(?:postgresql|postgres)://"
    rf"(?:(?P<user>(?:[^\s:@/?#%]|{_ESCAPED})*)(?P<password>:(?:[^\s@/?#%]|{_ESCAPED})*)?@)?"
    rf"(?P<hosts>(?:[^\s@/?#%\[\]]|{_ESCAPED}|\[[0-9A-Fa-f:.]+\])*)"
    rf"(?P<database>/(?:[^\s@/?#%]|{_ESCAPED})*)?"
    rf"(?:\?(?P<parameters>(?:[^\s@#%]|{_ESCAPED})*))?"
)
"""Stricter than libpq, which takes a part of a password with a stray character for a host, or for
the name of the database: and shows it then, as we would."""


@dataclass(frozen=True, repr=False)
class PostgresAddress:
    """A database as libpq names it (`postgresql://user@host:5432/stopgap?sslmode=verify-full`;
    several hosts with `target_session_attrs=read-write` follow a failover). `str` is without the
    password and the parameters. Raises Permanent, which repeats nothing of it, if it cannot be
    told what of it is the password."""

    url: str

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.url):
            raise Permanent(
                "the address of the database is not postgresql://user@host:5432/database?…: in "
                "names, a password and parameters write @ as %40, # as %23, % as %25 and a space "
                "as %20, and but for parameters / as %2F and ? as %3F"
            )

    def __str__(self) -> str:
        user = self._part("user")
        named = f"{user}@" if user or self._part("password") else ""
        return f"postgresql://{named}{self._part('hosts')}{self._part('database')}"

    __repr__ = __str__

    @property
    def has_password(self) -> bool:
        """Whether a password stands in it."""
        return bool(self._part("password")) or "password=" in self._part("parameters")

    def _part(self, name: str) -> str:
        found = _ADDRESS.fullmatch(self.url)
        return (found[name] or "") if found else ""


StorePlace = Path | PostgresAddress


def store_place(store: str, base: Path, secret: Callable[[str], str]) -> StorePlace:
    """What the setting `store` means: a path, relative to `base`; an address of PostgreSQL; or a
    reference (`env:NAME`, `file:PATH`) to an address, which `secret` reads. Raises Permanent."""
    if store.startswith(_REFERENCES):
        address = secret(store).strip()
        if not address.startswith(_SCHEMES):
            raise Permanent(
                f"`store: {store}` must hold the address of a database, like "
                "postgresql://stopgap@db.example:5432/stopgap; the path of a file is written into "
                "stopgap.yaml itself"
            )
        return _read(address, store)
    if not store.startswith(_SCHEMES):
        if "://" in store:
            raise Permanent(
                f"`store: {store.partition('://')[0]}://…` is no store: it is the path of a file, "
                "or the address of a PostgreSQL database (postgresql://…)"
            )
        return base / store
    return _without_password(_read(store, "postgresql://…"))


def store_is_there(place: StorePlace) -> bool:
    """False where the file is not there: no daemon has run. Of a server, asking tells."""
    return isinstance(place, PostgresAddress) or place.is_file()


def store_name(place: StorePlace) -> str:
    """For people: the file's name without its folder, or the address."""
    return str(place) if isinstance(place, PostgresAddress) else place.name


def _read(address: str, shown: str) -> PostgresAddress:
    try:
        return PostgresAddress(address)
    except Permanent as error:
        raise Permanent(f"`store: {shown}`: {error}") from None


def _without_password(address: PostgresAddress) -> PostgresAddress:
    if address.has_password:
        raise Permanent(
            f"`store: {address}` has a password in it, which everybody can read who reads "
            "stopgap.yaml: put the whole address into an environment variable or a file, and write "
            "`store: env:NAME` or `store: file:PATH`; or leave the password to PGPASSFILE"
        )
    return address
