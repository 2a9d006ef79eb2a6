"""Keeps track of which incidents open together, and of the storms that they are.

What a storm is stands in the journals of its incidents; this only gathers it, in memory, and finds
it again after a restart. How many are one is counted as for recovery (`guardrails.is_storm`). An
incident whose storm is not known here calls for itself. Of several replicas each gathers what all
of them open; where two begin a storm in the same moment, both go on with the earlier one as soon as
they hear of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.incident.storm_membership import StormMembership
from daemon.core.people.roster import Roster
from daemon.core.ports.journal import Head, IncidentSearch
from daemon.core.recovery.guardrails import Limits, is_told_as_one
from daemon.core.response.call_answers import enough_came
from daemon.core.response.paging import STORM_PAGES
from daemon.core.response.roles import arrive
from daemon.core.response.storm import Storm
from daemon.core.response.storm_calls import unanswered
from daemon.core.values.drill_key import is_drill_incident
from daemon.core.values.outcome import Permanent, Temporary
from daemon.notifying.openings import RecentOpenings
from daemon.repository import IncidentRepository, UnknownIncident

_log = structlog.get_logger()

_MOST_FORMER = 200
"""So many older incidents are looked through for pages of a storm after a restart."""
_AFTER = timedelta(milliseconds=1)
_TOGETHER_SECONDS = 0.5
"""So soon the one that carries a storm's pages hears of all that opened meanwhile."""
_NEWS = (
    e.CommanderAppointed,
    e.CommandVacated,
    e.CallDeclined,
    e.CallSnoozed,
    e.IncidentClosed,
    e.IncidentOpened,
    e.MergeAbandoned,
    e.MergeStarted,
    e.PagesReleased,
    e.Relapsed,
    e.StormAnswered,
    e.StormLeft,
    e.TeamReassigned,
)
"""What happens to one incident of a storm and concerns the one that carries its pages at once; all
else it sees when it looks again (`storm.STORM_LOOK_AGAIN`)."""
_GATHERED = (e.StormJoined.__name__, e.PagesReleased.__name__)
"""What has happened to an open incident that is in a storm, or may be, though it is not new."""


@dataclass
class _Gathered:
    """A storm in the making. `members`: when each that is open was opened; `closed`: those that
    are not, and have carried its pages; `snapshot`: as it was put together last, while it holds;
    `readings`: how many of the repository's it is known to have stood after.
    `told`: when its lead hears of what has opened since it looked.
    `seen`: each member as it stood when it was seen last, for one that is just read anew, because
    another replica has had it, is part of the storm all the while."""

    name: str
    began: datetime
    newest: datetime
    members: dict[str, datetime] = field(default_factory=dict)
    closed: dict[str, Incident] = field(default_factory=dict)
    snapshot: Storm | None = None
    readings: int = -1
    told: asyncio.TimerHandle | None = None
    seen: dict[str, Incident] = field(default_factory=dict)


class StormKeeper:
    """Knows the storms. Implements the look-ups that conductor, watchdog and pages need."""

    def __init__(self, repository: IncidentRepository, limits: Limits) -> None:
        self._repository = repository
        self._limits = limits
        self._recent = RecentOpenings(limits)
        self._storms: dict[str, _Gathered] = {}
        self._storm_of: dict[str, str] = {}
        repository.listeners.append(self._heard)

    # ── gathering ────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """Find the storms that went on when the daemon stopped. While the store cannot be read,
        none is known, and each incident calls for itself.

        Of many that are open only those are read that can be in one: all others would be waited
        for before an alert is taken."""
        try:
            heads = await self._repository.journal.open_heads()
            told = await self._repository.journal.open_with(_GATHERED)
            await self._recall_all([head for head in heads if head.incident in told])
            now = self._repository.clock()
            began = min((storm.began for storm in self._storms.values()), default=now)
            begin = min(began, now) - self._limits.storm_window
            late = [head for head in heads if head.opened_at >= begin and head.incident not in told]
            await self._recall_all(late)
            for storm in self._storms.values():
                await self._recall_closed(storm)
        except (Temporary, Permanent) as error:
            _log.error("storms of before are not known; each incident pages", error=str(error))

    async def _recall_all(self, heads: Sequence[Head]) -> None:
        await self._repository.load_together([head.incident for head in heads])
        for head in heads:
            await self._recall(head)

    async def _read(self, head: Head) -> Incident | None:
        """The incident; None if it cannot be read, for which the others of its storm do not page
        one by one. Raises Temporary."""
        try:
            return await self._repository.load(head.incident)
        except (Permanent, UnknownIncident, ValueError) as error:
            of = head.incident
            _log.error("an incident is in no storm, for it is unreadable", of=of, error=str(error))
            return None

    async def _recall(self, head: Head) -> None:
        if is_drill_incident(head.incident):
            return
        incident = await self._read(head)
        if incident is None or incident.organization.held is not None:
            return  # nobody is called for what is held, until it is released
        since = incident.clock_from
        self._recent.add(incident.id, incident.key, since)
        known = incident.storm
        if known is None or known.joined_at < since:
            return
        storm = self._storms.setdefault(known.storm, _Gathered(known.storm, known.began, since))
        storm.newest = max(storm.newest, since)
        self._add(storm, incident.id, since)

    async def _recall_closed(self, storm: _Gathered) -> None:
        """The pages of incidents that carried the storm's and are closed: older than all open."""
        window = self._limits.storm_window
        begin, oldest = storm.began - window, min(storm.members.values())
        for incident, at in self._recent.since(begin):
            if incident not in self._storm_of and at <= storm.began:
                self._add(storm, incident, at)
        # Of the same moment it may be, too.
        search = IncidentSearch(status="closed", since=begin, until=oldest + _AFTER)
        for head in await self._repository.journal.heads(_MOST_FORMER, search):
            former = await self._read(head)
            if former is not None:
                self._keep_closed(storm, former)

    def opening(self, incident: str, key: str) -> tuple[e.StormJoined, ...]:
        """What the journal of an incident that opens now begins with, if it is one of a storm.
        Drills are none of it, nor have they any."""
        if is_drill_incident(incident):
            return ()
        storm = self._gather(incident, key, self._repository.clock())
        return () if storm is None else (e.StormJoined(storm=storm.name, began=storm.began),)

    def _gather(self, incident: str, key: str, at: datetime) -> _Gathered | None:
        """The storm that it is one of, for which people began to be called at that moment."""
        now = self._repository.clock()
        begin = now - self._limits.storm_window
        self._recent.add(incident, key, at)
        self._recent.forget_before(begin)
        if incident not in self._recent:
            return None  # heard of long after
        storm = next((s for s in self._storms.values() if s.newest >= begin), None)
        if storm is None:
            if not self._recent.are_many():
                return None
            storm = self._begin_storm(now)
        storm.newest = max(storm.newest, at)
        self._add(storm, incident, at)
        return storm

    def not_opened(self, incident: str) -> None:
        """It was open already, so what `opening` counted is none."""
        self._recent.remove(incident)
        self._drop(incident)

    def _begin_storm(self, now: datetime) -> _Gathered:
        storm = _Gathered(f"{now:%m%d-%H%M%S}", now, now)
        self._storms[storm.name] = storm
        for name, at in self._recent.since(now - self._limits.storm_window):
            if name not in self._storm_of:
                self._add(storm, name, at)
                self._repository.ring(name)
        _log.warning("a storm: incidents are told as one page", storm=storm.name)
        return storm

    def _adopt(self, incident: Incident) -> None:
        """An incident is one of a storm, by another replica's word perhaps: so it is here."""
        joined = incident.storm
        gone = incident.closed is not None or incident.organization.held is not None
        if joined is None or gone or self._storm_of.get(incident.id) == joined.storm:
            return
        storm = self._storms.get(joined.storm) or self._adopted(joined)
        self._drop(incident.id)
        since = incident.clock_from
        storm.newest = max(storm.newest, since)
        self._add(storm, incident.id, since)

    def _adopted(self, joined: StormMembership) -> _Gathered:
        """The storm as it is gathered here from now on: the earlier one, if another is gathered
        here, and so do the others."""
        window = self._limits.storm_window
        rival = next((s for s in self._storms.values() if s.newest >= joined.began - window), None)
        if rival is None:
            storm = _Gathered(joined.storm, joined.began, joined.began)
        elif (rival.began, rival.name) < (joined.began, joined.storm):
            return rival
        else:
            storm = self._storms.pop(rival.name)
            storm.name, storm.began, storm.snapshot = joined.storm, joined.began, None
        self._storms[storm.name] = storm
        for name in storm.members:
            self._storm_of[name] = storm.name
            self._repository.bell(name).set()
        for name, at in self._recent.since(joined.began - window):
            if name not in self._storm_of:
                self._add(storm, name, at)
                self._repository.bell(name).set()
        return storm

    def _add(self, storm: _Gathered, incident: str, at: datetime) -> None:
        storm.members[incident] = at
        self._storm_of[incident] = storm.name
        if self._see(storm, incident) is not None:
            storm.snapshot = None
        elif storm.snapshot is not None:  # it is opened in a moment, and joins as the newest
            storm.snapshot = replace(storm.snapshot, joins_until=self._joins_until(storm))

    def _see(self, storm: _Gathered, incident: str) -> Incident | None:
        """A member of it as it stands."""
        at_hand = self._repository.at_hand(incident)
        if at_hand is not None:
            storm.seen[incident] = at_hand
        return storm.seen.get(incident)

    def _drop(self, incident: str) -> None:
        storm = self._storms.get(self._storm_of.pop(incident, ""))
        if storm is not None:
            storm.members.pop(incident, None)
            storm.seen.pop(incident, None)
            storm.snapshot = None

    def _keep_closed(self, storm: _Gathered, incident: Incident) -> None:
        carried = any(
            page.queued.purpose in STORM_PAGES and page.queued.about == storm.name
            for page in incident.pages.values()
        )
        if carried:
            storm.closed[incident.id] = incident

    def _hold(self, incident: str) -> None:
        """Maintenance holds the call for it, so it is none of a storm until that ends. What is left
        of one that never had a page is called for one by one, if it is not too much."""
        storm = self._storms.get(self._storm_of.get(incident, ""))
        self.not_opened(incident)
        if storm is not None:
            current = self._current(storm)
            if current is None or not (current.pages or self._is_much(current)):
                self._end(storm)

    def _is_much(self, storm: Storm) -> bool:
        """Whether what is left of it is still called for once, and not one by one."""
        return is_told_as_one(storm.held, self._limits)

    def _opened_elsewhere(self, incident: Incident, events: Sequence[e.Event]) -> None:
        """By another replica, which counts those of this one alike; or by people, which makes no
        storm, though it is counted in one."""
        known = incident.organization
        by_people = known.declared is not None or known.split_from
        joined = any(isinstance(event, e.StormJoined) for event in events)
        if by_people or joined or known.held is not None or incident.closed is not None:
            self._recent.add(incident.id, incident.key, incident.opened_at)
        else:
            self._gather(incident.id, incident.key, incident.opened_at)

    def _heard(self, before: Incident | None, after: Incident, events: Sequence[e.Event]) -> None:
        if before is None and after.id not in self._recent and not is_drill_incident(after.id):
            self._opened_elsewhere(after, events)
        if any(isinstance(event, e.StormJoined) for event in events):
            self._adopt(after)
        if any(isinstance(event, e.PagesHeld) for event in events):
            self._hold(after.id)
        elif any(isinstance(event, e.PagesReleased) for event in events):
            self._gather(after.id, after.key, self._repository.clock())
        storm = self._gathered(after.id)  # its page can be answered though it is closed
        if storm is None:
            return
        if after.id in storm.members:
            storm.seen[after.id] = after
        storm.snapshot = self._following(storm, before, after)
        if after.closed is not None:
            self._keep_closed(storm, after)
            self._drop(after.id)
        if any(isinstance(event, _NEWS) for event in events):
            current = self._current(storm)
            if current is not None and current.lead.id != after.id:
                self._tell_lead(storm, current.lead.id, at_once=before is not None)

    def _tell_lead(self, storm: _Gathered, lead: str, *, at_once: bool) -> None:
        """Have the one that carries the storm's pages look; not anew for each of hundreds that
        open within a moment."""
        if at_once:
            self._repository.ring(lead)
        elif storm.told is None or storm.told.when() <= asyncio.get_running_loop().time():
            look = partial(self._repository.ring, lead)
            storm.told = asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, look)

    def _following(
        self, storm: _Gathered, before: Incident | None, after: Incident
    ) -> Storm | None:
        """The snapshot of before, as it stands by now; None if it is to be put together anew."""
        known = storm.snapshot
        if known is None or after.closed is not None:
            return None
        if before is None:
            return known.joined_by(after) if _joins_last(storm, known, after) else None
        if before.organization.merging is not after.organization.merging:
            return None
        following = known.as_of(after)
        return following if following is not known else None

    def _joins_until(self, storm: _Gathered) -> datetime:
        return self._until(storm.newest)

    def _until(self, newest: datetime) -> datetime:
        return newest + self._limits.storm_window

    # ── looking up ───────────────────────────────────────────────────────────────────────────

    @property
    def storms(self) -> list[Storm]:
        """The storms that go on, the oldest first."""
        found = (self._current(storm) for storm in list(self._storms.values()))
        return [storm for storm in found if storm is not None]

    def gathers(self, incident: Incident, within: timedelta) -> bool:
        """Whether another began at about the same moment, so that a storm may come of them."""
        return self._recent.beside(incident, within)

    def storm_of(self, incident: Incident) -> Storm | None:
        """The storm whose page calls for that incident, or did while it was open and carried the
        page; None if it calls for itself."""
        self._take_up(incident)
        storm = self._gathered(incident.id)
        return self._current(storm) if storm is not None else None

    def _take_up(self, incident: Incident) -> None:
        """Gather one that its journal has in a storm: another replica has opened it, and it was
        read here before it was heard of. One of a storm that is over stays by itself."""
        joined, since = incident.storm, incident.clock_from
        if joined is None or joined.joined_at < since or incident.id in self._storm_of:
            return
        if joined.storm in self._storms or self._repository.clock() < self._until(since):
            self._adopt(incident)

    def _gathered(self, incident: str) -> _Gathered | None:
        """The storm that it is one of; one that has carried its page is so after its end, too."""
        storm = self._storms.get(self._storm_of.get(incident, ""))
        return storm or next((s for s in self._storms.values() if incident in s.closed), None)

    def _current(self, storm: _Gathered) -> Storm | None:
        """The storm as it stands; None, and forgotten, once nothing joins it any more and no more
        of it is left than would have been called for one by one."""
        if storm.snapshot is None or not self._stands(storm, storm.snapshot):
            storm.snapshot = self._put_together(storm)
        joins = self._repository.clock() < storm.snapshot.joins_until
        if not storm.snapshot.members or not (joins or self._is_much(storm.snapshot)):
            if not joins:
                self._end(storm)
            return None
        return storm.snapshot

    def _stands(self, gathered: _Gathered, storm: Storm) -> bool:
        """Whether its incidents are still those at hand: another replica's appends are read, and
        are no appends of ours."""
        if gathered.readings == self._repository.readings:
            return True
        gathered.readings = self._repository.readings
        known = ((self._repository.at_hand(member.id), member) for member in storm.members)
        return all(now is None or now is member for now, member in known)

    def _put_together(self, storm: _Gathered) -> Storm:
        order = sorted(storm.members, key=lambda name: (storm.members[name], name))
        seen = (self._see(storm, name) for name in order)
        found = [one for one in seen if one is not None and one.closed is None]
        # What is being merged calls nobody any more, so it carries nothing either.
        merging = tuple(one for one in found if one.organization.merging is not None)
        return Storm(
            name=storm.name,
            began=storm.began,
            joins_until=self._joins_until(storm),
            members=tuple(one for one in found if one.organization.merging is None),
            closed=(*storm.closed.values(), *merging),
        )

    def _end(self, storm: _Gathered) -> None:
        _log.info("the storm is over", storm=storm.name, left=len(storm.members))
        self._storms.pop(storm.name, None)
        for incident in list(storm.members):
            self._storm_of.pop(incident, None)
            self._repository.ring(incident)


def _joins_last(storm: _Gathered, known: Storm, opened: Incident) -> bool:
    """Whether an incident that is just opened is the newest of its storm."""
    if not known.members or opened.id not in storm.members or opened.organization.merging:
        return False
    last = known.members[-1].id
    return (storm.members[last], last) < (storm.members[opened.id], opened.id)


async def acknowledge_storm(
    repository: IncidentRepository, storm: Storm | None, person: str, roster: Roster
) -> None:
    """Acknowledge in that person's name what they have answered for. Asked again after a crash, it
    goes on with those that are left. Raises Temporary, UnknownIncident."""
    if storm is None:
        return

    def respond(incident: Incident) -> Sequence[e.Event]:
        wanted = roster.policy_for(incident.opened.team).acknowledgements
        there = person in incident.responders or enough_came(incident, wanted)
        over = incident.closed is not None or there
        return () if over else arrive(incident, person, "storm")

    for member in unanswered(storm, roster, repository.clock()).get(person, ()):
        await repository.record(member, respond, by=f"{PERSON_PREFIX}{person}")


StormOf = Callable[[Incident], Storm | None]
"""The storm whose page calls for an incident; None if it calls for itself."""
