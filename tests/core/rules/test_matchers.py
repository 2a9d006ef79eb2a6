"""Alertmanager's matchers, and the index that must find what trying every rule would find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.rules.matchers import Matcher, MatcherIndex, parse_matcher


def matches(text: str, **labels: str) -> bool:
    return parse_matcher(text).matches(labels)


@pytest.mark.parametrize(
    ("text", "name", "op", "value"),
    [
        ('alertname="A"', "alertname", "=", "A"),
        ("alertname=A", "alertname", "=", "A"),
        ("  alertname  !=  A  ", "alertname", "!=", "A"),
        ('a=~"x|y"', "a", "=~", "x|y"),
        ("a!~x.*", "a", "!~", "x.*"),
        ('a=""', "a", "=", ""),
        ("a=", "a", "=", ""),
        ('job:rate="x"', "job:rate", "=", "x"),
        (r'a="say \"no\""', "a", "=", 'say "no"'),
        (r'a="back\\slash"', "a", "=", r"back\slash"),
        (r'a="two\nlines"', "a", "=", "two\nlines"),
        ('a="two\nlines"', "a", "=", "two\nlines"),
        ('a="{b, c}"', "a", "=", "{b, c}"),
        ('a="=~"', "a", "=", "=~"),
        ('a="b=c"', "a", "=", "b=c"),
        # A backslash before anything else stands for itself, as in Alertmanager.
        (r'a=~"web\.example"', "a", "=~", r"web\.example"),
        (r'a=~"\d+"', "a", "=~", r"\d+"),
        (r'a=~"\\d+"', "a", "=~", r"\d+"),
        (r"a=~\d+", "a", "=~", r"\d+"),
    ],
)
def test_a_matcher_is_read_as_alertmanager_reads_it(
    text: str, name: str, op: str, value: str
) -> None:
    matcher = parse_matcher(text)
    assert (matcher.name, matcher.op, matcher.value) == (name, op, value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a matcher"),
        ("alertname", "is not a matcher"),
        ("=x", "is not a matcher"),
        ("a b=x", "is not a matcher"),
        ("'a-b'=x", "is not a matcher"),
        ('""=x', "is not a matcher"),
        ('"a-b=x', "is not a matcher"),
        ('"a-b"="x"y"', "quotes"),
        ('"a-b"=~"("', "not a regular expression"),
        ('a=="x"', "quotes"),
        ('a="x', "quotes"),
        ('a=x"', "quotes"),
        (r'a="x\"', "quotes"),
        ('a="x"y"', "quotes"),
        ("a={b}", "put the value in double quotes"),
        ("a=b,c=d", "put the value in double quotes"),
        ('a=~"("', "not a regular expression"),
        ('a!~"*"', "not a regular expression"),
        ('a=~"x{4294967295}"', "not a regular expression"),
        ('a=~"' + "(" * 2000 + '"', "nested too deeply"),
    ],
)
def test_what_is_no_matcher_is_refused_with_the_mend(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_matcher(text)


def test_a_regular_expression_is_anchored_at_both_ends() -> None:
    assert matches('env=~"prod"', env="prod")
    assert not matches('env=~"prod"', env="preprod")
    assert not matches('env=~"prod"', env="prod-eu")
    assert not matches('env=~"a|b"', env="ax")
    assert not matches('env=~"prod$"', env="prod\n")
    assert matches('env!~"prod"', env="preprod")


def test_an_escaped_dot_matches_a_dot_alone() -> None:
    assert matches(r'host=~"web\.example"', host="web.example")
    assert not matches(r'host=~"web\.example"', host="webXexample")


def test_an_absent_label_equals_the_empty_string() -> None:
    assert matches('team=""')
    assert matches('team!="shop"')
    assert matches('team=~".*"')
    assert matches('team!~".+"')
    assert not matches('team=~".+"')
    assert not matches('team="shop"')
    assert not matches('team!=""')


@given(st.text(), st.sampled_from(["=", "!="]))
def test_any_value_can_be_quoted(value: str, op: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert parse_matcher(f'a{op}"{escaped}"').value == value


names = st.sampled_from(["a", "b", "c"])
values = st.sampled_from(["", "x", "y", "xy"])
matchers = st.builds(
    Matcher,
    name=names,
    op=st.sampled_from(["=", "!=", "=~", "!~"]),
    value=st.one_of(values, st.sampled_from([".*", ".+", "x|y", "x?", "[xy]+"])),
)


@given(
    st.lists(st.lists(matchers, max_size=4), max_size=12),
    st.lists(st.dictionaries(names, values), min_size=1, max_size=4),
)
def test_the_index_finds_what_trying_every_rule_finds(
    rules: list[list[Matcher]], alerts: list[dict[str, str]]
) -> None:
    index = MatcherIndex((rule, number) for number, rule in enumerate(rules))
    for labels in alerts:
        brute = [n for n, rule in enumerate(rules) if all(m.matches(labels) for m in rule)]
        assert index.find(labels) == brute


def test_the_index_tries_few_of_many_rules() -> None:
    tried: list[str] = []

    class Counting(Matcher):
        def matches(self, labels: object) -> bool:
            tried.append(self.value)
            return super().matches(labels)  # type: ignore[arg-type]

    rules = [
        (
            [
                Counting(name="env", op="=", value="prod"),
                Counting(name="job", op="=", value=str(n)),
            ],
            n,
        )
        for n in range(1000)
    ]
    assert MatcherIndex(rules).find({"env": "prod", "job": "7"}) == [7]
    assert len(tried) == 2
