"""The pages: what they show to whom, what their buttons do, and what they never do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest

from daemon.core.incident import events as e
from daemon.core.measurement.problem import ConditionReading, Impact, RecoveryReading
from daemon.core.people.calendar_report import CalendarReport, PassedOverEvents
from daemon.core.recovery.guardrails import Freeze
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Outcome
from daemon.reporting.status import Loading
from daemon.web.site import incidents
from daemon.web.site.incidents import WHOLE
from tests.contract.rig import ADA, BO, URL, Rig, rigged
from tests.contract.visitor import give_access
from tests.core.build import HOUR, approved, confirmed
from tests.fakes import FakeMetricsPeer
from tests.stories.stage import alert, body

MULTIPLYING = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""A few lines that would be a billion values."""


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def seen(rig: Rig, path: str, who: dict[str, str] = ADA, status: int = 200) -> str:
    """A page as somebody sees it."""
    answer = await rig.client.get(path, headers=who)
    text = await answer.text()
    assert answer.status == status, text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    leads_out(text)
    return text


class _Addresses(HTMLParser):
    """Every address of a page that is not the daemon's own, with the element and what it is for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in ("src", "srcset", "href", "action", "formaction", "poster", "data", "ping"):
            if re.match(r"\s*([a-z][a-z0-9+.-]*:|[/\\]{2})", given.get(name, ""), re.IGNORECASE):
                self.found.append((tag, name, given[name], given.get("rel", "")))


def leads_out(text: str) -> list[str]:
    """Where the links of a page lead outside. It loads nothing from there, sends nothing there, and
    does not say to where it leads which page it is."""
    found = [one for one in _Addresses(text).found if not one[2].startswith(f"{URL}/")]
    for tag, name, address, rel in found:
        assert (tag, name) == ("a", "href"), f"{tag} {name}: {address}"
        kind = urlsplit(address).scheme.lower()
        assert kind in {"http", "https", "mailto", "tel"}, address
        assert kind in {"mailto", "tel"} or "noreferrer" in rel.split(), address
    return [address for _, _, address, _ in found]


async def pressed(
    rig: Rig, deed: str, who: dict[str, str] = ADA, status: int = 303, **form: str
) -> str:
    """A button of the incident's page; where it leads, or the page that says why not."""
    form = {name.rstrip("_"): value for name, value in form.items()}
    path = f"/incidents/{rig.id}/do/{deed}"
    answer = await rig.client.post(path, headers=who, data=form, allow_redirects=False)
    text = await answer.text()
    assert answer.status == status, text
    return answer.headers["Location"] if status == 303 else text


async def measured(rig: Rig, **more: Any) -> None:
    """The incident's problem is confirmed."""
    await rig.happens(confirmed(**more))


async def test_what_silences_its_alerts_is_shown_while_it_is_open(rig: Rig) -> None:
    silence = e.Suppression(how="silenced", by="bo", reason="<a move>")
    await rig.happens(e.AlertsSuppressed(suppressed=(silence,)))
    assert "silenced by bo: &lt;a move&gt;" in await seen(rig, f"/incidents/{rig.id}")
    _, told = await rig.asks("GET", rig.path, ADA)
    assert told["incident"]["suppressed"] == "silenced by bo: <a move>"
    await rig.happens(e.AlertsSuppressed(suppressed=()))
    assert "<dt>Alerts</dt>" not in await seen(rig, f"/incidents/{rig.id}")


def observing(book: RuleBook) -> RuleBook:
    """The same rules, that only observe."""
    rules = tuple(rule.model_copy(update={"mode": "observe"}) for rule in book.rules.values())
    return RuleBook(rules, {})


async def content(rig: Rig, step: int) -> str:
    """What an approval of the step would be bound to, as the page says it."""
    page = await seen(rig, f"/incidents/{rig.id}")
    forms = re.findall(
        r'name="step" value="(\d+)"><input type="hidden" name="content" value="(\w+)"', page
    )
    return dict(forms)[str(step)]


# ── looking ──────────────────────────────────────────────────────────────────────────────────


async def test_open_incidents_come_first_with_all_that_matters_at_a_glance(rig: Rig) -> None:
    await measured(rig)
    page = await seen(rig, "/")
    assert "Open now: 1" in page
    assert "success rate" in page
    assert "nobody yet" in page
    assert ">I am on it</button>" in page
    assert '<span class="chip phase-deciding">to be decided</span>' in page
    assert "<dt>Clock</dt><dd>the document is in people&#39;s hands: due <time" in page
    assert "No incident was closed yet." in page
    await pressed(rig, "ack")
    assert ">I am on it</button>" not in await seen(rig, "/")


async def test_what_nobody_commands_is_above_what_somebody_does(rig: Rig) -> None:
    await pressed(rig, "ack")
    second = await rig.delivers(body(alert(service="cart")))
    page = await seen(rig, "/")
    assert page.index(second) < page.index(rig.id)


async def test_a_storm_is_summed_up_and_its_tail_is_short(rig: Rig) -> None:
    await measured(rig)
    await pressed(rig, "ack")
    assert "without a Commander" not in await seen(rig, "/")
    for number in range(WHOLE + 1):
        await rig.delivers(body(alert(service=f"s{number}")))
    page = await seen(rig, "/")
    assert f"Open now: {WHOLE + 2}" in page
    assert f"without a Commander: {WHOLE + 1}" in page
    assert page.index("sev1</span> <span>1<") < page.index(f"not rated</span> <span>{WHOLE + 1}<")
    assert page.count("<dt>Now</dt>") == WHOLE + 2
    assert page.count("<dt>Next</dt>") == page.count("<dt>Clock</dt>") == WHOLE


async def test_of_very_many_the_gravest_are_shown_until_all_are_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incidents, "OPEN_SHOWN", 2)
    await measured(rig)
    for number in range(3):
        await rig.delivers(body(alert(service=f"s{number}")))
    page = await seen(rig, "/")
    assert ("Open now: 4" in page, page.count("<dt>Now</dt>")) == (True, 2)
    assert f'href="/incidents/{rig.id}"' in page
    assert '<a href="/?open=all#open">Show all 4 open incidents</a>' in page
    every = await seen(rig, "/?open=all")
    assert (every.count("<dt>Now</dt>"), "Show all" in every) == (4, False)


async def test_an_incident_whose_rule_is_gone_says_so(rig: Rig) -> None:
    await measured(rig)
    rig.rules = RuleBook((), {})
    page = await seen(rig, f"/incidents/{rig.id}")
    assert "The rule checkout-success-rate is not in force any more" in page
    assert "No rule in force, so no plan." in page
    assert "success rate" in page
    assert f"/incidents/{rig.id}" in await seen(rig, "/")


async def test_the_history_is_found_by_what_it_was_about(rig: Rig) -> None:
    await pressed(rig, "close", reason="a test")
    found = "/incidents/" + rig.id
    assert found in await seen(rig, "/?q=CHECKOUT")
    assert found in await seen(rig, "/?rule=checkout-success-rate&team=payments&since=2026-11-23")
    nothing = await seen(rig, "/?q=elsewhere")
    assert found not in nothing
    assert "No closed incident fits that." in nothing
    assert found not in await seen(rig, "/?rule=-")
    assert found not in await seen(rig, "/?until=2026-11-22")
    wrong = await seen(rig, "/?since=soon&severity=sev9&after=x")
    assert "is no day; write it like" in wrong
    assert "is no severity" in wrong
    assert found in wrong


async def test_the_history_goes_on_page_by_page(rig: Rig) -> None:
    ids = [rig.id]
    for number in range(27):
        rig.later(minutes=1)
        ids.append(await rig.delivers(body(alert(service=f"s{number}"))))
    for one in ids:
        rig.id = one
        await pressed(rig, "close", reason="a test")
    first = await seen(rig, "/")
    older = re.search(r'href="(/\?after=[^"]+)#past">Older', first)
    assert older is not None
    second = await seen(rig, older[1].replace("&amp;", "&"))
    shown = [one for one in ids if f"/incidents/{one}" in first]
    rest = [one for one in ids if f"/incidents/{one}" in second]
    assert len(shown) == 25
    assert sorted(shown + rest) == sorted(ids)
    assert "Older incidents" not in second


async def test_one_incident_tells_what_is_broken_and_what_stops_the_automation(rig: Rig) -> None:
    await measured(rig)
    page = await seen(rig, f"/incidents/{rig.id}")
    assert page.count("<h1>") == 1
    for said in (
        "Stop the automation",
        "I am on it: take command",
        "1. rollback",
        "2. flag<wbr>_off" if "flag<wbr>_off" in page else "2. flag_<wbr>off",
        "somebody commands",
        "Verdict: confirmed",
        "incident opened:",
        "CheckoutSuccessRateLow",
    ):
        assert said in page, said
    assert ">Approve</button>" not in page
    await pressed(rig, "ack")
    assert page.count(">Veto</button>") == 2
    assert ">Approve</button>" in await seen(rig, f"/incidents/{rig.id}")
    others = await seen(rig, f"/incidents/{rig.id}", BO)
    assert ">Approve</button>" not in others
    assert ">Veto</button>" in others
    assert "I am here too" in others


async def test_what_opens_a_step_that_was_not_needed_has_a_name(rig: Rig) -> None:
    await measured(rig)
    await rig.happens(e.Recovered(step=0, text="it healed by itself"))
    page = await seen(rig, f"/incidents/{rig.id}")
    assert "not needed</span>" in page
    assert not re.search(r"<summary>\s*</summary>", page)


async def test_whoever_approves_sees_what_it_does_that_it_was_tried_why_and_the_risk(
    rig: Rig,
) -> None:
    await measured(rig)
    await pressed(rig, "ack")
    why = "4 services began to alert within 5m (4 are a storm)"
    await rig.happens(
        e.StepRefused(step=1, reason="storm", text=why),
        e.ApprovalRequested(step=1, reason="storm", text=why),
        e.StepRehearsed(
            step=1,
            action="rollback",
            target="shop",
            content="",
            passed=True,
            label="v2 → v1 on shop, then restart",
            text="go back to v1",
        ),
    )
    page = " ".join((await seen(rig, f"/incidents/{rig.id}")).split())
    hero = page.partition('id="plan"')[0]
    assert f"<strong>Yours to decide:</strong> {why}</p>" in hero
    assert "<button>Approve step 1: v2 → v1 on shop, then restart <span" in hero
    assert 'dry run passed <time class="ago"' in hero
    assert "Risk: the action does not say whether it can be undone" in hero
    _, found = await rig.asks("GET", rig.path, ADA)
    (step,) = found["incident"]["steps"]
    assert (step["label"], step["asked_because"]) == ("v2 → v1 on shop, then restart", why)
    assert step["dry_run"]["passed"]
    told = " ".join((await rig.gets(await rig.calls())).split())
    assert "v2 → v1 on shop, then restart, which waits for a decision" in told
    assert f"Asked because: {why}" in told


async def test_a_rule_that_only_observes_looks_like_it(rig: Rig) -> None:
    rig.rules = observing(rig.rules)
    await measured(rig)
    await rig.happens(
        e.StepObserved(step=1, action="rollback", target="shop", reason="", text="do rollback")
    )
    path = f"/incidents/{rig.id}"
    for page in (await seen(rig, path), await seen(rig, "/")):
        assert '<span class="chip asks">observes only</span>' in page
        assert "Stopgap would start step 1, rollback on shop; it is yours to do" in page
    assert '<span class="chip asks">yours to do</span>' in await seen(rig, path)
    assert "Stop the automation" not in await seen(rig, path)  # there is none
    _, found = await rig.asks("GET", rig.path, ADA)
    assert found["incident"]["mode"] == "observe"
    assert found["incident"]["steps"][0]["would"] == "would start step 1, rollback on shop"
    _, listed = await rig.asks("GET", "/api/v1/incidents", ADA)
    assert listed["incidents"][0]["mode"] == "observe"


async def test_the_button_that_stops_is_red_only_while_there_is_something_to_stop(
    rig: Rig,
) -> None:
    path, red = f"/incidents/{rig.id}", '<button class="danger">■ Stop the automation</button>'
    assert red in await seen(rig, path)  # it would start by itself
    await measured(rig)
    await rig.happens(e.ApprovalRequested(step=1, reason="storm", text="a storm"))
    quiet = await seen(rig, path)
    assert red not in quiet
    assert "■ Stop the automation</button>" in quiet


async def test_command_is_taken_over_by_one_button_that_asks_whoever_has_it(rig: Rig) -> None:
    path = f"/incidents/{rig.id}"
    assert "Take over command" not in await seen(rig, path)  # nobody commands: take it
    await pressed(rig, "ack")
    assert "Take over command" not in await seen(rig, path)
    assert 'aria-label="Take over command: from ada"' in await seen(rig, path, BO)
    await pressed(rig, "role", BO, role="commander")
    page = await seen(rig, path, BO)
    assert "You asked to take over; ada can answer until" in page
    assert "Take over command" not in page
    request = (await rig.incident()).people.open_requests()[0].event.request
    asked = (await seen(rig, path)).partition('id="chart"')[0]  # where ada looks first
    assert 'bo asks to take over as Commander. <a href="#people">Answer</a>' in asked
    await pressed(rig, "answer", request=request, accept="yes")
    assert (await rig.incident()).commander == "bo"


async def test_what_it_costs_and_who_forbade_what_is_said_at_the_top_of_each(rig: Rig) -> None:
    defined = confirmed()
    cost = Impact(name="orders lost per minute", value=1240.0)
    problem = defined.problem.model_copy(update={"impact": (cost,)})
    await rig.happens(defined.model_copy(update={"problem": problem}))
    await pressed(rig, "veto", BO, step="1")
    page = await seen(rig, f"/incidents/{rig.id}")
    hero, _, rest = page.partition('id="chart"')
    assert "<dt>Impact</dt><dd>orders lost per minute: 1,240</dd>" in hero
    assert "vetoed by bo" in rest


async def test_a_threshold_is_shown_with_each_of_its_conditions(rig: Rig) -> None:
    leaves = (
        ConditionReading(query="min(code)", bounds="below 200", level=503.0, holds=False),
        ConditionReading(query="max(code)", bounds="at least 400", level=503.0, holds=True),
    )
    defined = confirmed()
    known = {"kind": "threshold", "conditions": leaves, "leading": 1, "baseline": None}
    unseen = {"onset": None, "onset_within": None, "begun_by": defined.problem.at}
    problem = defined.problem.model_copy(update={**known, **unseen})
    await rig.happens(defined.model_copy(update={"problem": problem}))
    text = "status 200, not at least 400"
    reading = RecoveryReading(
        at=problem.at, state="healthy", reason="within_threshold", level=200.0, text=text
    )
    await rig.happens(e.RecoveryMeasured(step=0, reading=reading))
    page = await seen(rig, f"/incidents/{rig.id}")
    assert '<th scope="col" class="number">Passed by</th>' in page
    assert '<td class="number">at least 400</td>' in page
    assert "99 % interval" not in page
    assert "<li>max(code) 503, at least 400: holds</li>" in page
    assert "<li>min(code) 503, below 200: does not hold</li>" in page
    assert f"healthy (within_threshold), {text}." in page
    assert "No onset can be told: the threshold was passed already" in page


async def test_the_timeline_is_shown_by_its_parts(rig: Rig) -> None:
    await pressed(rig, "ack")
    await pressed(rig, "note", text="looking at the database")
    whole = await seen(rig, f"/incidents/{rig.id}")
    assert "looking at the database" in whole
    people = await seen(rig, f"/incidents/{rig.id}?show=people")
    assert "ada is Commander" in people
    assert "looking at the database" not in people.partition('id="timeline"')[2]
    assert "looking at the database" in await seen(rig, f"/incidents/{rig.id}?show=nonsense")


@pytest.mark.parametrize("path", ["/rules", "/oncall", "/system"])
async def test_the_daemon_as_a_whole_can_be_looked_at(rig: Rig, path: str) -> None:
    page = await seen(rig, path)
    wanted = {"/rules": "checkout-success-rate", "/oncall": "payments", "/system": "schema"}
    assert wanted[path] in page
    assert f'<a href="{path}" aria-current="page">' in page


async def test_how_far_the_metrics_are_behind_can_be_seen(rig: Rig) -> None:
    rig.peers["prometheus"] = FakeMetricsPeer("2.24.0")
    page = await seen(rig, "/system")
    assert "VictoriaMetrics" in page
    assert "up to 11 s behind" in page


async def test_what_was_read_from_a_calendar_is_shown(rig: Rig) -> None:
    passed = PassedOverEvents(summary="<b>Offsite", why="it has no length", first=rig.now, times=2)
    read = {"schedule": "network", "source": "url", "fetched_at": rig.now, "stale": False}
    report = CalendarReport.model_validate({**read, "known": True, "now": ["ada"]})
    rig.calendars = [report.model_copy(update={"passed_over": (passed,)})]
    page = await seen(rig, "/system")
    assert "ada now (zone UTC)" in page
    assert "no shift: 2 × &#39;&lt;b&gt;Offsite&#39;" in page
    answer = await rig.client.get("/api/v1/oncall", headers=ADA)
    [shown] = (await answer.json())["calendars"]
    assert (shown["schedule"], shown["now"], shown["passed_over"][0]["times"]) == (
        "network",
        ["ada"],
        2,
    )


async def test_alerts_without_a_rule_are_named(rig: Rig) -> None:
    stray = alert(service="cart")
    stray["labels"]["alertname"] = "DiskFull"
    await rig.delivers(body(stray))
    page = await seen(rig, "/rules")
    assert "Without a rule: 1" in page
    assert "<strong>DiskFull</strong>" in page


async def test_what_was_only_observed_is_compared_with_what_people_did(rig: Rig) -> None:
    assert "Nothing was observed yet." in await seen(rig, "/rules/observed")
    await measured(rig)
    await rig.happens(
        e.StepObserved(step=1, action="rollback", target="shop", reason="", text="do rollback")
    )
    page = await seen(rig, "/rules/observed")
    assert "<td>1: rollback</td>" in page
    assert "right in 0 incidents so far; wait for 5" in page
    assert "started: do rollback" in page


async def test_broken_rules_are_told_on_every_page(rig: Rig) -> None:
    rig.loading = Loading(at=rig.now, failed_at=rig.now, error="checkout.yaml:3: no such team")
    for path in ("/", "/oncall", f"/incidents/{rig.id}"):
        assert "the rules on disk are broken since 14:00:00 UTC" in await seen(rig, path)
    assert "checkout.yaml:3: no such team" in await seen(rig, "/rules")


async def test_a_chart_is_drawn_for_both_screens(rig: Rig) -> None:
    await measured(rig)
    sizes = []
    for query in ("", "?narrow"):
        answer = await rig.client.get(f"/incidents/{rig.id}/chart.svg{query}", headers=ADA)
        drawn = await answer.text()
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "prefers-color-scheme:dark" in drawn
        assert "baseline" in drawn
        assert "#01010" not in drawn
        sizes.append(re.search(r'width="([\d.]+)pt"', drawn)[1])  # type: ignore[index]
    assert float(sizes[0]) > float(sizes[1])


async def test_what_nothing_measures_does_not_say_that_it_is_measured(rig: Rig) -> None:
    stray = alert(service="disk9")
    stray["labels"]["alertname"] = "DiskFull"
    rig.id = await rig.delivers(body(stray))
    path = f"/incidents/{rig.id}"
    page = await seen(rig, path)
    assert "being measured" not in page
    assert '<span class="chip phase-defining">people look into it</span>' in page
    assert "people are called until somebody commands; everything else is yours" in page
    assert "Recovery plan" not in page, "without a rule there is none, and it was said"
    await pressed(rig, "ack")
    page = await seen(rig, path)
    assert "<dt>Now</dt><dd>ada commands; no rule matches it, so nothing is measured</dd>" in page
    assert "<dt>Next</dt><dd>nothing by itself; everything is yours</dd>" in page
    assert "people are called until" not in page


async def test_whoever_opens_what_was_merged_is_led_to_where_it_goes_on(rig: Rig) -> None:
    await pressed(rig, "ack")
    other = await rig.delivers(body(alert(service="cart")))
    await pressed(rig, "merge", other=other, reason="the same outage")
    hero = (await seen(rig, f"/incidents/{rig.id}")).partition('id="plan"')[0]
    assert f'are in <a href="/incidents/{other}">{other}</a>, and all goes on there.' in hero
    assert f"<dt>Next</dt><dd>it goes on as part of {other}</dd>" in hero


async def test_nothing_is_red_while_maintenance_holds_all_of_it(rig: Rig) -> None:
    red = '<button class="danger">■ Stop the automation</button>'
    assert red in await seen(rig, f"/incidents/{rig.id}")
    until = rig.now + HOUR
    await rig.happens(e.PagesHeld(window="m-1", by="ada", until=until, reason="a move"))
    page = await seen(rig, f"/incidents/{rig.id}")
    assert red not in page
    assert "■ Stop the automation</button>" in page


async def test_no_part_of_a_page_is_folded_behind_nothing(rig: Rig) -> None:
    path = f"/incidents/{rig.id}"
    assert "Earlier:" not in await seen(rig, path)
    await measured(rig)
    await pressed(rig, "ack")
    await rig.happens(e.Recovered(step=1, text="it is well"))
    page = await seen(rig, path)
    assert "not needed" in page
    assert not re.search(r"<summary>\s*</summary>", page)
    assert re.search(r"Earlier: \d+ entr", page)


async def test_the_commander_approves_in_one_place_with_all_that_is_to_be_known(rig: Rig) -> None:
    await measured(rig)
    await pressed(rig, "ack")
    await rig.happens(e.ApprovalRequested(step=1, reason="storm", text="a storm"))
    page = await seen(rig, f"/incidents/{rig.id}")
    assert page.count("/do/approve") == 2  # step 1 in the first box, step 2 in the plan
    assert "<button>Approve step 1" in page.partition('id="plan"')[0]
    told = await rig.gets(await rig.calls(page="approval-1.ada", purpose="approval", about="1-0"))
    button = f'<a class="button" href="/incidents/{rig.id}">Open the incident to decide</a>'
    assert told.index(button) < told.index('value="ack"')


# ── doing ────────────────────────────────────────────────────────────────────────────────────


async def test_every_deed_of_a_person_is_one_button(rig: Rig) -> None:
    await measured(rig)
    assert await pressed(rig, "ack") == f"/incidents/{rig.id}?done=ack#now"
    assert "You are on it." in await seen(rig, f"/incidents/{rig.id}?done=ack")
    await pressed(rig, "pause")
    assert (await rig.incident()).paused_by == "ada"
    await pressed(rig, "resume")
    await pressed(rig, "approve", step="1", content=await content(rig, 1))
    await pressed(rig, "skip", step="2", reason="not now")
    await pressed(rig, "veto", step="2", who=BO)
    await pressed(rig, "escalate", tier="2")
    await pressed(rig, "role", role="communicator", person="bo")
    request = (await rig.incident()).people.open_requests()[0].event.request
    assert "ada asks you to be Communicator" in await seen(rig, f"/incidents/{rig.id}", BO)
    await pressed(rig, "answer", BO, request=request, accept="yes")
    await pressed(rig, "role", role="fast_recovery", person="ada")
    await pressed(rig, "leave-role", role="fast_recovery")
    await pressed(rig, "engage", team="database", reason="locks")
    await pressed(rig, "sentiment", text="they complain")
    await pressed(rig, "draft", audience="room")
    draft = (await rig.incident()).updates.by_name["room.1"]
    await pressed(rig, "send", update="room.1", revision="1", text=draft.text.replace("\n", "\r\n"))
    await pressed(rig, "edit", update="room.1", text="In short: we are on it.")
    await pressed(rig, "snooze", audience="room", for_="15m")
    await pressed(rig, "propose", action="flag_off", params="target: shop", reason="try again")
    await pressed(rig, "start", step="101", content=await content(rig, 101))
    await pressed(rig, "no-plan", reason="nothing fits")
    await pressed(rig, "leave")
    await pressed(rig, "close", reason="done")
    assert "The audience room was told of the trouble" in await seen(rig, f"/incidents/{rig.id}")
    await pressed(rig, "dismiss", audience="room", reason="they sat beside us")
    assert "Never told that it is over" not in await seen(rig, f"/incidents/{rig.id}")
    entries = rig.journal.entries[rig.id]
    assert {x.by for x in entries if x.event.kind in {"StepApproved", "Noted"}} <= {"person:ada"}
    kinds = [x.event.kind for x in entries]
    for kind in (
        "IncidentPaused", "IncidentResumed", "StepApproved", "StepSkipped", "StepVetoed",
        "RoleRequested", "RoleAnswered", "RoleTaken", "RoleLeft", "TeamEngaged",
        "EscalationJumped", "SentimentHeard", "UpdateDrafted", "UpdateReleased", "UpdateEdited",
        "UpdatesSnoozed", "LastWordDismissed", "StepProposed", "NoPlanDeclared", "ResponderLeft",
        "IncidentClosed",
    ):  # fmt: skip
        assert kind in kinds, kind
    released = next(x.event for x in entries if x.event.kind == "UpdateReleased")
    assert released.text == draft.text  # type: ignore[union-attr]


async def test_what_stands_in_the_way_is_said_and_nothing_written_is_lost(rig: Rig) -> None:
    seq = rig.seq
    page = await pressed(rig, "approve", status=409, step="1", content="x")
    assert "Not possible: " in page
    await pressed(rig, "ack")
    await measured(rig)
    page = await pressed(rig, "approve", status=409, step="1", content="another content")
    assert "was edited while you read it" in page
    page = await pressed(
        rig, "propose", status=409, action="flag_off", params="target: [", reason="why not"
    )
    assert "the parameters cannot be read" in page
    assert 'value="why not"' in page
    assert "target: [" in page
    for deed, form in (
        ("propose", {"action": "none", "params": "a: b"}),
        ("propose", {"action": "flag_off", "params": "just words"}),
        ("escalate", {"tier": "9"}),
        ("escalate", {"tier": "-1"}),
        ("engage", {"team": "nobody"}),
        ("role", {"role": "king", "person": "ada"}),
        ("role", {"role": "communicator", "person": "stranger"}),
        ("snooze", {"audience": "room", "for": "soon"}),
        ("propose", {"action": "flag_off", "params": "a: b", "within": "soon"}),
        ("propose", {"action": "flag_off", "params": "[" * 1000}),
        ("propose", {"action": "flag_off", "params": "a: " + "b" * 10_000}),
        ("propose", {"action": "flag_off", "params": MULTIPLYING}),
        ("send", {"update": "none.1", "text": "x", "revision": "9" * 5000}),
        ("send", {"update": "none.1", "text": "x"}),
        ("note", {"text": " "}),
        ("veto", {"step": "77"}),
        ("start", {}),
    ):
        page = await pressed(rig, deed, status=409, **form)
        assert "Not possible: " in page
        assert f'data-page="/incidents/{rig.id}"' in page  # what it is asked for anew
        assert f'name="back" value="/incidents/{rig.id}"' in page
    assert rig.seq == seq + 3  # she came, commands, and the measurement


@pytest.mark.parametrize("deed", ["edit", "sentiment", "engage", "send", "skip"])
async def test_a_refused_form_gives_back_what_was_written(rig: Rig, deed: str) -> None:
    await pressed(rig, "ack")
    await pressed(rig, "close", reason="over")
    form = {"update": "none.1", "team": "database", "step": "1", "audience": "room"}
    words = {"text": "half a page & more", "reason": "half a page & more"}
    page = await pressed(rig, deed, status=409, **form, **words)
    assert '<p class="said">half a page &amp; more</p>' in page


async def test_a_login_that_has_ended_takes_nothing_along(rig: Rig) -> None:
    path = f"/incidents/{rig.id}"
    for headers, status in (({}, 401), ({"Sec-Fetch-Site": "cross-site"}, 401), (ADA, 404)):
        deed = "note" if status == 401 else "explode"
        form = {"text": "it was the <cache>"}
        answer = await rig.client.post(f"{path}/do/{deed}", headers=headers, data=form)
        page = await answer.text()
        assert answer.status == status
        assert f'<a href="{path}">Back to the page</a>' in page
        mine = "cross-site" not in headers.values()
        assert ("it was the &lt;cache&gt;" in page) is mine
        assert (f'href="/login?next={path}"' in page) is (status == 401)


async def test_whoever_may_only_look_is_given_no_role(rig: Rig) -> None:
    await pressed(rig, "ack")
    give_access(rig, bo="viewer")
    seq = rig.seq
    page = await seen(rig, f"/incidents/{rig.id}")
    assert "<option>cy</option>" in page
    assert "<option>bo</option>" not in page
    page = await pressed(rig, "role", status=409, role="communicator", person="bo")
    assert "bo has the access `viewer` and may only look" in page
    assert rig.seq == seq


async def test_an_unknown_button_incident_or_page_is_a_page_that_says_so(rig: Rig) -> None:
    answer = await rig.client.post(f"/incidents/{rig.id}/do/explode", headers=ADA)
    assert answer.status == 404
    assert "There is no such page." in await seen(rig, "/nowhere", status=404)
    assert "there is no incident none" in await seen(rig, "/incidents/none", status=404)
    answer = await rig.client.delete("/", headers=ADA)
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


async def test_whoever_is_not_known_is_asked_who_they_are(rig: Rig) -> None:
    answer = await rig.client.get(f"/incidents/{rig.id}?show=people", allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"] == f"/login?next=%2Fincidents%2F{rig.id}%3Fshow%3Dpeople"
    seq = rig.seq
    answer = await rig.client.post(f"/incidents/{rig.id}/do/ack", allow_redirects=False)
    assert answer.status == 401
    assert "Log in" in await answer.text()
    assert rig.seq == seq


async def test_two_at_the_same_moment_make_one_commander(rig: Rig) -> None:
    await pressed(rig, "ack", BO)
    page = await seen(rig, f"/incidents/{rig.id}")
    assert "I am here too" in page
    await pressed(rig, "ack")
    incident = await rig.incident()
    assert (incident.commander, incident.responders) == ("bo", ("bo", "ada"))


async def test_a_freeze_is_on_every_page_until_it_is_thawed(rig: Rig) -> None:
    form = {"reason": "the move", "scope": "team:payments", "for": "4h", "back": "/rules"}
    answer = await rig.client.post("/freezes", headers=ADA, data=form, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/rules")
    assert [f.by for f in rig.journal.stops.values()] == ["ada"]
    for path in ("/", "/rules", "/oncall", "/system", f"/incidents/{rig.id}"):
        page = await seen(rig, path)
        assert "Automation is frozen (team:payments)" in page
        assert "the move" in page
    thaw = {"scope": "team:payments", "back": "//evil.example"}
    answer = await rig.client.post("/freezes/thaw", headers=BO, data=thaw, allow_redirects=False)
    assert answer.headers["Location"] == "/"
    assert "Automation is frozen" not in await seen(rig, "/")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"reason": "", "scope": "global"}, "needs a reason"),
        ({"reason": "x", "scope": "team:nobody"}, "no team"),
        ({"reason": "x", "scope": "everything"}, "is no scope"),
        ({"reason": "x", "scope": "global", "for": "soon"}, "is not a duration"),
        ({"reason": "x", "scope": "global", "for": "9999999d"}, "longer than any time"),
    ],
)
async def test_a_freeze_that_makes_no_sense_is_refused(
    rig: Rig, form: dict[str, str], said: str
) -> None:
    answer = await rig.client.post("/freezes", headers=ADA, data=form)
    assert answer.status == 400
    assert said in await answer.text()
    assert not rig.journal.stops


HOSTILE = '<script>alert(1)</script>"onmouseover="x'


async def test_nothing_that_others_wrote_is_live_on_any_page(rig: Rig) -> None:
    strange = alert(service=HOSTILE)
    strange["labels"]["alertname"] = HOSTILE
    rig.id = await rig.delivers(body(strange))
    await pressed(rig, "note", text=HOSTILE)
    rig.journal.stops["global"] = Freeze(scope="global", reason=HOSTILE, by="ada", at=rig.now)
    await pressed(rig, "note", status=409, text=HOSTILE * 100)
    for path in ("/", f"/incidents/{rig.id}", "/rules", f"/?q={HOSTILE}"):
        page = await seen(rig, path)
        assert "<script>alert" not in page
        assert '"onmouseover=' not in page


@pytest.mark.parametrize(
    "page",
    [
        '<img src="https://x.example/a.png">',
        "<script src=//x.example/a.js></script>",
        '<form method="post" action="https://x.example/">',
        '<button formaction="//x.example/">',
        '<link rel="stylesheet" href="http://x.example/a.css">',
        '<source srcset="https://x.example/a.png 2x">',
        '<a href="https://x.example/">',
        '<a href="javascript:alert(1)" rel="noreferrer">',
        '<a href="//x.example/" rel="noreferrer">',
    ],
)
def test_what_a_page_must_not_have_is_found(page: str) -> None:
    with pytest.raises(AssertionError):
        leads_out(page)


async def test_links_of_an_alert_lead_out_and_tell_nobody_from_where(rig: Rig) -> None:
    stray = alert(service="disk9")
    stray["labels"]["alertname"] = "DiskFull"
    stray["annotations"] = {
        "runbook_url": "https://wiki.example/full",
        "dashboard_url": "javascript:alert(1)",
        "description": "//x.example/ <img src=https://x.example/a.png>",
    }
    stray["generatorURL"] = "https://prometheus.example/graph"
    rig.id = await rig.delivers(body(stray))
    out = leads_out(await seen(rig, f"/incidents/{rig.id}"))
    out.remove("mailto:help@aws.example")  # the roster has a vendor
    assert out == ["https://wiki.example/full", "https://prometheus.example/graph"]
    assert leads_out(await rig.gets(await rig.calls())) == out


# ── what the pages are made of ───────────────────────────────────────────────────────────────


async def test_the_style_and_the_script_are_ours_and_known_by_their_content(rig: Rig) -> None:
    for name, kind in (("stopgap.css", "text/css"), ("live.js", "text/javascript")):
        answer = await rig.client.get(f"/static/{name}")
        assert (answer.status, answer.content_type) == (200, kind)
        again = await rig.client.get(
            f"/static/{name}", headers={"If-None-Match": answer.headers["ETag"]}
        )
        assert again.status == 304
    assert (await rig.client.get("/static/..%2Fapi.py")).status == 404
    assert (await rig.client.get("/static/none.css")).status == 404


# ── a reload while a page is made ────────────────────────────────────────────────────────────


async def test_a_page_is_of_one_reload(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it said of a step that was edited and approved again that its approval is void."""
    read = rig.journal.read
    (rule,) = rig.rules.rules.values()
    spec = rule.recover[0].model_copy(update={"approval": "automatic", "within": HOUR})
    edited = rule.model_copy(update={"recover": (spec, *rule.recover[1:])})

    async def reloaded(incident: str) -> list[e.Entry]:
        rig.rules, rig.approvals = RuleBook([edited]), approved(edited, 1, until=rig.now + HOUR)
        return await read(incident)

    monkeypatch.setattr(rig.journal, "read", reloaded)
    page = await seen(rig, f"/incidents/{rig.id}")
    assert "pre-approved by ada" in page
    assert "it was changed after" not in page


async def test_a_rule_that_lost_its_autonomy_says_so_on_its_page(rig: Rig) -> None:
    await measured(rig)
    await rig.happens(
        e.StepStarted(
            step=1, action="rollback", target="shop", params={}, authority="pre-approved by ada"
        ),
        e.StepFinished(step=1, outcome=Outcome(result="done", reason="done", detail="x")),
        e.StepVerified(step=1, verdict="worse", text="50 % → 80 %"),
    )
    page = await seen(rig, "/rules")
    assert "It asks for each step since" in page
    assert "<code>stopgap trust checkout-success-rate WHY</code>" in page
    assert "0 right, 1 wrong, 0 undone, 0 overruled" in page
    await rig.keeper.trust("checkout-success-rate", "ada", "<b>mended</b>")
    page = await seen(rig, "/rules")
    assert "It asks for each step since" not in page
    assert "trusted again by ada" in page
    assert "&lt;b&gt;mended" in page
