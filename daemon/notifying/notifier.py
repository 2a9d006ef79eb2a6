"""The outbox: pages to people, updates to audiences, and word to the pagers that keep state.

What is sent was journaled before this begins, and every try is journaled after it, so a restart
goes on with what is next. A way that fails hands over to the next at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from daemon.core.decision import Publish, Settle
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import (
    Channels,
    Edits,
    KeepsState,
    Links,
    Message,
    Page,
    Receipt,
    Ways,
)
from daemon.core.response.pager_sync import PAGER_TRIES
from daemon.core.response.paging import alert_of
from daemon.core.response.update_schedule import UPDATE_TRIES
from daemon.core.values.drill_key import marked
from daemon.core.values.outcome import Permanent, Temporary
from daemon.repository import IncidentRepository

_log = structlog.get_logger()

DEADLINE_SECONDS = 10.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class DeliveryFailure:
    """Why something could not be sent, and whether it may work later."""

    text: str
    temporary: bool


async def deliver(
    repository: IncidentRepository, incident: str, page: str, ways: Ways, links: Links
) -> None:
    """Deliver one queued page, or journal that nobody could be reached by it.

    Whoever calls this has claimed it (`IncidentRepository.claim`).
    """
    state = (await repository.load(incident)).pages[page]
    if not state.pending:
        return
    person = state.queued.person
    left = [way for way in ways.get(person, ()) if way[0] not in state.failed_methods]
    if not left:
        failed = e.PageFailed(page=page, method="none", error="no way to reach them", last=True)
        await repository.report(incident, failed)
        return
    for position, (method, pager) in enumerate(left):
        call = _page(await repository.load(incident), page, links, repository)
        sent = await attempt(pager.page(call), incident, method)
        if isinstance(sent, str):
            await repository.report(incident, e.PageDelivered(page=page, method=method, proof=sent))
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


async def attempt(sending: Awaitable[_T], incident: str, method: str) -> _T | DeliveryFailure:
    """Send, within the deadline. Whatever a library raises becomes a failure with its words."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await sending
    except Permanent as error:
        return DeliveryFailure(str(error), temporary=False)
    except (Temporary, TimeoutError) as error:
        return DeliveryFailure(
            str(error) or f"no answer within {DEADLINE_SECONDS:.0f}s", temporary=True
        )
    except Exception as error:
        _log.exception("sending crashed", incident=incident, method=method)
        return DeliveryFailure(f"crashed: {type(error).__name__}", temporary=True)


def _dedup_key(incident: str, alert: str) -> str:
    """What a pager tells alerts apart by: the incident, or one question of it."""
    return f"{incident}/{alert}" if alert else incident


def _page(incident: Incident, page: str, links: Links, repository: IncidentRepository) -> Page:
    queued = incident.pages[page].queued
    return Page(
        incident=incident.id,
        page=page,
        person=queued.person,
        title=incident.title,
        text=_told(incident, queued.text),
        severity=incident.severity,
        link=links.document(incident.id),
        at=repository.clock(),
        dedup_key=_dedup_key(incident.id, alert_of(queued)),
        answer_link=links.for_page(incident.id, page) if queued.asks else "",
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
