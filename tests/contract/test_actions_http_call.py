"""`http_call`: the contract, hosts, secrets, and what each answer means."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from daemon.core.values.outcome import Permanent
from recovery_actions.addresses import why_not_reachable
from recovery_actions.contract import ActionContract, context
from recovery_actions.http_call import HttpCall
from recovery_actions.http_exchange import pointed, quoted
from recovery_actions.http_params import HttpCallParams
from recovery_actions.workshop import Workshop
from tests.doubles.flags import TOKEN, Flags
from tests.loopback import LOOPBACK


def secret(reference: str) -> str:
    if reference != "env:FLAGS":
        raise Permanent(f"the secret {reference} cannot be read")
    return TOKEN


@pytest.fixture
async def flags() -> AsyncIterator[Flags]:
    async with Flags().serving() as double:
        yield double


@pytest.fixture
async def workshop(flags: Flags, tmp_path: Path) -> AsyncIterator[Workshop]:
    shop = Workshop(
        tmp_path, hosts=[flags.url.removeprefix("http://")], secret=secret, outgoing=LOOPBACK
    )
    yield shop
    await shop.close()


def raw(flags: Flags, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "method": "PATCH",
        "url": f"{flags.url}/flags/checkout?reason=stopgap",
        "secret_headers": {"Authorization": "env:FLAGS"},
        "json": {"enabled": False},
        "check": {"url": f"{flags.url}/flags/checkout", "expect_json": {"/flag/enabled": False}},
    }
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


class TestHttpCall(ActionContract):
    @pytest.fixture
    async def action(self, workshop: Workshop, flags: Flags) -> HttpCall:
        self.flags = flags
        return HttpCall(workshop)

    @pytest.fixture
    def params(self, action: HttpCall) -> Any:
        return action.Params.model_validate(raw(self.flags))

    @pytest.fixture
    def refused_params(self, action: HttpCall) -> Any:
        return action.Params.model_validate(
            raw(self.flags, url="https://other.example.org/x", check=None)
        )

    def world(self, tmp_path: Path) -> Any:
        return dict(self.flags.flags), list(self.flags.keys)

    def effect(self, tmp_path: Path) -> Any:
        return dict(self.flags.flags)

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        yield raw(self.flags, url=f"{self.flags.url}/flags/{value}", check=None)
        yield raw(self.flags, url=f"{self.flags.url}/flags/x?why={value}", check=None)
        yield raw(self.flags, url=f"http://{value}/flags/x", check=None)
        yield raw(self.flags, headers={"X-Why": value}, check=None)
        yield raw(self.flags, headers={value: "x"}, check=None)
        yield raw(self.flags, json={"enabled": value}, check=None)
        yield raw(self.flags, json=None, body=value, check=None)
        yield raw(self.flags, target=value, check=None)
        yield raw(self.flags, check={"url": value, "expect_json": {value: value}})


class TestHttpCallWithoutCheck(TestHttpCall):
    before = "unknown"
    after = "unknown"

    @pytest.fixture
    def params(self, action: HttpCall) -> Any:
        return action.Params.model_validate(raw(self.flags, check=None))


# ── hosts and parameters ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "entry", "covered"),
    [
        ("https://flags.example.org/x", "flags.example.org", True),
        ("https://FLAGS.example.org/x", "flags.example.org", True),
        ("https://flags.example.org:443/x", "flags.example.org", True),
        ("https://flags.example.org/x", "flags.example.org:443", True),
        ("https://flags.example.org:8443/x", "flags.example.org", False),
        ("https://flags.example.org:8443/x", "flags.example.org:8443", True),
        ("http://flags.example.org:443/x", "flags.example.org", False),
        ("https://flags.example.org.evil.net/x", "flags.example.org", False),
        ("https://xflags.example.org/x", "flags.example.org", False),
        ("https://a.example.org/x", "*.example.org", False),
        ("https://a.example.org/x", "*", False),
        ("http://[::1]:8080/x", "[::1]:8080", True),
    ],
)
def test_a_host_is_allowed_only_as_it_stands(url: str, entry: str, covered: bool) -> None:
    params = HttpCallParams(method="PUT", url=url)
    assert (why_not_reachable(params.url, ["other.org", entry]) is None) == covered


def test_the_refusal_names_the_line_to_add() -> None:
    text = why_not_reachable("https://flags.example.org:8443/x?secret", [])
    assert text is not None
    assert text.endswith('under `http: allow:`  - "flags.example.org:8443"')


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.org/x",
        "//a.org/x",
        "https:///x",
        "https://a.org:0/x",
        "https://a.org:70000/x",
        "https://u:p@a.org/x",
        "https://a.org/x@b",
        "https://a.org/x#y",
        "https://a.org\\@b.org/x",
        "https://a.org/../x",
        "https://a.org/x/..",
        "https://a.org/x/./y",
        "https://a.org/%2e%2e/x",
        "https://a.org/%252e%252e/x",
        "https://a.org/x%2f..%2fy",
        "https://a.org/x;/..;/y",
        "https://a.org/%0d%0aX",
        "https://a.org/%zz",
        "https://a.org/a b",
        "https://a.org/a\tb",
        "https://a.org/é",
        "https://*.org/x",
        "https://a..org/x",
        "https://-a.org/x",
        "https://[::zz]/x",
        "https://a.org/" + "x" * 3000,
    ],
)
def test_a_crooked_url_is_no_parameter(url: str) -> None:
    with pytest.raises(ValidationError):
        HttpCallParams(method="PUT", url=url)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "GET"}, "PUT"),
        ({"headers": {"Host": "x"}}, "set by the program"),
        ({"headers": {"idempotency-key": "x"}}, "set by the program"),
        ({"headers": {"Authorization": "Bearer x"}}, "secret_headers"),
        ({"headers": {"X A": "x"}}, "letters, digits"),
        ({"headers": {"X-A": "a\r\nX-B: c"}}, "one line"),
        ({"headers": {"X-A": "é"}}, "plain ASCII"),
        ({"headers": {"authorization2": "a", "Authorization2": "b"}}, "there twice"),
        ({"secret_headers": {"X-Key": "hunter2"}}, "never write it here"),
        ({"body": "x"}, "not both"),
        ({"json": {"a": float("inf")}}, "JSON"),
        ({"json": "x" * 70_000}, "65536 bytes"),
        ({"expect": [301]}, "redirects never"),
        ({"timeout": "2m"}, "less than or equal"),
        ({"check": {"url": "http://a.org/", "expect_json": {}}}, "at least 1"),
        ({"check": {"url": "http://a.org/", "expect_json": {"a": 1}}}, "like /enabled"),
        ({"follow": True}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_named(change: dict[str, Any], message: str) -> None:
    raw = {"method": "PUT", "url": "http://a.org/x", "json": {"a": 1}, **change}
    with pytest.raises(ValidationError, match=message) as caught:
        HttpCallParams.model_validate(raw)
    assert "hunter2" not in str(caught.value.errors(include_input=False))


def test_the_target_is_the_request_unless_it_is_named() -> None:
    action = HttpCall(Workshop(Path()))
    params = HttpCallParams(method="PUT", url="http://a.org/x?token=1")
    assert action.target(params) == "http:PUT http://a.org/x"
    named = HttpCallParams(method="PUT", url="http://a.org/x", target="flag:x")
    assert action.target(named) == "flag:x"


def test_places_in_json() -> None:
    document = {"a": [{"b/c": 1, "d~e": None}], "": 2}
    assert pointed(document, "/a/0/b~1c") == (True, 1)
    assert pointed(document, "/a/0/d~0e") == (True, None)
    assert pointed(document, "/") == (True, 2)
    assert pointed(document, "") == (True, document)
    for nowhere in ("/a/1", "/a/-1", "/a/x", "/b", "/a/0/b~1c/d", "/a/" + "9" * 5000):
        assert pointed(document, nowhere) == (False, None)


# ── what comes of it ─────────────────────────────────────────────────────────────────────────


async def outcome(workshop: Workshop, flags: Flags, **changes: Any) -> Any:
    action = HttpCall(workshop)
    params = action.Params.model_validate(raw(flags, **changes))
    return await action.run(params, {}, context())


@pytest.mark.parametrize(
    ("status", "result", "reason"),
    [
        (200, "done", "called"),
        (204, "done", "called"),
        (302, "failed", "redirected"),
        (307, "failed", "redirected"),
        (403, "failed", "refused_by_server"),
        (429, "failed", "refused_by_server"),
        (503, "failed", "server_error"),
    ],
)
async def test_each_status_has_its_outcome(
    workshop: Workshop, flags: Flags, status: int, result: str, reason: str
) -> None:
    flags.answers = status
    ended = await outcome(workshop, flags, check=None)
    assert (ended.result, ended.reason) == (result, reason)
    assert str(status) in ended.detail
    assert flags.keys == ["step-1"]


async def test_what_is_expected_can_be_said(workshop: Workshop, flags: Flags) -> None:
    flags.answers = 404
    assert (await outcome(workshop, flags, check=None, expect=[404])).result == "done"
    flags.answers = 201
    assert (await outcome(workshop, flags, check=None, expect=[200])).reason == "unexpected_status"


async def test_a_server_that_cannot_be_reached_was_told_nothing(workshop: Workshop) -> None:
    dead = Flags()
    async with dead.serving():
        pass
    workshop.hosts = [dead.url.removeprefix("http://")]
    ended = await outcome(workshop, dead)
    assert (ended.result, ended.reason) == ("failed", "unreachable")


async def test_no_answer_leaves_it_unknown_unless_the_check_sees_it(
    workshop: Workshop, flags: Flags
) -> None:
    flags.slow = flags.ignores = True
    ended = await outcome(workshop, flags, timeout="100ms")
    assert (ended.result, ended.reason) == ("unknown", "timeout")
    flags.ignores = False
    ended = await outcome(workshop, flags, timeout="100ms")
    assert (ended.result, ended.reason) == ("done", "found_done")


async def test_a_server_error_counts_for_nothing_if_it_came_true(
    workshop: Workshop, flags: Flags
) -> None:
    flags.answers, flags.ignores = 500, True
    assert (await outcome(workshop, flags)).reason == "server_error"
    flags.ignores = False
    assert (await outcome(workshop, flags)).reason == "found_done"


async def test_what_is_so_already_is_not_sent(workshop: Workshop, flags: Flags) -> None:
    flags.flags["checkout"] = False
    action = HttpCall(workshop)
    params = action.Params.model_validate(raw(flags))
    refused: Any = await action.preflight(params, context())
    assert refused.reason == "already_so"
    assert (await action.run(params, {}, context())).reason == "already_so"
    assert flags.keys == []


async def test_check_is_unknown_where_nobody_can_tell(workshop: Workshop, flags: Flags) -> None:
    action = HttpCall(workshop)
    for place in ("/flags/missing", "/nowhere"):
        look = {"url": flags.url + place, "expect_json": {"/a": 1}}
        params = action.Params.model_validate(raw(flags, check=look))
        assert await action.check(params, {}, context()) == "unknown"
    flags.mood = 500
    params = action.Params.model_validate(raw(flags))
    assert await action.check(params, {}, context()) == "unknown"


async def test_the_evidence_shows_what_stands_there(workshop: Workshop, flags: Flags) -> None:
    action = HttpCall(workshop)
    params = action.Params.model_validate(raw(flags))
    assert await action.show(params, context()) == {"/flag/enabled": "true (wanted: false)"}
    flags.mood = 502
    assert "answered 502" in (await action.show(params, context()))["check"]


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_is_sent_and_said_nowhere(workshop: Workshop, flags: Flags) -> None:
    flags.answers = 403  # it echoes the header
    action = HttpCall(workshop)
    params = action.Params.model_validate(raw(flags))
    said: list[str] = []
    ready: Any = await action.preflight(params, context())
    ended = await action.run(params, ready.intent, context(said=said))
    assert flags.asked[-1]["headers"]["Authorization"] == TOKEN
    shown = await action.show(params, context())
    everything = [ready.summary, ready.intent, ended.model_dump(), said, shown]
    everything += [params.model_dump(mode="json"), action.target(params)]
    assert "flags-token" not in json.dumps(everything)
    assert "answered with 403: …" in ended.detail


async def test_a_secret_does_not_go_to_another_server(workshop: Workshop, flags: Flags) -> None:
    async with Flags().serving() as other:
        workshop.hosts = [*workshop.hosts, other.url.removeprefix("http://")]
        look = {"url": f"{other.url}/flags/checkout", "expect_json": {"/flag/enabled": False}}
        await outcome(workshop, flags, check=look)
        assert all("Authorization" not in asked["headers"] for asked in other.asked)


async def test_a_secret_that_cannot_be_read_or_sent_is_refused(
    workshop: Workshop, flags: Flags
) -> None:
    action = HttpCall(workshop)
    params = action.Params.model_validate(raw(flags, secret_headers={"X-Key": "env:OTHER"}))
    refused: Any = await action.preflight(params, context())
    assert refused.reason == "secret_unreadable"
    workshop.secret = lambda reference: "two\nlines"
    ended = await outcome(workshop, flags)
    assert (ended.result, ended.reason) == ("refused", "secret_unreadable")
    assert "two" not in ended.detail
    assert flags.keys == []


def test_an_echoed_secret_is_blotted_out_however_it_is_written() -> None:
    words = 'token "a\\"b-secret" and YS1zZWNyZXQ'
    assert "secret" not in quoted(words, ['a"b-secret'])
    assert "YS1zZWNyZXQ" not in quoted(words, ["a-secret"])
    for echoed in ("key=a%2Fsecret%2Bwords", "key=a/secret%2Bwords", "a%2Fsecret%2Bwords+more"):
        assert "secret" not in quoted(echoed, ["a/secret+words more", "a/secret+words"])
    assert len(quoted("x" * 1000, [])) == 201


async def test_no_cookie_goes_from_one_call_to_the_next(workshop: Workshop) -> None:
    assert isinstance(workshop.session().cookie_jar, aiohttp.DummyCookieJar)


async def test_a_host_that_left_the_list_is_not_asked(workshop: Workshop, flags: Flags) -> None:
    workshop.hosts = []
    ended = await outcome(workshop, flags)
    assert (ended.result, ended.reason) == ("refused", "host_not_allowed")
    assert flags.asked == []


async def test_a_large_answer_is_cut(workshop: Workshop, flags: Flags) -> None:
    flags.answers, flags.says = 400, "x" * 3_000_000
    assert len((await outcome(workshop, flags, timeout=timedelta(seconds=20))).detail) < 400
