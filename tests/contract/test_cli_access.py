"""The commands about one's access: `me`, `token`, `password`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from daemon.cli import stopgap
from daemon.cli.client import CommandFailure
from daemon.core.people.access import is_password_hash
from daemon.core.people.roster import Roster
from daemon.core.values.yaml_document import one_document
from tests.contract.rig import ROSTER, Rig, rigged
from tests.contract.visitor import give_access

WORDS = "four quite ordinary words"


@dataclass
class Shell:
    """Runs commands against the rig, each in a thread as the command would in a process."""

    rig: Rig

    async def __call__(self, person: str, *words: str, fails: bool = False) -> Result:
        env = {"STOPGAP_URL": str(self.rig.client.make_url("")), "COLUMNS": "140"}
        env["STOPGAP_TOKEN"] = person if person.startswith("stopgap_") else f"{person}-token"
        ended = await asyncio.to_thread(CliRunner().invoke, stopgap, words, env=env)
        assert isinstance(ended.exception, CommandFailure) is fails, ended.output
        return ended


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    # The daemon of this test logs in the same process, where the command's output is caught.
    with capture_logs():
        async with rigged() as rig:
            yield Shell(rig)


async def test_a_token_from_its_making_to_its_end(shell: Shell) -> None:
    made = await shell("ada", "token", "create", "ci", "--scope", "read", "--scope", "changes")
    secret = made.stdout.strip()
    assert secret.startswith("stopgap_")
    assert made.stderr.endswith("valid until 2027-02-21; keep it safe, it is not shown again\n")
    me = await shell(secret, "me")
    assert me.stdout == ("ada (Ada), access responder\nby the API token ci, for read, changes\n")
    listed = await shell("ada", "token", "list")
    row = next(line for line in listed.stdout.splitlines() if "ci" in line)
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[1:] == ["ci", "ada", "read, changes", "2027-02-21", "2026-11-23"]
    assert secret not in listed.stdout
    refused = await shell(secret, "token", "revoke", cells[0], fails=True)
    assert "an API token makes and revokes none" in str(refused.exception)
    assert "is revoked" in (await shell("ada", "token", "revoke", cells[0])).stdout
    gone = await shell(secret, "me", fails=True)
    assert str(gone.exception).startswith("wrong token: ")
    assert (await shell("ada", "token", "list")).stdout.startswith("no API tokens; ")
    twice = await shell("ada", "token", "revoke", cells[0], fails=True)
    assert "No such token" in str(twice.exception)


async def test_json_for_machines(shell: Shell) -> None:
    words = ("token", "create", "bot", "--scope", "respond", "--expires", "never", "--json")
    made = json.loads((await shell("ada", *words)).stdout)
    assert made["token"]["expires_at"] is None
    listed = json.loads((await shell("ada", "token", "list", "--json")).stdout)
    assert listed == {"tokens": [made["token"]]}
    me = json.loads((await shell(made["secret"], "me", "--json")).stdout)
    assert (me["person"], me["scopes"]) == ("ada", ["respond"])


async def test_an_admin_sees_everybodys(shell: Shell) -> None:
    give_access(shell.rig, cy="admin")
    await shell("ada", "token", "create", "ci", "--scope", "read")
    refused = await shell("ada", "token", "list", "--all", fails=True)
    assert "this needs `admin`" in str(refused.exception)
    assert "ada" in (await shell("cy", "token", "list", "--all")).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("token", "create", "ci"), "Missing option '--scope'"),
        (("token", "create", "ci", "--scope", "root"), "'root' is not one of"),
        (("token", "create", "ci", "--scope", "read", "--expires", "soon"), "is not a duration"),
    ],
)
def test_wrong_usage_ends_with_2(words: tuple[str, ...], said: str) -> None:
    ended = CliRunner().invoke(stopgap, words)
    assert ended.exit_code == 2
    assert said in ended.stderr


def test_a_password_from_standard_input() -> None:
    ended = CliRunner().invoke(stopgap, ["password", "--stdin"], input=f"{WORDS} \r\n")
    made = ended.stdout.strip()
    assert is_password_hash(made)
    assert PasswordHasher().verify(made, f"{WORDS} ")
    assert WORDS not in ended.output
    line = ended.stderr.splitlines()[-1]
    assert yaml.safe_load(line) == {"password": made}
    text = ROSTER.replace("{name: Cy,", f"{{name: Cy, {line.strip()},")
    roster = one_document(text, "roster.yaml").read(Roster)
    assert roster.people["cy"].password == made


def test_a_password_is_asked_for_twice() -> None:
    ended = CliRunner().invoke(stopgap, ["password"], input=f"{WORDS}\n{WORDS}\n")
    assert PasswordHasher().verify(ended.stdout.strip(), WORDS)
    assert WORDS not in ended.output


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["password"], f"{WORDS}\nanother one\n", "not the same"),
        (["password", "--stdin"], "short\n", "8 to 1024 characters"),
        (["password", "--stdin"], "", "8 to 1024 characters"),
        (["password", "--stdin"], "x" * 1025, "8 to 1024 characters"),
    ],
)
def test_what_is_no_password_makes_no_hash(words: list[str], given: str, said: str) -> None:
    ended = CliRunner().invoke(stopgap, words, input=given)
    assert isinstance(ended.exception, CommandFailure)
    assert said in str(ended.exception)
    assert "$argon2id$" not in ended.output


def test_every_command_has_an_example(tmp_path: Path) -> None:
    for words in (["me"], ["token"], ["token", "create"], ["token", "revoke"], ["password"]):
        ended = CliRunner().invoke(stopgap, [*words, "--help"])
        assert f"Example: stopgap {' '.join(words[:2])}" in ended.output
