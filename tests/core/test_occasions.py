"""Who is paged, for what, and how often: once for each occasion, and for the next one again."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.decide import decide
from daemon.core.decision import Decision
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.page_identity import Purpose
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import RecoveryReading
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.binding_content import content_hash
from daemon.core.recovery.guardrails import Guard
from daemon.core.recovery.plan import Outlook, content_of
from daemon.core.recovery.situation import Surroundings
from daemon.core.reporting.now_and_next import awaiting_approval
from daemon.core.response.open_pages import still_relevant, undelivered
from tests import commanding
from tests.core.build import (
    HOUSE,
    LIMITS,
    NOW,
    STEPS,
    TARGET,
    approved,
    delivered,
    failed,
    make_alert,
    make_roster,
    make_rule,
)
from tests.core.scene import ROUNDS, Scene, of
from tests.core.world import World

RULE = make_rule(recover=[{**STEPS[0], "when": "always"}])
QUIET = make_roster(timing={"staffed_from": "sev1", "vacancy": "9d", "silence": "9d"}, ladder={})
"""A roster under which nobody is asked for roles."""


class Watched(Scene):
    """An incident that `decide` goes on with."""

    def __init__(self, roster: Roster = QUIET) -> None:
        super().__init__(roster=roster)
        self.approvals = approved(RULE, 1, until=NOW + timedelta(days=9))

    def settle(self) -> list[tuple[str, str]]:
        """Write down whatever follows now; returns the pages among it, and to whom."""
        pages: list[tuple[str, str]] = []
        for _ in range(ROUNDS):
            record = self.decided().record
            if not record:
                return pages
            pages += [(x.page, x.person) for x in of(e.PageQueued, self.happen(*record))]
        raise AssertionError("it goes on without end")

    def decided(self) -> Decision:
        """The decision as it is now."""
        views = {1: Outlook(target=TARGET, guard=Guard())}
        surroundings = Surroundings(self.roster, self.approvals, LIMITS, views)
        return decide(self.incident, RULE, surroundings, self.now)

    def measures(self, state: Literal["healthy", "impaired"], minutes: float = 1) -> None:
        """Time goes by, and the metrics show that."""
        self.passes(minutes)
        loss = 0.0 if state == "healthy" else 0.2
        reading = RecoveryReading(at=self.now, state=state, reason="x", loss=loss)
        self.happen(e.RecoveryMeasured(step=0, reading=reading))

    def recovers_and_relapses(self) -> list[tuple[str, str]]:
        """It gets well and comes back; returns the pages that this brings."""
        self.measures("healthy", 10)
        self.happen(e.Recovered(step=0, text="ok"))
        self.settle()
        self.measures("impaired")
        self.measures("impaired")
        return self.settle()


@pytest.fixture
def scene() -> Watched:
    """ada commands a confirmed problem, and everything that follows from that is written."""
    scene = Watched()
    scene.come("ada")
    scene.confirm()
    scene.settle()
    return scene


def restarted(scene: Watched) -> list[tuple[str, str]]:
    """What a daemon that has just started would page for."""
    scene.incident = scene.restarted()
    return scene.settle()


# ── the plan ─────────────────────────────────────────────────────────────────────────────────


def test_each_relapse_asks_the_commander_for_the_step_anew(scene: Watched) -> None:
    for number in (1, 2, 3):
        pages = scene.recovers_and_relapses()
        assert (f"relapse-{number}.ada", "ada") in pages
        assert (f"approval-1-relapsed-{number}.ada", "ada") in pages
        assert len(pages) == len(set(pages))
        assert restarted(scene) == []
    asked = [x.event for x in scene.journal if isinstance(x.event, e.ApprovalRequested)]
    assert [event.reason for event in asked] == ["relapsed"] * 3


def test_a_commander_who_comes_later_is_asked_in_each_episode_too(scene: Watched) -> None:
    scene.recovers_and_relapses()
    scene.come("eve")
    scene.leaves("ada")
    scene.happen(e.CommanderAppointed(person="eve", reason="x"))
    assert ("approval-1-relapsed-1.eve", "eve") in scene.settle()
    assert ("approval-1-relapsed-2.eve", "eve") in scene.recovers_and_relapses()


def test_an_approval_that_was_given_is_not_paged_for_any_more(scene: Watched) -> None:
    scene.recovers_and_relapses()
    page = scene.incident.pages["approval-1-relapsed-1.ada"]
    assert still_relevant(scene.incident, page)
    scene.passes(1)
    scene.does(
        "ada", e.StepApproved(step=1, person="ada", content=content_hash(RULE, RULE.step(1)))
    )
    assert not still_relevant(scene.incident, page)


def test_each_approval_that_lapses_is_asked_for_anew() -> None:
    """Whoever approved twice believes that the step will run, and nothing else says otherwise."""
    scene = Watched()
    scene.approvals = Approvals()
    scene.come("ada")
    scene.confirm()
    assert ("approval-1-not_approved.ada", "ada") in scene.settle()
    for number in (1, 2, 3):
        content = content_of(scene.incident, RULE, 1)
        scene.does("ada", e.StepApproved(step=1, person="ada", content=content))
        scene.passes(31)
        assert (f"approval-1-approval_lapsed-{number}.ada", "ada") in scene.settle()
        assert restarted(scene) == []
        page = scene.incident.pages[f"approval-1-approval_lapsed-{number}.ada"]
        assert still_relevant(scene.incident, page)


def test_after_a_relapse_each_approval_that_lapses_is_asked_for_anew(scene: Watched) -> None:
    scene.recovers_and_relapses()
    approved = e.StepApproved(step=1, person="ada", content=content_hash(RULE, RULE.step(1)))
    for number in (1, 2, 3):
        scene.does("ada", approved)
        assert awaiting_approval(scene.incident) is None
        scene.measures("impaired", 31)
        page = f"approval-1-approval_lapsed-{number + 1}.ada"
        calls = [call for call in scene.settle() if call[0].startswith("approval")]
        assert calls == [(page, "ada")]
        assert still_relevant(scene.incident, scene.incident.pages[page])
        assert restarted(scene) == []
        assert awaiting_approval(scene.incident) == scene.incident.step(1)


def test_what_is_over_is_neither_delivered_nor_tried_again(scene: Watched) -> None:
    """The approval of one episode is no question in the next."""
    scene.recovers_and_relapses()
    lost = "approval-1-relapsed-1.ada"
    scene.happen(failed(lost, temporary=True))
    scene.passes(20)
    scene.happen(e.Recovered(step=0, text="ok"))
    scene.passes(20)
    assert not [page for page, _ in scene.settle() if page.startswith(lost)]
    scene.happen(e.Relapsed(text="x"))
    pages = [page for page, _ in scene.settle()]
    assert "approval-1-relapsed-2.ada" in pages
    assert not [page for page in pages if page.startswith(lost)]


def test_each_diagnosis_of_a_relapse_is_told(scene: Watched) -> None:
    scene.does("bo", e.StepVetoed(step=1, person="bo"))
    assert ("diagnosis-0.ada", "ada") in scene.settle()
    assert ("diagnosis-1.ada", "ada") in scene.recovers_and_relapses()
    assert ("diagnosis-2.ada", "ada") in scene.recovers_and_relapses()


def test_each_refire_is_told() -> None:
    scene = Watched()
    scene.come("ada")
    for number in (1, 2):
        scene.happen(e.AlertsReceived(alerts=(make_alert("resolved"),)))
        scene.happen(e.AlertsReceived(alerts=(make_alert("firing"),)))
        assert (f"refired-{number}.ada", "ada") in scene.settle()
        assert restarted(scene) == []


# ── roles ────────────────────────────────────────────────────────────────────────────────────


def nobody_left(scene: Watched) -> list[tuple[str, str]]:
    """Everybody is asked and says nothing; returns the pages to who commands."""
    pages: list[tuple[str, str]] = []
    for _ in range(12):
        pages += scene.settle()
        scene.says("ada")
        scene.passes(3)
    return [page for page in pages if page[0].startswith("vacant")]


def test_a_role_that_falls_vacant_again_is_told_again() -> None:
    scene = Watched(make_roster(ladder={}))
    scene.come("ada")
    scene.confirm("sev2")
    assert nobody_left(scene) == [("vacant-communicator.ada", "ada")]
    assert nobody_left(scene) == [], "told once"
    for number in (1, 2):
        scene.come("eve")
        scene.takes("eve", "communicator")
        assert not [page for page in undelivered(scene.incident) if page.is_for("vacancy")]
        scene.does("eve", *commanding.step_down(scene.incident, "communicator", "eve"))
        assert nobody_left(scene) == [(f"vacant-communicator-{number}.ada", "ada")]
        assert restarted(scene) == []


def test_each_request_assignment_and_sign_of_life_is_an_occasion_of_its_own() -> None:
    scene = Watched(make_roster(ladder={}))
    scene.come("ada", "bo")
    for number in (1, 2):
        scene.assigns("ada", "diagnosis", "bo")
        assert (f"diagnosis.{number}", "bo") in scene.calls("role_request")
        scene.answers("bo", f"diagnosis.{number}", accept=False)
        scene.passes(20)
        scene.settle()
        assert f"alive-{number}.ada" in scene.incident.pages
        scene.says("ada")


# ── people call for people ───────────────────────────────────────────────────────────────────


def test_each_jump_pages_again() -> None:
    scene = Watched()
    scene.come("ada")
    for number in (1, 2):
        jump = commanding.jump(scene.incident, scene.roster, 2, "ada", scene.now)
        assert {page.page for page in of(e.PageQueued, jump)} >= {f"jump-{number}.gus"}
        scene.does("ada", *jump)


def test_each_severity_and_each_milestone_is_one_occasion() -> None:
    scene = Watched(HOUSE)
    scene.come("ada")
    scene.confirm("sev2")
    for _ in range(20):
        scene.settle()
        scene.says("ada")
        scene.passes(5)
    for purpose in ("severity", "milestone"):
        calls = scene.calls(purpose)
        assert calls
        assert len(calls) == len(set(calls))


def test_a_team_that_nobody_answers_for_is_told_of_once() -> None:
    policies = {"tiers": [{"notify": ["hal"], "wait": "1m"}], "repeat": 0}
    roster = make_roster(
        policies={
            "shop": {"tiers": [{"notify": ["ada"]}]},
            "mysql": policies,
        },
        timing={"staffed_from": "sev1", "vacancy": "9d", "silence": "9d"},
        ladder={},
    )
    scene = Watched(roster)
    scene.come("ada")
    scene.does("ada", *commanding.engage(scene.incident, roster, "mysql", "ada", "", ""))
    scene.settle()
    for page in list(scene.incident.pages):
        scene.happen(delivered(page))
    scene.passes(9)
    pages = scene.settle()
    assert ("unanswered-mysql.ada", "ada") in pages
    scene.passes(9)
    assert scene.settle() == []


# ── over many nights ─────────────────────────────────────────────────────────────────────────

BY_POLICY = ("escalation", "engagement")


class Recorded(World):
    """A night with its journal, and what holds of every page in it."""

    def __init__(self, seed: int) -> None:
        self.queued: list[e.PageQueued] = []
        super().__init__(seed)

    def happen(self, *events: e.Event, by: str = e.DAEMON) -> None:
        before = set(self.incident.pages)
        super().happen(*events, by=by)
        pages = [event for event in events if isinstance(event, e.PageQueued)]
        self.queued += pages
        for page in pages:
            assert page.page not in before, "an id is used once"
            assert still_relevant(self.incident, self.incident.pages[page.page]), page
        for event in events:
            self.paged_for(event)

    def paged_for(self, event: e.Event) -> None:
        """Each new occasion pages whoever commands."""
        relapses, commander = self.incident.relapses, self.incident.commander
        if not commander:
            return
        match event:
            case e.ApprovalRequested():
                about = f"{event.step}-{event.reason}"
                self.has_page("approval", about, occasion_of(self.incident, "approval", about))
            case e.Relapsed():
                self.has_page("relapse", "", relapses)
            case e.DiagnosisOpened() if event.reason != "no_suitable_plan":
                self.has_page("diagnosis", "", relapses)

    def has_page(self, purpose: Purpose, about: str, occasion: int) -> None:
        called = [
            page.occasion
            for page in self.incident.pages.values()
            if page.is_for(purpose, about) and page.queued.person == self.incident.commander
        ]
        assert occasion in called


NIGHTS = 60
LATER = {(purpose, 1) for purpose in ("approval", "relapse", "diagnosis", "vacancy")}
LATER |= {(purpose, 2) for purpose in ("deputy", "sign_of_life", "update", "jump")}
"""Pages for later occasions, without which it would prove little."""


def test_over_many_nights_each_occasion_pages_each_person_once() -> None:
    """And nobody for what is over already; `Recorded` looks at every page as it is queued. It ends
    once the nights have brought every one of LATER."""
    seen: set[tuple[str, int]] = set()
    for seed in range(400):
        night = Recorded(seed)
        for _ in range(120):
            night.turn()
        identities = [
            (page.purpose, page.about, page.occasion, page.person, page.attempt)
            + ((page.round, page.tier) if page.purpose in BY_POLICY else ())
            for page in night.queued
        ]
        assert len(set(identities)) == len(identities), seed
        for page in undelivered(night.incident):
            assert night.incident.closed is None, seed
            assert still_relevant(night.incident, page), seed
        seen |= {(page.purpose, page.occasion or 0) for page in night.queued}
        if seed >= NIGHTS and seen >= LATER:
            return
    raise AssertionError(f"never: {sorted(LATER - seen)}")


def as_before(event: e.Event) -> e.Event:
    """The event as the code before purposes wrote it."""
    if not isinstance(event, e.PageQueued):
        return event
    stems = {
        "engagement": f"engage-{event.about}",
        "unattended": f"unattended-{event.occasion}",
        "approval": f"approval-{event.about}",
        "verdict": f"partial-{event.about}",
        "severity": f"severity-{event.about}",
        "milestone": f"late-{event.about}",
        "role_request": f"role-{event.about}",
        "vacancy": f"vacant-{event.about}",
        "unanswered": f"unanswered-{event.about}",
        "sign_of_life": f"alive-{event.occasion}",
        "update": f"update-{event.about}" + ("" if event.occasion == 1 else f"-{event.occasion}"),
        "escalation": "escalation",
    }
    reason = stems.get(event.purpose, f"{event.purpose}-{event.occasion}")
    fields = event.model_dump(exclude={"purpose", "occasion"})
    asked = event.about if event.asks in {"answer", "send"} else ""
    return e.PageQueued.model_validate({**fields, "about": asked, "reason": reason})


@settings(max_examples=60)
@given(st.integers(0, 10**6))
def test_an_incident_goes_on_over_an_upgrade_as_if_there_had_been_none(seed: int) -> None:
    """Its pages are from before purposes; nobody is paged again for what they were for."""
    night = Recorded(seed)
    old: Incident = night.incident
    happen = night.happen

    def both(*events: e.Event, by: str = e.DAEMON) -> None:
        nonlocal old
        happen(*events, by=by)
        for event in events:
            old = apply_event(old, night.now, as_before(event), by)

    night.happen = both  # type: ignore[method-assign]
    for _ in range(80):
        night.turn()
    occasions = {name: page.occasion for name, page in night.incident.pages.items()}
    assert {name: page.occasion for name, page in old.pages.items()} == occasions
    surroundings = night.around()
    assert decide(old, night.rule, surroundings, night.now) == decide(
        night.incident, night.rule, surroundings, night.now
    )
