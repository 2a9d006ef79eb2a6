"""Finding incidents, going on with long lists, and not deciding on what is out of date."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged
from tests.stories.stage import alert, body

LIST = "/api/v1/incidents"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def several(rig: Rig) -> list[str]:
    """Five open incidents, the newest first; the last has no rule."""
    found = [rig.id]
    for service in ("cart", "search", "mail"):
        rig.later(minutes=1)
        found.append(await rig.delivers(body(alert(service=service))))
    rig.later(minutes=1)
    stray = {**alert(), "labels": {"alertname": "DiskFull"}, "fingerprint": "f9"}
    found.append(await rig.delivers(body(stray)))
    return found[::-1]


async def listed(rig: Rig, query: str) -> list[str]:
    status, found = await rig.asks("GET", f"{LIST}?{query}", ADA)
    assert status == 200, found
    return [row["id"] for row in found["incidents"]]


async def test_a_list_goes_on_where_it_ended_whatever_was_opened_meanwhile(rig: Rig) -> None:
    ids = await several(rig)
    answer = await rig.client.get(f"{LIST}?limit=2", headers=ADA)
    found, first = (await answer.json()), answer.links["next"]["url"]
    assert [row["id"] for row in found["incidents"]] == ids[:2]
    assert first.query["cursor"] == found["next"]
    rig.later(minutes=1)
    await rig.delivers(body(alert(service="one more")))
    path = str(first.relative())
    status, found = await rig.asks("GET", path, ADA)
    assert (status, [row["id"] for row in found["incidents"]]) == (200, ids[2:4])
    answer = await rig.client.get(f"{LIST}?limit=2&cursor={found['next']}", headers=ADA)
    found = await answer.json()
    assert ([row["id"] for row in found["incidents"]], found["next"]) == (ids[4:], None)
    assert "Link" not in answer.headers


async def test_incidents_are_searched(rig: Rig) -> None:
    ids = await several(rig)
    rig.id = ids[1]
    await rig.does("close", reason="test")
    assert await listed(rig, "status=closed") == [ids[1]]
    assert await listed(rig, "service=cart") == [ids[3]]
    assert await listed(rig, "q=SEARCH&status=open") == [ids[2]]
    assert await listed(rig, "rule=") == [ids[0]]
    assert await listed(rig, "rule=checkout-success-rate&limit=1") == [ids[1]]
    assert await listed(rig, "team=payments&since=2026-11-23T14:02:00Z") == ids[1:3]
    assert await listed(rig, "until=2026-11-23T14:01") == ids[4:]
    assert await listed(rig, "severity=sev1") == []
    _, found = await rig.asks("GET", f"{LIST}?service=cart", ADA)
    row = found["incidents"][0]
    assert (row["rule"], row["team"], row["service"]) == (
        "checkout-success-rate",
        "payments",
        "cart",
    )


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("limit=x&status=maybe&since=soon", ["status", "since", "limit"]),
        ("limit=1&limit=2", ["limit"]),
        ("cursor=%2e%2e", ["cursor"]),
        ("stauts=open", ["stauts"]),
        ("q=" + "x" * 201, ["q"]),
    ],
)
async def test_all_mistakes_of_a_query_are_told_at_once(
    rig: Rig, query: str, parameters: list[str]
) -> None:
    status, problem = await rig.asks("GET", f"{LIST}?{query}", ADA)
    assert (status, [wrong["parameter"] for wrong in problem["errors"]]) == (400, parameters)
    assert all(f"{name}: " in problem["detail"] for name in parameters)


async def test_all_mistakes_of_a_body_are_told_at_once_by_their_pointers(rig: Rig) -> None:
    sent = {"item": " ", "labels": {"a/b": 1}, "colour": "red"}
    status, problem = await rig.asks("POST", "/api/v1/changes", HOOK, json=sent)
    assert status == 400
    assert [wrong["pointer"] for wrong in problem["errors"]] == [
        "#/item",
        "#/labels/a~1b",
        "#/colour",
    ]
    assert problem["type"] == "/api/v1/docs#problem-bad-request"


async def test_a_timeline_is_read_part_by_part(rig: Rig) -> None:
    for word in "abc":
        await rig.does("notes", text=word)
    answer = await rig.client.get(f"{rig.path}/timeline?limit=3&after=1", headers=ADA)
    part = await answer.json()
    assert [entry["seq"] for entry in part["timeline"]] == [2, 3, 4]
    assert (part["next"], part["seq"]) == (4, 5)
    assert urlsplit(str(answer.links["next"]["url"])).query == "limit=3&after=4"
    _, part = await rig.asks("GET", f"{rig.path}/timeline?after=4", ADA)
    assert [(entry["text"], entry["by"]) for entry in part["timeline"]] == [("c", "person:ada")]
    assert part["next"] is None
    _, part = await rig.asks("GET", f"{rig.path}/timeline?kind=Noted&limit=2", ADA)
    assert ([entry["text"] for entry in part["timeline"]], part["next"]) == (["a", "b"], 4)


# ── what is out of date ──────────────────────────────────────────────────────────────────────


async def tag(rig: Rig) -> str:
    return (await rig.client.get(rig.path, headers=ADA)).headers["ETag"]


async def test_what_is_known_is_not_sent_again(rig: Rig) -> None:
    seen = await tag(rig)
    known = {**ADA, "If-None-Match": f'"other", W/{seen}'}
    answer = await rig.client.get(rig.path, headers=known)
    assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", seen)
    await rig.does("notes", text="news")
    assert (await rig.client.get(rig.path, headers=known)).status == 200


async def test_the_clock_going_on_is_news_too_but_hinders_no_deed(rig: Rig) -> None:
    seen = await tag(rig)
    rig.later(minutes=11)
    assert await tag(rig) != seen
    status, _ = await rig.does("ack", {**ADA, "If-Match": seen})
    assert status == 200


@pytest.mark.parametrize("deed", ["ack", "pause", "steps/1/veto", "close", "roles/communicator"])
async def test_a_deed_on_what_has_changed_is_not_done_and_tells_what_has(
    rig: Rig, deed: str
) -> None:
    seen = await tag(rig)
    await rig.does("notes", BO, text="I restarted it")
    before = rig.seq
    status, problem = await rig.does(deed, {**ADA, "If-Match": seen})
    assert (status, rig.seq) == (412, before)
    assert [(was["text"], was["by"]) for was in problem["since"]] == [
        ("I restarted it", "person:bo")
    ]
    assert problem["type"].endswith("#problem-changed-meanwhile")
    status, _ = await rig.does(deed, {**ADA, "If-Match": f'"{problem["seq"]}"'})
    assert status == 200


async def test_it_is_exact_when_somebody_else_is_faster_by_a_moment(rig: Rig) -> None:
    seen = await tag(rig)
    append = rig.journal.append

    async def beaten(*given: Any, **more: Any) -> None:
        rig.journal.append = append  # type: ignore[method-assign]
        rig.repository._known.clear()  # another replica is: it knows nothing of our memory
        entries = await rig.journal.read(rig.id)
        note = e.Draft(at=rig.now, by="person:bo", event=e.Noted(text="faster"))
        await append(rig.id, len(entries), [note], given[3])
        await append(*given, **more)

    rig.journal.append = beaten  # type: ignore[method-assign]
    status, problem = await rig.does("ack", {**ADA, "If-Match": seen})
    assert (status, [was["text"] for was in problem["since"]]) == (412, ["faster"])
    assert (await rig.kinds())[-1] == "Noted"


@pytest.mark.parametrize("given", ["*", 'W/"2"', "2", '"9", "2-abc"', '"2" ,"3"'])
async def test_an_etag_may_come_as_people_and_proxies_write_it(rig: Rig, given: str) -> None:
    status, _ = await rig.does("ack", {**ADA, "If-Match": given})
    assert status == 200
    assert re.search(await told(rig), given), "the document says so too"


@pytest.mark.parametrize("given", ["yesterday", "", '"2",', "\u0662", "*, 2", "2-XYZ", "9" * 10])
async def test_what_is_no_etag_is_not_taken_for_consent(rig: Rig, given: str) -> None:
    status, problem = await rig.does("ack", {**ADA, "If-Match": given})
    assert (status, problem["errors"][0]["parameter"]) == (400, "If-Match")
    assert not re.search(await told(rig), given), "the document says so too"


async def told(rig: Rig) -> str:
    """The pattern that the document has for `If-Match`."""
    _, document = await rig.asks("GET", "/api/v1/openapi.json")
    parameters = document["paths"]["/api/v1/incidents/{id}/ack"]["post"]["parameters"]
    found = next(each for each in parameters if each["name"] == "If-Match")
    return str(found["schema"]["pattern"])


# ── whoever sends it how ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["", "application/x-www-form-urlencoded", "application/json"])
async def test_a_body_may_come_as_curl_sends_it(rig: Rig, kind: str) -> None:
    headers = {**HOOK, "Content-Type": kind} if kind else HOOK
    status, _ = await rig.asks("POST", "/api/v1/changes", headers, data=b'{"item": "v2"}')
    assert status == 201


@pytest.mark.parametrize("kind", ["text/xml", "multipart/form-data", "application/yaml"])
async def test_a_body_of_another_kind_is_415(rig: Rig, kind: str) -> None:
    headers = {**HOOK, "Content-Type": kind}
    status, problem = await rig.asks("POST", "/api/v1/changes", headers, data=b'{"item": "v2"}')
    assert (status, problem["type"]) == (415, "/api/v1/docs#problem-not-json")


async def test_a_wrong_method_is_told_the_right_ones(rig: Rig) -> None:
    answer = await rig.client.request("PATCH", "/api/v1/freeze", headers=ADA)
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE, GET, HEAD, PUT")
    assert (await answer.json())["detail"].endswith("it takes DELETE, GET, HEAD, PUT")


async def test_the_overviews_are_there(rig: Rig) -> None:
    await several(rig)
    _, found = await rig.asks("GET", "/api/v1/rules", ADA)
    assert [(rule["rule"], rule["incidents"]) for rule in found["rules"]] == [
        ("checkout-success-rate", 4)
    ]
    assert 'alertname="CheckoutSuccessRateLow"' in found["rules"][0]["match"]
    _, found = await rig.asks("GET", "/api/v1/coverage?days=7", ADA)
    assert [row["alert"] for row in found["unmatched"]] == ["DiskFull"]
    _, found = await rig.asks("GET", "/api/v1/system", ADA)
    assert (found["open_incidents"], found["store"]["kind"]) == (5, "sqlite")
    assert found["peers"][0]["version"] == "3.5.0"
