"""Who asks, and how much they may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from daemon.config.settings import same_secret
from daemon.core.people.access import (
    BY_ACCESS,
    NEEDED,
    Access,
    reaches,
    scopes_reach,
)
from daemon.core.people.scopes import Scope
from daemon.web.errors import HttpProblem

Via = Literal["token", "session", "proxy"]


@dataclass(frozen=True)
class Identity:
    """Somebody who was recognised.

    `csrf` is what each form of a browser's session must send back; empty where the browser does
    not prove by itself who it is; `csrf_before` are those that pages from before the keys were
    rotated still have. `scopes` and `token` (its name) are those of a scoped API
    token; None and empty without one. `session` is the id of a session. A `guest` was let in by
    the identity provider and is nobody of the roster.
    """

    person: str
    access: Access
    via: Via
    csrf: str = field(default="", repr=False)
    scopes: Sequence[Scope] | None = None
    token: str = ""
    session: str = ""
    guest: bool = False
    csrf_before: Sequence[str] = field(default=(), repr=False)

    def gave(self, csrf: str) -> bool:
        """Whether that is what a form of theirs sends back."""
        return any(same_secret(csrf, ours) for ours in (self.csrf, *self.csrf_before))

    def may(self, needs: Access) -> bool:
        """Whether their access, and the token's scopes, are at least that."""
        return reaches(self.access, needs) and (
            self.scopes is None or scopes_reach(self.scopes, needs)
        )

    def require(self, needs: Access) -> None:
        """Raises Problem 403, with the mend, unless they may do what needs that much."""
        if not reaches(self.access, needs):
            text = f"{self.person} has the access `{self.access}`; this needs `{needs}`"
            mend = "guests may look" if self.guest else f"set it in `people.{self.person}.access`"
            raise HttpProblem(403, "Not allowed", f"{text}: {mend}")
        if not self.may(needs):
            raise self._too_small(BY_ACCESS[needs])

    def require_scope(self, scope: Scope) -> None:
        """Raises Problem 403 unless the token has this very scope, and its person may use it."""
        if scope not in (self.scopes or ()):
            raise self._too_small(scope)
        replace(self, scopes=None).require(NEEDED[scope])

    def _too_small(self, needed: Scope) -> HttpProblem:
        text = f"the token {self.token!r} has the scopes {', '.join(self.scopes or ())}"
        mend = f"`stopgap token create NAME --scope {needed}` makes one"
        return HttpProblem(403, "Not allowed", f"{text}; this needs `{needed}`: {mend}")
