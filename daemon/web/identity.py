"""Who asks, and how much they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Access = Literal["viewer", "responder", "admin"]
"""`viewer` sees everything; `responder` also does what people do in incidents; `admin` also looks
after the daemon: reload, other people's sessions and tokens."""
LEVELS: tuple[Access, ...] = ("viewer", "responder", "admin")
Via = Literal["token", "session", "proxy"]


@dataclass(frozen=True)
class Identity:
    """Somebody who was recognised.

    `csrf` is what each form of a browser's session must send back; empty where the browser does
    not prove by a cookie who it is.
    """

    person: str
    access: Access
    via: Via
    csrf: str = ""

    def may(self, needs: Access) -> bool:
        """Whether their access is at least that."""
        return LEVELS.index(self.access) >= LEVELS.index(needs)
