"""Roles, requests and calls for more people, from the command line to the wire and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.contract.test_cli_double import EVIL, ID, ONE, Double, listening, request, roles, view

TO_BO = request("communicator", "offer", "bo", "bo")
FROM_ADA = request("commander", "takeover", "bo", "ada")
DEADLINE = "14:10:00 UTC"


@pytest.fixture
async def daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    async with listening(monkeypatch) as double:
        yield double


@pytest.mark.parametrize(
    ("arguments", "asked", "after", "told"),
    [
        (
            ["role", ID, "communicator", "bo"],
            ("POST", f"{ONE}/roles/communicator", {"person": "bo"}),
            view(requests=[TO_BO]),
            f"bo is asked to be Communicator; answer by {DEADLINE}\n",
        ),
        (
            ["role", ID, "communicator", "me"],
            ("POST", f"{ONE}/roles/communicator", None),
            view(roles=roles(communicator="bo")),
            "you are Communicator\n",
        ),
        (
            ["role", ID, "commander", "me"],
            ("POST", f"{ONE}/roles/commander", None),
            view(requests=[TO_BO, FROM_ADA]),
            f"ada is asked to give up command to bo; it goes through at {DEADLINE} "
            "if there is no answer\n",
        ),
        (
            ["role", ID, "fast-recovery", "bo"],
            ("POST", f"{ONE}/roles/fast-recovery", {"person": "bo"}),
            view(roles=roles(fast_recovery="bo")),
            "bo is Fast-Recovery Owner\n",
        ),
        (
            ["role", ID, "diagnosis", "bo"],
            ("POST", f"{ONE}/roles/diagnosis", {"person": "bo"}),
            view(roles=roles(diagnosis="cy"), requests=[TO_BO]),
            "nothing has changed; Problem Diagnosis Owner: cy\n",
        ),
        (
            ["role", ID, "fast-recovery", "none"],
            ("DELETE", f"{ONE}/roles/fast-recovery", None),
            view(),
            "you stepped down; Fast-Recovery Owner: stopgap\n",
        ),
        (
            ["role", ID, "commander", "none"],
            ("DELETE", f"{ONE}/roles/commander", None),
            view(roles=roles(commander=""), commander=""),
            "you stepped down; nobody commands now, so people are called again\n",
        ),
        (
            ["answer", ID, "communicator.1", "yes"],
            ("POST", f"{ONE}/requests/communicator.1", {"accept": True}),
            view(roles=roles(communicator="bo"), requests=[FROM_ADA]),
            "you said yes. Commander: ada, Communicator: bo, Fast-Recovery Owner: stopgap, "
            "Problem Diagnosis Owner: vacant\n"
            f"ada is asked to give up command to bo; it goes through at {DEADLINE} "
            "if there is no answer\n",
        ),
        (
            ["leave", ID],
            ("POST", f"{ONE}/leave", None),
            view(commander="bo"),
            "you are off it; the Commander is bo\n",
        ),
        (
            ["no-plan", ID, "the", "schema has moved on"],
            ("POST", f"{ONE}/no-plan", {"reason": "the schema has moved on"}),
            view(),
            "noted: no plan fits. The diagnosis is open, and a dedicated commander is asked\n",
        ),
        (
            ["escalate", ID, "--tier", "2"],
            ("POST", f"{ONE}/escalate", {"tier": 2}),
            view(commander=""),
            "tier 2 is called now; nobody commands yet\n",
        ),
        (
            ["engage", ID, "database", "no", "connections"],
            ("POST", f"{ONE}/engage", {"team": "database", "reason": "no connections"}),
            view(engaged=[{"team": "database", "answered_by": ""}]),
            "database is called in: no answer yet\n",
        ),
        (
            ["engage", ID, "database"],
            ("POST", f"{ONE}/engage", {"team": "database", "reason": ""}),
            view(engaged=[{"team": "network", "answered_by": ""}, {"team": "database"}]),
            "database is called in: cy is here\n",
        ),
        (
            ["sentiment", ID, "support has", "40 calls"],
            ("POST", f"{ONE}/sentiment", {"text": "support has 40 calls"}),
            view(),
            "noted as what the public says\n",
        ),
    ],
)
async def test_a_deed_is_one_request_and_one_sentence(
    daemon: Double, arguments: list[str], asked: Any, after: dict[str, Any], told: str
) -> None:
    for engaged in after["engaged"]:
        engaged.setdefault("answered_by", "cy")
    daemon.after = after
    ended = await daemon.runs(*arguments)
    assert (ended.code, ended.out, ended.err) == (0, told, "")
    assert daemon.asked == [asked]


async def test_the_only_open_request_need_not_be_named(daemon: Double) -> None:
    daemon.incident = view(requests=[TO_BO])
    daemon.after = view()
    ended = await daemon.runs("answer", ID, "no")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("you said no. Commander: ada, Communicator: vacant")
    assert daemon.asked == [
        ("GET", ONE, None),
        ("POST", f"{ONE}/requests/communicator.1", {"accept": False}),
    ]


async def test_several_open_requests_are_listed_and_none_is_answered(daemon: Double) -> None:
    daemon.incident = view(requests=[TO_BO, FROM_ADA])
    ended = await daemon.runs("answer", ID, "yes")
    assert (ended.code, ended.out) == (1, "")
    assert "2 questions are open; which one do you answer?" in ended.err
    assert f"bo is asked to be Communicator; answer by {DEADLINE}" in ended.err
    assert f"stopgap answer {ID} commander.1 yes" in ended.err
    assert [method for method, *_ in daemon.asked] == ["GET"]


async def test_nothing_to_answer_is_said(daemon: Double) -> None:
    ended = await daemon.runs("answer", ID, "yes")
    assert ended.code == 1
    assert ended.err.startswith(f"stopgap: nothing is asked in {ID}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["role", ID, "communicator", "bo"],
        ["role", ID, "communicator", "none"],
        ["answer", ID, "communicator.1", "no"],
        ["leave", ID],
        ["no-plan", ID, "why"],
        ["escalate", ID, "--tier", "9"],
        ["engage", ID, "database"],
        ["sentiment", ID, "bad"],
    ],
)
async def test_a_refusal_is_told_in_the_daemons_words_and_harmless(
    daemon: Double, arguments: list[str]
) -> None:
    daemon.refusal = (409, "Not possible now", f"no {EVIL}")
    ended = await daemon.runs(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "stopgap: Not possible now: no  [31mred  [bold]:fire:\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["role", ID, "boss", "bo"],
        ["role", ID, "commander"],
        ["answer", ID],
        ["answer", ID, "communicator.1"],
        ["answer", ID, "communicator.1", "maybe"],
        ["answer", ID, "communicator.1", "communicator.2", "yes"],
        ["leave"],
        ["no-plan", ID],
        ["escalate", ID],
        ["escalate", ID, "--tier", "0"],
        ["engage", ID],
        ["sentiment", ID],
        ["freeze", "--for", "soon", "a migration"],
    ],
)
async def test_wrong_usage_asks_the_daemon_nothing(daemon: Double, arguments: list[str]) -> None:
    ended = await daemon.runs(*arguments)
    assert (ended.code, ended.out, daemon.asked) == (2, "", [])
    assert "Usage: " in ended.err


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (["role", ID, "communicator", EVIL], view(roles=roles(communicator=EVIL))),
        (["role", ID, "diagnosis", "bo"], view(roles=roles(diagnosis=EVIL))),
        (["role", ID, "commander", "me"], view(requests=[{**FROM_ADA, "taker": EVIL}])),
        (["answer", ID, "x", "yes"], view(roles=roles(commander=EVIL))),
        (["leave", ID], view(commander=EVIL)),
        (["engage", ID, "database"], view(engaged=[{"team": "database", "answered_by": EVIL}])),
    ],
)
async def test_names_from_outside_do_not_steer_the_terminal(
    daemon: Double, arguments: list[str], after: dict[str, Any]
) -> None:
    daemon.after = after
    ended = await daemon.runs(*arguments)
    assert ended.code == 0
    assert " [31mred  [bold]:fire:" in ended.out
    assert ended.out.rstrip("\n").isprintable()


async def test_what_was_typed_leads_to_no_other_route(daemon: Double) -> None:
    ended = await daemon.runs("answer", ID, "x/../../leave?", "yes")
    assert ended.code == 0
    assert daemon.asked[0][1] == f"{ONE}/requests/x%2F..%2F..%2Fleave%3F"


async def test_an_answer_that_is_none_of_a_daemon_is_said(daemon: Double) -> None:
    ended = await daemon.runs("leave", ID, "--url", f"{daemon.url}/elsewhere")
    assert ended.code == 1
    assert "answered 404; is that a Stopgap daemon?" in ended.err


async def test_an_answer_of_another_server_is_said(daemon: Double) -> None:
    async def other(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", other)
    async with TestServer(application) as server:
        ended = await daemon.runs("leave", ID, "--url", str(server.make_url("")))
    assert ended.code == 1
    assert "answered without `incident`; is that a Stopgap daemon?" in ended.err
