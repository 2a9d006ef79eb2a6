"""Where a store is: a file of SQLite, or a database of PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from daemon.core.values.outcome import Permanent

_SCHEMES = ("postgresql://", "postgres://")
_REFERENCES = ("env:", "file:")


@dataclass(frozen=True, repr=False)
class PostgresAddress:
    """A database as libpq names it (`postgresql://user@host:5432/stopgap?sslmode=verify-full`;
    several hosts with `target_session_attrs=read-write` follow a failover). `str` is without the
    password and the parameters."""

    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        return f"postgresql://{user.partition(':')[0]}{at}{host}{parts.path}"

    __repr__ = __str__

    @property
    def has_password(self) -> bool:
        """Whether a password stands in it."""
        parts = urlsplit(self.url)
        user = parts.netloc.rpartition("@")[0]
        return ":" in user or "password=" in parts.query


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
        return PostgresAddress(address)
    if not store.startswith(_SCHEMES):
        if "://" in store:
            raise Permanent(
                f"`store: {store.partition('://')[0]}://…` is no store: it is the path of a file, "
                "or the address of a PostgreSQL database (postgresql://…)"
            )
        return base / store
    return _without_password(PostgresAddress(store))


def store_is_there(place: StorePlace) -> bool:
    """False where the file is not there: no daemon has run. Of a server, asking tells."""
    return isinstance(place, PostgresAddress) or place.is_file()


def store_name(place: StorePlace) -> str:
    """For people: the file's name without its folder, or the address."""
    return str(place) if isinstance(place, PostgresAddress) else place.name


def _without_password(address: PostgresAddress) -> PostgresAddress:
    if address.has_password:
        raise Permanent(
            f"`store: {address}` has a password in it, which everybody can read who reads "
            "stopgap.yaml: put the whole address into an environment variable or a file, and write "
            "`store: env:NAME` or `store: file:PATH`; or leave the password to PGPASSFILE"
        )
    return address
