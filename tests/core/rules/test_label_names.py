"""Labels of any name, such as OpenTelemetry's `service.name`: in matchers, queries and rules."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promql_parser import parse

from daemon.core.diagnosis.by_label import keeping, split_by
from daemon.core.rules import promql
from daemon.core.rules.label_names import (
    is_legacy,
    label_text,
    reference,
    referenced,
    wrong_label_name,
)
from daemon.core.rules.label_values import undiscoverable, values_query
from daemon.core.rules.matchers import Matcher, parse_matcher, spell_matcher
from daemon.core.rules.query_templates import (
    TemplateError,
    UnsafeLabel,
    check_query,
    metric_name,
    names_in,
    render_params,
    render_query,
    selectors,
    vector_selectors,
)
from daemon.core.rules.rule import Rule, incident_key, load
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.yaml_document import Mistakes

MINUTE = timedelta(minutes=1)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
RULE = """
rule: checkout
match: ['alertname="ErrorsHigh"', '"deployment.environment"="prod"']
group_by: [service.name, "größe"]
team: shop
problem:
  symptom: success rate
  bad: sum(increase({"http.requests","service.name"="${service.name}",code=~"5.."}[$window]))
  total: sum(increase({"http.requests","service.name"="${service.name}"}[$window]))
  confirm: {drop: 1%, traffic: 30/m}
changes:
  version: {query: 'count by ("service.version") (target_info)', label: service.version}
suspects:
  revisions:
    bad: sum by ("service.version") (increase({"http.requests",code=~"5.."}[$window]))
    total: sum by ("service.version") (increase({"http.requests"}[$window]))
    label: service.version
diagnosis: {labels: [cloud.region]}
"""


def rule(text: str = RULE) -> Rule:
    [(found, _)] = load(text, "checkout.yaml")
    return found


# ── matchers ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "name", "op", "value"),
    [
        ('"service.name"="checkout"', "service.name", "=", "checkout"),
        ('service.name="checkout"', "service.name", "=", "checkout"),
        ('  "service.name" = checkout ', "service.name", "=", "checkout"),
        ("1a=x", "1a", "=", "x"),
        ("a-b!=x", "a-b", "!=", "x"),
        ('größe=~"1|2"', "größe", "=~", "1|2"),
        (r'"a\\b"="t\x61b"', "a\\b", "=", "tab"),
        (r'"say \"no\""="x"', 'say "no"', "=", "x"),
        (r'"a.b"=~"x|a\\.b"', "a.b", "=~", r"x|a\.b"),
        (r'"a.b"="\u00e9\U0001F600\101"', "a.b", "=", "é😀A"),
        (r'"alertname"="\x54"', "alertname", "=", "T"),
        (r'alertname="\x54"', "alertname", "=", r"\x54"),
        # Alertmanager refuses these escapes beside such a name; what they mean is plain.
        (r'"a.b"=~"x|a\.b"', "a.b", "=~", r"x|a\.b"),
        (r'"a.b"="\UFFFFFFFF"', "a.b", "=", r"\UFFFFFFFF"),
    ],
)
def test_a_matcher_is_read_as_alertmanagers_utf8_mode_reads_it(
    text: str, name: str, op: str, value: str
) -> None:
    """As `filter=` of Alertmanager 0.28.1 finds alerts by them."""
    matcher = parse_matcher(text)
    assert (matcher.name, matcher.op, matcher.value) == (name, op, value)


@given(NAMES, st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_a_matcher_that_is_spelled_is_read_again(name: str, value: str) -> None:
    matcher = Matcher(name=name, op="=", value=value)
    assert parse_matcher(spell_matcher(matcher)) == matcher


# ── names in PromQL ──────────────────────────────────────────────────────────────────────────


@given(NAMES)
def test_a_label_is_written_so_that_the_parser_reads_it(name: str) -> None:
    [selector] = vector_selectors(f'{{{label_text(name)}="x"}}')
    assert [m.name for m in selector.matchers.matchers] == [name]
    assert promql.retained_labels(promql.parsed(f"sum by ({label_text(name)}) (up)")) == (name,)


def test_a_legacy_name_is_written_as_it_always_was() -> None:
    assert label_text("service") == "service"
    assert label_text("service.name") == '"service.name"'
    assert is_legacy("_a1")
    assert not is_legacy("1a")


def test_the_selectors_of_a_query_keep_their_quoted_names() -> None:
    query = 'sum(rate({"http.requests","service.name"="a\\"b"}[1m] offset 5m))'
    [found] = selectors(query)
    assert found == '{__name__="http.requests","service.name"="a\\"b"}' or found == (
        '{"service.name"="a\\"b",__name__="http.requests"}'
    )
    [again] = vector_selectors(found)
    assert metric_name(again) == "http.requests"
    assert {m.name: m.value for m in again.matchers.matchers}["service.name"] == 'a"b'


@pytest.mark.parametrize(
    "query",
    [
        'sum by ("service.name") (rate({"http.requests"}[1m]))',
        'a * on ("service.name") group_left ("service.version") b',
        'max without ("k8s.pod.name") ({"up.time","service.name"=~"x|y"} offset 5m)',
    ],
)
def test_an_expression_that_is_spelled_anew_means_the_same(query: str) -> None:
    again = promql.spelled(promql.parsed(query))
    assert parse(again).prettify() == parse(query).prettify()


def test_a_label_narrows_by_its_quoted_name() -> None:
    tree = promql.parsed("sum(rate(requests_total[1m]))")
    narrowed = promql.spelled(tree.expr, {"service.name": reference("service.name")})
    assert '"service.name"="${service.name}"' in narrowed


def test_a_count_is_parted_by_a_quoted_label_beside_others() -> None:
    [term] = split_by("sum(rate(requests_total[1m]))", "http.route")
    assert parse(term.query).modifier.labels == ["http.route"]
    kept = parse(keeping('max by ("service.name") (latency)', "http.route"))
    assert kept.modifier.labels == ["service.name", "http.route"]
    rest = parse(keeping('max without ("host.name", "http.route") (latency)', "http.route"))
    assert rest.modifier.labels == ["host.name"]


# ── `$names` ─────────────────────────────────────────────────────────────────────────────────


def test_a_name_in_braces_is_filled_in_and_escaped() -> None:
    template = 'x{"service.name"="${service.name}",a=~"${service.name}|$a",b="$a"}'
    filled = render_query(template, {"service.name": 'a.b"', "a": "c"}, None)
    assert filled == r'x{"service.name"="a.b\"",a=~"a\\.b\"|c",b="c"}'
    assert names_in(template) == {"service.name", "a"}
    with pytest.raises(UnsafeLabel, match=r"\$\{service\.name\} would select too much"):
        render_query(template, {"a": "c"}, None)


def test_a_plain_name_ends_before_a_dot_as_it_always_did() -> None:
    assert render_query('x{a="$service.name"}', {"service": "s"}, None) == 'x{a="s.name"}'
    assert render_query('x{a="${service}name"}', {"service": "s"}, None) == 'x{a="sname"}'


def test_what_label_replace_captures_is_no_label() -> None:
    query = 'label_replace(x, "a", "${1}-$2", "b", "(.*)-(.*)")'
    assert render_query(query, {}, None) == query
    assert check_query(query, [], windowed=False) is None


def test_the_window_may_stand_in_braces_too() -> None:
    assert render_query("rate(x[${window}])", {}, MINUTE) == "rate(x[1m])"
    with pytest.raises(TemplateError, match=r"\$\{service\.name\} stands outside a string"):
        render_query("x{a=${service.name}}", {"service.name": "s"}, MINUTE)


def test_parameters_take_it_where_its_value_is_plain() -> None:
    params = {"deployment": "${service.name}-web", "args": ["$a"]}
    assert render_params(params, {"service.name": "shop", "a": "1"}) == {
        "deployment": "shop-web",
        "args": ["1"],
    }
    with pytest.raises(UnsafeLabel, match=r"service\.name"):
        render_params(params, {"service.name": "shop; rm", "a": "1"})


@given(NAMES.filter(lambda name: not wrong_label_name(name)))
def test_every_label_that_a_rule_may_group_by_can_be_named(name: str) -> None:
    assert referenced(f"a{reference(name)}-b") == [name]
    filled = render_query(f'x{{a="{reference(name)}"}}', {name: "v"}, None)
    assert filled == 'x{a="v"}'


# ── rules ────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_with_dotted_labels_has_no_mistake() -> None:
    [(found, document)] = load(RULE, "checkout.yaml")
    watches = {"version": _Watch}
    assert check_rules([(found, document)], {}, watches, ["shop"]) == []
    assert found.match[1] == Matcher(name="deployment.environment", op="=", value="prod")
    labels = found.group({"service.name": "shop", "größe": "1", "alertname": "x"})
    assert incident_key("checkout", labels) == (
        '["checkout", [["größe", "1"], ["service.name", "shop"]]]'
    )


def test_a_label_that_is_not_grouped_by_is_told_as_it_is_written() -> None:
    wrong = check_query('x{a="${service.nam}"}', ["service.name"], windowed=False)
    assert wrong == ("${service.nam} is not in `group_by`; known here: ${service.name}, $window")


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a{b}", "a$b", "1.a", "ä" * 201])
def test_a_label_that_could_not_be_named_is_refused_with_the_mend(name: str) -> None:
    shown = name.replace("\n", "\\n")
    with pytest.raises(Mistakes) as told:
        rule(RULE.replace("group_by: [service.name,", f'group_by: ["{shown}",'))
    assert "no label name" in str(told.value) or "relabel it" in str(told.value)


def test_the_values_of_a_dotted_label_are_found_in_what_the_rule_selects() -> None:
    before, _, after = RULE.partition("  version: {")
    watched = '  kubernetes: {namespace: prod, deployment: "${service.name}"}'
    text = f"{before}{watched}{after[after.index(chr(10)) :]}"
    found = values_query(rule(text))
    assert found is not None
    assert parse(found.query).expr.modifier.labels == ["service.name"]
    assert found.values_in([{"service.name": "b"}, {"service.name": "a"}, {}]) == [
        {"service.name": "a"},
        {"service.name": "b"},
    ]
    hidden = undiscoverable(rule(text.replace('="${service.name}"', '=~".*${service.name}"')), ())
    assert "$" in hidden
    assert '{"service.name"="${service.name}"}' in hidden


class _Watch:
    """A change source that takes any parameters."""

    from pydantic import BaseModel as _Base

    class Params(_Base):
        query: str
        label: str
