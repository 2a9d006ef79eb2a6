"""A Prometheus behind a gateway that wants to know who asks: who is let in, and what is never told.

The gateway speaks TLS by an authority of its own, and wants basic auth and a tenant. The daemon's
client, `init` and `doctor` go through it alike.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from pydantic import ValidationError

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.prometheus import Prometheus
from daemon.app import access_for, alertmanagers_for, prometheus_for
from daemon.app.prometheus import open_prometheus
from daemon.config.access import AccessSettings
from daemon.config.sections import PrometheusServerSettings, PrometheusSettings
from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import NOTHING_ALLOWED
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.contract.papers import Papers
from tests.contract.test_cli_init import Prometheus as AskedByInit
from tests.contract.test_cli_init import Runs
from tests.contract.test_cli_init import stopgap as stopgap  # a fixture
from tests.doubles.alertmanager import FakeAlertmanager

NOW = datetime(2026, 3, 1, 14, 3, 20, tzinfo=UTC)
PASSWORD = 'p"ä<s>s & w0rd'
BASIC = "Basic " + b64encode(f"stopgap:{PASSWORD}".encode()).decode()
LONG = "sum(up{job=~'" + "|".join(f"shop-{n}" for n in range(400)) + "'})"
ONE: dict[str, Any] = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "3"]}]}


class Gateway(AskedByInit):
    """Lets nobody pass without basic auth and a tenant. `only`: the method that it takes queries
    by; `most`: how many bytes an address may have."""

    def __init__(self) -> None:
        super().__init__()
        self.only = ""
        self.most = 3000
        self.authorization = BASIC
        self.elsewhere = ""

    def application(self) -> web.Application:
        application = super().application()
        application.middlewares.append(self._guard)
        return application

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.route("*", "/api/v1/query", self._query),
            web.get("/api/v1/status/buildinfo", self._build),
            web.get("/api/v1/targets", self._build),
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        headers = request.headers
        if self.elsewhere:
            raise web.HTTPFound(self.elsewhere)
        if headers.get("Authorization") != self.authorization or "X-Scope-OrgID" not in headers:
            # It echoes what it was sent, as debugging proxies do.
            return web.Response(status=401, text=f"no: {json.dumps(dict(headers))}")
        if len(request.path_qs) > self.most:
            return web.Response(status=414, text=f"too long for {headers['Authorization']}")
        response: web.StreamResponse = await handler(request)
        return response

    async def _query(self, request: web.Request) -> web.Response:
        if self.only and request.method != self.only:
            return web.Response(status=405, text="not so")
        given = dict(await request.post()) if request.method == "POST" else dict(request.query)
        if given["query"] == "refused":
            text = f"what is that, {request.headers['Authorization']}?"
            return web.json_response({"status": "error", "error": text}, status=400)
        nothing = {"resultType": "vector", "result": []}
        found: dict[str, Any] = nothing if given["query"] == "count(up == 0)" else ONE
        if given["query"] == "max(timestamp(up))":
            found = {
                "resultType": "vector",
                "result": [{"metric": {}, "value": [1, given["time"]]}],
            }
        return web.json_response({"status": "success", "data": found})

    async def _build(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"version": "3.5.0", "goVersion": "go1.24"}})

    @property
    def methods(self) -> list[str]:
        """How queries were tried: by a form, or in the address."""
        return ["form" if one["body"] else "address" for one in self.asked if self._is_query(one)]

    def _is_query(self, one: dict[str, Any]) -> bool:
        return str(one["path"]).startswith("/api/v1/query")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    made = Papers(tmp_path_factory.mktemp("papers"))
    made.authority("ca")
    made.certified("server")
    (made.folder / "password").write_text(PASSWORD + "\n")
    return made


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway().serving() as serving:
        yield serving


@pytest.fixture
async def secured(papers: Papers) -> AsyncIterator[Gateway]:
    """The same with a certificate of its own authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(papers.folder / "server.crt", papers.folder / "server.key")
    async with Gateway().serving(tls=context) as serving:
        yield serving


def settings(gateway: Gateway, papers: Papers, **more: Any) -> Settings:
    given = {
        "url": gateway.url,
        "timeout": "5s",
        "flavour": "prometheus",  # nothing is asked but the queries
        "username": "stopgap",
        "password": "file:password",
        "headers": {"X-Scope-OrgID": "shop"},
        "tls": {"ca": "ca.crt"} if gateway.url.startswith("https:") else {},
        **more,
    }
    return Settings.model_validate({"prometheus": given, "base": papers.folder})


async def test_whom_the_gateway_knows_is_let_in(secured: Gateway, papers: Papers) -> None:
    gateway = secured
    with closing(prometheus_for(settings(gateway, papers), {})) as prometheus:
        assert (await prometheus.instant("up", NOW)).series[0].samples == [(1.0, 3.0)]
        assert (await prometheus.instant(LONG, NOW)).series[0].samples == [(1.0, 3.0)]
        assert await prometheus.version() == "3.5.0"
        assert not prometheus.gets
    assert {one["headers"]["X-Scope-OrgID"] for one in gateway.asked} == {"shop"}
    assert gateway.methods == ["form", "form"], "a form has no length that a proxy minds"


@pytest.mark.parametrize(
    ("more", "environ", "sent"),
    [
        (
            {"headers": {"X-Scope-OrgID": "env:TENANT"}},
            {"TENANT": "secret-tenant"},
            {"X-Scope-OrgID": "secret-tenant"},
        ),
        (
            {"username": None, "password": None, "bearer_token": "env:TOKEN"},
            {"TOKEN": "t0k3n"},
            {"Authorization": "Bearer t0k3n"},
        ),
        (
            {
                "username": None,
                "password": None,
                "headers": {"Authorization": "env:WHOLE", "X-Scope-OrgID": "shop"},
            },
            {"WHOLE": "Api t0k3n"},
            {"Authorization": "Api t0k3n"},
        ),
    ],
)
async def test_what_is_sent_is_what_the_settings_say(
    gateway: Gateway,
    papers: Papers,
    more: dict[str, Any],
    environ: dict[str, str],
    sent: dict[str, str],
) -> None:
    with closing(prometheus_for(settings(gateway, papers, **more), environ)) as prometheus:
        if sent.get("Authorization"):
            with pytest.raises(Permanent, match=r"401.*`bearer_token`"):
                await prometheus.instant("up", NOW)
        else:
            await prometheus.instant("up", NOW)
    assert {name: gateway.asked[-1]["headers"][name] for name in sent} == sent


async def test_a_gateway_that_takes_no_forms_is_asked_by_addresses_from_then_on(
    gateway: Gateway, papers: Papers
) -> None:
    gateway.only = "GET"
    with closing(prometheus_for(settings(gateway, papers), {})) as prometheus:
        for _ in range(3):
            await prometheus.instant("up", NOW)
        assert gateway.methods == ["form", "address", "address", "address"]
        assert prometheus.gets
        with pytest.raises(Permanent, match=r"414.*POST on /api/v1/query.*recording rule"):
            await prometheus.instant(LONG, NOW)
        gateway.only = ""  # somebody has mended it
        await prometheus.instant(LONG, NOW)
        assert not prometheus.gets


@pytest.mark.parametrize(
    ("method", "only", "tried", "said"),
    [
        ("post", "GET", ["form"], r"takes no POST \(405.*`prometheus\.method`"),
        ("get", "POST", ["address"], r"takes no GET \(405.*`prometheus\.method`"),
        ("auto", "PUT", ["form", "address"], r"takes no POST \(405"),
    ],
)
async def test_a_method_that_is_refused_is_told(
    gateway: Gateway, papers: Papers, method: str, only: str, tried: list[str], said: str
) -> None:
    gateway.only = only
    chosen = settings(gateway, papers, method=method)
    with (
        closing(prometheus_for(chosen, {})) as prometheus,
        pytest.raises(Permanent, match=said),
    ):
        await prometheus.instant("up", NOW)
    assert gateway.methods == tried


async def test_nothing_that_the_gateway_echoes_tells_a_secret(
    gateway: Gateway, papers: Papers
) -> None:
    said = []
    for chosen in (
        settings(gateway, papers),
        settings(gateway, papers, headers={"X-Scope-OrgID": "shop", "X-Api-Key": "env:KEY"}),
    ):
        with closing(prometheus_for(chosen, {"KEY": "the-key-itself"})) as prometheus:
            gateway.authorization = "nobody's"
            said.append(await _said(prometheus, "up"))
            gateway.authorization, gateway.most = BASIC, 8
            said.append(await _said(prometheus, "up"))
            gateway.most = 3000
            said.append(await _said(prometheus, "refused"))
            gateway.elsewhere = f"https://stopgap:{PASSWORD}@login.example.org/?key=the-key-itself"
            said.append(await _said(prometheus, "up"))
            gateway.elsewhere = ""
    told = "".join(said)
    encoded = BASIC.removeprefix("Basic ")
    for secret in (PASSWORD, json.dumps(PASSWORD)[1:-1], encoded, "the-key-itself"):
        assert secret not in told
    assert "login.example.org" in told
    assert "what is that" in told


async def _said(prometheus: Prometheus, query: str) -> str:
    with pytest.raises((Temporary, Permanent)) as caught:
        await prometheus.instant(query, NOW)
    return "".join(traceback.format_exception(caught.value, chain=True))


async def test_a_token_that_was_exchanged_is_read_again(gateway: Gateway, papers: Papers) -> None:
    token = papers.folder / "token"
    token.write_text("old")
    more = {"username": None, "password": None, "bearer_token": "file:token"}
    gateway.authorization = "Bearer old"
    with closing(prometheus_for(settings(gateway, papers, **more), {})) as prometheus:
        await prometheus.instant("up", NOW)
        gateway.authorization = "Bearer new"
        with pytest.raises(Permanent, match="does not accept who we are"):
            await prometheus.instant("up", NOW)
        token.write_text("new")
        await prometheus.instant("up", NOW)
        count = len(gateway.asked)
        await prometheus.instant("up", NOW)
        assert len(gateway.asked) == count + 1


async def test_a_gateway_gets_the_cookie_back_that_it_gave_last() -> None:
    told: list[str | None] = []

    async def balanced(request: web.Request) -> web.Response:
        told.append(request.cookies.get("server"))
        answer = web.json_response({"status": "success", "data": ONE})
        answer.set_cookie("server", str(len(told)))
        return answer

    async with PrometheusDouble(instead=balanced).serving() as double:
        with closing(Prometheus(double.url, 2, 1)) as prometheus:
            for _ in range(3):
                await prometheus.instant("up", NOW)
    assert told == [None, "1", "2"]


async def test_no_redirect_takes_our_headers_to_somebody_else(gateway: Gateway) -> None:
    async with Gateway().serving() as other:
        gateway.elsewhere = f"{other.url}/api/v1/query"
        access = HttpAccess(gateway.url, headers={"X-Api-Key": "s3cret"})
        with (
            closing(Prometheus(access, 2, 1)) as prometheus,
            pytest.raises(Permanent, match=r"redirect to .*set `prometheus\.url`"),
        ):
            await prometheus.instant("up", NOW)
        assert other.asked == []


@pytest.mark.parametrize("how", ["address", "environment", "reference", "none", "near"])
async def test_a_proxy_is_taken_on_request_alone(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Gateway().serving() as proxy:
        address = proxy.url.replace("//", "//me:hunter2@")
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("NO_PROXY", "metrics.test" if how == "near" else "")
        monkeypatch.setenv("no_proxy", "metrics.test" if how == "near" else "")
        chosen = {
            "address": proxy.url,
            "environment": "environment",
            "near": "environment",
            "reference": "env:PROXY",
            "none": None,
        }[how]
        server = PrometheusServerSettings.model_validate(
            {
                "url": "http://metrics.test",
                "proxy": chosen,
                "timeout": "2s",
                "flavour": "prometheus",
            }
        )
        environ = {"env:PROXY": address}
        read = environ.__getitem__
        prometheus = open_prometheus("prometheus", server, read, tmp_path, NOTHING_ALLOWED)
        with closing(prometheus), pytest.raises((Temporary, Permanent)) as caught:
            await prometheus.instant("up", NOW)
        assert "hunter2" not in str(caught.value)
        seen = [one["headers"].get("Proxy-Authorization") for one in proxy.asked]
    known = "Basic " + b64encode(b"me:hunter2").decode()
    expected = {"address": [None], "environment": [known], "reference": [known]}
    # Beside the query, who it is was asked.
    assert list(dict.fromkeys(seen)) == expected.get(how, [])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"password": "env:P"}, "`password` is the one of `username`"),
        ({"username": "a", "bearer_token": "env:B"}, "both say who we are"),
        ({"username": "a", "headers": {"authorization": "env:B"}}, "both say who we are"),
        ({"headers": {"X-Api-Key": "hunter2"}}, "X-Api-Key is a secret: say where it is"),
        ({"headers": {"Authorization": "Bearer hunter2"}}, "Authorization is a secret"),
        ({"headers": {"X-Scope-OrgID": "hunter2\r\nX: y"}}, "not one line of ASCII"),
        ({"headers": {"Host": "hunter2"}}, "'Host' is no header that can be set here"),
        ({"headers": {"a b": "hunter2"}}, "'a b' is no header"),
        ({"headers": {"A": "x", "a": "y"}}, "given twice"),
        ({"password": "hunter2", "username": "a"}, "say where the secret is"),
        ({"proxy": "http://me:hunter2@proxy"}, "credentials do not stand here"),
        ({"proxy": "proxy:3128"}, "an address like http://proxy:3128"),
        ({"username": "a:b"}, "match pattern"),
    ],
)
def test_what_contradicts_itself_is_told_without_any_value(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        AccessSettings.model_validate(given)
    [first] = caught.value.errors(include_input=False, include_url=False)
    assert said in first["msg"]
    assert "hunter2" not in first["msg"]


def test_a_secret_that_cannot_be_sent_is_told_at_the_start(tmp_path: Path) -> None:
    for value in ("two\nlines", "gän"):
        chosen = AccessSettings(bearer_token="env:TOKEN")
        read = {"env:TOKEN": value}.__getitem__
        with pytest.raises(Permanent, match="sent as Authorization is not one line of ASCII") as e:
            access_for("prometheus", "http://a", chosen, read, tmp_path, NOTHING_ALLOWED)
        assert value not in str(e.value)


async def test_init_passes_the_gateway_and_doctor_by_what_it_has_written(
    tmp_path: Path, secured: Gateway, papers: Papers, stopgap: Runs
) -> None:
    gateway = secured
    asks = ("init", "--from-prometheus", gateway.url, "--ca", str(papers.folder / "ca.crt"))
    refused = await asyncio.to_thread(stopgap, tmp_path, *asks)
    assert refused.code == 1
    assert "--username" in refused.err
    known = ("--username", "stopgap", "--password", f"file:{papers.folder / 'password'}")
    tenant = ("--header", "X-Scope-OrgID=shop")
    made = await asyncio.to_thread(stopgap, tmp_path, *asks, *known, *tenant)
    assert (made.code, made.err) == (0, "")
    text = (tmp_path / "stopgap.yaml").read_text()
    written = yaml.safe_load(text)["prometheus"]
    assert written["username"] == "stopgap"
    assert written["password"] == f"file:{papers.folder / 'password'}"
    assert written["headers"] == {"X-Scope-OrgID": "shop"}
    assert written["tls"]["ca"] == str(papers.folder / "ca.crt")
    assert yaml.safe_load(text)["alertmanager"]["username"] is None
    assert PASSWORD not in text

    gateway.only = "GET"
    looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
    found = [one for one in json.loads(looked.out)["findings"] if one["check"] == "prometheus"]
    assert [one["state"] for one in found] == ["ok", "ok", "warning", "ok", "ok", "ok"], found
    assert found[0]["text"] == f"{gateway.url} answers, version 3.5.0"
    assert "refuses queries as forms" in found[2]["text"]
    gateway.authorization = "somebody's"
    looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
    [told] = [one for one in json.loads(looked.out)["findings"] if one["check"] == "prometheus"]
    assert told["state"] == "wrong"
    assert "401" in told["text"]
    assert told["mend"] == "see `username`, `bearer_token`, `headers` and `tls` of `prometheus`"
    assert PASSWORD not in looked.out + looked.err
    assert BASIC.removeprefix("Basic ") not in looked.out + looked.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--password", "hunter2", "--username", "a"), "--password: say where the secret is"),
        (("--header", "X-Api-Key=hunter2"), "X-Api-Key is a secret"),
        (("--header", "hunter2"), "--header is NAME=VALUE"),
        (("--bearer-token", "env:A", "--bearer-file", "b"), "give one of them"),
        (("--bearer-token", "env:A", "--username", "b"), "both say who we are"),
    ],
)
def test_options_that_contradict_themselves_are_told(
    tmp_path: Path, stopgap: Runs, options: tuple[str, ...], said: str
) -> None:
    ended = stopgap(tmp_path, "init", "--from-prometheus", "http://127.0.0.1:9", *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert "hunter2" not in ended.err
    alone = stopgap(tmp_path, "init", "--header", "X-Scope-OrgID=shop")
    assert alone.code == 2
    assert "--from-prometheus" in alone.err


RULE = """
rule: NAME
match: ['alertname="NAME"']
team: shop
prometheus: SERVER
problem: {symptom: errors, value: max(errors), confirm: {by: 1}}
"""
ROSTER = """
people: {ada: {name: Ada, contact: [{console: true}]}}
teams: {shop: {owners: [ada], lead: ada, policy: shop}}
policies: {shop: {tiers: [{notify: [ada], wait: 10m}]}}
default_policy: shop
"""


async def test_doctor_looks_at_each_server_and_no_dead_one_hides_another(
    tmp_path: Path, gateway: Gateway, stopgap: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "roster.yaml").write_text(ROSTER)
    for name, server in (("one", "eu"), ("two", "us"), ("three", "asia")):
        text = RULE.replace("NAME", name).replace("SERVER", server)
        (rules / f"{name}.yaml").write_text(text)
    eu = {
        "url": gateway.url,
        "username": "stopgap",
        "password": "env:PASSWORD",
        "headers": {"X-Scope-OrgID": "file:tenant"},
    }
    dead = {"url": "http://127.0.0.1:9", "timeout": "1s"}
    servers = {"eu": eu, "us": dead, "asia": {"url": gateway.url}}  # which is let in nowhere
    chosen = {"listen": "127.0.0.1:0", "prometheus": {**dead, "servers": servers}}
    (tmp_path / "stopgap.yaml").write_text(json.dumps(chosen))
    (tmp_path / "tenant").write_text("shop")
    looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
    found: dict[str, list[Any]] = {}
    for one in json.loads(looked.out)["findings"]:
        found.setdefault(one["check"], []).append(one)
    assert [one["state"] for one in found["prometheus"]] == ["wrong"]
    assert [one["state"] for one in found["prometheus us"]] == ["wrong"]
    assert "`prometheus.servers.us.url`" in found["prometheus us"][0]["mend"]
    (refused,) = found["prometheus asia"]
    assert (refused["state"], "answers 401" in refused["text"]) == ("wrong", True)
    assert "queries" not in found
    assert {one["state"] for one in found["prometheus eu"]} == {"ok"}
    assert "the queries of 1 of 1 return something now" in [o["text"] for o in found["rules"]]
    assert any("prometheus.servers.eu.headers.X-Scope-OrgID" in o["text"] for o in found["secrets"])
    (tmp_path / "rules/two.yaml").write_text(RULE.replace("SERVER", "africa"))
    checked = await asyncio.to_thread(stopgap, tmp_path, "check")
    assert "no 'africa' in `prometheus.servers` of stopgap.yaml; known: asia, eu, us" in checked.out


@pytest.mark.parametrize(
    ("given", "named", "asked"),
    [
        ({}, ["eu"], ("eu",)),
        ({}, ["eu", None], ("", "eu")),
        ({}, [], ("", "eu")),
        ({"url": "http://127.0.0.1:9090"}, ["eu"], ("", "eu")),
    ],
)
def test_a_server_that_no_rule_asks_and_nobody_set_is_not_missed(
    given: dict[str, str], named: list[str | None], asked: tuple[str, ...]
) -> None:
    servers = {"eu": {"url": "http://eu"}}
    settings = PrometheusSettings.model_validate({**given, "servers": servers})
    assert settings.asked(named) == asked


async def test_doctor_misses_no_server_that_nobody_asks(
    tmp_path: Path, gateway: Gateway, stopgap: Runs
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "roster.yaml").write_text(ROSTER)
    (rules / "one.yaml").write_text(RULE.replace("NAME", "one").replace("SERVER", "eu"))
    servers = {"eu": {"url": gateway.url}}
    chosen = {"listen": "127.0.0.1:0", "prometheus": {"servers": servers}}
    (tmp_path / "stopgap.yaml").write_text(json.dumps(chosen))
    looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
    checks = {one["check"] for one in json.loads(looked.out)["findings"]}
    assert "prometheus eu" in checks
    assert "prometheus" not in checks


async def test_an_alertmanager_behind_a_gateway_is_reached_likewise(
    papers: Papers, tmp_path: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(papers.folder / "server.crt", papers.folder / "server.key")
    async with FakeAlertmanager().serving(tls=context) as double, aiohttp.ClientSession() as http:

        def peers(**more: Any) -> list[Alertmanager]:
            given = {"url": double.url, "username": "stopgap", "password": "file:password", **more}
            chosen = {"alertmanager": given, "base": papers.folder}
            return alertmanagers_for(Settings.model_validate(chosen), {}, http)

        [known] = peers(tls={"ca": "ca.crt"}, headers={"X-Scope-OrgID": "shop"})
        assert await known.version() == "0.25.0"
        assert double.asked[-1]["headers"]["Authorization"] == BASIC
        assert double.asked[-1]["headers"]["X-Scope-OrgID"] == "shop"
        double.mood = 401
        with pytest.raises(Permanent, match=r"401: it does not accept .*; .*`alertmanager`"):
            await known.version()
        [stranger] = peers()
        with pytest.raises(Temporary, match=r"TLS fails .*; see `alertmanager\.tls`"):
            await stranger.version()
        with pytest.raises(Permanent, match=r"`alertmanager\.tls\.ca`: cannot read"):
            peers(tls={"ca": "nowhere"})
