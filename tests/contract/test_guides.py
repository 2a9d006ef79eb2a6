"""The guides are true: their pages, their links, their files, and the commands that no test runs.

What they tell to type is run in tests/acceptance/test_guides.py.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import yaml

from daemon.cli import stopgap
from daemon.config.settings import load_settings
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import load
from daemon.core.values.yaml_document import one_document
from daemon.web.site.guide import read_guide, slug
from daemon.web.site.help import GUIDES
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_site import leads_out, seen
from tests.guides import BLOCKS, FOLDER, TEXTS, TREE, Block, blocks

NOT_RUN = {
    "make": "the acceptance tests play the demo's stories, and CI is `make test`",
    "python3 -m venv": "makes an environment for pip",
    "pip install": "fetches packages",
    "/opt/stopgap/bin/pip install": "fetches packages",
    "systemctl": "nothing here is run by systemd",
    "kubectl": "there is no cluster",
    "psql": "wants a superuser; the database that it makes is made by the test of the next block",
    "amtool check-config /etc/": "of the reader's own file; ours is checked below",
    "install -o prometheus": "wants the user of Alertmanager's package",
    "mkdir -p /etc/stopgap": "a folder of the machine itself",
}
"""The commands of `console` blocks that are not ours, by how they begin, and why they are shown and
not run. Ours are parsed, here, and not run because they page somebody, act on a target, or want
what an earlier incident has left."""
LEADING = ("/rules", "/rules/observed", "/oncall", "/system")
"""Pages with a way to the guide of what they show."""
RULE_TOP = """
rule: part
match: ['alertname="A"']
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(errors_total{service="$service"}[$window]))
  total: sum(increase(requests_total{service="$service"}[$window]))
  confirm: {drop: 1%}
"""


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


# ── the pages ────────────────────────────────────────────────────────────────────────────────


def test_each_guide_is_served_and_each_that_is_served_is_there() -> None:
    assert sorted(GUIDES) == sorted(path.stem for path in FOLDER.glob("*.md"))


async def test_the_index_leads_to_each_guide_and_each_is_a_page(rig: Rig) -> None:
    index = await seen(rig, "/help")
    for name in GUIDES:
        title = TEXTS[name].partition("\n")[0].removeprefix("# ")
        assert f'href="/help/{name}"' in index
        page = await seen(rig, f"/help/{name}")
        assert f"<h1>{title}</h1>".replace("'", "&#39;") in page
        assert "```" not in page
    assert '<a href="/help">Help</a>' in await seen(rig, "/")


async def test_no_other_guide_is_there(rig: Rig) -> None:
    for name in ("nowhere", "..%2f..%2fREADME", "on-call.md", ""):
        answer = await rig.client.get(f"/help/{name}", headers=ADA)
        assert answer.status == 404, name


async def test_every_place_within_help_that_a_page_leads_to_is_there(rig: Rig) -> None:
    pages = {f"/help/{name}": await seen(rig, f"/help/{name}") for name in GUIDES}
    rig.store_trouble = "full"
    leading = {path: await seen(rig, path) for path in LEADING}
    assert [path for path, page in leading.items() if "/help/" not in page] == []
    for path, page in {**pages, **leading}.items():
        for target, anchor in re.findall(r'href="(/help/[\w-]+)?(?:#([\w-]+))?"', page):
            if target or anchor:
                shown = pages[target] if target else page
                assert not anchor or f'id="{anchor}"' in shown, f"{path}: {target}#{anchor}"
        leads_out(page)


@pytest.mark.parametrize("guide", sorted(TEXTS))
def test_every_file_that_a_text_leads_to_is_there(guide: str) -> None:
    home = TREE if guide == "README" else FOLDER
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[guide]):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        path = (home / file).resolve() if file else home / f"{guide}.md"
        assert path.exists(), f"{guide} leads to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(one) for one in headings}, f"{guide} leads to {target}"


def test_html_and_addresses_in_markdown_are_harmless() -> None:
    guide = read_guide(
        "x",
        "# <b>A</b> & `b`\n\nFirst <script>alert(1)</script>\nline.\n\n## What's *this*?\n\n"
        "[a](javascript:alert(1)) [b](../up.md) [c](y.md#z) [d](https://d.example/?a=1&b=2) "
        "![e](https://e.example/e.png)\n\n| h | i |\n|---|---|\n| j | <img src=x> |\n",
        {"x", "y"},
    )
    assert (guide.title, guide.summary) == (
        "<b>A</b> & b",
        "First <script>alert(1)</script> line.",
    )
    assert not re.search(r"<script|<img|href=.javascript|up\.md", guide.body)
    assert '<h2 id="whats-this">' in guide.body
    assert '<a href="/help/y#z">c</a>' in guide.body
    assert '<a href="https://d.example/?a=1&amp;b=2" rel="noreferrer">d</a>' in guide.body
    assert '<td data-name="i">&lt;img src=x&gt;</td>' in guide.body


def test_what_is_wider_than_the_page_is_scrolled_also_by_the_keyboard() -> None:
    guide = read_guide("x", "# A\n\nB.\n\n```yaml\na: <pre>\n```\n", {"x"})
    assert '<pre tabindex="0"><code class="language-yaml">a: &lt;pre&gt;' in guide.body


# ── the files that they show ─────────────────────────────────────────────────────────────────


def test_every_block_is_of_a_kind_that_a_test_reads() -> None:
    known = {
        *("sh", "console", "text", "json", "toml", "python action", "python contract"),
        *("sh postgresql", "sh restore", "sh rescue"),
        *(f"yaml {kind}" for kind in ("settings", "rule", "rule-part", "case", "promrules")),
        *(f"yaml {kind}" for kind in ("alertmanager", "kubernetes", "roster", "roster-people")),
    }
    assert {one.kind for one in BLOCKS} - known == set()


def each(kind: str) -> pytest.MarkDecorator:
    """Parametrize by the blocks of that kind."""
    found = blocks(kind)
    assert found, kind
    return pytest.mark.parametrize("block", found, ids=[one.guide for one in found])


@each("yaml settings")
def test_the_settings_are_settings(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "stopgap.yaml"
    file.write_text(block.text)
    given = load_settings(file, {}).model_fields_set
    assert given - {"base", "origin"} == set(yaml.safe_load(block.text))


@each("yaml rule")
def test_the_rules_are_rules(block: Block) -> None:
    [(rule, _)] = load(block.text, "rule.yaml")
    assert rule.problem.symptom


@each("yaml rule-part")
def test_the_parts_of_rules_fit_into_one(block: Block) -> None:
    [(rule, _)] = load(RULE_TOP + block.text, "rule.yaml")
    for key in yaml.safe_load(block.text):
        assert getattr(rule, key), key


@each("yaml roster")
def test_the_rosters_are_rosters(block: Block) -> None:
    roster = one_document(block.text, "roster.yaml").read(Roster)
    assert roster.default_policy in roster.policies


def test_the_person_of_a_roster_is_one() -> None:
    [block] = blocks("yaml roster-people")
    people = yaml.safe_load(block.text)
    roster = yaml.safe_load(blocks("yaml roster")[0].text)
    found = Roster.model_validate({**roster, "people": {**roster["people"], **people}})
    assert found.people["ada"].known_as


@each("yaml alertmanager")
def test_alertmanager_takes_its_configuration(block: Block, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hook")
    file = tmp_path / "alertmanager.yml"
    file.write_text(block.text.replace("/etc/alertmanager/stopgap-token", str(token)))
    checked(["amtool", "check-config", str(file)])
    shipped = yaml.safe_load((TREE / "deploy/alertmanager.yml").read_text(encoding="utf-8"))
    assert yaml.safe_load(block.text) == shipped


@each("yaml promrules")
def test_prometheus_takes_its_rules(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(block.text)
    checked(["promtool", "check", "rules", str(file)])


@each("yaml kubernetes")
def test_the_rights_are_those_that_are_shipped(block: Block) -> None:
    """Which are held to what the actions ask for, by tests/deploy/test_rights.py."""
    home = TREE / "deploy/kubernetes/rights"
    shipped = [
        yaml.safe_load((home / name).read_text(encoding="utf-8"))
        for name in ("role.yaml", "rolebinding.yaml")
    ]
    assert list(yaml.safe_load_all(block.text)) == shipped


def test_the_rest_is_read_by_its_language() -> None:
    for block in blocks("json"):
        assert json.loads(block.text)
    for block in blocks("toml"):
        assert tomllib.loads(block.text)


def checked(command: list[str]) -> None:
    """It ends well."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# ── the commands that are shown and not run ──────────────────────────────────────────────────


SHOWN = [(one.guide, line) for one in blocks("console") for line in one.commands]


@pytest.mark.parametrize(("guide", "line"), SHOWN, ids=[line[:60] for _, line in SHOWN])
def test_what_is_shown_and_not_run_is_ours_and_parses_or_says_why(guide: str, line: str) -> None:
    words = shlex.split(line)
    if words[0] != "stopgap":
        assert any(line.startswith(begin) for begin in NOT_RUN), f"{guide}: {line}"
        return
    command: click.Command = stopgap
    context = click.Context(stopgap)
    words = words[1:]
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"{guide}: {line}"
        command, words = found, words[1:]
    command.make_context("it", words, parent=context)


def test_nothing_is_said_not_to_run_that_nobody_shows() -> None:
    assert [begin for begin in NOT_RUN if not any(one.startswith(begin) for _, one in SHOWN)] == []


def test_the_newest_release_of_the_changelog_is_this_version() -> None:
    releases = re.findall(r"^## (\S+)", (TREE / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(one for one in releases if one != "Unreleased") == version("stopgap")
