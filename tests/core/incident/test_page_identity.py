"""A page's id follows from what it is for; pages from before purposes mean what they meant."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.response.paging import alert_of
from tests.core.build import failed, make_incident

OLD = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "pages-with-reasons.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
"""Pages as they were written before purposes: one of each kind of reason and, where simulated
nights brought one, a further attempt. Those of the watchdog, of a team that nobody answered for
and of a step that made it worse are written by hand, in the words of that time."""
MEANT: dict[str, tuple[Purpose, str, int | None]] = {
    "escalation": ("escalation", "", None),
    "engage-mysql": ("engagement", "mysql", None),
    "unattended-2": ("unattended", "", 2),
    "approval-1-budget_spent": ("approval", "1-budget_spent", None),
    "approval-3-relapsed": ("approval", "3-relapsed", None),
    "partial-2": ("verdict", "2", None),
    "inconclusive-1": ("verdict", "1", None),
    "worse-1": ("verdict", "1", None),
    "relapse-1": ("relapse", "", 1),
    "diagnosis-0": ("diagnosis", "", 0),
    "refired-1": ("refired", "", 1),
    "severity-sev1": ("severity", "sev1", None),
    "late-first_update": ("milestone", "first_update", None),
    "role-communicator.2": ("role_request", "communicator.2", None),
    "vacant-communicator": ("vacancy", "communicator", None),
    "unanswered-mysql": ("unanswered", "mysql", None),
    "deputy-1": ("deputy", "", 1),
    "alive-1": ("sign_of_life", "", 1),
    "jump-2": ("jump", "", 2),
    "update-public.1": ("update", "public.1", 1),
    "update-public.1-3": ("update", "public.1", 3),
    "engage-db-2": ("engagement", "db-2", None),
    "update-on-call.12-10": ("update", "on-call.12", 10),
    "something else": ("other", "something else", None),
}


def old_page(reason: str, page: str = "p", **more: object) -> e.PageQueued:
    """A page as an old journal holds it."""
    fields = {"kind": "PageQueued", "page": page, "person": "ada", "reason": reason, "text": "x"}
    event = e.decode(json.dumps({**fields, **more}))
    assert isinstance(event, e.PageQueued)
    return event


@pytest.mark.parametrize("reason", MEANT)
def test_an_old_reason_is_read_as_the_purpose_that_it_meant(reason: str) -> None:
    page = old_page(reason)
    assert (page.purpose, page.about, page.occasion) == MEANT[reason]


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["page"])
def test_every_kind_of_old_page_is_read_and_written_anew_without_loss(old: dict[str, str]) -> None:
    event = e.decode(json.dumps(old))
    assert isinstance(event, e.PageQueued)
    assert event.purpose != "other"
    kept = {"page", "person", "text", "round", "tier", "attempt", "asks"}
    assert {name: getattr(event, name) for name in kept} == {name: old[name] for name in kept}
    assert not old["about"] or event.about == old["about"]
    assert e.decode(e.encode(event)) == event
    own = old["reason"] != "escalation" and not old["reason"].startswith("unattended")
    assert alert_of(event) == (old["page"] if own else "")


@pytest.mark.parametrize("old", OLD, ids=lambda old: old["page"])
def test_the_first_occasion_has_the_id_that_it_always_had(old: dict[str, str]) -> None:
    """So what was queued before an upgrade and what is decided after it are one page."""
    event = e.decode(json.dumps(old))
    assert isinstance(event, e.PageQueued)
    if event.purpose == "verdict":  # of which a step has one: it is never decided again
        return
    name = page_id(
        event.purpose,
        event.about,
        event.occasion or 0,
        event.person,
        round_=event.round,
        tier=event.tier,
        attempt=event.attempt,
    )
    assert name == old["page"]


def test_what_old_pages_did_not_count_is_counted_by_the_journal() -> None:
    """Old journals paged for the approval of a step once; for which relapse, only they know."""
    relapsed = (e.Recovered(step=0, text="x"), e.Relapsed(text="x"))
    incident = make_incident(
        old_page("approval-1-not_approved", "a"),
        *relapsed,
        old_page("vacant-diagnosis", "b"),
        *relapsed,
        old_page("approval-1-relapsed", "c"),
        e.RoleTaken(role="communicator", person="ada", reason="x"),
        e.RoleLeft(role="communicator", person="ada", reason="x"),
        old_page("vacant-communicator", "d"),
        e.CommandVacated(person="ada", reason="x"),
        old_page("escalation", "e"),
        failed("e", temporary=True),
    )
    occasions = {name: page.occasion for name, page in incident.pages.items()}
    assert occasions == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 3}


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
purposes = st.sampled_from(
    ["approval", "vacancy", "relapse", "diagnosis", "severity", "milestone", "sign_of_life", "jump"]
)


@given(purposes, names, st.integers(0, 99), names, st.integers(0, 9))
def test_ids_keep_to_the_alphabet_of_links_and_pagers(
    purpose: Purpose, about: str, occasion: int, person: str, attempt: int
) -> None:
    page = page_id(purpose, about, occasion, person, attempt=attempt)
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", page)
    assert len(page) < 100


@given(names, st.integers(0, 9), names, st.integers(0, 9))
def test_two_occasions_are_two_pages(one: str, first: int, other: str, second: int) -> None:
    for purpose in ("vacancy", "approval", "update", "relapse", "deputy"):
        about = "communicator" if purpose == "vacancy" else ""
        same = page_id(purpose, about, first, one) == page_id(purpose, about, second, other)
        unnumbered = {"vacancy": 0, "approval": 0, "update": 1}.get(purpose, -1)
        numbers = {max(first, unnumbered), max(second, unnumbered)}
        assert same == (one == other and len(numbers) == 1)
