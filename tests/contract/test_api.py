"""The API over a real HTTP connection, with the journal and inbox in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from daemon.core.values.outcome import Temporary
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged
from tests.stories.stage import alert, body


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/incidents"),
        ("GET", "/api/v1/incidents/x"),
        ("GET", "/api/v1/incidents/x/review"),
        ("GET", "/api/v1/incidents/x/updates"),
        ("GET", "/api/v1/oncall"),
        ("POST", "/api/v1/incidents/x/ack"),
        ("POST", "/api/v1/incidents/x/leave"),
        ("POST", "/api/v1/incidents/x/no-plan"),
        ("POST", "/api/v1/incidents/x/escalate"),
        ("POST", "/api/v1/incidents/x/engage"),
        ("POST", "/api/v1/incidents/x/sentiment"),
        ("POST", "/api/v1/incidents/x/roles/nonsense"),
        ("DELETE", "/api/v1/incidents/x/roles/diagnosis"),
        ("POST", "/api/v1/incidents/x/requests/x"),
        ("POST", "/api/v1/incidents/x/updates"),
        ("POST", "/api/v1/incidents/x/updates/x/send"),
        ("PUT", "/api/v1/incidents/x/updates/x"),
        ("POST", "/api/v1/incidents/x/snooze"),
        ("POST", "/api/v1/incidents/x/pause"),
        ("POST", "/api/v1/incidents/x/resume"),
        ("POST", "/api/v1/incidents/x/notes"),
        ("POST", "/api/v1/incidents/x/close"),
        ("POST", "/api/v1/incidents/x/steps/1/approve"),
        ("POST", "/api/v1/incidents/x/steps/1/veto"),
        ("GET", "/api/v1/freeze"),
        ("PUT", "/api/v1/freeze"),
        ("DELETE", "/api/v1/freeze"),
    ],
)
async def test_every_route_wants_to_know_who_asks(rig: Rig, method: str, path: str) -> None:
    for headers in ({}, HOOK, {"Authorization": "Bearer "}, {"Authorization": "Basic x"}):
        status, problem = await rig.asks(method, path, headers, json={"nonsense": 1})
        assert status == 401, problem
        assert problem["title"] == "Who are you?"


async def test_a_persons_token_delivers_no_alerts(rig: Rig) -> None:
    status, _ = await rig.asks("POST", "/api/v1/alerts", ADA, data=body(alert()))
    assert status == 401


async def test_alertmanagers_basic_auth_is_taken_too(rig: Rig) -> None:
    headers = {"Authorization": "Basic YW06aG9vay10b2tlbg=="}
    status, answer = await rig.asks("POST", "/api/v1/alerts", headers, data=body(alert()))
    assert (status, answer["stored"]) == (200, False)


async def test_a_store_that_fails_is_503_so_that_alertmanager_tries_again(rig: Rig) -> None:
    async def full(*_: object) -> bool:
        raise Temporary("the disk is full")

    rig.inbox.put = full  # type: ignore[method-assign, assignment]
    status, problem = await rig.asks("POST", "/api/v1/alerts", HOOK, data=body(alert()))
    assert (status, problem["detail"]) == (503, "the disk is full")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"{", "the body"),
        (b"[]", "the body"),
        (b'{"version": "3"}', "version"),
        (body(alert()).replace(b'"firing"', b'"burning"'), "status"),
        (body({**alert(), "labels": {"a": 1}}), "alerts.0.labels.a"),
    ],
)
async def test_a_body_that_is_no_delivery_is_400_naming_the_field(
    rig: Rig, sent: bytes, told: str
) -> None:
    status, problem = await rig.asks("POST", "/api/v1/alerts", HOOK, data=sent)
    assert status == 400
    assert told in str(problem["detail"])


async def test_a_body_over_the_bound_is_413_naming_the_setting(rig: Rig) -> None:
    status, problem = await rig.asks("POST", "/api/v1/alerts", HOOK, data=b"x" * 70_000)
    assert status == 413
    assert "inbox.max_body_bytes" in str(problem["detail"])


async def test_the_first_acknowledgement_commands_and_is_on_record(rig: Rig) -> None:
    incident = rig.id
    for headers in (BO, ADA, BO):
        status, after = await rig.asks("POST", f"/api/v1/incidents/{incident}/ack", headers)
        assert status == 200
    assert after["incident"]["commander"] == "bo"  # type: ignore[index]
    assert after["incident"]["responders"] == ["bo", "ada"]  # type: ignore[index]
    _, shown = await rig.asks("GET", f"/api/v1/incidents/{incident}", ADA)
    by = [(e["kind"], e["by"]) for e in shown["timeline"][2:]]  # type: ignore[index]
    assert by == [
        ("ResponderArrived", "person:bo"),
        ("CommanderAppointed", "person:bo"),
        ("ResponderArrived", "person:ada"),
    ]


async def test_how_somebody_came_and_went_is_on_record(rig: Rig) -> None:
    await rig.does("ack", {**ADA, "User-Agent": "stopgap-cli"})
    await rig.does("leave", {**ADA, "User-Agent": "curl/8"})
    _, shown = await rig.asks("GET", rig.path, ADA)
    via = [x["event"]["via"] for x in shown["timeline"] if x["kind"].startswith("Responder")]
    assert via == ["cli", "api"]


async def test_what_does_not_fit_is_409_and_says_why(rig: Rig) -> None:
    incident = rig.id
    path = f"/api/v1/incidents/{incident}"
    status, problem = await rig.asks("POST", f"{path}/steps/1/approve", ADA)
    assert (status, "acknowledge the incident first" in str(problem)) == (409, True)
    await rig.asks("POST", f"{path}/ack", ADA)
    status, problem = await rig.asks("POST", f"{path}/steps/9/approve", ADA)
    assert (status, problem["detail"]) == (409, "there is no step 9; the plan has 1, 2")
    assert (await rig.asks("POST", f"{path}/steps/1/veto", BO))[0] == 200
    status, problem = await rig.asks("POST", f"{path}/steps/1/approve", ADA)
    assert (status, "vetoed" in str(problem)) == (409, True)
    assert (await rig.asks("POST", f"{path}/close", ADA, json={"reason": "test"}))[0] == 200
    status, problem = await rig.asks("POST", f"{path}/ack", BO)
    assert status == 409
    assert problem["detail"].startswith(f"incident {incident} is closed, and takes notes, ")


async def test_pause_note_and_resume_are_on_the_timeline(rig: Rig) -> None:
    path = f"/api/v1/incidents/{rig.id}"
    await rig.asks("POST", f"{path}/pause", ADA, json={"reason": "by hand"})
    await rig.asks("POST", f"{path}/notes", BO, json={"text": "the provider is down"})
    _, after = await rig.asks("POST", f"{path}/resume", ADA)
    assert after["incident"]["paused_by"] == ""  # type: ignore[index]
    _, shown = await rig.asks("GET", path, ADA)
    assert [e["text"] for e in shown["timeline"][-3:]] == [  # type: ignore[index]
        "automation paused by ada: by hand",
        "the provider is down",
        "automation resumed by ada",
    ]


async def test_a_freeze_has_a_reason_an_author_and_an_end(rig: Rig) -> None:
    assert (await rig.asks("PUT", "/api/v1/freeze", ADA, json={}))[0] == 400
    sent = {"reason": "migration", "for": "2h"}
    status, frozen = await rig.asks("PUT", "/api/v1/freeze", ADA, json=sent)
    assert status == 200
    assert frozen["freeze"]["by"] == "ada"  # type: ignore[index]
    assert frozen["freeze"]["until"] == "2026-11-23T16:00:00Z"  # type: ignore[index]
    listed = (await rig.asks("GET", "/api/v1/freeze", BO))[1]["freezes"]
    assert listed == [frozen["freeze"]]
    assert (await rig.asks("DELETE", "/api/v1/freeze", BO))[1] == {"thawed": True}
    assert (await rig.asks("DELETE", "/api/v1/freeze", BO))[1] == {"thawed": False}


async def test_every_error_is_a_problem_document(rig: Rig) -> None:
    described = await rig.gets("/api/v1/docs")
    for method, path, status in (
        ("GET", "/api/v1/incidents?limit=0", 400),
        ("GET", "/api/v1/incidents?limit=x", 400),
        ("GET", "/api/v1/incidents/none", 404),
        ("POST", "/api/v1/incidents/none/ack", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("DELETE", "/api/v1/alerts", 405),
        ("PUT", "/api/v1/freeze", 400),
    ):
        answer = await rig.client.request(method, path, headers=ADA, data=b"{not json")
        assert answer.status == status, path
        assert answer.content_type == "application/problem+json", path
        told = await answer.json()
        assert told.keys() - {"errors"} == {"type", "title", "status", "detail"}, path
        kind = told["type"].removeprefix("/api/v1/docs#")
        assert f'id="{kind}"' in described


async def test_the_review_is_markdown_in_which_labels_are_harmless(rig: Rig) -> None:
    hostile = alert(service="<img src=x onerror=alert(1)>|`$(touch x)`\x1b[2J")
    rig.id = await rig.delivers(body(hostile))
    answer = await rig.client.get(f"{rig.path}/review", headers=ADA)
    assert answer.content_type == "text/markdown"
    text = await answer.text()
    assert "CheckoutSuccessRateLow" in text
    assert "\\<img" in text
    assert text.count("<img") == text.count("\\<img")
    assert "\x1b" not in text


async def test_health_and_readiness_need_no_token(rig: Rig) -> None:
    for path in ("/-/healthy", "/-/ready"):
        assert (await rig.client.get(path)).status == 200


async def test_prometheus_scrapes_the_daemons_own_metrics(rig: Rig) -> None:
    answer = await rig.client.get("/metrics")
    assert (answer.status, await answer.text()) == (200, "stopgap_incidents_open 1.0\n")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
