"""Rule files: every mistake is told, where it stands, with its mend; approvals hang on content."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from daemon.core.recovery.binding_content import content_hash
from daemon.core.rules.rule import MOST_GROUPED, Rule, RuleBook, incident_key, load, read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.units import Frozen
from daemon.core.values.yaml_document import Mistakes, YamlDocument, documents, one_document
from tests.core.build import RULE, first_hash, make_rule

FILES = sorted(Path("rules").glob("checkout*.yaml"))
GOOD = """\
rule: checkout
match: ['alertname="CheckoutFails"']
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(errors{service="$service"}[$window]))
  total: sum(increase(requests{service="$service"}[$window]))
  windows: [1m, 5m]
  baseline: 45m
  confirm: {drop: 1%, traffic: 30/m}
  severity: {sev1: 20%, sev2: 5%}
  impact:
    orders: sum(orders{service="$service"})
changes:
  releases: {directory: shop}
recover:
  - action: rollback
    with: {directory: shop}
    when: suspect_change
    approval: automatic
    within: 10m
verify: {settle: 1m, hold: 3m}
"""


class Rollback:
    """Stands in for an action and for a watch: what `check` needs of either."""

    class Params(Frozen):
        directory: Annotated[str, Field(min_length=2)]
        count: int = 1

    def allowed(self, params: Params) -> str | None:
        return "the settings do not allow /etc" if params.directory == "/etc" else None


ACTIONS = {"rollback": Rollback()}
WATCHES = {"releases": Rollback()}


def mistakes(text: str) -> list[tuple[int, str, str]]:
    """(line, place, text) of every mistake of a rule file, as `stopgap check` finds them."""
    try:
        rules = read_rule(text, "r.yaml")
    except Mistakes as error:
        found = list(error.mistakes)
    else:
        found = [mistake for _, _, mistakes in rules for mistake in mistakes]
        found += check_rules([(r, d) for r, d, _ in rules], ACTIONS, WATCHES, ["shop"])
    assert all(m.file == "r.yaml" for m in found)
    return [(m.line, m.place, m.text) for m in found]


def edited(*changes: tuple[str, str]) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_good_rule_has_no_mistake() -> None:
    assert mistakes(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "said"),
    [
        ("increase(errors", "increase((errors", 7, "problem.bad", "not PromQL"),
        ("sum(orders{", "sum(orders{{", 14, "problem.impact.orders", "not PromQL"),
        ('errors{service="$service"}', 'errors{s="$s"}', 7, "problem.bad", "$s is not in"),
        ('errors{service="$service"}', "errors{s=$service}", 7, "problem.bad", "double quotes"),
        ('requests{service="$service"}[$window]', "requests[1m]", 8, "problem.total", "[$window]"),
        ("action: rollback", "action: rollbak", 18, "recover.0.action", "known: rollback"),
        ("team: shop", "team: shoppe", 4, "team", "no team 'shoppe' in the roster; known: shop"),
        ("  baseline:", "  basline:", 10, "problem.basline", "did you mean `baseline`?"),
        ("verify: {settle", "verfy: {settle", 23, "verfy", "did you mean `verify`?"),
        ("settle: 1m", "setle: 1m", 23, "verify.setle", "did you mean `settle`?"),
        ("    within:", "    witin:", 22, "recover.0.witin", "did you mean `within`?"),
        ("drop: 1%", "dorp: 1%", 11, "problem.confirm.dorp", "did you mean `drop`?"),
        ("team: shop", "colour: red\nteam: shop", 4, "colour", "unknown key; known here: "),
        ("hold: 3m", "hold: 3 minutes", 23, "verify.hold", "not a duration"),
        ("[1m, 5m]", "[1m, 5x]", 9, "problem.windows.1", "not a duration"),
        ("within: 10m", "within: 600", 22, "recover.0.within", "not a duration"),
        ("drop: 1%", "drop: lots", 11, "problem.confirm.drop", "not a share"),
        ("traffic: 30/m", "traffic: 30", 11, "problem.confirm.traffic", "not a rate"),
        ("alertname=", "alertname==", 2, "match.0", "quotes"),
        ("alertname=", "alert name=", 2, "match.0", "is not a matcher"),
        ('alertname="CheckoutFails"', 'a=~"("', 2, "match.0", "not a regular expression"),
        ('alertname="CheckoutFails"', 'team!="x"', 1, "", "selects every alert"),
        ('alertname="CheckoutFails"', 'a=~".*"', 1, "", "selects every alert"),
        ('alertname="CheckoutFails"', 'a=~".+"', 1, "", "selects every alert"),
        ('alertname="CheckoutFails"', 'a=""', 1, "", "selects every alert"),
        (
            "match: ['alertname=\"CheckoutFails\"']",
            "match: []",
            2,
            "match",
            "at least one is needed",
        ),
        ("match: ['alertname=\"CheckoutFails\"']\n", "", 1, "match", "is missing; add it"),
        ("  symptom: success rate\n", "", 5, "problem.symptom", "is missing; add it"),
        ("rule: checkout", "rule: Check Out", 1, "rule", "is no name; use lower"),
        ("group_by: [service]", "group_by: [a$b]", 3, "group_by.0", "cannot be named"),
        ("  windows:", "  value: m\n  windows:", 5, "problem", "one of the two"),
        ("  total:", "  # total:", 7, "problem.bad", "a ratio is two counts"),
        ("  bad:", "  impacts:", 7, "problem.impacts", "did you mean `impact`?"),
        ("[1m, 5m]", "[5m, 1m]", 9, "problem.windows", "must grow"),
        ("[1m, 5m]", "[5m, 5m]", 9, "problem.windows", "must grow"),
        ("[1m, 5m]", "[]", 9, "problem.windows", "must grow"),
        ("[1m, 5m]", "[10ms, 5m]", 9, "problem.windows", "at least 1s"),
        ("baseline: 45m", "baseline: 10m", 5, "problem", "three times the longest window"),
        ("sev2: 5%", "sev2: 50%", 12, "problem.severity", "thresholds must fall"),
        ("sev2: 5%", "sev5: 5%", 12, "problem.severity.sev5", "sev"),
        ("{drop: 1%, traffic: 30/m}", "{rise: 1%}", 11, "problem.confirm", "needs `drop:`"),
        ("drop: 1%", "drop: ", 11, "problem.confirm", "needs `drop:`"),
        ("{drop: 1%,", "{drop: 1%, by: 3,", 11, "problem.confirm", "belong to `value`"),
        (
            "directory: shop}\n    when",
            "directory: $env}\n    when",
            19,
            "recover.0.with",
            "$env is not",
        ),
        ("directory: shop}\n    when", "dir: shop}\n    when", 19, "recover.0.with.d", ""),
        ("directory: shop}\n    when", "directory: /etc}\n    when", 19, "recover.0.with", "allow"),
        (
            "directory: shop}\nrec",
            "directory: $env}\nrec",
            16,
            "changes.releases",
            "not in `group_by`",
        ),
        ("directory: shop}\nrec", "directory: s}\nrec", 16, "changes.releases.directory", "2 char"),
        ("  releases:", "  kubernetes:", 16, "changes.kubernetes", "known: releases"),
        ("changes:\n  releases: {directory: shop}\n", "", 18, "recover.0.when", "`changes:`"),
        ("approval: automatic", "approval: maybe", 21, "recover.0.approval", "it is 'maybe'"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    old: str, new: str, line: int, place: str, said: str
) -> None:
    found = mistakes(edited((old, new)))
    assert found, "no mistake was found"
    assert any(at == line and where.startswith(place) and said in text for at, where, text in found)


def test_several_mistakes_are_told_at_once() -> None:
    text = edited(("hold: 3m", "hold: x"), ("drop: 1%", "drop: x"), ("rule:", "rul:"))
    assert {line for line, _, _ in mistakes(text)} >= {1, 11, 23}
    text = edited(("rollback", "other"), ("team: shop", "team: x"), ("errors{", "errors{{"))
    assert [line for line, _, _ in mistakes(text)] == [4, 7, 18]


def test_each_rule_of_a_file_is_read_and_all_their_mistakes_are_told() -> None:
    second = edited(("rule: checkout", "rule: second"), ("hold: 3m", "hold: x"))
    text = edited(("drop: 1%", "drop: x")) + "---\n" + second
    assert [(line, place) for line, place, _ in mistakes(text)] == [
        (11, "problem.confirm.drop"),
        (47, "verify.hold"),
    ]


def test_two_rules_of_one_name_are_a_mistake_of_the_second() -> None:
    ((line, place, text),) = mistakes(GOOD + "---\n" + GOOD)
    assert (line, place) == (25, "rule")
    assert "taken by r.yaml" in text


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("rule: [", 1, "not YAML"),
        ("a: 1\nb: }\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: &x 1\nb: *y\n", 2, "not YAML"),
        ("a: !!python/object:os.system x\n", 1, "not YAML"),
        ("a: 2026-99-99\n", 1, "not YAML"),
        ("a: \x00", 1, "not YAML"),
        ("? [a]\n: b\n", 1, "not YAML"),
        ("- a\n", 1, "expected `key: value` lines"),
        ("just text", 1, "expected `key: value` lines"),
        ("5: 6\n", 1, ""),
        ("a: 1\nb: 2\na: 3\n", 3, "stands here twice"),
        ("x:\n  a: 1\n  a: 3\n", 3, "stands here twice"),
        ("rule: x\nproblem: &p\n  symptom: *p\n", 1, "refers to itself"),
        ("[" * 1000, 1, "not YAML"),
    ],
)
def test_what_is_no_rule_file_is_told_with_its_line(text: str, line: int, said: str) -> None:
    assert any(at == line and said in why for at, _, why in mistakes(text))


@given(st.text(alphabet="ab: -[]{}&*!#|>\"'\n\t%@`,?~0", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load(text, "r.yaml")
        lines = [1]
    except Mistakes as error:
        lines = [mistake.line for mistake in error.mistakes]
    assert lines
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


def test_an_empty_file_holds_no_rule() -> None:
    assert load("", "r.yaml") == []
    assert one_document("# nothing yet\n", "r.yaml") == YamlDocument("r.yaml", {})


def test_a_second_document_is_a_mistake_where_one_is_expected() -> None:
    with pytest.raises(Mistakes, match=r"f\.yaml:3: one YAML document"):
        one_document("a: 1\n---\nb: 2\n", "f.yaml")


def test_a_mistake_reads_as_one_line() -> None:
    document = documents("a:\n  b: 1\n", "f.yaml")[0]
    assert str(document.mistake(("a", "b"), "wrong")) == "f.yaml:2: a.b: wrong"
    assert str(document.mistake(("a", "c", 4), "wrong")) == "f.yaml:1: a.c.4: wrong"
    assert str(document.mistake((), "wrong")) == "f.yaml:1: wrong"


# ── the content that an approval is bound to ─────────────────────────────────────────────────


def hashed(*path: str | int, to: Any) -> str:
    data = copy.deepcopy(RULE)
    place: Any = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return first_hash(Rule.model_validate(data))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("rule",), "checkout2"),
        (("match", 0), 'alertname="CheckoutFail"'),
        (("match", 0), 'alertname=~"CheckoutFails"'),
        (("match",), ['alertname="CheckoutFails"', 'env="prod"']),
        (("group_by",), ["service", "region"]),
        (("problem", "bad"), 'sum(increase(errors{service="$service"}[$window])) '),
        (("problem", "bad"), 'sum(increase(error{service="$service"}[$window]))'),
        (("problem", "total"), 'sum(increase(request{service="$service"}[$window]))'),
        (("problem", "windows"), ["1m", "6m"]),
        (("problem", "windows"), ["1m"]),
        (("problem", "baseline"), "46m"),
        (("problem", "confirm", "drop"), "1.1%"),
        (("problem", "confirm", "traffic"), "31/m"),
        (("changes", "releases", "directory"), "shopp"),
        (("recover", 0, "action"), "release_rollbacks"),
        (("recover", 0, "with", "directory"), "shopp"),
        (("recover", 0, "with", "more"), None),
        (("recover", 0, "when"), "always"),
        (("recover", 0, "approval"), "commander"),
        (("recover", 0, "within"), "11m"),
        (("verify", "settle"), "61s"),
        (("verify", "hold"), "4m"),
        (("verify", "near_baseline"), "0.51%"),
        (("verify", "traffic"), "51%"),
        (("verify", "watch"), "31m"),
    ],
)
def test_an_approval_is_void_when_what_it_allows_changes(
    path: tuple[str | int, ...], to: Any
) -> None:
    assert hashed(*path, to=to) != first_hash(make_rule())


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("description",), "other words"),
        (("team",), "search"),
        (("problem", "impact"), {"orders": "sum(orders)"}),
        (("problem", "sentiment"), {"tickets": "sum(tickets)"}),
        (("problem", "severity"), {"sev1": "90%"}),
        (("recover", 1, "with", "argv"), ["on"]),
        (("problem", "windows"), ["60s", "300s"]),
    ],
)
def test_an_approval_stays_when_only_words_or_other_steps_change(
    path: tuple[str | int, ...], to: Any
) -> None:
    assert hashed(*path, to=to) == first_hash(make_rule())


@given(st.integers(0, 200), st.characters(codec="ascii", categories=["L", "N", "P", "Z"]))
def test_every_character_of_a_parameter_counts(position: int, character: str) -> None:
    text = "switch the flag named loyalty off"
    other = text[: position % len(text)] + character + text[position % len(text) + 1 :]
    one, two = (hashed("recover", 0, "with", "directory", to=t) for t in (text, other))
    assert (one == two) == (text == other)


def test_the_steps_of_a_rule_have_different_contents() -> None:
    rule = make_rule()
    assert content_hash(rule, rule.step(1)) != content_hash(rule, rule.step(2))
    assert re.fullmatch("[0-9a-f]{64}", content_hash(rule, rule.step(1)))


# ── what a rule is ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("others", [0, 30])
def test_alerts_have_their_rules_and_groups_however_many_came_before(others: int) -> None:
    """And however many labels the rules look at."""
    beside = [make_rule(rule=f"other-{n}", match=[f'label_{n}="x"']) for n in range(others)]
    book = RuleBook([make_rule(), *beside])
    told = [{"alertname": "CheckoutFails", "service": f"s{n}"} for n in range(MOST_GROUPED + 5)]
    for labels in (*told, *told):
        expected = [(one, one.group(labels)) for one in book.find(labels)]
        assert book.grouped(labels) == expected
        assert book.grouped(dict(reversed(labels.items()))) == expected
        assert book.grouped({**labels, "pod": "a"}) == expected
    assert book.grouped({"alertname": "Other"}) == []


def test_the_rules_of_an_alert_are_found() -> None:
    book = RuleBook([make_rule(), make_rule(rule="other", match=['service="search"'])])
    labels = {"alertname": "CheckoutFails", "service": "search"}
    assert [rule.rule for rule in book.find(labels)] == ["checkout", "other"]
    assert book.find({"alertname": "Other"}) == []


def test_an_incident_is_told_apart_by_the_group_labels_alone() -> None:
    rule = make_rule(group_by=["service", "region"])
    group = rule.group({"service": "a", "alertname": "x"})
    assert group == {"service": "a", "region": ""}
    assert incident_key("r", group) == incident_key("r", {"region": "", "service": "a"})
    assert incident_key("r", {"a": '","b'}) != incident_key("r", {"a": "", "b": ""})


@pytest.mark.parametrize(
    ("value", "confirm", "place", "said"),
    [
        ("value: max(m)", "{}", "problem.confirm", "needs `rise:`"),
        ("value: max(m)", "{rise: }", "problem.confirm", "needs `rise:`"),
        ("value: max(m)", "{drop: 5%, by: 1}", "problem.confirm", "`drop` belongs to"),
        ("value: max(m)", "{rise: 50%, traffic: 5/m}", "problem.confirm", "needs `total:`"),
        ("value: max(m)", "{rise: -1}", "problem.confirm.rise", ""),
        ("value: max(m)", "{by: 0}", "problem.confirm.by", "greater than 0"),
        ("value:", "{rise: 50%}", "problem", "one of the two"),
        ("direction: up\n  value: max(m)", "{by: 1}", "problem.direction", "lower_is_better"),
        ("value: max(m)", "{rise: 50%}", None, ""),
        ("value: max(m)", "{rise: 250%}", None, ""),
        ("value: max(m)", "{rise: 2.5}", None, ""),
        ("value: max(m)", "{by: 0.2}", None, ""),
        ("value: max(m)\n  total: sum(increase(n[$window]))", "{by: 1, traffic: 5/m}", None, ""),
    ],
)
def test_a_value_rule_says_how_it_is_confirmed(
    value: str, confirm: str, place: str | None, said: str
) -> None:
    text = re.sub(r"  bad:.*\n  total:.*\n", lambda _: f"  {value}\n", GOOD)
    found = mistakes(re.sub(r"confirm:.*", f"confirm: {confirm}", text))
    if place is None:
        assert found == []
    assert place is None or any(where == place and said in text for _, where, text in found)


# ── the published schema ─────────────────────────────────────────────────────────────────────


def faults(schema: Any, data: Any, whole: Any, place: str = "") -> Iterator[str]:
    """Where data does not meet a JSON Schema: the keywords that pydantic writes, no more."""
    if "$ref" in schema:
        schema = {**whole["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    known = {"$ref", "$defs", "title", "description", "default", "const", "type", "anyOf", "enum"}
    known |= {"pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"}
    known |= {"items", "minItems", "properties", "required", "additionalProperties"}
    known |= {"propertyNames"}
    assert set(schema) <= known, set(schema) - known
    if "anyOf" in schema and all(list(faults(s, data, whole, place)) for s in schema["anyOf"]):
        yield f"{place}: none of anyOf"
    kinds: dict[str, Any] = {"string": str, "array": list, "object": dict, "null": type(None)}
    kinds |= {"number": (int, float), "integer": int, "boolean": bool}
    kind = schema.get("type")
    if kind and (not isinstance(data, kinds[kind]) or (kind != "boolean" and data is True)):
        yield f"{place}: {data!r} is no {kind}"
        return
    if "enum" in schema and data not in schema["enum"]:
        yield f"{place}: {data!r} is none of {schema['enum']}"
    if isinstance(data, str):
        if not re.search(schema.get("pattern", ""), data):
            yield f"{place}: {data!r} does not match {schema['pattern']}"
        if not schema.get("minLength", 0) <= len(data) <= schema.get("maxLength", len(data)):
            yield f"{place}: {data!r} has a wrong length"
    if isinstance(data, int | float) and (
        data < schema.get("minimum", data)
        or data > schema.get("maximum", data)
        or data <= schema.get("exclusiveMinimum", data - 1)
    ):
        yield f"{place}: {data!r} is out of bounds"
    if isinstance(data, list):
        if len(data) < schema.get("minItems", 0):
            yield f"{place}: too short"
        for index, item in enumerate(data):
            yield from faults(schema.get("items", {}), item, whole, f"{place}.{index}")
    if isinstance(data, dict):
        yield from (f"{place}: no {n}" for n in schema.get("required", []) if n not in data)
        more = schema.get("additionalProperties", True)
        for name, item in data.items():
            names = schema.get("propertyNames", {})
            yield from faults(names, name, whole, f"{place}.{name}")
            inner = schema.get("properties", {}).get(name, more)
            if inner is False:
                yield f"{place}: {name} is unknown"
            elif isinstance(inner, dict):
                yield from faults(inner, item, whole, f"{place}.{name}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_published_schema_accepts_the_shipped_rules(file: Path) -> None:
    schema = Rule.model_json_schema(by_alias=True)
    assert list(faults(schema, yaml.safe_load(file.read_text()), schema)) == []
    assert load(file.read_text(), str(file))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("team: shop", "teem: shop"),
        ("team: shop\n", ""),
        ("hold: 3m", "hold: 3 minutes"),
        ("drop: 1%", "drop: lots"),
        ("traffic: 30/m", "traffic: 30"),
        ("approval: automatic", "approval: maybe"),
        ("sev1: 20%", "sev0: 20%"),
        ("match: ['alertname=\"CheckoutFails\"']", "match: []"),
    ],
)
def test_the_published_schema_refuses_what_the_daemon_refuses(old: str, new: str) -> None:
    schema = Rule.model_json_schema(by_alias=True)
    assert list(faults(schema, yaml.safe_load(GOOD), schema)) == []
    assert list(faults(schema, yaml.safe_load(edited((old, new))), schema))


def test_there_are_shipped_rules() -> None:
    assert len(FILES) >= 2
