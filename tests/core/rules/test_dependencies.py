"""`depends_on`: what may be written, how far it reaches, and what is wrong with it."""

from __future__ import annotations

import pytest

from daemon.core.recovery.binding_content import accepted_hashes
from daemon.core.rules.dependencies import RuleDependencies
from daemon.core.rules.rule import Rule, load, read_rule
from daemon.core.rules.rule_checks import check_rules
from daemon.core.values.yaml_document import Mistakes

TEXT = """
rule: {name}
match: ['alertname="{alert}"', 'env="prod"']
group_by: [{group}]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(bad[$window]))
  total: sum(increase(total[$window]))
  confirm: {{drop: 1%}}
depends_on: {on}
"""
NOTHING = "[]"


def text(name: str, on: str = NOTHING, group: str = "", alert: str = "") -> str:
    return TEXT.format(name=name, on=on, group=group, alert=alert or name)


def rules(*texts: str) -> list[Rule]:
    return [rule for one in texts for rule, _ in load(one, "r.yaml")]


def mistakes(*texts: str) -> list[tuple[int, str, str]]:
    """(line, place, text) of each mistake, as `stopgap check` finds them."""
    read = read_rule("---".join(texts), "r.yaml")
    found = [mistake for _, _, wrong in read for mistake in wrong]
    found += check_rules([(rule, document) for rule, document, _ in read], {}, {}, ["shop"])
    return [(m.line, m.place, m.text) for m in found]


@pytest.mark.parametrize(
    ("on", "labels", "covered"),
    [
        ("[pay]", {}, True),
        ("[cart]", {}, False),
        ("['service=\"pay\"']", {"service": "pay"}, True),
        ("['service=\"pay\"']", {"service": "cart"}, False),
        ("['service=\"pay\"']", {}, False),
        ("[['service=~\"p.*\"', region=eu]]", {"service": "pay", "region": "eu"}, True),
        ("[['service=~\"p.*\"', region=eu]]", {"service": "pay", "region": "us"}, False),
        ("[cart, service=pay]", {"service": "pay"}, True),
        ("['alertname=\"PayFails\"']", {}, True),  # what its rule's `match` demands
    ],
)
def test_a_rule_depends_on_rules_and_on_labels(
    on: str, labels: dict[str, str], covered: bool
) -> None:
    known = RuleDependencies(rules(text("shop", on), text("pay", alert="PayFails"), text("cart")))
    assert known.depends("shop", "pay", labels) is covered
    assert not known.depends("pay", "shop", {})


def test_it_is_followed_to_its_end() -> None:
    known = RuleDependencies(
        rules(text("shop", "[cart]"), text("cart", "[alertname=bank]"), text("bank", "[db]"))
    )
    assert [known.depends("shop", on, {}) for on in ("cart", "bank", "db", "shop")] == [
        *(True, True, True),
        False,
    ]
    assert not known.depends("bank", "cart", {})


def test_a_rule_for_all_services_depends_on_some_of_its_own_incidents() -> None:
    known = RuleDependencies(rules(text("errors", "[service=pay]", group="service")))
    assert known.depends("errors", "errors", {"service": "pay"})
    assert not known.depends("errors", "errors", {"service": "cart"})
    assert mistakes(text("errors", "[service=pay]", group="service")) == []


def test_the_alerts_of_what_it_depends_on() -> None:
    shop, pay = rules(text("shop", "[pay, service=db, gone]"), text("pay"))

    def spelled(*read: Rule) -> dict[str | None, list[list[str]]]:
        alerts = RuleDependencies(read).alert_matchers("shop")
        return {
            server: [[f"{m.name}{m.op}{m.value}" for m in matchers] for matchers in found]
            for server, found in alerts.items()
        }

    paying, base = ["alertname=pay", "env=prod"], ["service=db"]
    assert spelled(shop, pay) == {None: [paying, base]}
    apart = pay.model_copy(update={"prometheus": "eu"})
    assert spelled(shop, apart) == {"eu": [paying], None: [base]}


@pytest.mark.parametrize(
    ("texts", "place", "line", "said"),
    [
        ([text("shop", "[pya]"), text("pay")], "depends_on.0", 11, "no rule 'pya'; known: pay"),
        ([text("shop", "[shop]")], "depends_on.0", 11, "depends on itself; remove the entry"),
        ([text("shop", "[env=prod]")], "depends_on.0", 11, "depends on itself"),
        ([text("shop", "[service=pay]")], "depends_on.0", 11, 'incidents with service="pay"'),
        (
            [text("a", "[b]"), text("b", "[c]"), text("c", "[a]")],
            "depends_on.0",
            11,
            "in a circle, so none would be recovered first; remove the entry",
        ),
        ([text("shop", "[{service: pay}]")], "depends_on.0", 11, "neither a rule's name nor"),
        ([text("shop", "['service=~\"(\"']")], "depends_on.0", 11, "not a regular expression"),
        ([text("shop", "[[]]")], "depends_on.0", 11, "neither a rule's name nor"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    texts: list[str], place: str, line: int, said: str
) -> None:
    ((found_line, found_place, found),) = mistakes(*texts)
    assert (found_line, found_place) == (line, place)
    assert said in found


def test_an_unreadable_rule_hides_no_name() -> None:
    broken = text("pay").replace("drop: 1%", "drop: lots")
    assert [said for _, _, said in mistakes(text("shop", "[pay]"), broken)] == [
        "'lots' is not a share; write it like 5% or 0.05"
    ]


def test_an_approval_from_before_still_fits_a_rule_that_depends_on_nothing() -> None:
    step = "recover: [{action: undo}]\n"
    contents = [
        accepted_hashes(rules(one + step)[0], rules(one + step)[0].step(1))
        for one in (
            text("shop").replace("depends_on: []\n", ""),
            text("shop"),
            text("shop", "[pay]"),
        )
    ]
    assert contents[0] == contents[1] != contents[2]
    before_there_was_such_a_thing = (
        "6fb8a68501ac104009516c01f60c54ab04c76615ed30ab9b1a68fc9c6a1969ea"
    )
    assert before_there_was_such_a_thing in contents[0] - contents[2]


def test_what_is_written_is_written_again() -> None:
    (rule,) = rules(text("shop", "[pay, 'a=\"b\"', ['c!=d', 'e=~f.*']]"))
    assert rule.model_dump(mode="json")["depends_on"] == [
        "pay",
        'a="b"',
        ['c!="d"', 'e=~"f.*"'],
    ]


def test_a_mistake_in_yaml_is_no_crash() -> None:
    with pytest.raises(Mistakes):
        load(text("shop", "pay"), "r.yaml")
