"""The journal's whole vocabulary: what can have happened to an incident, in the past tense.

An event is a fact; it is never changed, only added to. FORMAT counts the revisions of this
vocabulary and is stored with every entry. An entry carries the hash of the one before it, so a
journal that was edited shows it (`stopgap audit verify`).

A new event stands in the file of its family and in the union there, and has its case in the
family's fold; `Event` and everything that reads it know it by that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, get_args

from pydantic import ConfigDict, Field, TypeAdapter

from daemon.core.incident.events.amendments import *
from daemon.core.incident.events.base import BaseEvent
from daemon.core.incident.events.call_answers import *
from daemon.core.incident.events.collaboration import *
from daemon.core.incident.events.diagnosis import *
from daemon.core.incident.events.drills import *
from daemon.core.incident.events.dry_runs import *
from daemon.core.incident.events.kept_updates import *
from daemon.core.incident.events.last_word import *

# To mypy a star passes on what the file itself defines, and nothing that it imports.
from daemon.core.incident.events.learning import *
from daemon.core.incident.events.lifecycle import *
from daemon.core.incident.events.maintenance import *
from daemon.core.incident.events.newer import *
from daemon.core.incident.events.organization import *
from daemon.core.incident.events.pages import *
from daemon.core.incident.events.recording import *
from daemon.core.incident.events.responders import *
from daemon.core.incident.events.silences import *
from daemon.core.incident.events.stages import *
from daemon.core.incident.events.steps import *
from daemon.core.incident.events.storm import *
from daemon.core.incident.events.updates import *
from daemon.core.people.role_names import Role as Role
from daemon.core.values.seal import UNKEYED
from daemon.core.values.units import Frozen, Moment

FORMAT = 1

Event = Annotated[
    LifecycleEvent
    | StepEvent
    | PageEvent
    | AmendmentEvent
    | ResponderEvent
    | UpdateEvent
    | DiagnosisEvent
    | LearningEvent
    | DrillEvent
    | CollaborationEvent
    | OrganizationEvent
    | MaintenanceEvent
    | CallAnswerEvent
    | StormEvent
    | SilenceEvent
    | LastWordEvent,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(defer_build=True))
_KINDS: Mapping[str, type[BaseEvent]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Event)[0])
}

chain = UNKEYED.digest
"""The digest of an entry where no key is set (`Seal.digest`): over the digest before it and the
columns incident, seq, at, by, kind, format, body, in this order, as stored."""

DAEMON = "stopgap"
"""The actor of everything that no person did."""


class Draft(Frozen):
    """An event about to be appended: when, and by whom."""

    at: Moment
    by: str = DAEMON
    event: Event


class Entry(Frozen):
    """An event in the journal. `digest` covers everything here and the entry before. `format`: the
    revision of the vocabulary that it was written in."""

    incident: str
    seq: int
    at: Moment
    by: str
    event: Event
    digest: str
    format: int = FORMAT


def encode(event: Event) -> str:
    """The event as it is stored: compact JSON with sorted keys."""
    return json.dumps(_EVENT.dump_python(event, mode="json"), sort_keys=True, separators=(",", ":"))


def decode(text: str, format: int = FORMAT) -> Event:  # noqa: A002
    """Read what `encode` wrote, in that format. Raises ValueError if it is not of this vocabulary.

    Of a newer format the fields that this version does not know are left out, and an event that
    cannot be read even so is `WrittenByNewer`.
    """
    if format <= FORMAT:
        return _EVENT.validate_json(text)
    fields = json.loads(text)
    kind = str(fields.get("kind", ""))
    known = _KINDS.get(kind)
    try:
        if known is not None:
            return _EVENT.validate_python({n: fields[n] for n in fields if n in known.model_fields})
    except ValueError:
        pass  # something in it is new: a value, or a field within a field
    return WrittenByNewer(of=kind, written_in=format)


def build_validators() -> None:
    """Build what checks, reads and writes events; it would else be built with the first of each
    kind. Any thread may do it beside the others."""
    models: tuple[type[Frozen], ...] = (*_KINDS.values(), Draft, Entry)
    for model in models:
        model.model_rebuild()
    _EVENT.rebuild()
