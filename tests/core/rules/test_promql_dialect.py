"""What a server of PromQL takes, by its kind and version. The acceptance tests compare with the
real one; these hold what depends on what is known of the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.rules import promql
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.promql_dialect.selecting import selector_texts
from daemon.core.rules.promql_dialect.servers import VICTORIAMETRICS, PromqlServer, parse_version
from daemon.core.rules.promql_dialect.tokens import query_tokens, string_literal, string_value
from daemon.core.rules.query_templates import check_query, query_hints, selectors

OLD = PromqlServer(version=(2, 42), flags=frozenset())
NEW = PromqlServer(version=(3, 5), flags=frozenset())
NEWER = PromqlServer(version=(3, 14), flags=frozenset())
VICTORIA = PromqlServer(VICTORIAMETRICS)


@pytest.mark.parametrize(
    ("query", "server", "said"),
    [
        ("holt_winters(m[5m], 0.5, 0.5)", OLD, ""),
        ("holt_winters(m[5m], 0.5, 0.5)", NEW, "gone since Prometheus 3.0; there it is double_exp"),
        ("mad_over_time(m[5m])", OLD, "needs Prometheus 2.49 or newer; this one is 2.42"),
        ("mad_over_time(m[5m])", NEW, "needs --enable-feature=promql-experimental-functions"),
        ("first_over_time(m[5m])", NEW, "needs Prometheus 3.7"),
        ("first_over_time(m[5m])", NEWER, ""),
        ("m[5m * 2]", NEW, "--enable-feature=promql-duration-expr"),
        ("m[5m * 2]", NEWER, ""),
        ("rate(m[5m] smoothed)", NEW, "needs Prometheus 3.7"),
        ("m + fill(0) n", NEW, "needs Prometheus 3.10"),
        ("m > 5m", OLD, "write it in seconds"),
        ("m OFFSET 5m", OLD, ""),
        ("m OFFSET (5m)", NEWER, ""),
        ("sum BY ('a.b') (m)", OLD, "needs Prometheus 3.0"),
        ('{"service.name"="x"}', OLD, "needs Prometheus 2.53"),
        ('m{a="1" or b="2"}', NEW, "`or` between the matchers"),
        ('m{a="1" or b="2"}', VICTORIA, ""),
        ("rollup(m[5i])", VICTORIA, ""),
        ('m{a=~"(?=x)"}', VICTORIA, "no look-ahead"),
        (r'm{a="\d"}', VICTORIA, "double the backslash"),
        ("rats(m[5m])", NEW, "unknown function rats(); did you mean rate()?"),
    ],
)
def test_the_version_decides(query: str, server: PromqlServer, said: str) -> None:
    wrong = judge_query(query, server).wrong
    assert said in wrong
    assert bool(wrong) == bool(said)


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("sum(rate(m[5m]))", ""),
        ("mad_over_time(m[5m])", "2.49 or newer with --enable-feature=promql-experimental"),
        ("holt_winters(m[5m], 0.5, 0.5)", "gone since Prometheus 3.0"),
        ("m > 5m", "needs Prometheus 2.54 or newer"),
        ("sum by (`service.name`) (m)", "needs Prometheus 3.0 or newer"),
        ("m[5m] offset +1m", "3.0"),
    ],
)
def test_what_some_version_takes_is_a_hint_where_nobody_is_known(query: str, hint: str) -> None:
    judgement = judge_query(query)
    assert judgement.wrong == ""
    assert hint in "; ".join(judgement.hints)
    assert bool(judgement.hints) == bool(hint)


def test_an_experiment_that_is_switched_on_is_no_experiment() -> None:
    flags = frozenset({"promql-experimental-functions"})
    assert judge_query("limitk(1, m)", PromqlServer(version=(3, 5), flags=flags)).wrong == ""
    unasked = judge_query("limitk(1, m)", PromqlServer(version=(3, 5)))
    assert unasked.wrong == ""
    assert unasked.hints == ("limitk() needs --enable-feature=promql-experimental-functions",)


def test_metricsql_is_not_judged_here() -> None:
    judgement = judge_query("rate(m) keep_metric_names", VICTORIA)
    assert judgement.wrong == ""
    assert "MetricsQL is more than PromQL" in judgement.unchecked
    [hint] = query_hints("rate(m) keep_metric_names", lambda q: judge_query(q, VICTORIA))
    assert hint.startswith("could not be checked here: ")


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.53.3+ds1", (2, 53)), ("v3.5.0-rc.1", (3, 5)), ("", None), ("main", None)],
)
def test_a_version_is_read(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


@given(st.text())
def test_the_tokens_are_the_query(query: str) -> None:
    assert "".join(token.text for token in query_tokens(query)) == query


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_literal_holds_its_value(value: str) -> None:
    assert string_value(string_literal(value)) == value


@given(st.text(max_size=60))
def test_any_text_is_judged(query: str) -> None:
    judgement = judge_query(query)
    assert not (judgement.wrong and judgement.unchecked)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (r"sum(rate(m{a=~`\d+`}[5m]))", [r'm{a=~"\\d+"}']),
        ('rate(m{a="1"}[5m] smoothed)', ['m{a="1"}']),
        ("rate(m[5m * 2]) / on (a) group_left (b) n", ["m{}", "n{}"]),
        ('rate(m{a="x"}) keep_metric_names + n default 5', ['m{a="x"}', "n"]),
        ("sum(m{b='2'}[5i]) by (job) / {c=`3`}[3i]", ["m{b='2'}", "{c=`3`}"]),
    ],
)
def test_what_a_query_selects_is_found_whatever_its_dialect(query: str, found: list[str]) -> None:
    assert selectors(query) == found


def test_a_query_is_held_to_the_server_that_is_given() -> None:
    query = 'rollup(m{a="$service"}[$window])'
    assert "unknown function rollup()" in str(check_query(query, ["service"], windowed=True))
    assert (
        check_query(query, ["service"], windowed=True, judge=lambda q: judge_query(q, VICTORIA))
        is None
    )


def test_selectors_of_a_call_alone() -> None:
    assert selector_texts("time() - 5") == []


@pytest.mark.parametrize(
    ("query", "spelled"),
    [
        (r"rate(m{a=~`\d+`}[5m])", r'rate(m{a=~"\\d+"}[5m])'),
        ("m > 1_000", "m > 1000"),
    ],
)
def test_a_tree_is_what_the_query_says(query: str, spelled: str) -> None:
    assert promql.written(promql.parsed(query)) == spelled


@pytest.mark.parametrize(
    "query", ["rate(m[5m * 2])", "holt_winters(m[5m], 0.5, 0.5)", "rate(m[5m] smoothed)"]
)
def test_what_was_put_into_other_words_is_no_tree(query: str) -> None:
    with pytest.raises(ValueError, match="syntax is not in every version"):
        promql.parsed(query)


def test_a_long_query_takes_no_longer_than_its_length() -> None:
    """promql-parser's own walk takes minutes for these."""
    terms = " + ".join(f"rate(m{number}[5m])" for number in range(1_000))
    assert judge_query(terms).wrong == ""
    assert len(selectors(terms)) == 1_000
    assert judge_query(f"{terms} + label_replace(m, '', 'a', 'b', 'c')").wrong
