"""What can become of the numbers that a page could not tell yet."""

from __future__ import annotations

from typing import Literal

from daemon.core.incident.events.pages import _AboutCalls


class PageAmended(_AboutCalls):
    """Whoever was paged has the numbers now: in the same alert, or by one message that rang
    nobody. `proof` is what the pager answered."""

    kind: Literal["PageAmended"] = "PageAmended"
    page: str
    method: str
    proof: str

    def describe(self) -> str:
        return f"page {self.page} tells the numbers now, by {self.method}: {self.proof}"


class PageNotAmended(_AboutCalls):
    """Telling them failed. `last`: it is not tried again."""

    kind: Literal["PageNotAmended"] = "PageNotAmended"
    page: str
    method: str
    error: str
    last: bool

    def describe(self) -> str:
        return f"page {self.page} does not tell the numbers, by {self.method}: {self.error}"


AmendmentEvent = PageAmended | PageNotAmended
