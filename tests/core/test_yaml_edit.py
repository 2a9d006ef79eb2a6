"""Edits of YAML: they say what they should, and leave the rest as it was written."""

from __future__ import annotations

from difflib import ndiff
from pathlib import Path

import pytest
import yaml

from daemon.core.values.yaml_edit import NotEditable, append_item, replace_scalar, set_key

TEXT = """\
# what it is about
rule: checkout   # its name
match: ['a="1"', 'b="2"']
problem:
  bad: |
    sum(
      errors)
  confirm: {drop: 1%, traffic: 30/m}   # when
recover:
  # first this
  - action: rollback
    with: {directory: shop}

  - action: flag_off   # then that
    with:
      target: "shop"
      # of the target

# the end
---
rule: other
"""
RULES = sorted((Path(__file__).parents[2] / "rules").glob("checkout*.yaml"))


def loaded(text: str) -> list[dict[str, object]]:
    return list(yaml.safe_load_all(text))


def changed(before: str, after: str) -> list[str]:
    """The lines that were taken out or put in."""
    lines = ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_value_is_replaced_where_it_stands() -> None:
    after = replace_scalar(TEXT, (0, "problem", "confirm", "drop"), "0.5%")
    assert changed(TEXT, after) == [
        "-   confirm: {drop: 1%, traffic: 30/m}   # when",
        "+   confirm: {drop: 0.5%, traffic: 30/m}   # when",
    ]
    assert changed(TEXT, replace_scalar(TEXT, (1, "rule"), "third")) == [
        "- rule: other",
        "+ rule: third",
    ]


def test_an_item_comes_after_the_last_one_and_before_what_follows() -> None:
    after = append_item(TEXT, (0, "recover"), ["action: restart", "approval: commander"])
    assert changed(TEXT, after) == ["+   - action: restart", "+     approval: commander"]
    items = loaded(after)[0]["recover"]
    assert isinstance(items, list)
    assert items[-1] == {"action": "restart", "approval": "commander"}
    lines = after.splitlines()
    assert lines[lines.index("  - action: restart") - 1].strip() == 'target: "shop"'


def test_a_list_on_one_line_stays_on_one() -> None:
    after = append_item(TEXT, (0, "match"), ["'c=\"3\"'"])
    assert "match: ['a=\"1\"', 'b=\"2\"', 'c=\"3\"']\n" in after
    assert loaded(append_item("a: []\n", (0, "a"), ["x"])) == [{"a": ["x"]}]


def test_a_missing_key_is_added_at_the_end_of_its_mapping() -> None:
    after = set_key(TEXT, (0, "depends_on"), ["[payments]"])
    assert changed(TEXT, after) == ["+ depends_on: [payments]"]
    assert loaded(after)[0]["depends_on"] == ["payments"]
    assert loaded(after)[1] == {"rule": "other"}
    deep = set_key(TEXT, (0, "problem", "windows"), ["- 1m", "- 5m"])
    assert loaded(deep)[0]["problem"]["windows"] == ["1m", "5m"]  # type: ignore[index]
    flow = set_key(TEXT, (0, "problem", "confirm", "rise"), ["50%"])
    assert "confirm: {drop: 1%, traffic: 30/m, rise: 50%}   # when" in flow
    assert loaded(set_key("a: 1", (0, "b"), ["2"])) == [{"a": 1, "b": 2}]


def test_after_a_text_block_comes_the_next_line() -> None:
    block = "problem:\n  bad: |\n    sum(\n      x)\n"
    assert loaded(set_key(block, (0, "problem", "total"), ["y"])) == [
        {"problem": {"bad": "sum(\n  x)\n", "total": "y"}}
    ]


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda: replace_scalar(TEXT, (0, "nothing"), "1"), "there is no nothing"),
        (lambda: replace_scalar(TEXT, (0, "problem", "bad"), "1"), "no value on one line"),
        (lambda: append_item(TEXT, (0, "rule"), ["x"]), "rule is no list"),
        (lambda: append_item(TEXT, (0, "match"), ["a", "b"]), "written on one line"),
        (lambda: set_key(TEXT, (0, "rule"), ["x"]), "is there already"),
        (lambda: set_key(TEXT, (3, "rule"), ["x"]), "there is no"),
    ],
)
def test_what_is_not_edited_is_said(edit: object, told: str) -> None:
    assert callable(edit)
    with pytest.raises(NotEditable, match=told):
        edit()


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_the_shipped_rules_can_be_edited(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    [before] = loaded(text)
    step = ["action: run_command", "with: {argv: [./x]}", "approval: commander"]
    if "recover" in before:
        [after] = loaded(append_item(text, (0, "recover"), step))
    else:
        lines = [f"- {step[0]}", *(f"  {line}" for line in step[1:])]
        [after] = loaded(set_key(text, (0, "recover"), lines))
    assert after["recover"][:-1] == before.get("recover", [])  # type: ignore[index]
    assert after["recover"][-1]["action"] == "run_command"  # type: ignore[index]
    assert {**after, "recover": None} == {**before, "recover": None}


def test_the_ends_of_lines_stay_what_they_were() -> None:
    windows = TEXT.replace("\n", "\r\n")
    for after in (
        append_item(windows, (0, "recover"), ["action: flag_on", "with: {target: a}"]),
        set_key(windows, (1, "depends_on"), ["[checkout]"]),
        replace_scalar(windows, (0, "rule"), "x"),
        append_item("rule: a\r\non:\r\n- b", (0, "on"), ["c"]),
    ):
        assert after.count("\n") == after.count("\r\n")
        assert loaded(after) == loaded(after.replace("\r\n", "\n"))


def test_behind_a_comment_in_a_list_nothing_is_lost() -> None:
    text = "list: [\n  a,  # the database\n]\nto: {\n  b: 1  # one\n}\nnone: [  # none\n]\n"
    [after] = loaded(append_item(text, (0, "list"), ["c"]))
    assert after["list"] == ["a", "c"]
    [after] = loaded(set_key(text, (0, "to", "d"), ["2"]))
    assert after["to"] == {"b": 1, "d": 2}
    [after] = loaded(append_item(text, (0, "none"), ["c"]))
    assert after["none"] == ["c"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("one: &a [x]\ntwo: *a\n", (0, "two")),
        ("two: [x]\none: &a y\ntwo2:\n- z\n- *a\n", (0, "two2")),
        ("one: &a y\ntwo:\n- *a\n", (0, "two")),
    ],
)
def test_what_is_written_elsewhere_is_not_edited(text: str, place: tuple[str | int, ...]) -> None:
    with pytest.raises(NotEditable, match="alias"):
        append_item(text, place, ["new"])


def test_a_value_that_others_refer_to_is_not_replaced() -> None:
    with pytest.raises(NotEditable, match="anchor"):
        replace_scalar("one: &a 1\ntwo: *a\n", (0, "one"), "2")
    with pytest.raises(NotEditable, match="alias"):
        replace_scalar("one: &a 1\ntwo: *a\n", (0, "two"), "2")
