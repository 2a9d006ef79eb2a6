"""`stopgap test`: what it plays, and how it says what came out otherwise."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import jsonschema_rs
import pytest
import structlog
import yaml

from daemon.cli.cases import test_command as command
from tests.contract.test_cli import ROOT
from tests.contract.test_cli_double import Ended, run

CASE = """
case: A release that fails is rolled back
rule: checkout-success-rate
labels: {service: shop}
interval: 10s
scrape: 2s
series:
  total: {per_minute: '600x60'}
  bad: {share: '0.002x35 0.3x20'}
changes:
  - {at: 358s, to: v42, was: v41}
alerts:
  - {at: 385s}
actions:
  1: {then: {bad: {share: '0.002'}}}
expect:
  - at: 390s
    verdict: confirmed
    starts: [1]
    pages: [ada]
  - {at: 420s, verdicts: {1: recovered}}
never: {pages: [bo]}
"""


class House:
    """A folder with the example rules, in which `stopgap test` is run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.rules = folder / "rules"
        self._monkeypatch = monkeypatch
        shutil.copytree(ROOT / "rules", self.rules)
        shutil.rmtree(self.rules / "cases")
        (self.rules / "cases").mkdir()

    def case(self, text: str = CASE, name: str = "checkout.yaml") -> Path:
        """A file of cases."""
        path = self.rules / "cases" / name
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a rule file."""
        path = self.rules / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def test(self, *arguments: str) -> Ended:
        """`stopgap test`, in that folder."""
        self._monkeypatch.chdir(self.folder)
        return run("test", *arguments)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("COLUMNS", "200")
    logging = structlog.get_config()
    yield House(tmp_path, monkeypatch)
    structlog.configure(**logging)


def test_what_comes_as_expected_is_one_line(house: House) -> None:
    house.case()
    ended = house.test()
    assert (ended.code, ended.err) == (0, "")
    file, case, summary = ended.out.splitlines()
    assert file == "rules/cases/checkout.yaml"
    assert case == "✓ A release that fails is rolled back (checkout-success-rate)"
    assert summary.startswith("1 passed in ")


def test_the_cases_of_the_example_rules_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ended = run("test", "rules/cases", "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["failed"]) == (0, 0)
    told = {case["rule"] for case in found["cases"]}
    rules = [yaml.safe_load(file.read_text()) for file in (ROOT / "rules").glob("*.yaml")]
    assert told == {rule["rule"] for rule in rules if "rule" in rule}


WORSE: dict[str, tuple[tuple[str, str], str, tuple[str, ...]]] = {
    "a threshold that is raised": (
        ("confirm: {drop: 2%, traffic: 60/m}", "confirm: {drop: 40%, traffic: 60/m}"),
        CASE,
        ("expect.0.verdict at 6m30s", "- expected  confirmed", "+ got       not_confirmed"),
    ),
    "a window that sees too little": (
        ("windows: [10s, 20s]", "windows: [1s, 20s]"),
        CASE,
        ("expect.0.verdict at 6m30s", "+ got       query_error"),
    ),
    "a match that is loosened": (
        ("""match: ['alertname="CheckoutSuccessRateLow"', 'env="sandbox"']""",
         """match: ['alertname="CheckoutSuccessRateLow"']"""),
        CASE.replace("{service: shop}", "{service: shop, env: staging}").partition("expect:")[0]
        + "expect: [{at: 400s, incidents: 0}]\n",
        ("expect.0.incidents at 6m40s", "- expected  0", "+ got       1", "incident opened"),
    ),
    "a match that is tightened": (
        ('env="sandbox"', 'env=~"sandbox|prod"'),
        CASE,
        ("incident 1 of checkout-success-rate", "does the rule's `match` hold"),
    ),
    "a step that is taken away": (
        ("approval: automatic", "approval: commander"),
        CASE,
        ("expect.0.starts", "- expected  [1]", "+ got       []", "commander_decides"),
    ),
    "a mode that only observes": (
        ("team: shop\n", "team: shop\nmode: observe\n"),
        CASE,
        ("expect.0.starts", "+ got       []"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", WORSE)
def test_a_rule_that_was_made_worse_fails_its_case(house: House, how: str) -> None:
    edit, case, told = WORSE[how]
    house.case(case)
    house.edit("checkout.yaml", *edit)
    ended = house.test()
    assert ended.code == 1
    for text in told:
        assert text in ended.out + ended.err


def test_what_failed_is_told_with_its_line_and_the_whole_story(house: House) -> None:
    path = house.case(CASE.replace("[ada]", "[bo]").replace("recovered", "worse"))
    ended = house.test()
    lines = path.read_text().splitlines()
    assert lines[20 - 1].strip() == "pages: [bo]"
    assert "rules/cases/checkout.yaml:20: expect.0.pages at 6m30s" in ended.out
    assert "rules/cases/checkout.yaml:21: expect.1.verdicts at 7m" in ended.out
    assert "- expected  {1: worse}" in ended.out
    assert "+ got       {1: recovered}" in ended.out
    story = ended.out.partition("what the daemon did:")[2]
    assert re.search(r"6m25s  confirmed: checkout success rate 99\.8 % → 70\.0 %", story)
    assert re.search(r"6m30s  step 1 done", story)
    assert ended.err == "stopgap: 1 case failed\n"


def test_what_must_never_be_is_told_when_it_was(house: House) -> None:
    house.case(CASE.replace("never: {pages: [bo]}", "never: {starts: any, severity: [sev2]}"))
    ended = house.test()
    assert "never.starts at 6m25s" in ended.out
    assert "- expected  never any" in ended.out
    assert "never.severity at 6m25s" in ended.out


def test_a_person_who_cannot_is_told_unless_that_is_expected(house: House) -> None:
    vetoed = "people: [{at: 395s, who: ada, does: veto, step: 1%s}]\nexpect:"
    house.case(CASE.replace("expect:", vetoed % ""))
    ended = house.test()
    assert "ada does veto" in ended.out
    assert "a veto comes too late" in ended.out
    house.case(CASE.replace("expect:", vetoed % ", refused: true"))
    assert house.test().code == 0
    allowed = "people: [{at: 386s, who: ada, does: ack, refused: true}]\nexpect:"
    house.case(CASE.replace("expect:", allowed))
    assert "ada is refused ack" in house.test().out


MISTAKEN: dict[str, tuple[str, str, str]] = {
    "an unknown key": ("expect:", "expects:", "16: expects: unknown key; did you mean `expect`?"),
    "a rule that is not there": ("checkout-success-rate", "checkout", "3: rule: there is no rule"),
    "a series that is none": ("'600x60'", "'600*60'", "8: series.total.per_minute: '600*60'"),
    "two ways to count": (
        "{share: '0.002x35 0.3x20'}", "{share: '0.1', counter: '1'}", "9: series.bad: give one of"
    ),
    "a query without series": ("  bad: {share: '0.002x35 0.3x20'}\n", "", "7: series: `bad` is m"),
    "a query that the rule has not": ("series:", "series:\n  value: '1'", "8: series.value: ch"),
    "a step that the plan has not": ("  1: {then", "  7: {then", "15: actions.7: checkout-succ"),
    "somebody unknown": (
        "expect:", "people: [{at: 1s, who: eve, does: ack}]\nexpect:", "16: people.0.who: 'eve'"
    ),
    "a deed without its step": (
        "expect:", "people: [{at: 1s, who: ada, does: veto}]\nexpect:", "people.0: `step` is missi"
    ),
    "a verdict that is none": ("verdict: confirmed", "verdict: bad", "18: expect.0.verdict: input"),
    "no time": ("at: 390s", "at: soon", "17: expect.0.at: 'soon' is not a duration"),
    "a label by which it groups": ("labels: {service: shop}", "", "2: labels: `service` is"),
    "nothing to expect": (CASE.partition("expect:")[2], " []", "2: it expects nothing"),
    "an end before what is expected": ("case:", "until: 400s\ncase:", "22: expect.1.at: the case"),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKEN)
def test_a_mistake_is_told_with_its_line_and_the_mend(house: House, what: str) -> None:
    old, new, told = MISTAKEN[what]
    assert old in CASE
    house.case(CASE.replace(old, new, 1))
    ended = house.test()
    assert ended.code == 1
    assert f"rules/cases/checkout.yaml:{told}" in ended.err or told in ended.err
    assert "Traceback" not in ended.err


def test_wrong_rules_are_to_be_mended_first(house: House) -> None:
    house.case()
    house.edit("checkout.yaml", "team: shop", "team: nobody")
    ended = house.test()
    assert ended.code == 1
    assert "mend these first" in ended.err


def test_a_filter_picks_by_name_or_rule(house: House) -> None:
    other = CASE.replace("A release that fails is rolled back", "Another night")
    house.case(f"{CASE}---{other}")
    assert "2 passed" in house.test().out
    assert "1 passed" in house.test("--filter", "ANOTHER").out
    assert "2 passed" in house.test("--filter", "success-rate").out
    none = house.test("--filter", "nowhere")
    assert (none.code, none.err) == (
        1,
        "stopgap: no case has 'nowhere' in its name or rule; rules/README.md tells how one is "
        "written\n",
    )


def test_a_path_is_a_file_or_a_folder_wherever_it_is(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = house.case()
    for given in (path, path.parent, house.rules):
        assert house.test(str(given)).code == 0 or given == house.rules
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run("test", str(path)).code == 0, "its rules are those beside its folder"
    assert "is not there" in run("test", str(tmp_path / "gone.yaml")).err


def test_cases_are_no_rules(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.case()
    monkeypatch.chdir(house.folder)
    checked = run("check", "rules")
    assert checked.code == 0
    assert "2 rules and 8 drills, no mistake" in checked.out


def test_json_tells_everything(house: House) -> None:
    house.case(CASE.replace("[ada]", "[bo]"))
    ended = house.test("--json")
    assert ended.code == 1
    found: dict[str, Any] = json.loads(ended.out)
    assert (found["passed"], found["failed"], found["skipped"]) == (0, 1, 0)
    (case,) = found["cases"]
    (mismatch,) = case["mismatches"]
    assert case["place"] == "rules/cases/checkout.yaml:2"
    assert mismatch == {
        "place": "rules/cases/checkout.yaml:20",
        "what": "expect.0.pages",
        "at": "6m30s",
        "expected": "[bo]",
        "got": "[ada]",
        "why": mismatch["why"],
    }
    assert any("step 1 done" in line for line in case["story"])


def test_junit_is_what_ci_servers_read(house: House) -> None:
    raw = CASE.partition("series:")[0].replace("A release", "Raw") + (
        "raw: {'x{a=\"b\"}': '1x9'}\nexpect: [{at: 1m, incidents: 0}]\n"
    )
    house.case(f"{CASE.replace('[ada]', '[bo]')}---{raw}")
    assert house.test("--junit", "junit.xml").code == 1
    root = Xml.parse(house.folder / "junit.xml").getroot()  # noqa: S314 - our own
    (suite,) = root
    assert suite.attrib["tests"] == "2"
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "1")
    failed, skipped = suite
    assert failed.attrib["classname"] == "checkout-success-rate"
    assert failed.find("failure") is not None
    assert "expect.0.pages" in str(failed.findtext("failure"))
    assert "step 1 done" in str(failed.findtext("system-out"))
    assert skipped.find("skipped") is not None


def test_raw_series_wait_for_a_prometheus(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = CASE.partition("series:")[0] + (
        "raw: {'x{a=\"b\"}': '1x9'}\nexpect: [{at: 1m, incidents: 0}]\n"
    )
    house.case(raw)
    skipped = house.test()
    assert skipped.code == 0
    assert "1 skipped" in skipped.out
    monkeypatch.setenv("PROMETHEUS_BIN", "/nowhere/prometheus")
    ended = house.test("--promql")
    assert ended.code == 1
    assert "apt install prometheus" in ended.err
    assert "PROMETHEUS_BIN=/path/prometheus" in ended.err
    house.case(raw.replace("'1x9'", "'1 stale'"))
    assert "`stale` cannot be given to a Prometheus" in house.test().err
    house.case(raw.replace('x{a="b"}', "sum(x)"))
    assert "write it like http_requests_total" in house.test().err


def _schema() -> Any:
    return json.loads(run("test", "--schema").out)


FILES = [
    *sorted((ROOT / "rules/cases").glob("*.yaml")),
    ROOT / "daemon/cli/templates/first-case.yaml",
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_schema_knows_what_the_examples_write(file: Path) -> None:
    validator = jsonschema_rs.Draft202012Validator(_schema())
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        as_json = json.loads(json.dumps(document))  # keys are texts there
        assert [e.message for e in validator.iter_errors(as_json)] == []


def test_the_schema_refuses_what_the_command_refuses() -> None:
    validator = jsonschema_rs.Draft202012Validator(_schema())
    case = json.loads(json.dumps(yaml.safe_load(CASE)))
    assert validator.is_valid(case)
    assert not validator.is_valid({**case, "expects": []})
    assert not validator.is_valid({**case, "expect": [{"at": "1m", "verdict": "bad"}]})


def test_the_readme_shows_a_case_that_passes_and_knows_every_key(house: House) -> None:
    readme = (ROOT / "rules/README.md").read_text(encoding="utf-8")
    house.case(re.findall(r"```yaml\n(case:.*?)```", readme, re.DOTALL)[0])
    assert house.test().code == 0
    schema = _schema()
    words = set(re.findall(r"[\w-]+", readme))
    parts = [schema, *(schema["$defs"][name] for name in ("Expectation", "Never", "GivenAction"))]
    keys = {key for part in parts for key in part["properties"]}
    assert keys <= words | {"case", "why"}


def test_the_logs_are_shown_on_demand(house: House) -> None:
    house.case()
    assert "incident opened" not in house.test().err
    assert "incident opened" in house.test("-v").err


def test_the_command_has_an_example() -> None:
    assert "Example: stopgap test" in str(command.help)
