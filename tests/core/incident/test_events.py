"""The vocabulary: every event has its family, group and sentence, and what was written is read."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings

from daemon.core.incident import events as e
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.incident.fold import apply_event
from tests.core.build import MINUTE, NOW, make_incident, opening
from tests.core.vocabulary import ANSWERS, KINDS, KNOWN, events_of

FAMILIES = (
    e.LifecycleEvent,
    e.StepEvent,
    e.PageEvent,
    e.ResponderEvent,
    e.UpdateEvent,
    e.DiagnosisEvent,
    e.LearningEvent,
    e.DrillEvent,
    e.CollaborationEvent,
    e.OrganizationEvent,
    e.MaintenanceEvent,
    e.CallAnswerEvent,
    e.StormEvent,
    e.SilenceEvent,
    e.AmendmentEvent,
    e.LastWordEvent,
)
WRITTEN = Path(__file__).parents[2] / "data" / "events-2026-11.jsonl"
"""Every kind of event as a stopgap of November 2026 encoded it, with the sentence it had: from
scenes of these tests, at random where texts are free, and by hand for the reasons that no scene
gave."""


def written() -> list[tuple[str, str]]:
    """(encoded event, sentence) of each line."""
    lines = WRITTEN.read_text(encoding="utf-8").splitlines()
    return [(row["event"], row["line"]) for row in map(json.loads, lines)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_belongs_to_one_family_and_stands_in_one_group(kind: type[Any]) -> None:
    assert sum(kind in get_args(family) for family in FAMILIES) == 1
    assert issubclass(kind, BaseEvent)
    assert kind.group in get_args(EventGroup)


def test_every_event_that_is_defined_is_in_the_vocabulary() -> None:
    defined = {value for value in vars(e).values() if isinstance(value, type)}
    assert {kind for kind in defined if issubclass(kind, BaseEvent)} - {BaseEvent} == set(KINDS)


def test_a_family_is_one_group() -> None:
    groups = [{kind.group for kind in get_args(family)} for family in FAMILIES]
    names = ["problem", "recovery", "calls", "people", "updates", "problem"]
    names += ["diagnosis", "learning", "people", "problem", "calls", "calls", "calls", "calls"]
    names += ["calls", "updates"]
    assert sorted(map(sorted, groups)) == sorted([name] for name in names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_folded_and_has_a_sentence(kind: type[Any]) -> None:
    before = make_incident((NOW, opening()), *KNOWN)
    fixed = {ANSWERS[kind]: "known"} if kind in ANSWERS else {}

    @settings(max_examples=10)
    @given(events_of(kind))
    def told(event: Any) -> None:
        event = event.model_copy(update=fixed)
        after = apply_event(before, NOW + MINUTE, event).opened
        theirs = {"team": before.opened.team} if kind is e.TeamReassigned else {}
        assert after.model_copy(update=theirs) == before.opened
        if kind not in {e.Noted, e.DeadlineMissed}:
            assert event.describe()

    told()


def with_a_reason(text: str) -> bool:
    """Whether it is a page from before purposes; the journal keeps it as it was written."""
    fields = json.loads(text)
    return fields["kind"] == "PageQueued" and "reason" in fields


def holds(fields: Any, older: Any) -> bool:
    """Whether all of the older fields are there, with what they said; others may be besides."""
    if isinstance(older, dict):
        return all(name in fields and holds(fields[name], value) for name, value in older.items())
    if isinstance(older, list):
        pairs = zip(fields, older, strict=False)
        return len(fields) == len(older) and all(holds(one, other) for one, other in pairs)
    return bool(fields == older)


def test_what_was_written_is_read_and_says_the_same() -> None:
    ours = {kind.__name__ for kind in KINDS} - {e.WrittenByNewer.__name__}  # never written
    assert {json.loads(text)["kind"] for text, _ in written()} == ours
    for text, line in written():
        event = e.decode(text)
        assert event.describe() == line
        if not with_a_reason(text):
            # Fields that came later are added, with what they say of an old entry.
            assert holds(json.loads(e.encode(event)), json.loads(text)), text


def test_what_was_written_folds() -> None:
    """As one journal: what answers a page, a request or an update answers one that is known."""
    incident = make_incident((NOW, opening()), *KNOWN)
    for number, (text, _) in enumerate(written()):
        event: Any = e.decode(text)
        if type(event) in ANSWERS:
            event = event.model_copy(update={ANSWERS[type(event)]: "known"})
        incident = apply_event(incident, NOW + timedelta(seconds=number), event)
    assert incident.closed is not None
    assert incident.phase == "closed"
    assert {step.verdict for step in incident.steps.values()} - {None}
    assert incident.pages["known"].failed_methods
    assert incident.updates.by_name["known"].deliveries
    assert incident.people.engaged["known"].answered_by
