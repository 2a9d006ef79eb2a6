"""The public status page holds what the customers were sent, and nothing else of ours."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.state import Incident
from daemon.core.reporting.status_page.html import status_html
from daemon.core.reporting.status_page.model import (
    StatusPage,
    StatusPageSpec,
    audience_trouble,
    status_entries,
    status_page,
    status_part,
)
from tests.core.build import ACKNOWLEDGED, NOW, ago, confirmed, make_incident, make_roster, opening

SPEC = StatusPageSpec(
    title="Acme <status>",
    audience="customers",
    history=timedelta(days=14),
    every=timedelta(minutes=5),
    components={"Checkout": ("shop",), "Search": ("search", "search-latency")},
)
HOSTILE = "<script>alert(1)</script>\n</p><img src=x>\x1b[31m & \u202e\"'"


def drafted(
    audience: str, number: int, stage: e.StageOfSteps, text: str, *, public: bool = True
) -> e.UpdateDrafted:
    return e.UpdateDrafted(
        update=f"{audience}.{number}",
        audience=audience,
        revision=1,
        stage=stage,
        text=f"draft: {text}",
        because="x",
        facts="x",
        automatic=False,
        public=public,
    )


def told(
    minutes: float,
    text: str,
    number: int = 1,
    stage: e.StageOfSteps = "early",
    to: str = "customers",
) -> tuple[Any, Any]:
    """Drafted, and sent by ada, so many minutes ago."""
    sent = e.UpdateReleased(update=f"{to}.{number}", text=text, person="ada")
    return (ago(minutes), drafted(to, number, stage, text)), (ago(minutes), sent)


def story(*more: Any) -> Incident:
    """An incident that ada commands."""
    events = ((ago(30), opening()), (ago(30), confirmed()), (ago(29), ACKNOWLEDGED[0]))
    return make_incident(*events, (ago(29), ACKNOWLEDGED[1]), *more)


def page_of(*incidents: Incident) -> StatusPage:
    found = {f"{n}": status_part(one, SPEC) for n, one in enumerate(incidents)}
    parts = {name: part for name, part in found.items() if part is not None}
    return status_page(status_entries(parts, SPEC), SPEC, NOW)


def test_a_problem_goes_on_until_the_customers_are_told_that_it_is_over() -> None:
    begun = told(20, "We see a problem.")
    page = page_of(story(*begun, (ago(10), e.Recovered(step=0, text="x"))))
    assert page.state == "problem"
    [entry] = page.entries
    assert (entry.id, entry.began, entry.ended) == ("20260301-135000", ago(20), None)
    assert [update.text for update in entry.updates] == ["We see a problem."]
    over = told(5, "It works again.", 2, "late")
    page = page_of(story(*begun, (ago(10), e.Recovered(step=0, text="x")), *over))
    assert page.state == "ok"
    [entry] = page.entries
    assert entry.ended == ago(5)
    assert [update.text for update in entry.updates] == ["It works again.", "We see a problem."]


def test_what_nobody_has_sent_and_what_others_were_sent_is_not_on_it() -> None:
    draft = (ago(20), drafted("customers", 1, "early", "secret draft"))
    assert page_of(story(draft, *told(20, "internal words", to="team"))).entries == ()
    assert page_of(story()).state == "ok"


def test_what_was_written_for_ours_stays_off_it_when_the_audience_becomes_public() -> None:
    """An audience's wording is internal until the roster says otherwise."""
    draft = (ago(20), drafted("customers", 1, "early", "Commander: ada", public=False))
    sent = (ago(19), e.UpdateReleased(update="customers.1", text="Commander: ada", person=""))
    assert page_of(story(draft, sent)).entries == ()


def test_an_edit_replaces_what_was_sent() -> None:
    edit = e.UpdateEdited(update="customers.1", version=2, text="Payments fail.", person="ada")
    [entry] = page_of(story(*told(20, "Paiments fail."), (ago(19), edit))).entries
    assert [update.text for update in entry.updates] == ["Payments fail."]


def test_a_dismissed_last_word_ends_it_without_a_text() -> None:
    closed = e.IncidentClosed(reason="by_person", text="x")
    dismissed = e.LastWordDismissed(audience="customers", person="ada", reason="a secret")
    page = page_of(story(*told(20, "We see a problem."), (ago(10), closed), (ago(5), dismissed)))
    [entry] = page.entries
    assert (page.state, entry.ended) == ("ok", ago(10))
    assert "secret" not in page.model_dump_json()


def test_a_relapse_that_customers_are_told_of_begins_it_again() -> None:
    page = page_of(
        story(
            *told(20, "We see a problem."),
            (ago(15), e.Recovered(step=0, text="x")),
            *told(14, "It works again.", 2, "late"),
            (ago(8), e.Relapsed(text="x")),
            *told(7, "It is back.", 3, "middle"),
        )
    )
    assert page.state == "problem"
    assert page.entries[0].ended is None


def test_a_drill_is_never_on_it() -> None:
    incident = story(*told(20, "We see a problem."))
    drill: Any = object()
    practised = incident.opened.model_copy(update={"drill": drill})
    in_earnest = status_part(incident, SPEC)
    assert in_earnest is not None
    incident.__dict__["opened"] = practised
    assert status_part(incident, SPEC) is None


def test_what_is_over_for_long_leaves_it_and_what_goes_on_does_not() -> None:
    long = 15 * 24 * 60
    begun = told(long + 60, "We see a problem.")
    assert len(page_of(story(*begun)).entries) == 1
    over = ((ago(long + 30), e.Recovered(step=0, text="x")), *told(long, "Over.", 2, "late"))
    assert page_of(story(*begun, *over)).entries == ()


def test_parts_have_the_state_of_the_problems_of_their_teams_and_rules() -> None:
    page = page_of(story(*told(20, "We see a problem.")))
    assert [(one.name, one.state) for one in page.components] == [
        ("Checkout", "problem"),
        ("Search", "ok"),
    ]
    assert page.entries[0].components == ("Checkout",)


def test_two_that_began_in_one_second_are_told_apart() -> None:
    one = story(*told(20, "We see a problem."))
    assert [entry.id for entry in page_of(one, one).entries] == [
        "20260301-135000",
        "20260301-135000-2",
    ]


class Tags(HTMLParser):
    """The elements of a page, with what each has to be closed by."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_sound_html_in_which_nothing_of_others_is_live() -> None:
    shown = status_html(page_of(story(*told(20, HOSTILE))))
    tags = Tags()
    tags.feed(shown)
    assert tags.open == []
    assert {"script", "img", "a", "link"} & set(tags.seen) == set()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<title>Acme &lt;status&gt;</title>" in shown
    assert re.findall(r'(?:src|href)="', shown) == []


@pytest.mark.parametrize("sent", [(), told(20, "We see a problem.")])
def test_the_page_says_how_it_stands_and_of_when_it_is(sent: tuple[Any, ...]) -> None:
    shown = status_html(page_of(story(*sent)))
    said = "There is a problem." if sent else "There is no known problem."
    state = "problem" if sent else "ok"
    assert f'<p class="now {state}" role="status">{said}</p>' in shown
    assert 'As of <time datetime="2026-03-01T14:10:00Z">1 March 2026, 14:10</time> UTC' in shown
    assert "written every 5 minutes, and at each change." in shown
    for needed in ('lang="en"', 'name="viewport"', "prefers-color-scheme"):
        assert needed in shown


def test_no_name_of_ours_is_on_it() -> None:
    page = page_of(story(*told(20, "We see a problem.")))
    for shown in (status_html(page), page.model_dump_json()):
        for ours in ("ada", "shop", "rule", "0301-1409", "stopgap", "sev"):
            assert ours not in shown.lower(), ours


def test_only_the_updates_of_a_public_audience_can_be_on_it() -> None:
    roster = make_roster(
        audiences={
            "customers": {"channels": ["mail"], "wording": "public"},
            "team": {"channels": ["mail"]},
        },
        ladder={},
    )
    assert audience_trouble(roster, "customers") == ""
    assert "the updates to 'team' are internal" in audience_trouble(roster, "team")
    assert "no audience 'x'; it has customers, team" in audience_trouble(roster, "x")


def merged(story_of: Incident, into: str) -> Incident:
    started = e.MergeStarted(into=into, title="the other", person="ada")
    closed = e.IncidentClosed(reason="merged", text=f"merged into {into}")
    for event in (started, closed):
        story_of = apply_event(story_of, ago(15), event)
    return story_of


def test_what_became_part_of_another_is_over_when_that_is() -> None:
    part = merged(story(*told(20, "Payments fail.")), "1")
    absorbed = e.IncidentAbsorbed(
        other="0", title="x", person="ada", routes=(), told=("customers",)
    )
    whole = story((ago(15), absorbed))
    page = page_of(part, whole)
    assert [(one.ended, len(one.updates)) for one in page.entries] == [(None, 1)]
    over = ((ago(10), e.Recovered(step=0, text="x")), *told(5, "It works again.", 1, "late"))
    page = page_of(part, story((ago(15), absorbed), *over))
    assert page.state == "ok"
    [entry] = page.entries
    assert (entry.began, entry.ended) == (ago(20), ago(5))
    assert [update.text for update in entry.updates] == ["It works again.", "Payments fail."]


def test_a_word_that_is_not_needed_ends_both() -> None:
    part = merged(story(*told(20, "Payments fail.")), "1")
    absorbed = e.IncidentAbsorbed(
        other="0", title="x", person="ada", routes=(), told=("customers",)
    )
    dismissed = e.LastWordDismissed(audience="customers", person="ada", reason="told by phone")
    over = (ago(10), e.Recovered(step=0, text="x")), (ago(5), dismissed)
    page = page_of(part, story((ago(15), absorbed), *over))
    assert [one.ended for one in page.entries] == [ago(10)]
