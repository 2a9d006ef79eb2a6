"""`stopgap check --against`: a server of PromQL is asked to read the queries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests
from aiohttp import web

from daemon.adapters.http_access import basic
from daemon.adapters.query_parser import QueryParser
from daemon.core.rules.promql_dialect.servers import VICTORIAMETRICS
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.test_cli import stopgap
from tests.doubles.serving import Double

PARSE, FORMAT, RUN = "/api/v1/parse_query", "/api/v1/format_query", "/api/v1/query"


class Server:
    """A server of PromQL by rules: which paths it has, and what it refuses."""

    def __init__(
        self,
        paths: Mapping[str, Mapping[str, tuple[int, str]]],
        build: Mapping[str, str],
        flags: str | None = "",
    ) -> None:
        self._paths = paths
        self._build = build
        self._flags = flags
        self.asked: list[tuple[str, str, str]] = []

    def send(self, method: str, path: str, form: Mapping[str, str]) -> requests.Response:
        answer = requests.Response()
        self.asked.append((method, path, form.get("query", "")))
        if path == "/api/v1/status/buildinfo":
            return said(answer, 200, {"status": "success", "data": self._build})
        if path == "/api/v1/status/flags" and self._flags is not None:
            return said(answer, 200, {"data": {"enable-feature": self._flags}})
        if path not in self._paths:
            answer.status_code = 404
            return answer
        refusals = {"vector(": (400, "unclosed left parenthesis"), **self._paths[path]}
        status, error = refusals.get(form.get("query", ""), (200, ""))
        return said(answer, status, {"error": error} if error else {"data": []})


def said(answer: requests.Response, status: int, data: object) -> requests.Response:
    answer.status_code = status
    answer._content = json.dumps(data).encode()
    return answer


def connected(server: Server) -> QueryParser:
    parser = QueryParser("http://prometheus", server.send)
    parser.connect()
    return parser


@pytest.mark.parametrize("path", [PARSE, FORMAT])
def test_prometheus_parses(path: str) -> None:
    server = Server({RUN: {}, path: {"oh(": (400, "no such function")}}, {"version": "3.5.3+ds1"})
    parser = connected(server)
    assert (parser.server.version, parser.described) == (
        (3, 5),
        "prometheus 3.5 at http://prometheus",
    )
    assert "http://prometheus refuses it: no such function" in parser.judge("oh(").wrong
    server.asked.clear()
    assert parser.judge("sum(m)").wrong == ""
    assert parser.judge("sum(m)").wrong == ""
    assert server.asked == [("POST", path, "sum(m)")]  # once, and not run


def test_a_query_that_speaks_of_queues_is_refused_all_the_same() -> None:
    query = 'sum(m{a="timed out"}'
    said = '1:20: parse error: unclosed left parenthesis near "timed out"'
    parser = connected(Server({RUN: {}, PARSE: {query: (400, said)}}, {"version": "3.5.3"}))
    assert "unclosed left parenthesis" in parser.judge(query).wrong


def test_who_has_no_parser_and_reads_no_metricsql_is_of_unknown_kind() -> None:
    server = Server({RUN: {"1 default 2": (400, "parse error")}}, {"version": "0.36.1"})
    parser = connected(server)
    assert (parser.server.flavour, parser.server.version) == ("prometheus", None)


def test_its_word_counts_against_ours() -> None:
    parser = connected(Server({RUN: {}, PARSE: {}}, {"version": "9.1.0"}))
    assert parser.judge("rate_of_tomorrow(m[5m])").wrong == ""


def test_what_only_running_shows_is_run() -> None:
    query = 'label_replace(m, "a", "b", "c", "(")'
    refusal = (422, "invalid regular expression in label_replace()")
    parser = connected(Server({RUN: {query: refusal}, FORMAT: {}}, {"version": "2.42.0"}))
    assert "invalid regular expression" in parser.judge(query).wrong


def test_victoriametrics_runs_it() -> None:
    refusal = (422, "unknown func rats")
    server = Server({RUN: {"rats(m)": refusal}}, {}, flags=None)
    parser = connected(server)
    assert parser.server.flavour == VICTORIAMETRICS
    assert "unknown func" in parser.judge("rats(m)").wrong
    assert parser.judge("rollup(m[5i])").wrong == ""
    assert ("POST", RUN, "rollup(m[5i])") in server.asked


@pytest.mark.parametrize(
    ("status", "said_"),
    [(503, "query timed out in expression evaluation"), (422, "query timed out in query queue")],
)
def test_a_queue_that_is_full_refuses_nothing(status: int, said_: str) -> None:
    parser = connected(
        Server({RUN: {}, FORMAT: {"sum(m)": (status, said_)}}, {"version": "2.53.3"})
    )
    judgement = parser.judge("sum(m)")
    assert judgement.wrong == ""
    assert "did not say" in judgement.unchecked


def test_who_answers_nothing_is_no_judge() -> None:
    with pytest.raises(Permanent, match=r"answers no query: 404; is that the address"):
        connected(Server({}, {}))
    gateway = Server({RUN: {"vector(1)": (401, "who are you")}}, {})
    with pytest.raises(Permanent, match="401 who are you; does it want credentials"):
        connected(gateway)

    def away(*_: object) -> requests.Response:
        raise requests.ConnectTimeout

    with pytest.raises(Temporary, match=r"no answer from http://prometheus \(ConnectTimeout\)"):
        QueryParser("http://prometheus", away).connect()


def test_a_server_that_goes_away_is_not_waited_for_at_each_query() -> None:
    tries = 0

    def away(*_: object) -> requests.Response:
        nonlocal tries
        tries += 1
        raise requests.ReadTimeout

    parser = QueryParser("http://prometheus", away)
    for query in ("sum(m)", "rats(m)", "max(m)"):
        judgement = parser.judge(query)
        assert judgement.unchecked == "no answer from http://prometheus (ReadTimeout)"
        assert bool(judgement.wrong) == (query == "rats(m)")
    assert tries == 1


ROSTER = (
    "people: {ada: {name: Ada, contact: [{console: true}]}}\n"
    "default_policy: shop\n"
    "teams: {shop: {policy: shop}}\n"
    "policies: {shop: {tiers: [{notify: [ada], wait: 5m}]}}\n"
)
RULE = """
rule: checkout
team: shop
match: [alertname="CheckoutFails"]
group_by: [service]
problem:
  symptom: failing checkouts
  bad: sum(increase(m{code=~"5..",service="$service"}[$window])) > 5m
  total: sum(increase(m{service="$service"}[$window]))
  confirm: {drop: 2%}
"""


def test_a_hint_is_no_warning(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    rule = tmp_path / "rules/checkout.yaml"
    rule.write_text(RULE)
    (tmp_path / "rules/roster.yaml").write_text(ROSTER)
    ended = stopgap(tmp_path, "check")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    line = f"hint: {rule}:8: problem.bad: a duration as a number needs Prometheus 2.54 or newer"
    assert line in ended.stdout
    assert "warning:" not in ended.stdout
    found = json.loads(stopgap(tmp_path, "check", "--json").stdout)
    assert [hint["place"] for hint in found["hints"]] == ["problem.bad"]
    assert (found["mistakes"], found["read_by"]) == ([], None)
    rule.write_text(RULE.replace("5..", "5..++"))
    refused = stopgap(tmp_path, "check")
    assert refused.returncode == 1
    assert f"{rule}:8: problem.bad: not PromQL: the regular expression '5..++'" in refused.stdout


METRICSQL = """
rule: checkout-{name}
match: [alertname="CheckoutFails", region="{name}"]
team: shop
prometheus: {name}
problem:
  symptom: failing checkouts
  value: sum(m) default 0
  direction: lower_is_better
  confirm: {{by: 2}}
"""


def test_each_query_is_judged_by_the_kind_of_server_that_its_rule_asks(tmp_path: Path) -> None:
    """The main server's flavour says nothing of another one's."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/roster.yaml").write_text(ROSTER)
    (tmp_path / "rules/two.yaml").write_text(
        METRICSQL.format(name="eu") + "---" + METRICSQL.format(name="us")
    )
    (tmp_path / "stopgap.yaml").write_text(
        "prometheus: {flavour: prometheus, servers: {"
        "eu: {url: 'http://eu', flavour: victoriametrics}, us: {url: 'http://us'}}}"
    )
    found = json.loads(stopgap(tmp_path, "check", "--json").stdout)
    assert [mistake["line"] for mistake in found["mistakes"]] == [18]
    assert [(hint["line"], hint["place"]) for hint in found["hints"]] == [(8, "problem.value")]


class Reads(Double):
    """A Prometheus that refuses what has a word in it. `words`: of the queries that it read."""

    def __init__(self, refuses: str = "\0") -> None:
        super().__init__()
        self.refuses = refuses

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v1/{name:query|format_query}"
        return [web.post(path, self._read), web.get("/api/v1/status/{_:.*}", self._build)]

    async def _read(self, request: web.Request) -> web.Response:
        query = str((await request.post()).get("query"))
        if query == "vector(" or self.refuses in query:
            return web.json_response({"status": "error", "error": "parse error: no"}, status=400)
        return web.json_response({"status": "success", "data": query})

    async def _build(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"version": "3.5.0"}})


async def test_each_rule_is_read_by_the_server_that_measures_it(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/roster.yaml").write_text(ROSTER)
    (tmp_path / "rules/two.yaml").write_text(
        METRICSQL.format(name="eu") + "---" + METRICSQL.format(name="us")
    )
    async with Reads().serving() as eu, Reads("default").serving() as us:
        (tmp_path / "token").write_text("hunter2")
        (tmp_path / "stopgap.yaml").write_text(
            f"prometheus: {{url: 'http://127.0.0.1:1', servers: {{us: {{url: '{us.url}'}}, "
            f"eu: {{url: '{eu.url}', bearer_token: 'file:token'}}}}}}"
        )
        ended = await asyncio.to_thread(stopgap, tmp_path, "check", "--against", "configured")
        assert ended.returncode == 1, ended.stderr
        assert f"two.yaml:18: problem.value: {us.url} refuses it: parse error: no" in ended.stdout
        assert "two.yaml:8:" not in ended.stdout
        assert {seen["headers"]["Authorization"] for seen in eu.asked} == {"Bearer hunter2"}
        assert not any("Authorization" in seen["headers"] for seen in us.asked)
        # An address of the settings is reached as they say.
        eu.asked.clear()
        ended = await asyncio.to_thread(stopgap, tmp_path, "check", "--against", f"{eu.url}/")
        assert ended.returncode == 0, ended.stdout
        assert {seen["headers"]["Authorization"] for seen in eu.asked} == {"Bearer hunter2"}


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    ended = stopgap(tmp_path, "check", "--against", "rules/")
    assert ended.returncode == 1
    assert "write it like --against http://127.0.0.1:9090, or --against configured" in ended.stderr


class Gateway(BaseHTTPRequestHandler):
    """Lets through to a Prometheus whoever has its password and a tenant."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        given = (self.headers["Authorization"], self.headers["X-Scope-OrgID"])
        known = given == (basic("ada", "s3cret"), "shop")
        answer = b'{"status": "success", "data": "x"}' if known else b'{"error": "who are you"}'
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_behind_a_gateway_is_asked(tmp_path: Path, gateway: str) -> None:
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "checkout.yaml").write_text(RULE)
    asked = ("check", "rules", "--against", gateway)
    access = ("--username", "ada", "--password", "file:password", "--header", "X-Scope-OrgID=shop")
    ended = stopgap(tmp_path, *asked, *access)
    assert "the queries were read by" in ended.stdout, ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
    refused = stopgap(tmp_path, *asked)
    assert "does not accept who we are; see --username, --bearer-token" in refused.stderr


def test_how_it_is_reached_goes_with_an_address(tmp_path: Path) -> None:
    ended = stopgap(tmp_path, "check", "--against", "configured", "--username", "ada")
    assert (ended.returncode, "goes with --against URL" in ended.stderr) == (2, True)
