"""Whoever types what README.md and the guides say has it work: every block of `sh` is run, in
order, beside a real daemon and a real Prometheus. What is shown and not run stands in
tests/contract/test_guides.py.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.forked import Forked
from tests.acceptance.running import TOKEN, TREE, Daemon, environment
from tests.acceptance.servers import prometheus
from tests.acceptance.test_doctor import CONFIG
from tests.guides import TEXTS, blocks, the_block
from tests.postgresql import Server

SETTINGS = """
listen: {listen}
prometheus: {{url: "{prometheus}", timeout: 5s}}
commands: {{allow: [[./shopctl, restart], [./shopctl, feature, loyalty, "off"]]}}
auth: {{webhook_token: env:STOPGAP_WEBHOOK_TOKEN}}
log: {{format: json}}
"""
FINDS = ("stopgap doctor",)
"""Commands that end with 1 because they find something: here no Alertmanager is set."""
LIMIT = 60
_SHELL = re.compile(r"[|&;<>$()`*?]")


@dataclass
class World:
    """A folder with settings and rules as a reader has them, a daemon in it, and a terminal."""

    folder: Path
    daemon: Daemon
    prometheus: str
    exported: dict[str, str] = field(default_factory=dict)

    @property
    def surroundings(self) -> dict[str, str]:
        """What is in the environment of that terminal."""
        given = environment()
        return {
            **given,
            "PATH": f"{Path(sys.executable).parent}:{given['PATH']}",
            "STOPGAP_BO_TOKEN": "bo's own",
            "STOPGAP_ADA_PAGER": "http://127.0.0.1:9/",
            "STOPGAP_BO_PAGER": "http://127.0.0.1:9/",
            "STOPGAP_WEBHOOK_TOKEN": "the webhook's",
            "STOPGAP_TOKEN": TOKEN,
            "STOPGAP_URL": self.daemon.url,
            "COLUMNS": "120",
            **self.exported,
        }

    def types(self, line: str) -> str:
        """Run one line; what it says. Fails if it ends badly."""
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.exported[name] = value
            return ""
        said = self.folder / "said"
        said.unlink(missing_ok=True)
        if words[0] == "stopgap" and not _SHELL.search(line):
            forked = Forked(words[1:], self.folder, self.surroundings, said)
            code, told = forked.wait(LIMIT), said.read_text(encoding="utf-8")
        else:
            ended = subprocess.run(
                ["/bin/bash", "-c", f"set -o pipefail; {line}"],
                cwd=self.folder,
                env=self.surroundings,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
            )
            code, told = ended.returncode, ended.stdout + ended.stderr
        found = code == 1 and line.startswith(FINDS) and "Traceback" not in told
        assert code == 0 or found, f"{line}\nended with {code}:\n{told}"
        return told

    def declares(self) -> str:
        """An incident that Ada commands; its number."""
        told = self.types("stopgap declare a try of the guide --team shop --respond --json")
        return str(json.loads(told)["incident"]["id"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all guides, with the rules of this tree and those that the guides show."""
    folder = tmp_path_factory.mktemp("reader")
    # The cases of rules/ are played by `make check`.
    ours = shutil.ignore_patterns("cases")
    shutil.copytree(TREE / "rules", folder / "rules", ignore=ours)
    (folder / "rules/cases").mkdir()
    roster = folder / "rules/roster.yaml"
    token = "    token: env:STOPGAP_ADA_TOKEN"
    text = roster.read_text(encoding="utf-8")
    roster.write_text(text.replace(token, f"    access: admin\n{token}"), encoding="utf-8")
    (folder / "rules/slo.yaml").write_text(the_block("yaml rule", "rule-from-slo"))
    (folder / "rules/cases/slo.yaml").write_text(the_block("yaml case", "rule-from-slo"))
    with prometheus(folder / "prometheus", CONFIG) as metrics:
        settings = folder / "stopgap.yaml"
        settings.write_text(SETTINGS.format(listen="127.0.0.1:0", prometheus=metrics))
        made = World(folder, Daemon(folder), metrics)
        made.daemon.start(made.surroundings)
        address = made.daemon.url.removeprefix("http://")
        # Commands look for the daemon where the settings say that it listens.
        settings.write_text(SETTINGS.format(listen=address, prometheus=metrics))
        yield made
    made.daemon.drop()


@pytest.mark.parametrize("guide", [name for name in TEXTS if blocks("sh", name)])
def test_what_the_guide_says_to_type_works(world: World, guide: str) -> None:
    incident = ""
    for block in blocks("sh", guide):
        for line in block.commands:
            if re.search(r"\bID\b", line) and not incident:
                incident = world.declares()
            said = line.replace("http://prometheus:9090", world.prometheus)
            said = said.replace("http://127.0.0.1:9393", world.daemon.url)
            world.types(re.sub(r"\bID\b", incident, said))


def test_what_a_stopped_daemon_s_store_is_for_works(world: World, postgresql: Server) -> None:
    """Restore, rescue and the move to PostgreSQL and back, as their guides say."""
    world.types("mkdir -p backups; stopgap store backup backups/")
    [*_, backup] = sorted((world.folder / "backups").iterdir())
    assert world.daemon.stop() == 0
    for block in blocks("sh restore"):
        for line in block.commands:
            world.types(re.sub(r"backups/\S+", f"backups/{backup.name}", line))
    [rescue] = blocks("sh rescue")
    for name in ("stopgap.db-wal", "stopgap.db-shm"):
        (world.folder / name).touch()  # a store that was shut down in peace has none
    for line in rescue.commands:
        world.types(line)
    database = f"guides_{world.daemon.url.rpartition(':')[2]}"
    postgresql.create(database, template="template0")
    try:
        [move] = blocks("sh postgresql")
        for line in move.commands:
            world.types(re.sub(r"'postgresql://[^']+'", postgresql.url(database), line))
    finally:
        postgresql.drop(database)
    assert (world.folder / "back.db").exists()
