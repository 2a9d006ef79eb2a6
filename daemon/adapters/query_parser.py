"""Asks a server of PromQL itself whether it would take a query.

Prometheus parses one at `/api/v1/parse_query` (3.x) or `/api/v1/format_query` (2.38 on); other
servers have neither, so they are asked to run it at the beginning of time, where no data is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import requests

from daemon.adapters.prometheus_flavour import BUILD_INFORMATION
from daemon.adapters.tls import distrust
from daemon.core.rules.promql_dialect.judging import QueryJudgement, judge_query
from daemon.core.rules.promql_dialect.servers import (
    ANY_SERVER,
    VICTORIAMETRICS,
    PromqlServer,
    parse_version,
    spelled_version,
)
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary

Send = Callable[[Literal["GET", "POST"], str, Mapping[str, str]], requests.Response]
"""Sends parameters to a path of the server, by POST as a form. What the way to the server is
(credentials, TLS, GET alone) is its business."""

_PARSERS = ("/api/v1/parse_query", "/api/v1/format_query")
_RUN = "/api/v1/query"
_FLAGS = "/api/v1/status/flags"
_LONG_AGO = {"time": "1", "limit": "1"}
_BUSY = re.compile(
    r"timed out|query queue|too many (?:concurrent|outstanding)|cancell?ed|deadline exceeded",
    re.IGNORECASE,
)
_PARSED = "parse error"
"""What Prometheus says of each query that it refuses; the words of a query may follow."""
_METRICSQL = "1 default 2"
"""A query that is no PromQL."""
_REFUSES = frozenset({400, 422})
_WORDS = 300


class QueryParser:
    """One server; each query is asked once. `where` is its address without credentials."""

    def __init__(self, where: str, send: Send) -> None:
        self.server = ANY_SERVER
        self._where = where
        self._send = send
        self._parser: str | None = None
        self._judged: dict[str, QueryJudgement] = {}
        self._away = ""

    def connect(self) -> PromqlServer:
        """Find out who it is, and where it parses. Raises Temporary or Permanent."""
        status, refusal = self._refusal(_RUN, "vector(1)", _LONG_AGO)
        if status != 200:
            said = f"{status} {refusal}".strip()
            raise Permanent(f"{self._where} answers no query: {said}{_mend(status)}")
        build = self._data(BUILD_INFORMATION)
        for path in _PARSERS:
            if self._parses(path):
                self._parser = path
                break
        self.server = self._identified(build)
        return self.server

    def _identified(self, build: Mapping[str, Any]) -> PromqlServer:
        if build.get("application"):  # Mimir and the like number themselves
            return PromqlServer(str(build["application"]).split()[-1].lower())
        if self._parser is None:
            reads, _ = self._refusal(_RUN, _METRICSQL, _LONG_AGO)
            return PromqlServer(VICTORIAMETRICS) if reads == 200 else ANY_SERVER
        version = parse_version(str(build.get("version", "")))
        flags = self._data(_FLAGS).get("enable-feature")
        named = None if flags is None else frozenset(filter(None, str(flags).split(",")))
        return PromqlServer(version=version, flags=named)

    @property
    def described(self) -> str:
        """What it is, as far as it says, and where."""
        version = self.server.numbered
        number = "" if version is None else f" {spelled_version(version)}"
        return f"{self.server.flavour}{number} at {self._where}"

    def judge(self, query: str) -> QueryJudgement:
        """What the server makes of a query; what we make of it, where it has no time to say."""
        if query not in self._judged:
            self._judged[query] = self._judge(query)
        return self._judged[query]

    def _judge(self, query: str) -> QueryJudgement:
        ours = judge_query(query, self.server)
        if self._away:
            return QueryJudgement(ours.wrong, self._away, ours.hints)
        try:
            refused = self._parser and self._asked(self._parser, query)
            if self._parser is None or (not refused and ours.wrong):
                # What is wrong in an argument shows only when it runs.
                refused = self._asked(_RUN, query)
        except Temporary as error:
            return QueryJudgement(ours.wrong, str(error), ours.hints)
        if not refused:
            return QueryJudgement()
        mend = f" ({ours.wrong})" if ours.wrong else ""
        return QueryJudgement(f"{self._where} refuses it: {refused}{mend}")

    def _asked(self, path: str, query: str) -> str:
        """Why it refuses the query; empty if it does not. Raises Temporary."""
        status, said = self._refusal(path, query, _LONG_AGO if path == _RUN else {})
        if status == 200:
            return ""
        if status not in _REFUSES or (_PARSED not in said and _BUSY.search(said)):
            raise Temporary(f"{self._where} did not say: {status} {said}")
        return said or str(status)

    def _parses(self, path: str) -> bool:
        """Whether it has that parser: a foreign address may be answered with 200 or 400, too."""
        sound, _ = self._refusal(path, "vector(1)", {})
        broken, said = self._refusal(path, "vector(", {})
        return sound == 200 and broken in _REFUSES and bool(said)

    def _data(self, path: str) -> Mapping[str, Any]:
        """What it answers there; nothing if it has no such address."""
        answer = self._sent("GET", path, {})
        found = _object(answer).get("data")
        return found if isinstance(found, dict) else {}

    def _refusal(self, path: str, query: str, more: Mapping[str, str]) -> tuple[int, str]:
        """The status, and in its own words why it is no success."""
        answer = self._sent("POST", path, {"query": query, **more})
        said = _object(answer).get("error", "")
        return answer.status_code, " ".join(printable(str(said)).split())[:_WORDS]

    def _sent(
        self, method: Literal["GET", "POST"], path: str, form: Mapping[str, str]
    ) -> requests.Response:
        try:
            return self._send(method, path, form)
        except requests.RequestException as error:
            # It is not waited for once more at each query.
            tls = distrust(error)
            why = f"TLS fails: {tls}" if tls else type(error).__name__
            self._away = f"no answer from {self._where} ({why})"
            raise Temporary(self._away) from None


def _mend(status: int) -> str:
    if status in {401, 403}:
        return (
            "; does it want credentials? They go with it (`--username`, `--bearer-token`, "
            "`--header`), or `--against configured` gives those of stopgap.yaml"
        )
    return "; is that the address of a Prometheus?"


def _object(answer: requests.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
