"""The fold of the calls: pages, pagers, and the teams that were called in."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.amendments import Amendment
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.responders import Engagement, IncidentPeople, PagerReports
from daemon.core.incident.state import Incident, PagerAlertState, PageState
from daemon.core.values.replace import replace


def apply_page(incident: Incident, at: datetime, event: e.PageEvent) -> Incident:
    """The incident after one more event of its calls."""
    people = incident.people
    match event:
        case e.PageQueued():
            occasion = event.occasion
            if occasion is None:  # written before occasions were: it is the present one
                occasion = occasion_of(incident, event.purpose, event.about)
            page = PageState(event, at, occasion, people.campaign, len(people.jumps))
            return _with_page(incident, page)
        case e.PageDelivered():
            page = replace(
                incident.pages[event.page],
                delivered_at=at,
                delivered_by=event.method,
                proof=event.proof,
                amendment=Amendment(needed=not event.measured),
            )
            return _with_page(incident, page)
        case e.PageFailed():
            return _with_page(incident, _failed(incident.pages[event.page], event))
        case e.PagerSettled() | e.PagerUnsettled():
            return _settled(incident, at, event)
        case e.PagerSaid():
            return replace(incident, people=_reported(people, at, event))
        case e.EscalationJumped():
            return replace(incident, people=replace(people, jumps=(*people.jumps, event)))
        case e.EscalationDefect():
            return replace(incident, defects=(*incident.defects, at))
        case e.TeamEngaged():
            return _with_team(incident, Engagement(event, at))
        case e.TeamAnswered():
            team = people.engaged[event.team]
            return _with_team(incident, replace(team, answered_by=event.person))
        case _:
            assert_never(event)


def _with_page(incident: Incident, page: PageState) -> Incident:
    return replace(incident, pages={**incident.pages, page.queued.page: page})


def _with_team(incident: Incident, team: Engagement) -> Incident:
    engaged = {**incident.people.engaged, team.event.team: team}
    return replace(incident, people=replace(incident.people, engaged=engaged))


def _failed(page: PageState, event: e.PageFailed) -> PageState:
    return replace(
        page,
        failed_methods=(*page.failed_methods, event.method),
        worth_trying=page.worth_trying or event.temporary,
        given_up=event.last,
    )


def _settled(
    incident: Incident, at: datetime, event: e.PagerSettled | e.PagerUnsettled
) -> Incident:
    key = (event.person, event.method, event.alert)
    if isinstance(event, e.PagerSettled):
        after = PagerAlertState(event.state, at)
    else:
        before = incident.pager_states.get(key, PagerAlertState())
        after = replace(
            before,
            failures=before.failures + 1,
            failed_at=at,
            given_up=event.state if event.last else before.given_up,
        )
    return replace(incident, pager_states={**incident.pager_states, key: after})


def _reported(people: IncidentPeople, at: datetime, event: e.PagerSaid) -> IncidentPeople:
    before = people.pager_reports.get(event.source)
    # Reports of the same moment stay apart by their reference, older ones by their time.
    references = (before.references if before else frozenset()) | {event.reference}
    acknowledged_by = before.acknowledged_by if before else frozenset()
    taken_back_at = before.taken_back_at if before else None
    if event.said == "acknowledged":
        acknowledged_by |= {event.person} - {""}
    else:
        taken_back_at = at
        # Nobody knows whose acknowledgement automation took back, so then none stands.
        acknowledged_by = (
            acknowledged_by - {event.person} if event.person in acknowledged_by else frozenset()
        )
    reports = PagerReports(event.occurred_at, taken_back_at, references, acknowledged_by)
    return replace(people, pager_reports={**people.pager_reports, event.source: reports})
