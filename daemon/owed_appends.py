"""What was done in the world and cannot be written down: owed to the journal until it is.

It counts in every incident that is read, goes into the next append of its incident, and survives
a crash in a small file (`daemon.core.ports.journal.Debts`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from daemon.core.incident.events import Draft, StepFinished
from daemon.core.incident.fold import apply_event
from daemon.core.incident.outcomes import is_news
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import Debts, Owed
from daemon.core.values.outcome import Temporary

_log = structlog.get_logger()


class OwedAppends:
    """What is owed of each incident; `debts` keeps it through a crash, if anything does."""

    def __init__(self, debts: Debts | None) -> None:
        self._debts = debts
        self._owed: dict[str, Owed] = {}
        for owed in debts.retained() if debts else ():
            self.add(owed)

    @property
    def incidents(self) -> Collection[str]:
        """The incidents of which something is owed."""
        return self._owed.keys()

    def of(self, incident: str) -> Owed | None:
        """What is owed of the incident, if anything is."""
        return self._owed.get(incident)

    def add(self, more: Owed) -> None:
        """Owe this, too; `keep` makes it last."""
        owed = self._owed.get(more.incident, Owed(incident=more.incident, drafts=()))
        self._owed[more.incident] = Owed(
            incident=more.incident,
            drafts=(*owed.drafts, *more.drafts),
            release=owed.release or more.release,
        )

    def counted_in(self, incident: Incident) -> Incident:
        """The incident with what is owed of it; what its journal knows by now is dropped."""
        owed = self._owed.get(incident.id)
        if owed is None:
            return incident
        incident, news = with_news(incident, owed.drafts)
        # A lock that was given back with what is known by now may be another step's today.
        release = owed.release and any(isinstance(draft.event, StepFinished) for draft in news)
        self._owed[incident.id] = Owed(incident=incident.id, drafts=tuple(news), release=release)
        return incident

    async def paid(self, incident: str) -> None:
        """Nothing is owed of the incident any more."""
        if self._owed.pop(incident, None) is not None:
            await self.keep()

    async def forgo_outcomes(self, incident: str) -> None:
        """Owe no longer how its steps ended: another replica looks at that itself."""
        owed = self._owed[incident]
        left = tuple(x for x in owed.drafts if not isinstance(x.event, StepFinished))
        self._owed[incident] = Owed(incident=incident, drafts=left)
        await self.keep()

    async def keep(self) -> None:
        """Make it last as it stands, as well as can be."""
        if self._debts is None:
            return
        try:
            await self._debts.keep(list(self._owed.values()))
        except Temporary as error:
            _log.error("what is owed to the journal is in memory alone", error=str(error))


def with_news(incident: Incident, drafts: Sequence[Draft]) -> tuple[Incident, list[Draft]]:
    """The incident with those of these that are news to it, and which are."""
    news: list[Draft] = []
    for draft in drafts:
        if is_news(incident, draft.event):
            incident = apply_event(incident, draft.at, draft.event, draft.by)
            news.append(draft)
    return incident, news
