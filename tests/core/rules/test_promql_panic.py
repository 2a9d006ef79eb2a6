"""A parser in another language may panic: what it cannot read is a mistake of the query."""

from __future__ import annotations

import promql_parser
import pytest

from daemon.core.rules import promql
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.query_templates import vector_selectors


class PanicException(BaseException):
    """As the parser's bindings raise it."""


def test_a_panic_of_the_parser_is_a_query_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def panics(_: str) -> None:
        raise PanicException("out of range")

    monkeypatch.setattr(promql_parser, "parse", panics)
    for read in (promql.parsed, vector_selectors):
        with pytest.raises(ValueError, match="the parser cannot read it"):
            read("up")
    judged = judge_query("up")
    assert "the parser cannot read it" in judged.wrong + judged.unchecked
