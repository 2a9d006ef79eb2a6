"""The port to the state of the store itself: what is wrong with the place where all is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import Frozen

Fault = Literal["gone", "damaged", "failing", "full", "unwritable", "held", "away"]
"""What a transaction can meet. `gone`: its file was moved, deleted or replaced. `failing`: the
disk answers with I/O errors. `held`: another program keeps it locked. `away`: its server cannot
be reached, or takes nobody."""
TroubleKind = Literal[Fault, "stuck"]
"""`stuck`: the inbox is not worked off, whatever the reason."""


class StoreTrouble(Frozen):
    """Why nothing may be entrusted to the store now: a sentence that names the place and the
    mend."""

    kind: TroubleKind
    text: str


class StoreFailure(Exception):
    """It is the store as a whole that failed, and not what was asked of it."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault: Fault = fault


class StoreDown(StoreFailure, Temporary):
    """It may work again by itself: there is room again, the file is back."""


class OutcomeUnknown(StoreDown):
    """The connection broke during a commit, and nobody could be asked since: what was written may
    be there or not."""

    def __init__(self, text: str) -> None:
        super().__init__("away", text)


class StoreDamaged(StoreFailure, Permanent):
    """What is in it cannot be read; somebody has to restore it."""


class StoreMoved(StoreFailure, Permanent):
    """What was in it is in another store since, and no daemon begins on this one."""

    def __init__(self, text: str) -> None:
        super().__init__("gone", text)


class StoreCondition(Protocol):
    """What is known to be wrong with a store, and how to find out whether it still is."""

    @property
    def faults(self) -> Mapping[Fault, str]:
        """What transactions have met and is not known to be mended, each with its sentence.
        Waits for nothing."""

    async def look(self) -> None:
        """Look whether its files are where they were."""

    async def probe(self) -> None:
        """Write something; if that works, it can be written. Raises StoreFailure, Temporary."""

    async def recheck(self) -> None:
        """Read through all of it; if that works, it is not damaged. Raises StoreFailure,
        Temporary."""
