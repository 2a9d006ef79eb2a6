"""Whether a page that told no numbers has been amended since: what became of telling them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Amendment:
    """How far it has come. `needed`: the page told no numbers, though some were to be expected.
    `failures` counts the tries since it was delivered; `over`: they were told, or it is not tried
    again."""

    needed: bool = False
    failures: int = 0
    failed_at: datetime | None = None
    over: bool = False
