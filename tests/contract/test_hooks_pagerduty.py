"""PagerDuty's V3 webhooks: who acknowledged, when, and whether it was PagerDuty who says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daemon.core.incident import events as e
from daemon.web.auth.webhook_secrets import Hooks
from tests.contract.rig import ADA, MAX_BODY, Rig, rigged, signature
from tests.contract.visitor import give_access
from tests.fakes import START

PERSON = {"id": "PADA", "type": "user_reference", "summary": "Ada L."}
BO = {"id": "PBO", "type": "user_reference", "summary": "Bo"}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


def event(rig: Rig, said: str = "incident.acknowledged", **more: Any) -> dict[str, Any]:
    """A webhook about the rig's incident; `minute` is when it happened, after START."""
    at = START + timedelta(minutes=more.pop("minute", 0))
    key = more.pop("key", rig.id)
    told = {
        "id": f"01-{said}-{at:%H%M}",
        "event_type": said,
        "resource_type": "incident",
        "occurred_at": at.isoformat(),
        "agent": PERSON,
        "client": None,
        "data": {
            "id": "PINC1",
            "type": "incident",
            "title": "checkout",
            "incident_key": key,
            "assignees": [{"id": "PBO", "type": "user_reference"}],
        },
    }
    return {"event": {**told, **more}}


def signed(sent: bytes, *secrets: str) -> dict[str, str]:
    """The header with one signature for each secret."""
    parts = [f"v1={signature(secret, sent)}" for secret in secrets]
    return {"X-PagerDuty-Signature": ", ".join(parts)}


async def hears(rig: Rig, told: Any, status: int = 202) -> Any:
    """PagerDuty sends this, rightly signed."""
    sent = told if isinstance(told, bytes) else json.dumps(told).encode()
    found, answer = await rig.hooked("pagerduty", sent, signed(sent, "pd-new"))
    assert found == status, answer
    return answer


async def test_whoever_acknowledges_there_commands_here(rig: Rig) -> None:
    seq = rig.seq
    await hears(rig, event(rig))
    incident = await rig.incident()
    assert (incident.commander, incident.responders) == ("ada", ("ada",))  # not the assignee
    said, arrived, _ = rig.journal.entries[rig.id][seq:]
    assert (said.by, said.event.kind, arrived.event.via) == ("person:ada", "PagerSaid", "pagerduty")


@pytest.mark.parametrize(
    ("secrets", "status"),
    [
        (("pd-new",), 202),
        (("pd-old",), 202),
        (("wrong", "pd-old"), 202),
        (("wrong", "worse"), 401),
        ((), 401),
    ],
)
async def test_any_right_signature_is_enough_and_none_is_not(
    rig: Rig, secrets: tuple[str, ...], status: int
) -> None:
    sent = json.dumps(event(rig)).encode()
    found, _ = await rig.hooked("pagerduty", sent, signed(sent, *secrets))
    assert (found, (await rig.incident()).commander) == (status, "ada" if status == 202 else "")


@pytest.mark.parametrize(
    "header", ["", "v1=", "v1", "v0=abc", "ünicode", "v1=ünicode", ",,,", "v1=" + "0" * 64]
)
async def test_a_header_that_is_no_signature_is_401(rig: Rig, header: str) -> None:
    found, problem = await rig.hooked("pagerduty", event(rig), {"X-PagerDuty-Signature": header})
    assert (found, "`pagerduty.webhook_secret`" in problem["detail"]) == (401, True)


async def test_a_changed_body_is_401_and_a_missing_header_too(rig: Rig) -> None:
    sent = json.dumps(event(rig)).encode()
    assert (await rig.hooked("pagerduty", sent + b" ", signed(sent, "pd-new")))[0] == 401
    assert (await rig.hooked("pagerduty", sent, {}))[0] == 401
    assert (await rig.hooked("pagerduty", sent, ADA))[0] == 401


async def test_without_a_secret_the_hook_is_not_there(rig: Rig) -> None:
    rig.hooks = Hooks()
    for name, setting in {
        "pagerduty": "pagerduty.webhook_secret",
        "slack": "slack.signing_secret",
        "grafana-oncall": "grafana_oncall.webhook_secret",
        "opsgenie": "opsgenie.webhook_secret",
    }.items():
        status, problem = await rig.hooked(name, {}, {"X-Stopgap-Token": ""})
        assert (status, f"not configured: set `{setting}`" in problem["detail"]) == (404, True)


async def test_the_same_event_again_changes_nothing(rig: Rig) -> None:
    await hears(rig, event(rig))
    seq = rig.seq
    await hears(rig, event(rig))
    assert rig.seq == seq


async def test_reports_are_taken_in_the_order_of_their_own_time(rig: Rig) -> None:
    rig.later(minutes=6)
    await hears(rig, event(rig, minute=5))
    seq = rig.seq
    await hears(rig, event(rig, "incident.unacknowledged", minute=4))  # overtaken
    assert ((await rig.incident()).commander, rig.seq) == ("ada", seq)
    await hears(rig, event(rig, "incident.unacknowledged", minute=6, agent=None))
    assert (await rig.incident()).commander == ""


async def test_an_acknowledgement_of_hours_ago_does_not_count(rig: Rig) -> None:
    rig.later(hours=3)
    await hears(rig, event(rig, minute=2))
    incident = await rig.incident()
    assert (incident.commander, incident.responders) == ("", ())
    assert (await rig.kinds())[-1] == "PagerSaid"


async def test_old_news_of_a_commander_is_a_sign_of_life_of_its_own_time(rig: Rig) -> None:
    await rig.does("ack")
    rig.later(hours=1)
    await hears(rig, event(rig, minute=2))
    assert (await rig.incident()).people.seen == {"ada": START + timedelta(minutes=2)}
    await rig.happens(e.CommanderAsked(person="ada", until=rig.now + timedelta(minutes=3)))
    await hears(rig, event(rig, minute=59))
    assert (await rig.incident()).people.sign_of_life_request is not None, (
        "that was before she was asked"
    )
    rig.later(minutes=1)
    await hears(rig, event(rig, minute=61))
    assert (await rig.incident()).people.sign_of_life_request is None


async def test_a_clock_that_is_ahead_does_not_overtake_what_follows(rig: Rig) -> None:
    await hears(rig, event(rig, minute=30))
    assert (await rig.incident()).commander == "ada"
    rig.later(minutes=1)
    await hears(rig, event(rig, "incident.unacknowledged", minute=1))
    assert (await rig.incident()).commander == ""


@pytest.mark.parametrize(
    ("agent", "who"),
    [
        (None, "automation"),
        ({"id": "PSVC", "type": "service_reference", "summary": "api"}, "automation: api (PSVC)"),
        ({"id": "PADA", "type": "api_key_reference"}, "automation: (PADA)"),
        (
            {"id": "PEVE", "type": "user_reference", "summary": "Eve\x1b[2J"},
            "Eve [2J (PEVE) is not in the roster: people.NAME.known_as.pagerduty",
        ),
    ],
)
async def test_machines_and_strangers_are_noted_and_do_not_command(
    rig: Rig, agent: dict[str, str] | None, who: str
) -> None:
    await hears(rig, event(rig, agent=agent))
    entry = rig.journal.entries[rig.id][-1]
    assert (entry.by, entry.event.person, entry.event.who) == ("pagerduty", "", who)
    assert (await rig.incident()).commander == ""


async def test_whoever_may_only_look_is_noted_and_does_not_command(rig: Rig) -> None:
    give_access(rig, ada="viewer")
    await hears(rig, event(rig))
    entry = rig.journal.entries[rig.id][-1]
    assert (entry.by, entry.event.person) == ("pagerduty", "")
    assert entry.event.who.startswith("ada has the access `viewer` and may only look")
    assert (await rig.incident()).commander == ""


async def test_what_is_not_ours_is_taken_without_a_word(rig: Rig) -> None:
    seq = rig.seq
    await hears(rig, event(rig, key="somebody-elses"))
    await hears(rig, event(rig, key=None))
    await hears(rig, event(rig, "incident.reopened"))
    await hears(rig, {"event": {"event_type": "pagey.ping", "data": {"message": "hello"}}})
    assert rig.seq == seq


async def test_one_question_of_an_incident_is_answered_for_but_takes_nothing_back(rig: Rig) -> None:
    await hears(rig, event(rig, key=f"{rig.id}/severity-sev1.ada"))
    assert (await rig.incident()).commander == "ada"
    question = f"{rig.id}/role-communicator.1.bo"
    await hears(rig, event(rig, "incident.unacknowledged", key=question, agent=BO))
    assert (await rig.incident()).commander == "ada"


@pytest.mark.parametrize(
    "change",
    [
        {"event": None},
        {"event": []},
        {"event": {"event_type": None}},
        {"event": {"event_type": {}}},
        {"agent": "ada"},
        {"agent": {"id": []}},
        {"data": None},
        {"data": "x"},
        {"data": {"incident_key": {}}},
        {"occurred_at": None},
        {"occurred_at": "yesterday"},
        {"occurred_at": "0001-01-01T00:00:00+23:00"},
        {"occurred_at": {}},
        {"id": None},
        {"id": ["x"]},
    ],
)
async def test_a_malformed_event_is_400_naming_the_field(rig: Rig, change: dict[str, Any]) -> None:
    sent = change if "event" in change else event(rig, **change)
    problem = await hears(rig, sent, 400)
    assert problem["title"] == "Not a PagerDuty webhook"
    assert problem["detail"].startswith("event")


@pytest.mark.parametrize(
    "sent", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"[" * 5000, b'"\\ud800"']
)
async def test_what_is_no_json_object_is_400(rig: Rig, sent: bytes) -> None:
    await hears(rig, sent, 400)


async def test_an_over_large_body_is_413(rig: Rig) -> None:
    await hears(rig, b"x" * (MAX_BODY + 1), 413)


async def test_a_closed_incident_hears_nothing_more(rig: Rig) -> None:
    await rig.does("close")
    seq = rig.seq
    await hears(rig, event(rig))
    assert rig.seq == seq


async def test_a_store_that_fails_is_503_and_the_next_try_counts(rig: Rig) -> None:
    rig.journal.failing = True
    problem = await hears(rig, event(rig), 503)
    assert problem["detail"] == "the disk of the store is full"
    rig.journal.failing = False
    await hears(rig, event(rig))
    assert (await rig.incident()).commander == "ada"


async def test_two_at_the_same_moment_by_different_ways_make_one_commander(rig: Rig) -> None:
    link = await rig.calls("bo")
    await asyncio.gather(hears(rig, event(rig)), rig.taps(link, deed="ack"), rig.does("ack", ADA))
    incident = await rig.incident()
    assert sorted(incident.responders) == ["ada", "bo"]
    assert (await rig.kinds()).count("CommanderAppointed") == 1
    assert incident.commander == incident.responders[0]
