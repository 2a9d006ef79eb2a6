"""Every command does the same, and is refused the same, by whatever surface it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pytest

from daemon.cli.phrases import one_of, step_commands
from daemon.core.alertmanager import Alert
from daemon.core.commands import COMMANDS
from daemon.core.incident import events as e
from daemon.core.recovery.binding_content import content_hash
from daemon.core.response.command import Surface
from daemon.web.links.answers import BUTTONS
from daemon.web.site.incident_forms import FORMS, SECTIONS
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_hooks_slack import headers, tap
from tests.contract.visitor import give_access
from tests.core.build import confirmed, finished, started
from tests.stories.stage import alert

Before = Callable[[Rig], Awaitable[Any]]


@dataclass(frozen=True)
class Case:
    """A command as each surface sends it, by ada. `before` is what has happened.

    `api` is (method, path, body), `page` the fields of the form, `link` the page that asks and
    the fields of its form. `refused`: a part of what everybody is told; empty if it is done.
    """

    name: str
    before: tuple[Before, ...] = ()
    api: tuple[str, str, dict[str, Any]] = ("POST", "", {})
    page: dict[str, str] = field(default_factory=dict)
    link: tuple[dict[str, str], dict[str, str]] | None = None
    refused: str = ""

    def __str__(self) -> str:
        return f"{self.name}{'-refused' if self.refused else ''}"


def does(path: str, who: dict[str, str] = ADA, **body: Any) -> Before:
    """Somebody does something by the API beforehand."""

    async def carry_out(rig: Rig) -> None:
        status, after = await rig.does(path, who, **body)
        assert status == 200, after

    return carry_out


def happens(*events: e.Event) -> Before:
    """Something happens beforehand."""
    return lambda rig: rig.happens(*events)


async def barred(rig: Rig) -> None:
    """Ada may only look, which the links and Slack find out in the core."""
    give_access(rig, ada="viewer")


async def called(rig: Rig) -> None:
    """Ada is called to come."""
    await rig.calls("ada")


ACK, BO_ACK = does("ack"), does("ack", BO)
MEASURED = happens(confirmed())
CLOSED = does("close", BO)
DRAFT = does("updates", audience="room")
ASKED = (BO_ACK, does("roles/communicator", BO, person="ada"))
SENT = (DRAFT, does("updates/room.1/send", revision=1))
ASKS_UPDATE = {"page": "update-room.1.ada", "asks": "send", "about": "room.1"}
ASKS_ROLE = {"page": "again.ada", "asks": "answer", "about": "communicator.1"}
FOLLOW_UP = does("follow-ups", BO, title="test it")
PREPARING = happens(started())
PREPARED = e.StepPrepared(step=1, summary="x", intent={})
REACHED = e.StageReached(step=1, text="1 of 4 pods is back at v1", share=0.25, item="v1")
MIDWAY = happens(started(), PREPARED, REACHED)
PROPOSAL = {"action": "flag_off", "with": {"target": "shop"}, "within": "10m", "reason": "r"}
WORDS = "in my\nown words"


def step(name: str, *before: Before, refused: str = "", number: int = 1, **more: str) -> Case:
    """A case of a command on a step."""
    api = ("POST", f"steps/{number}/{name}", more)
    return Case(name, before, api, {"step": str(number), "content": "*", **more}, None, refused)


def update(
    name: str, *before: Before, refused: str = "", revision: int = 1, text: str | None = None
) -> Case:
    """A case of sending the first update; `text` None: as the draft stands."""
    body = {"revision": revision, **({} if text is None else {"text": text})}
    form = {"revision": str(revision), "text": "*" if text is None else text}
    link = ({**ASKS_UPDATE}, {"deed": "send", **form})
    api = ("POST", f"updates/{name}/send", body)
    return Case("send", before, api, {"update": name, **form}, link, refused)


OTHER = "1123-1359-abcdef"


async def another(rig: Rig) -> None:
    """Another incident is open."""
    opened = e.IncidentOpened(
        key="k2", rule="", group_labels={"service": "cart"}, title="cart", team="payments"
    )
    await rig.repository.open(OTHER, opened.key, [opened])


TWO_ALERTS = happens(
    e.AlertsReceived(
        alerts=(Alert.model_validate({**alert(service="cart"), "fingerprint": "fp-cart"}),)
    )
)
HYPOTHESIS = happens(e.HypothesisAdded(hypothesis="h1", text="the disk is full"))

CASES = [
    Case("ack", (), ("POST", "ack", {}), {}, ({}, {"deed": "ack"})),
    Case("ack", (BO_ACK,), ("POST", "ack", {}), {}, ({}, {"deed": "ack"})),
    Case("ack", (CLOSED,), ("POST", "ack", {}), refused="is closed"),
    Case("decline", (called,), ("POST", "decline", {}), {}, ({}, {"deed": "decline"})),
    Case("decline", (), ("POST", "decline", {}), refused="you were not called"),
    Case(
        "snooze-call",
        (called,),
        ("POST", "snooze-call", {"for": "15m"}),
        {"for": "15m"},
        ({}, {"deed": "snooze-15"}),
    ),
    Case("snooze-call", (called, ACK), ("POST", "snooze-call", {}), refused="you respond already"),
    Case("leave", (ACK,), ("POST", "leave", {})),
    Case("leave", (), ("POST", "leave", {}), refused="not among the responders"),
    Case("pause", (), ("POST", "pause", {"reason": " wait "}), {"reason": " wait "}),
    Case("pause", (CLOSED,), ("POST", "pause", {}), refused="is closed"),
    Case("resume", (does("pause"),), ("POST", "resume", {})),
    Case("resume", (CLOSED,), ("POST", "resume", {}), refused="is closed"),
    step("approve", MEASURED, ACK),
    step("approve", MEASURED, BO_ACK, refused="only the Commander may approve a step; that is bo"),
    step("approve", MEASURED, ACK, PREPARING, refused="only a waiting step can be approved"),
    step("start", MEASURED, ACK),
    step("start", MEASURED, ACK, PREPARING, refused="one at a time", number=2),
    step("skip", MEASURED, ACK, reason="not that"),
    step("skip", MEASURED, refused="that is nobody; acknowledge the incident first"),
    step("veto", MEASURED),
    step("veto", MEASURED, PREPARING),
    step("veto", MEASURED, refused="there is no step 7; the plan has 1, 2", number=7),
    step("continue", MEASURED, ACK, MIDWAY),
    step("continue", MEASURED, ACK, PREPARING, refused="running and waits at no stage"),
    step("stop", MEASURED, ACK, MIDWAY),
    step(
        "stop", MEASURED, BO_ACK, MIDWAY, refused="only the Commander may stop a step; that is bo"
    ),
    Case(
        "propose",
        (ACK,),
        ("POST", "steps", PROPOSAL),
        {"action": "flag_off", "params": "target: shop", "within": "10m", "reason": "r"},
    ),
    Case(
        "propose",
        (ACK,),
        ("POST", "steps", {"action": "dance"}),
        {"action": "dance", "params": "{}"},
        refused="there is no action 'dance'; known: flag_off, rollback",
    ),
    Case("role", (), ("POST", "roles/communicator", {}), {"role": "communicator"}),
    Case(
        "role",
        (ACK,),
        ("POST", "roles/communicator", {"person": "bo"}),
        {"role": "communicator", "person": "bo"},
    ),
    Case(
        "role",
        (ACK,),
        ("POST", "roles/communicator", {"person": "eve"}),
        {"role": "communicator", "person": "eve"},
        refused="'eve' is not in the roster; it has ada, bo, cy",
    ),
    Case("leave-role", (ACK,), ("DELETE", "roles/commander", {}), {"role": "commander"}),
    Case(
        "leave-role",
        (),
        ("DELETE", "roles/commander", {}),
        {"role": "commander"},
        refused="you are not Commander; that is nobody",
    ),
    Case(
        "answer",
        ASKED,
        ("POST", "requests/communicator.1", {"accept": True}),
        {"request": "communicator.1", "accept": "yes"},
        (ASKS_ROLE, {"deed": "yes"}),
    ),
    Case(
        "answer",
        ASKED,
        ("POST", "requests/communicator.1", {"accept": False}),
        {"request": "communicator.1", "accept": "no"},
        (ASKS_ROLE, {"deed": "no"}),
    ),
    Case(
        "answer",
        (*ASKED, does("roles/diagnosis")),
        ("POST", "requests/communicator.1", {"accept": True}),
        {"request": "communicator.1", "accept": "yes"},
        (ASKS_ROLE, {"deed": "yes"}),
        refused="cannot be Communicator too",
    ),
    Case("no-plan", (ACK,), ("POST", "no-plan", {"reason": "new"}), {"reason": "new"}),
    Case("no-plan", (), ("POST", "no-plan", {}), refused="only the Commander may say"),
    Case("escalate", (ACK,), ("POST", "escalate", {"tier": 2}), {"tier": "2"}),
    Case("escalate", (), ("POST", "escalate", {"tier": 9}), {"tier": "9"}, None, "no tier 9"),
    Case("room", (ACK,), ("POST", "room", {})),
    Case("room", (BO_ACK,), ("POST", "room", {}), refused="only the Commander may open the room"),
    Case(
        "ticket",
        (CLOSED,),
        ("POST", "vendors/aws/tickets", {"ticket": " 47 11 "}),
        {"vendor": "aws", "ticket": " 47 11 "},
    ),
    Case(
        "ticket",
        (),
        ("POST", "vendors/eve/tickets", {"ticket": "1"}),
        {"vendor": "eve", "ticket": "1"},
        refused="no vendor 'eve'; `vendors` in the roster has aws",
    ),
    Case(
        "engage",
        (),
        ("POST", "engage", {"team": "database", "reason": "locks"}),
        {"team": "database", "reason": "locks"},
    ),
    Case(
        "engage",
        (),
        ("POST", "engage", {"team": "choir"}),
        {"team": "choir"},
        refused="no team 'choir'; the roster has database, payments",
    ),
    Case("note", (), ("POST", "notes", {"text": " seen "}), {"text": " seen "}),
    Case("note", (), ("POST", "notes", {"text": " "}), {"text": " "}, None, "the note is empty"),
    Case("sentiment", (), ("POST", "sentiment", {"text": "angry"}), {"text": "angry"}),
    Case("sentiment", (), ("POST", "sentiment", {"text": ""}), refused="the report is empty"),
    Case("close", (), ("POST", "close", {"reason": " a test "}), {"reason": " a test "}),
    Case("close", (MEASURED, PREPARING), ("POST", "close", {}), refused="a recovery step is runn"),
    Case("diagnose", (MEASURED, ACK), ("POST", "diagnosis", {"reason": "r"}), {"reason": "r"}),
    Case("diagnose", (ACK,), ("POST", "diagnosis", {}), refused="have not confirmed the problem"),
    Case("diagnose", (MEASURED,), ("POST", "diagnosis", {}), refused="only the Commander may have"),
    Case("hypothesis", (), ("POST", "hypotheses", {"text": "a disk"}), {"text": "a disk"}),
    Case(
        "hypothesis",
        (),
        ("POST", "hypotheses", {"text": "a disk", "owner": "eve"}),
        {"text": "a disk", "owner": "eve"},
        refused="'eve' is not in the roster",
    ),
    Case(
        "judge",
        (HYPOTHESIS,),
        ("POST", "hypotheses/h1/judgement", {"state": "ruled_out", "evidence": "it is empty"}),
        {"hypothesis": "h1", "state": "ruled_out", "evidence": "it is empty"},
    ),
    Case(
        "judge",
        (HYPOTHESIS,),
        ("POST", "hypotheses/h1/judgement", {"state": "ruled_out"}),
        {"hypothesis": "h1", "state": "ruled_out"},
        refused="say what rules it out",
    ),
    Case(
        "own",
        (HYPOTHESIS,),
        ("POST", "hypotheses/h1/owner", {"person": "bo"}),
        {"hypothesis": "h1", "person": "bo"},
    ),
    Case(
        "own",
        (HYPOTHESIS,),
        ("POST", "hypotheses/h7/owner", {}),
        {"hypothesis": "h7"},
        refused="no hypothesis 'h7'; there are: h1",
    ),
    Case(
        "help",
        (BO_ACK,),
        ("POST", "help", {"team": "database", "reason": "locks"}),
        {"team": "database", "reason": "locks"},
    ),
    Case(
        "help",
        (),
        ("POST", "help", {"team": "choir", "reason": "r"}),
        {"team": "choir", "reason": "r"},
        refused="no team 'choir'; the roster has database, payments",
    ),
    Case(
        "severity",
        (),
        ("POST", "severity", {"severity": "sev2", "reason": "calls"}),
        {"severity": "sev2", "reason": "calls"},
    ),
    Case(
        "severity",
        (MEASURED,),
        ("POST", "severity", {"severity": "sev4"}),
        {"severity": "sev4"},
        refused="it is sev1 so far; say why it is less",
    ),
    Case(
        "relate",
        (another,),
        ("POST", "relate", {"incident": OTHER, "reason": "one database"}),
        {"other": OTHER, "reason": "one database"},
    ),
    Case(
        "relate",
        (),
        ("POST", "relate", {"incident": OTHER}),
        {"other": OTHER},
        refused=f"there is no incident '{OTHER}'; `stopgap incidents --open` lists",
    ),
    Case("merge", (another,), ("POST", "merge", {"incident": OTHER}), {"other": OTHER}),
    Case(
        "merge",
        (another, MEASURED, PREPARING),
        ("POST", "merge", {"incident": OTHER}),
        {"other": OTHER},
        refused="step 1 (release_rollback on release:shop) is running; merge it when",
    ),
    Case(
        "split",
        (TWO_ALERTS,),
        ("POST", "split", {"labels": {"service": "cart"}, "reason": "another cause"}),
        {"labels": "service=cart", "reason": "another cause"},
    ),
    Case(
        "split",
        (),
        ("POST", "split", {"alerts": ["fp-shop"]}),
        {"alerts": "fp-shop"},
        refused="these are all of its alerts; choose some",
    ),
    Case(
        "split",
        (),
        ("POST", "split", {"labels": {"zone": "eu"}}),
        {"labels": "zone=eu"},
        refused="none of its alerts has these labels; it has fp-shop (CheckoutSuccessRateLow)",
    ),
    Case(
        "reassign",
        (),
        ("POST", "reassign", {"team": "database", "reason": "theirs"}),
        {"team": "database", "reason": "theirs"},
    ),
    Case(
        "reassign",
        (),
        ("POST", "reassign", {"team": "choir"}),
        {"team": "choir"},
        refused="no team 'choir'; the roster has database, payments",
    ),
    Case("draft", (), ("POST", "updates", {"audience": "room"}), {"audience": "room"}),
    Case("draft", (), ("POST", "updates", {"audience": ""}), refused="no audience ''; the roster"),
    update("room.1", DRAFT),
    update("room.1", DRAFT, text=f" {WORDS} "),
    update("room.1", DRAFT, text=WORDS.replace("\n", "\r\n")),
    update("room.1", DRAFT, DRAFT, refused="the draft has changed since you read it; read the new"),
    update("room.1", DRAFT, DRAFT, text=WORDS, refused="the draft has changed since you read it"),
    update("room.1", DRAFT, text=" ", refused="the update is empty"),
    Case(
        "edit",
        SENT,
        ("PUT", "updates/room.1", {"text": WORDS}),
        {"update": "room.1", "text": WORDS},
    ),
    Case(
        "edit",
        (DRAFT,),
        ("PUT", "updates/room.1", {"text": WORDS}),
        {"update": "room.1", "text": WORDS},
        refused="was not sent yet; give your text with `send`",
    ),
    Case(
        "snooze",
        (DRAFT,),
        ("POST", "snooze", {"audience": "room", "for": "15m"}),
        {"audience": "room"},
        ({**ASKS_UPDATE}, {"deed": "snooze"}),
    ),
    Case(
        "snooze",
        (),
        ("POST", "snooze", {"audience": "room", "for": "5h"}),
        {"audience": "room", "for": "5h"},
        refused="a snooze lasts up to 4h",
    ),
    Case(
        "dismiss",
        (*SENT, CLOSED),
        ("POST", "dismiss", {"audience": "room", "reason": " all were called "}),
        {"audience": "room", "reason": " all were called "},
    ),
    Case(
        "dismiss",
        (*SENT, CLOSED),
        ("POST", "dismiss", {"audience": "room", "reason": " "}),
        {"audience": "room", "reason": " "},
        refused="the reason is empty",
    ),
    Case(
        "dismiss",
        SENT,
        ("POST", "dismiss", {"audience": "room", "reason": "x"}),
        {"audience": "room", "reason": "x"},
        refused="the trouble goes on; `snooze` puts the next update off",
    ),
    Case(
        "cause",
        (CLOSED,),
        ("POST", "cause", {"text": " a leak ", "category": "capacity", "change": " v41 "}),
        {"text": " a leak ", "category": "capacity", "change": " v41 "},
    ),
    Case(
        "cause",
        (),
        ("POST", "cause", {"text": " "}),
        {"text": " ", "category": "unknown"},
        refused="the cause is empty",
    ),
    Case(
        "standardize",
        (CLOSED,),
        ("POST", "standards", {"standard": "threshold", "reason": " too often "}),
        {"standard": "threshold", "reason": " too often "},
    ),
    Case(
        "standardize",
        (),
        ("POST", "standards", {"standard": "other"}),
        {"standard": "other"},
        refused="the reason is empty",
    ),
    Case(
        "follow-up",
        (CLOSED,),
        ("POST", "follow-ups", {"title": "test it", "owner": "bo", "due": "2026-12-24"}),
        {"title": "test it", "owner": "bo", "due": "2026-12-24"},
    ),
    Case(
        "follow-up",
        (),
        ("POST", "follow-ups", {"title": "test it", "owner": "eve"}),
        {"title": "test it", "owner": "eve"},
        refused="'eve' is not in the roster, which has ada, bo, cy",
    ),
    Case(
        "change-follow-up",
        (FOLLOW_UP, CLOSED),
        ("PUT", "follow-ups/1", {"owner": "cy", "due": "2027-01-02"}),
        {"number": "1", "owner": "cy", "due": "2027-01-02"},
    ),
    Case(
        "change-follow-up",
        (FOLLOW_UP, does("follow-ups/1/state", status="done")),
        ("PUT", "follow-ups/1", {"owner": "cy"}),
        {"number": "1", "owner": "cy"},
        refused="follow-up 1 is done; open it again to change it",
    ),
    Case(
        "move-follow-up",
        (FOLLOW_UP, CLOSED),
        ("POST", "follow-ups/1/state", {"status": "in_progress"}),
        {"number": "1", "status": "in_progress"},
    ),
    Case(
        "move-follow-up",
        (FOLLOW_UP,),
        ("POST", "follow-ups/1/state", {"status": "dropped"}),
        {"number": "1", "status": "dropped"},
        refused="say why it is dropped",
    ),
    Case(
        "move-follow-up",
        (FOLLOW_UP,),
        ("POST", "follow-ups/7/state", {"status": "done"}),
        {"number": "7", "status": "done"},
        refused="there is no follow-up 7; there are 1",
    ),
]


# ── the surfaces ─────────────────────────────────────────────────────────────────────────────


async def by_api(rig: Rig, case: Case, **headers: str) -> str:
    """By the API; what was refused, empty if it was done."""
    method, path, body = case.api
    sender = {**ADA, "User-Agent": "curl", **{k.replace("_", "-"): v for k, v in headers.items()}}
    status, answer = await rig.asks(method, f"{rig.path}/{path}", sender, json=body)
    assert status in {200, 400, 409}, answer
    return "" if status == 200 else str(answer["detail"])


async def by_cli(rig: Rig, case: Case) -> str:
    """As the command line asks the API."""
    return await by_api(rig, case, User_Agent="stopgap-cli")


async def by_mcp(rig: Rig, case: Case) -> str:
    """As a tool of an assistant asks the API."""
    return await by_api(rig, case, X_Stopgap_Tool="a_tool")


async def filled(rig: Rig, form: dict[str, str]) -> dict[str, str]:
    """What a page puts into its form by itself: the step's content, the draft's text."""
    if form.get("text") == "*":
        form = {**form, "text": (await rig.incident()).updates.by_name["room.1"].text}
    if form.get("content") == "*":
        rule, number = rig.rules.rules["checkout-success-rate"], int(form["step"])
        known = number <= len(rule.recover)
        form = {**form, "content": content_hash(rule, rule.step(number)) if known else "none"}
    return form


async def by_page(rig: Rig, case: Case) -> str:
    """By a button of the incident's page."""
    path, form = f"/incidents/{rig.id}/do/{case.name}", await filled(rig, case.page)
    answer = await rig.client.post(path, headers=ADA, data=form, allow_redirects=False)
    page = await answer.text()
    if answer.status == 303:
        return ""
    assert answer.status == 409, page
    return _within(page, r'role="alert"><p>Not possible: (.*?)\.</p>')


async def by_link(rig: Rig, case: Case) -> str:
    """By the signed link of a call to ada."""
    assert case.link is not None
    asks, form = case.link
    link = await rig.calls("ada", **asks)
    seq = rig.seq
    answer = await rig.client.post(link, data=await filled(rig, form))
    page = await answer.text()
    if answer.status == 200:
        assert rig.journal.entries[rig.id][seq:][-1].event.kind == "LinkUsed"
        return ""
    assert answer.status == 409, page
    return _within(page, r'role="alert">(.*?)</p>')


async def by_slack(rig: Rig, case: Case) -> str:
    """By the button in Slack."""
    buttons = {"ack": "acknowledge", "snooze-call": "snooze-15"}
    sent = tap(rig, action_id=buttons.get(case.name, case.name))
    status, answer = await rig.hooked("slack", sent, headers(rig, sent))
    assert status == 200, answer
    told: str = answer["text"]
    return told.removeprefix("Not possible: ") if told.startswith("Not possible: ") else ""


def _within(page: str, pattern: str) -> str:
    found = re.search(pattern, page)
    assert found is not None, page
    return unescape(found[1])


SURFACES: dict[Surface, Callable[[Rig, Case], Awaitable[str]]] = {
    "api": by_api,
    "cli": by_cli,
    "page": by_page,
    "link": by_link,
    "slack": by_slack,
    "mcp": by_mcp,
}


async def outcome(case: Case, surface: Surface) -> tuple[str, list[Any]]:
    """What was refused, and the events that it added, in an incident of its own."""
    async with rigged() as rig:
        for before in case.before:
            await before(rig)
        seq = rig.seq
        refused = await SURFACES[surface](rig, case)
        entries = rig.journal.entries[rig.id][seq:]
        added = [x for x in entries if x.by != e.DAEMON and x.event.kind != "LinkUsed"]
        assert {x.by for x in added} <= {"person:ada"}
        told = json.dumps([x.event.model_dump(mode="json") for x in added])
        document = rig.links.document(rig.id)
        told = told.replace(document, "DOCUMENT").replace(rig.id, "INCIDENT")
        told = re.sub(r"1123-1400-\w{6}", "SPLIT OFF", told)  # derived from the incident's own
        events = json.loads(told.replace(f'"via": "{surface}"', '"via": "VIA"'))
        return refused.replace(rig.id, "INCIDENT"), events


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_command_does_the_same_by_every_surface(case: Case) -> None:
    surfaces = [name for name in SURFACES if name in COMMANDS[case.name].surfaces]
    found = {
        name: await outcome(case, name)
        for name in surfaces
        if name != "link" or case.link is not None
    }
    expected = found.pop("api")
    assert case.refused in expected[0]
    assert bool(expected[0]) == bool(case.refused)
    assert bool(expected[1]) == (not case.refused), "it adds events, or says why not"
    assert found == dict.fromkeys(found, expected)


SKIPPED = e.StepSkipped(step=1, reason="no_suspect_change", text="x")
UNFIT = e.StepSkipped(step=1, reason="not_allowed", text="x")
ASKING = e.ApprovalRequested(step=1, reason="not_approved", text="x")
RULED = e.StageRuled(step=1, go_on=True, reason="part_is_well", text="x")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((ASKING,), ["approve", "start", "skip", "veto"]),
        ((SKIPPED,), ["start", "skip", "veto"]),
        ((UNFIT,), ["start", "veto"]),
        ((started(),), ["veto"]),
        ((started(), PREPARED), []),
        ((started(), PREPARED, REACHED), ["continue", "stop"]),
        ((started(), PREPARED, REACHED, RULED), []),
        ((started(), PREPARED, finished()), []),
        ((started(), e.StepVetoed(step=1, person="bo")), []),
        ((e.StepVetoed(step=1, person="bo"),), []),
        ((ASKING, e.Recovered(step=0, text="x")), ["approve", "skip", "veto"]),
        ((ASKING, e.IncidentClosed(reason="by_person", text="x")), []),
    ],
)
async def test_every_surface_offers_what_a_step_takes(
    events: tuple[e.Event, ...], expected: list[str]
) -> None:
    async with rigged() as rig:
        await rig.does("ack")
        await rig.happens(confirmed(), *events)
        page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
        assert _offered(page, 1) == expected
        _, found = await rig.asks("GET", rig.path, ADA)
        (step,) = found["incident"]["steps"]
        assert step["allowed"] == expected
        lines = step_commands(found["incident"])
        if not expected:
            assert lines == []
        else:
            assert [line.partition(f"{rig.id} 1 ")[2] for line in lines] == [one_of(expected)]
        for name in ("approve", "start", "skip", "veto", "continue", "stop"):
            before = rig.seq
            if name not in expected:
                await rig.does(f"steps/1/{name}")
                assert rig.seq == before, "what is not offered changes nothing"


def _offered(page: str, number: int) -> list[str]:
    """The buttons of a step, in their order: what is asked of the Commander stands in the first
    box, the others in the plan."""
    pattern = r'action="[^"]*/do/(\w+)" class="(?:deed|decision)">(.*?)</form>'
    forms = re.findall(pattern, page, re.DOTALL)
    return [name for name, body in forms if f'name="step" value="{number}"' in body]


async def test_an_approval_that_has_lapsed_can_be_given_again_on_the_page() -> None:
    async with rigged() as rig:
        await rig.does("ack")
        await rig.happens(confirmed(), ASKING)
        assert (await rig.does("steps/1/approve"))[0] == 200
        rig.later(minutes=31)
        lapsed = e.ApprovalRequested(step=1, reason="approval_lapsed", text="over 30m ago")
        await rig.happens(lapsed)
        page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
        assert "<button>Approve again, step 1: rollback</button>" in page
        assert "<dd>waiting for the Commander to decide on step 1</dd>" in page
        assert '<span class="chip asks">needs approval</span>' in page
        form = await filled(rig, {"step": "1", "content": "*"})
        path = f"/incidents/{rig.id}/do/approve"
        answer = await rig.client.post(path, headers=ADA, data=form, allow_redirects=False)
        assert answer.status == 303
        assert (await rig.incident()).step(1).approved_at == rig.now
        page = await (await rig.client.get(f"/incidents/{rig.id}", headers=ADA)).text()
        assert "Approve step 1: rollback" not in page
        assert "approved by ada; it starts next" in page
        _, found = await rig.asks("GET", rig.path, ADA)
        (step,) = found["incident"]["steps"]
        assert step["waits_for"] == ""


async def test_a_link_tells_which_steps_can_be_decided() -> None:
    async with rigged() as rig:
        await rig.happens(confirmed(), ASKING)
        link = await rig.calls()
        page = " ".join((await rig.gets(link)).split())
        assert "which waits for a decision: approve, start, skip, veto" in page
        await rig.happens(started())
        page = " ".join((await rig.gets(link)).split())
        assert "which still prepares: veto" in page
        await rig.happens(PREPARED)
        assert "<dt>Step 1</dt>" not in await rig.gets(link)


async def test_whoever_may_only_look_is_told_so_by_the_link_and_by_slack() -> None:
    """The API and the pages do not let them in at all."""
    async with rigged() as rig:
        await barred(rig)
        told = await by_slack(rig, CASES[0])
        assert "ada has the access `viewer` and may only look" in told
        assert "ada has the access `viewer` and may only look" in await rig.taps(
            await rig.calls("ada"), 410, deed="ack"
        )


def test_each_command_is_done_and_refused_by_every_surface_that_has_it() -> None:
    for name, spec in COMMANDS.items():
        cases = [case for case in CASES if case.name == name]
        assert {"api", "cli"} <= spec.surfaces
        assert any(not case.refused for case in cases), name
        assert any(case.refused for case in cases), name
        if "link" in spec.surfaces:
            assert any(case.link is not None for case in cases), name


def test_the_table_and_the_surfaces_name_the_same_commands() -> None:
    assert set(FORMS) == {n for n, spec in COMMANDS.items() if "page" in spec.surfaces}
    assert set(SECTIONS) <= set(FORMS)
    buttons = {name for names in BUTTONS.values() for name in names}
    meant = {"yes": "answer", "no": "answer"}
    meant |= {"snooze-5": "snooze-call", "snooze-15": "snooze-call"}
    assert {meant.get(name, name) for name in buttons} == {
        name for name, spec in COMMANDS.items() if "link" in spec.surfaces
    }
    classes = [spec.command for spec in COMMANDS.values()]
    assert len(set(classes)) == len(classes)
