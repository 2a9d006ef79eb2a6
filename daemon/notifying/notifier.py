"""The outbox: pages to people, updates to audiences, and word to the pagers that keep state.

What is sent was journaled before this begins, and every try is journaled after it, so a restart
goes on with what is next. A way that fails hands over to the next at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from daemon.core.decision import Publish, Settle
from daemon.core.incident import events as e
from daemon.core.incident.alert_words import alert_links
from daemon.core.incident.state import Incident, PageState
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import (
    Amends,
    Channels,
    Edits,
    KeepsState,
    Links,
    Message,
    Page,
    Pager,
    Receipt,
    Reminder,
    Reminds,
    Ways,
)
from daemon.core.ports.replicas import must_act
from daemon.core.ports.rooms import RateLimited
from daemon.core.reporting.page_text import page_text, short_text
from daemon.core.response.amendments import AMEND_TRIES
from daemon.core.response.call_answers import SUMMONS
from daemon.core.response.pager_sync import PAGER_TRIES
from daemon.core.response.paging import STORM_PAGES, alert_of
from daemon.core.response.rooms import place_links, with_places
from daemon.core.response.update_schedule import UPDATE_TRIES
from daemon.core.rules.rule import Rule
from daemon.core.values.drill_key import marked
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

DEADLINE_SECONDS = 10.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class DeliveryFailure:
    """Why something could not be sent, and whether it may work later; `rest`: in so many seconds,
    if the service asked for that."""

    text: str
    temporary: bool
    rest: int = 0


def delivery_failure(error: Temporary | Permanent) -> DeliveryFailure:
    """What failed, as it is told and decided on."""
    rest = error.seconds if isinstance(error, RateLimited) else 0
    return DeliveryFailure(str(error), isinstance(error, Temporary), rest)


@dataclass(frozen=True)
class PageMeans:
    """What a page is made of and sent by: the ways to people, the links in it, the rules in force,
    by name."""

    ways: Ways
    links: Links
    rules: Mapping[str, Rule]


async def deliver(
    repository: IncidentRepository, incident: str, page: str, means: PageMeans
) -> None:
    """Deliver one queued page, or journal that nobody could be reached by it.

    Whoever calls this has claimed it (`IncidentRepository.claim`).
    """
    state = (await repository.load(incident)).pages[page]
    if not state.pending:
        return
    person = state.queued.person
    ways = means.ways.get(person, ())
    left = [way for way in ways if way[0] not in state.failed_methods]
    if not left:
        failed = e.PageFailed(page=page, method="none", error="no way to reach them", last=True)
        await repository.report(incident, failed)
        return
    for position, (method, pager) in enumerate(left):
        told = await repository.load(incident)
        call = _page(told, page, means, repository)
        must_act(repository.ownership, incident)
        sent = await attempt(pager.page(call), incident, method)
        if isinstance(sent, str):
            taken = e.PageDelivered(
                page=page,
                method=method,
                proof=sent,
                measured=told.measured_at is not None or not told.rule,
            )
            await repository.report(incident, taken)
            return
        _log.warning("page failed", person=person, method=method, why=sent.text)
        failed = e.PageFailed(
            page=page,
            method=method,
            error=sent.text,
            last=position + 1 == len(left),
            temporary=sent.temporary,
        )
        await repository.report(incident, failed)


async def amend(repository: IncidentRepository, incident: str, page: str, means: PageMeans) -> None:
    """Let whoever got this page know the numbers that came after it, once, and ring nobody.

    Whoever calls this has claimed it (`IncidentRepository.claim`).
    """
    current = await repository.load(incident)
    state = current.pages[page]
    if state.amendment.over:
        return
    call = _page(current, page, means, repository)
    method, sent = await _amended(call, state, means.ways.get(call.person, ()))
    event: e.Event
    if isinstance(sent, str):
        event = e.PageAmended(page=page, method=method, proof=sent)
    else:
        last = not sent.temporary or state.amendment.failures + 1 >= AMEND_TRIES
        event = e.PageNotAmended(page=page, method=method, error=sent.text, last=last)
    await repository.report(incident, event)


async def _amended(
    call: Page, state: PageState, ways: Sequence[tuple[str, Pager]]
) -> tuple[str, str | DeliveryFailure]:
    """By which way they were told, and the proof or why not: in the alert itself where that can
    be, else by one message of a way that wakes nobody, the page's own first."""
    taken: object = dict(ways).get(state.delivered_by)
    if isinstance(taken, Amends):
        told = await attempt(
            taken.amend_alert(call, state.proof), call.incident, state.delivered_by
        )
        return state.delivered_by, told
    words = Reminder(
        incident=call.incident,
        person=call.person,
        title=f"Measured now: {call.title}",
        text=call.text,
        link=call.answer_link or call.link,
    )
    method, told = "none", DeliveryFailure("no way to them that rings nobody", temporary=False)
    for method, pager in sorted(ways, key=lambda way: way[0] != state.delivered_by):
        if isinstance(pager, Reminds):
            return method, await attempt(pager.remind(words), call.incident, method)
    return "none", told


async def update_pager_alert(
    repository: IncidentRepository, incident: str, order: Settle, ways: Ways
) -> None:
    """Tell a pager that keeps state that somebody came, or that it is over."""
    pager: object = dict(ways.get(order.person, ())).get(order.method)
    key = _dedup_key(incident, order.alert)
    answer: str | DeliveryFailure
    if isinstance(pager, KeepsState):
        answer = await attempt(pager.update_alert(key, order.state), incident, order.method)
    else:
        answer = DeliveryFailure("the roster has no such way to them any more", temporary=False)
    current = await repository.load(incident)
    before = current.pager_states.get((order.person, order.method, order.alert))
    tries = before.failures + 1 if before else 1
    event: e.Event
    if isinstance(answer, str):
        event = e.PagerSettled(
            person=order.person,
            method=order.method,
            state=order.state,
            proof=answer,
            alert=order.alert,
        )
    else:
        event = e.PagerUnsettled(
            person=order.person,
            method=order.method,
            state=order.state,
            error=answer.text,
            last=not answer.temporary or tries >= PAGER_TRIES,
            alert=order.alert,
        )
    await repository.report(incident, event)


async def publish(
    repository: IncidentRepository,
    incident: str,
    order: Publish,
    channels: Channels,
    links: Links,
    roster: Roster,
) -> None:
    """Bring one version of an update to one channel.

    Whoever calls this has claimed it (`IncidentRepository.claim`).
    """
    current = await repository.load(incident)
    update = current.updates.by_name[order.update]
    delivery = update.delivery(order.channel)
    if delivery.version >= order.version:
        return
    message = _message(current, order, links, repository, roster)
    channel = channels.get(order.channel)
    outcome: Receipt | DeliveryFailure
    if channel is None:
        outcome = DeliveryFailure("the roster has no such channel any more", temporary=False)
    elif delivery.version == 0:
        outcome = await attempt(channel.post(message), incident, order.channel)
    elif isinstance(channel, Edits):
        outcome = await attempt(channel.edit(delivery.reference, message), incident, order.channel)
    else:
        kept = e.UpdateKept(update=order.update, version=order.version, channel=order.channel)
        await repository.report(incident, kept)
        return
    event: e.Event
    if isinstance(outcome, Receipt):
        event = e.UpdatePublished(
            update=order.update,
            version=order.version,
            channel=order.channel,
            proof=outcome.proof,
            reference=outcome.reference,
        )
    else:
        _log.warning("update failed", channel=order.channel, why=outcome.text)
        event = e.UpdateFailed(
            update=order.update,
            version=order.version,
            channel=order.channel,
            error=outcome.text,
            last=not outcome.temporary or delivery.failures + 1 >= UPDATE_TRIES,
        )
    await repository.report(incident, event)


async def attempt(
    sending: Awaitable[_T], incident: str, method: str, deadline: float = DEADLINE_SECONDS
) -> _T | DeliveryFailure:
    """Send, within the deadline. Whatever a library raises becomes a failure with its words."""
    try:
        async with asyncio.timeout(deadline):
            return await sending
    except (Permanent, Temporary) as error:
        return delivery_failure(error)
    except TimeoutError:
        return DeliveryFailure(f"no answer within {deadline:.0f}s", temporary=True)
    except Exception as error:
        _log.exception("sending crashed", incident=incident, method=method)
        return DeliveryFailure(f"crashed: {type(error).__name__}", temporary=True)


def _dedup_key(incident: str, alert: str) -> str:
    """What a pager tells alerts apart by: the incident, or one question of it."""
    return f"{incident}/{alert}" if alert else incident


def _page(incident: Incident, page: str, means: PageMeans, repository: IncidentRepository) -> Page:
    """The page with the facts of this moment."""
    queued, links = incident.pages[page].queued, means.links
    storm = queued.purpose in STORM_PAGES
    text = page_text(incident, queued, means.rules.get(incident.rule), repository.clock())
    return Page(
        incident=incident.id,
        page=page,
        person=queued.person,
        title=queued.text.partition("\n")[0] if storm else incident.title,
        text=_told(incident, queued.text) if storm else with_places(incident, text),
        short=queued.text.partition("\n")[0] if storm else short_text(incident, queued),
        links=() if storm else tuple((link.name, link.url) for link in alert_links(incident)),
        # That of the incident which carries a storm's page says nothing about the storm.
        severity="" if storm else incident.severity,
        link=links.document(incident.id),
        at=repository.clock(),
        dedup_key=_dedup_key(incident.id, alert_of(queued)),
        answer_link=links.for_page(incident.id, page) if queued.asks else "",
        summons=queued.purpose in SUMMONS,
        places={} if storm else place_links(incident),
    )


def _told(incident: Incident, text: str) -> str:
    """A text as people get it: of a drill it is said first, whoever wrote the text."""
    return text if incident.drill is None else marked(text)


def _message(
    incident: Incident, order: Publish, links: Links, repository: IncidentRepository, roster: Roster
) -> Message:
    update = incident.updates.by_name[order.update]
    audience = roster.audiences.get(update.audience)
    # The document names people, targets and actions: it is not for the public.
    internal = audience is not None and audience.wording == "internal"
    return Message(
        incident=incident.id,
        update=order.update,
        version=order.version,
        audience=update.audience,
        title=_told(incident, update.text.partition("\n")[0]),
        text=_told(incident, update.text),
        severity=incident.severity,
        stage=update.draft.stage,
        link=links.document(incident.id) if internal else "",
        at=repository.clock(),
    )
