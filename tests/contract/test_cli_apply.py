"""`stopgap apply` and `stopgap review --case`, on a store and rules of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from daemon.adapters.store import open_store
from daemon.cli import apply, stopgap
from daemon.cli.apply import replace_text
from daemon.core.incident.events import Draft, Entry
from daemon.core.incident.fold import fold
from daemon.core.ports.journal import HeadState
from daemon.core.values.outcome import Permanent
from tests.contract.rig import ADA, TOKENS, Rig, rigged
from tests.replaying.test_replay import night as _night
from tests.stories.stage import ROSTER, RULE

night = _night  # the night that is replayed there
UNKNOWN_RULE = RULE.replace("checkout-success-rate", "another-rule")


def home(folder: Path, entries: Sequence[Entry], rule: str = RULE) -> Path:
    """A folder as an operator has it, whose store holds that journal."""
    (folder / "rules").mkdir()
    text = rule.replace("{action: rollback, with: {target: shop}", STEP)
    text = text.replace("{action: flag_off, with: {target: shop}", STEP)
    (folder / "rules/checkout.yaml").write_text(f"# ours\n{text.lstrip()}")
    (folder / "rules/roster.yaml").write_text(ROSTER)
    (folder / "stopgap.yaml").write_text("commands: {allow: [[./x]]}\n")

    async def fill() -> None:
        async with open_store(folder / "stopgap.db") as store:
            drafts = [Draft(at=x.at, by=x.by, event=x.event) for x in entries]
            state = HeadState.of(fold(entries), None)
            await store.journal.open(entries[0].incident, "key", drafts, state)

    asyncio.run(fill())
    return folder


STEP = "{action: release_rollback, with: {directory: shop, restart: [./x]}"


def run(folder: Path, *words: str, **env: str) -> Result:
    """Run it there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(stopgap, words, env={"COLUMNS": "120", **env})
    finally:
        os.chdir(before)


def test_a_case_is_written_once_beside_the_rule_and_passes(
    tmp_path: Path, night: Sequence[Entry]
) -> None:
    folder, incident = home(tmp_path, night), night[0].incident
    written = run(folder, "review", incident, "--case")
    assert written.exit_code == 0, written.output
    [path] = (folder / "rules/cases").glob("*.yaml")
    assert path.name == f"checkout-success-rate-{incident}.yaml"
    assert f"written: {path.relative_to(folder)}" in written.output.replace(str(folder) + "/", "")
    case = yaml.safe_load(path.read_text())
    assert case["expect"][0]["verdict"] == "confirmed"
    played = run(folder, "test")
    assert "The incident" in played.output
    again = run(folder, "review", incident, "--case")
    assert again.exit_code == 1
    assert "is there already" in str(again.exception)


def test_replay_tells_what_would_be_decided_otherwise(
    tmp_path: Path, night: Sequence[Entry]
) -> None:
    folder, incident = home(tmp_path, night), night[0].incident
    worse = tmp_path / "worse"
    shutil.copytree(folder / "rules", worse)
    text = (worse / "checkout.yaml").read_text()
    (worse / "checkout.yaml").write_text(text.replace("drop: 1%", "drop: 20%"))
    told = run(folder, "replay", incident, "--rules", str(worse))
    assert told.exit_code == 1
    assert "+ " in told.output
    assert "problem: not_confirmed (loss_below_threshold)" in told.output
    found = json.loads(run(folder, "replay", incident, "--rules", str(worse), "--json").output)
    assert found["differs"]
    assert {one["fate"] for one in found["decisions"]} >= {"missing", "new"}
    unknown = run(folder, "replay", "nothing")
    assert "there is no incident nothing" in str(unknown.exception)
    other = tmp_path / "other"
    shutil.copytree(folder / "rules", other)
    (other / "checkout.yaml").write_text(
        (other / "checkout.yaml").read_text().replace("checkout-success-rate", "another-rule")
    )
    gone = run(folder, "replay", incident, "--rules", str(other))
    assert "is not among the rules of today: another-rule" in str(gone.exception)


def test_without_anything_to_learn_that_is_said(tmp_path: Path, night: Sequence[Entry]) -> None:
    folder, incident = home(tmp_path, night), night[0].incident
    listed = run(folder, "apply", incident)
    assert (listed.exit_code, "nothing to learn" in listed.output) == (0, True)
    none = run(folder, "apply", incident, "1")
    assert "there is no proposal" in str(none.exception)


def test_what_the_replays_would_log_stands_not_in_the_json(
    tmp_path: Path, night: Sequence[Entry]
) -> None:
    folder, incident = home(tmp_path, night), night[0].incident
    words = [sys.executable, "-m", "daemon", "apply", incident, "--json"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    told = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert (json.loads(told.stdout), told.stderr) == ({"standards": []}, "")


@pytest.fixture
async def unruled(tmp_path: Path) -> AsyncIterator[tuple[Rig, Path]]:
    """A daemon, and the folder of one whose incident no rule matched."""
    async with rigged() as rig:
        entries = rig.journal.entries[rig.id]
        opened = entries[0].event.model_copy(update={"rule": ""})
        changed = [entries[0].model_copy(update={"event": opened}), *entries[1:]]
        rule = UNKNOWN_RULE.replace("CheckoutSuccessRateLow", "Other")
        yield rig, await asyncio.to_thread(home, tmp_path, changed, rule)


async def beside(rig: Rig, folder: Path, *words: str) -> Result:
    """`stopgap apply` of its incident beside the daemon."""
    env = {"STOPGAP_URL": str(rig.client.make_url("")), "STOPGAP_TOKEN": TOKENS["ada"]}
    return await asyncio.to_thread(run, folder, "apply", rig.id, *words, **env)


async def test_a_missing_rule_is_shown_written_checked_and_recorded(
    unruled: tuple[Rig, Path],
) -> None:
    rig, folder = unruled
    listed = await beside(rig, folder)
    assert listed.exit_code == 0, listed.output
    assert "1. new rule: no rule matched" in listed.output
    assert "+rule: checkout-success-rate-low" in listed.output
    [standard] = json.loads((await beside(rig, folder, "--json")).output)["standards"]
    done = await beside(rig, folder, "1")
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.output == f"written: {standard['path']}; stopgap reload reads it\n"
    assert (folder / "rules" / standard["path"]).is_file()
    assert "no mistake" in run(folder, "check").output
    [decided] = (await rig.incident()).learning.standards
    assert (decided.standard, decided.applied, decided.person) == ("new_rule", True, "ada")
    assert decided.path == standard["path"]


async def test_without_a_daemon_the_file_is_written_and_the_rest_is_said(
    unruled: tuple[Rig, Path],
) -> None:
    rig, folder = unruled
    away = {"STOPGAP_URL": "http://127.0.0.1:1", "STOPGAP_TOKEN": "x"}
    done = await asyncio.to_thread(run, folder, "apply", rig.id, "1", **away)
    assert done.exit_code == 1
    assert "is written, but that was not recorded" in str(done.exception)


async def test_wrong_rules_are_mended_first(unruled: tuple[Rig, Path]) -> None:
    rig, folder = unruled
    (folder / "rules/mine.yaml").write_text("rule: mine\n")
    refused = await beside(rig, folder)
    assert refused.exit_code == 1
    assert "mend these first" in str(refused.exception)
    assert "mine.yaml:1" in str(refused.exception)


async def test_leaving_the_rules_as_they_are_is_recorded_with_its_reason(
    unruled: tuple[Rig, Path],
) -> None:
    rig, folder = unruled
    done = await beside(rig, folder, "--decline", "it was a test")
    assert done.exit_code == 0, done.exception
    assert done.output == "recorded: the rules stay as they are\n"
    [decided] = (await rig.incident()).learning.standards
    assert (decided.standard, decided.applied, decided.reason) == ("other", False, "it was a test")
    _, answer = await rig.asks("GET", rig.path, ADA)
    assert answer["incident"]["standards"][0]["reason"] == "it was a test"


def test_a_file_is_replaced_whole_and_stays_what_it_was(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "rules/linked.yaml"
    link.parent.mkdir()
    real.write_bytes(b"rule: a\r\n")
    real.chmod(0o640)
    link.symlink_to(real)
    replace_text(link, "rule: b\r\n")
    assert (link.is_symlink(), real.read_bytes()) == (True, b"rule: b\r\n")
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real.yaml", "rules"]


async def test_what_does_not_pass_the_check_is_taken_back(
    unruled: tuple[Rig, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, folder = unruled
    before = {path: path.read_bytes() for path in (folder / "rules").rglob("*.yaml")}

    def broken(*_: Any, **__: Any) -> Any:
        """The check after it is written."""
        raise Permanent("a plug-in is gone")

    monkeypatch.setattr(apply, "house_for", broken)
    refused = await beside(rig, folder, "1")
    assert "nothing was changed\na plug-in is gone" in str(refused.exception)
    assert {p: p.read_bytes() for p in (folder / "rules").rglob("*.yaml")} == before
