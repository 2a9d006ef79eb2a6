"""What a store asks of the database system it is kept in: SQLite or PostgreSQL.

All else is plain SQL, the same for both.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from daemon.core.values.outcome import Permanent, Temporary

BackendKind = Literal["sqlite", "postgresql"]


class Transactions(Protocol):
    """Connections of one kind, and the transactions on them."""

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction, committed at the end and taken back if anything is raised. If it returns,
        it is durable; if it raises, nothing of it is, or OutcomeUnknown says that nobody can
        tell."""

    def dispose(self) -> None:
        """Close the connections that nobody uses; whoever comes next opens new ones."""


class Backend(Protocol):
    """One database, and the system that it is in. `str` names it in sentences, without secrets."""

    kind: BackendKind
    readers: int
    """Reads at the same time."""
    beside: Path | None
    """What the names of the files begin with that the daemon keeps beside the store."""

    def opened(self, *, new: bool, readonly: bool) -> AbstractContextManager[Backend]:
        """Hold what must be held while the store is open. `new` permits to begin anew where an
        earlier store is missing. Raises Permanent, Temporary."""

    def prepare(self) -> None:
        """Make the tables, or bring them up to today's. Raises Permanent, Temporary and what
        SQLAlchemy does."""

    def changing_tables(self) -> AbstractContextManager[Connection]:
        """A transaction that tables may be changed in, beside no other writer."""

    def remember(self, connection: Connection) -> None:
        """From now on, what `check` compares with is what is there now."""

    def check(self) -> None:
        """Raises StoreDown if what was opened is not there any more. Waits for nothing."""

    def lost(self) -> str:
        """What is not as it was opened, and the mend; empty if all is."""

    def reading(self) -> Transactions:
        """For transactions that see one snapshot and cannot write."""

    def writing(self) -> Transactions:
        """For writers, of which one at a time is in a transaction, over all processes."""

    def taking(self) -> Transactions | None:
        """For those that write nothing which depends on what others write, and need not wait for
        them; None where there can be one writer only."""

    def undone(self, connection: Connection) -> bool:
        """Whether the database has taken back the whole transaction by itself."""

    def worth_repeating(self, error: BaseException) -> bool:
        """Whether the transaction, of which nothing is left, may go well if it is done again at
        once."""

    def out_of_reach(self, error: BaseException) -> bool:
        """Whether nothing at all can be done on the database at present."""

    def translated(self, error: SQLAlchemyError) -> Temporary | Permanent:
        """The failure as the stages know it, in a sentence that names the place and the mend."""

    def damaged(self, finding: str) -> str:
        """What to do about a damaged database, in a sentence."""

    def is_small(self) -> bool:
        """Whether reading through all of it holds up no start."""

    def quick_check(self, connection: Connection) -> list[str]:
        """What is wrong with it, as far as the database can tell soon; empty if it is sound."""

    def integrity_check(self, connection: Connection) -> list[str]:
        """Likewise, however long it takes."""

    def touch(self, connection: Connection) -> None:
        """Write something that nothing reads."""

    def forget_pages(self, connection: Connection) -> None:
        """Let this connection read the disk again."""
