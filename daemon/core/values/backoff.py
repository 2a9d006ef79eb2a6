"""How long to rest between tries of something that fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """Pauses that grow: `first` after the first failure, `factor` times as long after each further
    one, never longer than `most`.

    After n failures in a row: min(first · factor^(n − 1), most). Raises ValueError for a `first`
    that is not positive or a `factor` under 2.
    """

    first: timedelta
    most: timedelta
    factor: int = 2

    def __post_init__(self) -> None:
        if self.first <= timedelta(0):
            raise ValueError(f"the first pause must be longer than nothing, not {self.first}")
        if self.factor < 2:
            raise ValueError(f"each pause must be at least twice the one before, not {self.factor}")

    def pause(self, failures: int) -> timedelta:
        """The rest after so many failures in a row; nothing before the first."""
        if failures < 1:
            return timedelta(0)
        pause = min(self.first, self.most)
        for _ in range(failures - 1):
            # Not a power: after a night of failures that would be a number without end.
            if pause > self.most // self.factor:
                return self.most
            pause *= self.factor
        return pause
