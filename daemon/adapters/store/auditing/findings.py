"""What an audit finds: where, what is wrong, and what to do."""

from __future__ import annotations

from typing import NamedTuple

EVIDENCE = (
    "keep a copy of the store as it is, and compare with the newest backup or archive; "
    "somebody with access to the file, or a failing disk, has changed it"
)
"""What to do about entries and ledger rows: nothing in the store can bring them back."""
DERIVED = (
    "the journal itself is right and this row is not: find out who writes to the file, and "
    "restore the newest backup"
)
"""What to do about rows that are made from the journal."""


class Break(NamedTuple):
    """One thing that is not as it was written. `where`: an incident, `ledger`, or a table."""

    where: str
    what: str
    mend: str = EVIDENCE

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def unknown_key(key: str) -> Break:
    """Digests that cannot be checked, for their key is not known here."""
    return Break(
        "ledger",
        f"digests made with the audit key {key} cannot be checked: it is not set here",
        "name it by `audit.key`, or by `audit.former_keys` if a newer one is in use",
    )
