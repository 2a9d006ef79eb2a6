"""Labels in queries and parameters: whatever they hold, they stay one value."""

from __future__ import annotations

import re
from datetime import timedelta

import promql_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.core.rules.query_templates import (
    TemplateError,
    UnsafeLabel,
    check_query,
    functions_called,
    names_in,
    quote,
    render_params,
    render_query,
    selectors,
)

MINUTE = timedelta(minutes=1)
HOSTILE = [
    'shop"} or vector(1) or x{a="',
    "shop'} or vector(1)",
    "}{)([]",
    "two\nlines",
    "carriage\rreturn",
    "$(reboot)",
    "`reboot`",
    "$service",
    "$window",
    "${window}",
    "\\",
    '\\"',
    "\\\\",
    "\\n",
    "\\x41",
    "\\u0041",
    ".*",
    ".+|x",
    "a|b",
    "^$",
    "(?i)SHOP",
    "[a-z]",
    "\\Q.*\\E",
    "# comment",
    "x" * 10_000,
    '"' * 10_000,
    "größe-店-😀",
    "\u202eevil",
    "\x00\x07\x7f\x85\u2028",
    "-",
    " ",
    "%s%n",
]


def value_of(query: str) -> str:
    """The value of the single matcher of a rendered selector, as PromQL reads it."""
    expr = promql_parser.parse(query)
    assert isinstance(expr, promql_parser.VectorSelector)
    (matcher,) = expr.matchers.matchers
    return str(matcher.value)


def examples(test: object) -> object:
    for label in HOSTILE:
        test = example(label=label)(test)  # type: ignore[type-var]
    return test


labels = st.one_of(
    st.text(min_size=1),
    st.text(alphabet="\\\"'`{}[]()$.*+?|^\n\r ax", min_size=1, max_size=12),
)


@examples
@given(label=labels)
@pytest.mark.parametrize("template", ['m{a="$l"}', "m{a!='$l'}", 'm{a = "$l"}', 'm{a=#~\n"$l"}'])
def test_an_equality_holds_the_label_exactly(template: str, label: str) -> None:
    assert value_of(render_query(template, {"l": label}, None)) == label


@examples
@given(label=labels)
@pytest.mark.parametrize(
    "template",
    ['m{a=~"$l"}', "m{a!~'$l'}", 'm{a =~ "$l"}', 'm{a=~\n # all of "it"\n "$l"}'],
)
def test_a_regular_expression_matches_the_label_and_nothing_else(template: str, label: str) -> None:
    pattern = re.compile(value_of(render_query(template, {"l": label}, None)), re.DOTALL)
    assert pattern.fullmatch(label)
    for near in ("x", label + "x", "x" + label, label[:-1], label.swapcase(), "", "shop"):
        assert (pattern.fullmatch(near) is not None) == (near == label)


@given(label=labels)
def test_a_label_beside_other_text_stays_in_its_place(label: str) -> None:
    query = render_query('rate(m{a="pre-$l-post",b=~"(x|$l)-.*"}[$window])', {"l": label}, MINUTE)
    found: list[promql_parser.VectorSelector] = []
    promql_parser.walk(
        promql_parser.parse(query),
        lambda node: (
            found.append(node.vector_selector)
            if isinstance(node, promql_parser.MatrixSelector)
            else None
        ),
    )
    a, b = (m.value for m in found[0].matchers.matchers)
    assert a == f"pre-{label}-post"
    assert re.compile(b, re.DOTALL).fullmatch(f"{label}-tail")
    assert not re.compile(b, re.DOTALL).fullmatch(f"y{label}-tail")


@given(label=labels)
def test_a_quoted_value_is_read_back(label: str) -> None:
    assert value_of(f"m{{a={quote(label)}}}") == label


@pytest.mark.parametrize("template", ['m{a="$l"}', 'm{a=~"$l"}', 'm{a=~"$l|x"}'])
@pytest.mark.parametrize("given_labels", [{}, {"l": ""}, {"other": "x"}])
def test_an_absent_or_empty_label_selects_nothing(
    template: str, given_labels: dict[str, str]
) -> None:
    with pytest.raises(UnsafeLabel, match="the label l is absent or empty"):
        render_query(template, given_labels, None)


def test_a_dollar_that_ends_a_regular_expression_is_left_alone() -> None:
    assert render_query('m{a=~"5..$",b=~"(x$|$)"}', {}, None) == 'm{a=~"5..$",b=~"(x$|$)"}'


def test_a_group_of_label_replace_is_left_alone() -> None:
    query = 'label_replace(m, "a", "$1", "b", "(.*)")'
    assert render_query(query, {}, None) == query


def test_the_window_stands_in_promql_spelling() -> None:
    assert render_query("rate(m[$window])", {}, timedelta(seconds=90)) == "rate(m[1m30s])"


def test_a_comment_is_not_filled_in() -> None:
    assert render_query("m # $l and '", {}, None) == "m # $l and '"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("m{a=$l}", r"\$l stands outside a string; put it in double quotes"),
        ("$l", "stands outside a string"),
        ("sum by ($l) (m)", "stands outside a string"),
        ("m{a=`$l`}", "use double quotes"),
        ("m{a=~`$l`}", "use double quotes"),
    ],
)
def test_a_template_that_cannot_be_escaped_is_wrong_whatever_the_label(
    template: str, said: str
) -> None:
    with pytest.raises(TemplateError, match=said):
        render_query(template, {"l": "x"}, MINUTE)


def test_a_window_has_no_meaning_where_there_is_none() -> None:
    with pytest.raises(TemplateError, match="no meaning"):
        render_query("m[$window]", {}, None)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('sum(increase(m{a="$service"}[$window]))', None),
        ('sum(increase(m{a="$service"}[$window])', "not PromQL"),
        ('m{a="$service"}', r"no [$window]"),
        ('m{a="$servce"}[$window]', "known here: $service, $window"),
        # In a regular expression too: there a $name can only be a slip, for it matches nothing.
        ('m{a=~"$servce"}[$window]', "known here: $service, $window"),
        ("m{a=$service}[$window]", "double quotes"),
        ("m{a='unclosed}[$window]", "not PromQL"),
        ("", "not PromQL"),
    ],
)
def test_a_query_is_checked_before_any_alert_comes(template: str, said: str | None) -> None:
    wrong = check_query(template, ["service"], windowed=True)
    assert wrong is None if said is None else said in str(wrong)


@pytest.mark.parametrize("label", ["shop", "shop-2", "10.0.0.1", "a_b", "x" * 128])
def test_a_plain_name_goes_into_parameters_however_nested(label: str) -> None:
    params = {"a": "svc-$l", "b": ["$l", {"c": "$l.yaml"}], "d": 5, "e": None, "f": True}
    assert render_params(params, {"l": label}) == {
        "a": f"svc-{label}",
        "b": [label, {"c": f"{label}.yaml"}],
        "d": 5,
        "e": None,
        "f": True,
    }


@pytest.mark.parametrize(
    "label",
    [
        *HOSTILE,
        "",
        "../etc",
        "a/b",
        "-rf",
        "--help",
        ".hidden",
        "a b",
        "a;b",
        "a\n",
        "x" * 129,
        "é",
    ],
)
def test_any_other_label_stays_out_of_parameters(label: str) -> None:
    with pytest.raises(UnsafeLabel, match="the label l is") as caught:
        render_params(["systemctl", "restart", "$l"], {"l": label})
    assert len(str(caught.value)) < 300


def test_the_names_in_parameters_are_found() -> None:
    assert names_in({"a": "$x-$y", "b": ["$z", 5], "$key": None}) == {"x", "y", "z"}


def test_the_selectors_of_a_query_are_found_once_each() -> None:
    query = (
        'sum(rate(errors{a="x",b=~"y.*",c!="",d!~"\\\\d"}[5m])) / sum(rate(total[5m] offset 1h))'
        ' + sum(rate(total[1m])) + {__name__="odd"}'
    )
    assert selectors(query) == [
        'errors{a="x",b=~"y.*",c!="",d!~"\\\\d"}',
        "total{}",
        '{__name__="odd"}',
    ]
    for selector in selectors(query):
        promql_parser.parse(selector)


@pytest.mark.parametrize(
    ("query", "called"),
    [
        ('max(absent(up{job="x"})) or vector(0)', {"absent", "vector"}),
        ("sum(absent_total) or sum(vector_total)", set()),
        ("rate(a[1m]) / on () group_left () abs(b)", {"rate", "abs"}),
        ("max_over_time(absent_over_time(a[5m])[1h:])", {"max_over_time", "absent_over_time"}),
    ],
)
def test_the_functions_that_a_query_calls_are_told_from_its_metrics(
    query: str, called: set[str]
) -> None:
    assert functions_called(query) == called
