"""The command line as a person meets it: what it prints, and how it exits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
import pytest
import yaml
from click.testing import CliRunner

from daemon import app
from daemon.cli import _HOME_OF, main
from daemon.cli import stopgap as command_line
from daemon.config.settings import Settings, secret

ROOT = Path(__file__).parents[2]
ALLOWED = """
commands:
  allow:
    - [./shopctl, restart]
    - [./shopctl, feature, loyalty, "off"]
"""
SECRETS = {f"STOPGAP_{one}": "hidden" for one in ("ADA_TOKEN", "ADA_PAGER", "BO_TOKEN", "BO_PAGER")}


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def stopgap(folder: Path, *arguments: str, **environ: str) -> Ended:
    """Run the command in a folder, as `python -m daemon` does, but in this process: starting
    Python anew for each of them would be most of the time that this file takes."""
    env = {key: None for key in os.environ if key.startswith("STOPGAP_")}
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", ["stopgap", *arguments]),
        CliRunner().isolation(env={**env, "COLUMNS": "120", **environ}) as (out, err, _),
    ):
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        return Ended(int(str(code or 0)), out.getvalue().decode(), err.getvalue().decode())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as an operator has it: settings, and the shipped rules."""
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "stopgap.yaml").write_text(ALLOWED)
    return tmp_path


def test_the_shipped_rules_have_no_mistake() -> None:
    ended = stopgap(ROOT, "check", "rules/")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "2 rules and 8 drills, no mistake" in ended.stdout


def test_label_values_that_cannot_be_found_are_warned_of(home: Path) -> None:
    rule = home / "rules/checkout.yaml"
    each = rule.read_text().replace(
        "releases: {directory: shop}", "releases: {directory: $service}"
    )
    rule.write_text(each)
    assert "warning" not in stopgap(home, "check", **SECRETS).stdout  # folders are listed
    versions = 'version_metric: {query: "build_info", label: version, target: release:$service}'
    rule.write_text(each.replace("releases: {directory: $service}", versions))
    assert "warning" not in stopgap(home, "check", **SECRETS).stdout  # `total` selects by it
    rule.write_text(rule.read_text().replace('service="$service"', 'service="the-$service"'))
    ended = stopgap(home, "check")
    line = rule.read_text().splitlines().index("changes:") + 1
    assert ended.returncode == 0
    assert (
        f"warning: {rule}:{line}: changes: the values of $service cannot be found" in ended.stdout
    )
    [warned] = json.loads(stopgap(home, "check", "--json", **SECRETS).stdout)["warnings"]
    assert 'each alone in its quotes: {service="$service"}' in warned["text"]


def test_a_broken_copy_shows_every_mistake_with_its_line(home: Path) -> None:
    rule = home / "rules/checkout.yaml"
    text = rule.read_text()
    for right, wrong in {
        'code=~"5.."}[$window]))': 'code=~"5.."}[$window])',
        "action: run_command": "action: run_comand",
        "team: shop": "team: shoop",
        "hold: 8s": "hold: soon",
        "baseline: 5m": "basline: 5m",
        "directory: shop\n      restart": "directory: ../shop\n      restart",
    }.items():
        assert right in text, right
        text = text.replace(right, wrong, 1)
    rule.write_text(text)
    roster = home / "rules/roster.yaml"
    roster.write_text(roster.read_text().replace("notify: [ada]", "notify: [adda]", 1))
    ended = stopgap(home, "check", "--json")
    assert ended.returncode == 1
    found = json.loads(ended.stdout)["mistakes"]
    lines = text.splitlines()
    told = {(Path(m["file"]).name, m["place"]): m for m in found}
    for place, needle in {
        "problem.bad": "bad: sum",
        "recover.1.action": "run_comand",
        "team": "team: shoop",
        "verify.hold": "hold: soon",
        "problem.basline": "basline",
        "recover.0.with.directory": "../shop",
    }.items():
        mistake = told.pop(("checkout.yaml", place))
        assert needle in lines[mistake["line"] - 1], place
    assert "adda" in told.pop(("roster.yaml", "policies.shop.tiers.0.notify"))["text"]
    assert told == {}


def test_each_secret_that_cannot_be_read_is_named_with_its_mend(home: Path) -> None:
    roster = home / "rules/roster.yaml"
    roster.write_text(roster.read_text().replace("env:STOPGAP_ADA_TOKEN", "file:ada.token"))
    (home / "stopgap.yaml").write_text(
        ALLOWED
        + "auth: {webhook_token: 'env:HOOK'}\nstore: file:database\n"
        + "prometheus: {headers: {X-Token: 'env:THERE', Authorization: 'env:NOT_THERE'}}\n"
    )
    ended = stopgap(home, "check", THERE="1", **SECRETS)
    assert ended.returncode == 0, "where rules are checked, as in CI, secrets need not be"
    export, settings = "(export it here, and in the daemon's unit)", home / "stopgap.yaml"
    told = [line.removeprefix("warning: ") for line in ended.stdout.splitlines()]
    for file, place, why in (
        (
            settings,
            "auth.webhook_token",
            f"variable HOOK is not set; it should hold a secret {export}",
        ),
        (
            settings,
            "prometheus.headers.Authorization",
            f"NOT_THERE is not set; it should hold a secret {export}",
        ),
        (
            settings,
            "store",
            "cannot read the secret in database: No such file or directory (write it)",
        ),
        (
            roster,
            "people.ada.token",
            "cannot read the secret in ada.token: No such file or directory (write it)",
        ),
    ):
        (line,) = (one for one in told if one.startswith(f"{file}: {place}: "))
        assert line.endswith(why)
    assert "X-Token" not in ended.stdout
    warned = json.loads(stopgap(home, "check", "--json", THERE="1", **SECRETS).stdout)["warnings"]
    assert len(warned) == 4


def test_a_start_without_its_secrets_names_all_of_them_with_their_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begins(settings: Settings, environ: Mapping[str, str], **_: bool) -> None:
        assert settings.auth.webhook_token is not None
        secret(settings.auth.webhook_token, environ, settings.base)

    monkeypatch.setattr(app, "serve", begins)
    (home / "stopgap.yaml").write_text(
        "auth: {webhook_token: 'file:hook'}\nprometheus: {headers: {X-Token: 'env:NOT_THERE'}}\n"
    )
    ended = stopgap(home, "run", **SECRETS)
    assert ended.returncode == 1
    first, *lines = ended.stderr.splitlines()
    assert first.endswith("secrets are missing, so nothing was started")
    file = home / "stopgap.yaml"
    assert sorted(lines) == [
        f"{file}: auth.webhook_token: cannot read the secret in hook: No such file or directory "
        "(write it)",
        f"{file}: prometheus.headers.X-Token: the environment variable NOT_THERE is not set; "
        "it should hold a secret (export it here, and in the daemon's unit)",
    ]


def test_addresses_by_which_no_daemon_starts_are_mistakes(home: Path) -> None:
    people = "people: {ada: {name: Ada, contact: [{webhook: 'env:HOOK'}]}}\n"
    rest = "teams: {t: {policy: p}}\npolicies: {p: {tiers: [{notify: [ada], wait: 5m}]}}\n"
    (home / "rules" / "roster.yaml").write_text(people + rest + "default_policy: p\n")
    (home / "stopgap.yaml").write_text(ALLOWED + "argocd: {url: 'http://localhost:8443'}\n")
    hook = {"HOOK": "http://169.254.169.254/latest"}
    ended = stopgap(home, "check", **hook)
    assert ended.returncode == 1
    assert "stopgap.yaml: argocd.url: it leads to 127.0.0.1:8443, which is loopback" in ended.stdout
    assert "people.ada.contact 1 (webhook): it leads to 169.254.169.254:80" in ended.stdout
    told = json.loads(stopgap(home, "check", "--json").stdout)["mistakes"]
    assert ["people.ada" in one["text"] for one in told if "it leads" in one["text"]] == [False]


def test_the_schema_describes_a_rule(tmp_path: Path) -> None:
    ended = stopgap(tmp_path, "check", "--schema")
    schema = json.loads(ended.stdout)
    assert ended.returncode == 0
    rule = yaml.safe_load((ROOT / "rules/checkout.yaml").read_text())
    assert set(rule) <= set(schema["properties"])
    assert "with" in schema["$defs"]["StepSpec"]["properties"]


def test_an_approval_is_bound_to_the_content(home: Path) -> None:
    given = stopgap(home, "approve", "checkout-success-rate", "--by", "ada", "--days", "30")
    assert (given.returncode, given.stderr) == (0, "")
    assert "step 1 (release_rollback): pre-approved by ada" in stopgap(home, "check").stdout
    rule = home / "rules/checkout.yaml"
    rule.write_text(rule.read_text().replace("within: 1m", "within: 2m"))
    told = stopgap(home, "check").stdout
    assert "changed since ada approved it on" in told
    assert "`step.within` 1m → 2m: binds" in told
    again = stopgap(home, "approve", "rules/checkout.yaml", "--by", "bo", "--json")
    assert again.returncode == 0
    approval = json.loads(again.stdout)["approval"]
    assert (approval["rule"], approval["step"], approval["by"]) == (
        "checkout-success-rate",
        1,
        "bo",
    )
    assert "pre-approved by bo" in stopgap(home, "check").stdout
    rule.write_text(rule.read_text().replace("hold: 8s", "hold: 1s"))
    renewed = stopgap(home, "approve", "rules/checkout.yaml", "--by", "ada")
    assert "`verify.hold` 8s → 1s: binds" in renewed.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["approve", "nothing", "--by", "ada"], "which rule is 'nothing'? Known: checkout"),
        (["approve", "checkout-success-rate", "--by", "eve"], "'eve' is not in the roster"),
        (["approve", "checkout-success-rate", "--by", "ada", "--step", "9"], "no step 9"),
        (["check", "nowhere"], "there is no such file or folder; `stopgap init` writes one"),
        (["check", "--config", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["audit", "verify"], "there is no journal at"),
        (["audit", "anchor"], "there is no journal at"),
        (["archive", "list"], "there is no journal at"),
        (["ack", "x"], "who are you?"),
        (["ack", "x", "--token-file", "nowhere"], "no token: cannot read nowhere"),
    ],
)
def test_what_is_wrong_is_said_with_exit_code_1(
    home: Path, arguments: list[str], told: str
) -> None:
    ended = stopgap(home, *arguments)
    assert ended.returncode == 1
    assert told in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_closing_wants_a_reason(home: Path) -> None:
    ended = stopgap(home, "close", "1123-1403-x7qf", STOPGAP_TOKEN="hunter2")
    assert ended.returncode == 2
    assert "Why is it over? Give the reason after the incident." in ended.stderr


def test_no_daemon_is_said_with_the_mend(home: Path) -> None:
    ended = stopgap(home, "incidents", "--url", "http://127.0.0.1:1", STOPGAP_TOKEN="hunter2")
    assert ended.returncode == 1
    assert "no answer from the daemon at http://127.0.0.1:1" in ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("arguments", [["frobnicate"], ["ack"], ["step", "x", "1", "maybe"]])
def test_wrong_usage_is_exit_code_2(home: Path, arguments: list[str]) -> None:
    assert stopgap(home, *arguments).returncode == 2


def test_every_command_has_help_with_an_example() -> None:
    runner = CliRunner()
    listed = runner.invoke(command_line, ["--help"]).output.partition("Look:")[2]
    lines = [line for line in listed.splitlines() if line.startswith("  ")]
    commands = [line.split()[0] for line in lines]
    assert {"run", "check", "approve", "ack", "freeze", "watch", "doctor"} <= set(commands)
    assert all(len(line.split()) > 1 for line in lines)
    for command in commands:
        told = runner.invoke(command_line, [command, "--help"])
        assert told.exit_code == 0
        assert "Example: " in told.output or command in {"audit", "archive"}


def test_whatever_lists_or_changes_speaks_json() -> None:
    mute = {"mcp", "run", "init", "completion", "password"}
    with click.Context(command_line) as context:
        commands = {n: command_line.get_command(context, n) for n in _HOME_OF}
        for name, command in list(commands.items()):
            if isinstance(command, click.Group):
                commands |= {f"{name} {part}": one for part, one in command.commands.items()}
                del commands[name]
    for name, command in commands.items():
        assert command is not None
        options = {option for param in command.params for option in param.opts}
        assert ("--json" in options) != (name in mute), name
        assert ("--url" in options) == ("--token-file" in options), name


def test_help_does_not_wait_for_the_daemons_code() -> None:
    program = "import sys; from daemon.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    program += "assert not {'daemon.app', 'aiohttp', 'promql_parser'} & set(sys.modules)"
    for arguments in (["--help"], ["ack", "--help"], ["watch", "--help"]):
        ended = subprocess.run([sys.executable, "-c", program, *arguments], check=False)
        assert ended.returncode == 0
