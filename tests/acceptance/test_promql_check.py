"""`stopgap check` against the real Prometheus: they take and refuse the same queries."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests

from daemon.adapters.query_parser import QueryParser
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.promql_dialect.servers import PromqlServer
from daemon.core.rules.promql_dialect.tokens import query_tokens
from tests.acceptance import servers

WRITTEN: list[str] = json.loads(
    (Path(__file__).parents[1] / "data/promql-queries.json").read_text(encoding="utf-8")
)
CONFIG = "global: {scrape_interval: 1m}\n"
SEED = 18
BY_THE_DATA = "overflows int64"
"""A refusal that depends on what the query finds."""


def generated(number: int) -> list[str]:
    """Queries of which a token was changed, left out, added or moved, and expressions at random."""
    chance = random.Random(SEED)  # noqa: S311 - the same ones each time
    short = [query for query in WRITTEN if len(query) < 80]
    pool = [token.text for query in short for token in query_tokens(query)]
    pieces = [*"()[]{}*+?|^$.-:ab12, ä", "{2}", "{1,3}", "(?i)", "(?:", "[:alpha:]", "[^"]
    pieces += ["\\\\d", "\\\\w", "\\\\pL", "\\\\Q", "\\\\E", "(?P<n>", "\\\\"]

    def changed(query: str) -> str:
        texts = [token.text for token in query_tokens(query)]
        place = chance.randrange(len(texts))
        kind = chance.randrange(4)
        if kind == 0:
            texts[place] = chance.choice(pool)
        elif kind == 1:
            texts.insert(place, chance.choice(pool))
        elif kind == 2:
            del texts[place]
        else:
            other = chance.randrange(len(texts))
            texts[place], texts[other] = texts[other], texts[place]
        return "".join(texts)

    def matching() -> str:
        chosen = (chance.choice(pieces) for _ in range(chance.randrange(1, 8)))
        return f'foo{{a=~"{"".join(chosen)}"}}'

    made = [
        matching() if chance.random() < 0.3 else changed(chance.choice(short))
        for _ in range(number)
    ]
    return [query for query in dict.fromkeys(made) if query.strip()]


@contextmanager
def reading(folder: Path) -> Iterator[tuple[str, QueryParser]]:
    """A real Prometheus, and what asks it."""
    with servers.prometheus(folder, CONFIG) as url, requests.Session() as session:
        session.trust_env = False

        def send(method: str, path: str, form: object) -> requests.Response:
            if method == "GET":
                return session.get(url + path, params=form, timeout=10)  # type: ignore[arg-type]
            return session.post(url + path, data=form, timeout=10)  # type: ignore[arg-type]

        parser = QueryParser(url, send)
        parser.connect()
        yield url, parser


def refused(session: requests.Session, url: str, query: str) -> str:
    """Why the server refuses a query, when it is parsed or when it runs."""
    for path, more in (("format_query", {}), ("query", {"time": "1"})):
        form = {"query": query, **more}
        answer = session.post(f"{url}/api/v1/{path}", data=form, timeout=20)
        if answer.status_code != 200:
            return str(answer.json()["error"])
    return ""


def test_check_agrees_with_prometheus(tmp_path: Path) -> None:
    queries = [*WRITTEN, *generated(300)]
    with reading(tmp_path) as (url, parser):
        server = parser.server
        with ThreadPoolExecutor(2) as pool, requests.Session() as session:
            said = list(pool.map(lambda query: refused(session, url, query), queries))
    assert server.version is not None
    assert server.flags == frozenset()
    disagreements, unchecked = [], []
    for query, theirs in zip(queries, said, strict=True):
        ours = judge_query(query, server)
        if BY_THE_DATA in theirs:
            continue
        if ours.unchecked:
            unchecked.append(query)
        elif bool(ours.wrong) != bool(theirs):
            disagreements.append(f"{query!r}\n  Prometheus: {theirs!r}\n  check: {ours.wrong!r}")
    assert disagreements == [], "\n".join(disagreements)
    assert unchecked == []
    assert 0.3 < sum(map(bool, said)) / len(said) < 0.8  # there is much of both
    # With any server in mind, nothing that this one takes is refused.
    anywhere = [q for q, theirs in zip(queries, said, strict=True) if not theirs]
    assert [q for q in anywhere if judge_query(q, PromqlServer()).wrong] == []


ASKED = {
    "sum(rate(foo[5m]))": "",
    "sum(rate(foo[5m]": "parse error",
    'foo{a=~"(?=x)"}': "add a matcher with !~",
    'label_replace(foo, "a", "b", "c", "(")': "invalid regular expression",
}


def test_the_server_itself_is_asked(tmp_path: Path) -> None:
    with reading(tmp_path) as (url, parser):
        assert parser.described.endswith(f"at {url}")
        for query, said in ASKED.items():
            judgement = parser.judge(query)
            assert said in judgement.wrong
            assert bool(judgement.wrong) == bool(said)
            assert judgement.hints == ()
