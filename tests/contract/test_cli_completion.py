"""Shell completion: the scripts, and what can be typed next."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from daemon.cli import stopgap as command_line
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli import ROOT
from tests.contract.test_cli_double import run
from tests.interpreter import run_code


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged() as rig:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        yield rig


async def offered(line: str) -> list[str]:
    """What Tab offers after that line."""
    *words, incomplete = line.split(" ")
    complete = ShellComplete(command_line, {}, "stopgap", "_STOPGAP_COMPLETE")
    found = await asyncio.to_thread(complete.get_completions, words, incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("shell", "mark"),
    [("bash", "complete -o nosort"), ("zsh", "#compdef stopgap"), ("fish", "complete --no-files")],
)
def test_the_script_of_each_shell(shell: str, mark: str) -> None:
    ended = run("completion", shell)
    assert ended.code == 0
    assert mark in ended.out
    assert "_STOPGAP_COMPLETE" in ended.out


def test_an_unknown_shell_is_wrong_usage() -> None:
    assert run("completion", "csh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script(tmp_path: Path) -> None:
    script = tmp_path / "stopgap.bash"
    script.write_text(run("completion", "bash").out)
    ended = subprocess.run(
        ["bash", "-c", f"source {script}; complete -p stopgap"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "_stopgap_completion" in ended.stdout) == (0, True)


def test_commands_are_offered_without_loading_them() -> None:
    program = (
        "import sys; from click.shell_completion import ShellComplete\n"
        "from daemon.cli import stopgap\n"
        "tab = ShellComplete(stopgap, {}, 'stopgap', '_')\n"
        "print(*(item.value for item in tab.get_completions([], 're')))\n"
        "assert 'daemon.app' not in sys.modules"
    )
    ended = run_code(program)
    offered = "review replay replicas request-help resume reload reassign relate\n"
    assert (sorted(ended.stdout.split()), ended.stderr) == (sorted(offered.split()), "")


async def test_what_the_daemon_knows_is_offered(rig: Rig) -> None:
    await rig.does("ack", ADA)
    await rig.does("updates", ADA, audience="room")
    await rig.does("roles/communicator", ADA, person="bo")
    await rig.does("steps/1/veto", ADA)
    assert await offered("ack ") == [rig.id]
    assert await offered(f"show {rig.id[:4]}") == [rig.id]
    assert await offered("ack zzz") == []
    assert "1" in await offered(f"step {rig.id} ")
    assert await offered(f"step {rig.id} 1 ") == [
        "approve",
        "start",
        "skip",
        "veto",
        "continue",
        "stop",
    ]
    assert await offered(f"update {rig.id} send ") == ["room.1"]
    assert await offered(f"update {rig.id} draft ") == ["room"]
    assert await offered(f"answer {rig.id} ") == ["yes", "no", "communicator.1"]
    assert await offered(f"propose {rig.id} fl") == ["flag_off"]
    assert await offered(f"engage {rig.id} ") == ["payments", "database"]
    assert await offered(f"role {rig.id} communicator ") == ["me", "none", "ada", "bo"]
    assert await offered("freeze --team pay") == ["payments"]


async def test_closed_incidents_are_no_more_to_be_acknowledged(rig: Rig) -> None:
    await rig.does("close", ADA)
    assert await offered("ack ") == []
    assert await offered("review ") == [rig.id]


async def test_files_that_are_here_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "rules", tmp_path / "rules")
    (tmp_path / "stopgap.yaml").write_text("listen: 127.0.0.1:0\n")
    monkeypatch.chdir(tmp_path)
    assert await offered("approve check") == ["checkout-latency", "checkout-success-rate"]
    assert await offered("approve --by ") == ["ada", "bo"]
    assert await offered("doctor --page ") == ["ada", "bo"]
    assert await offered("role x commander ") == ["me", "none", "ada", "bo"]
    assert await offered("oncall --team ") == ["shop"]


@pytest.mark.parametrize("settings", ["", "rules: [", "rules: nowhere", "[]"])
async def test_what_cannot_be_told_is_silently_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STOPGAP_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STOPGAP_TOKEN", "t")
    (tmp_path / "stopgap.yaml").write_text(settings)
    for line in ("ack ", "step x ", "freeze --team ", "approve ", "role x commander "):
        assert set(await offered(line)) <= {"me", "none"}
    assert capsys.readouterr() == ("", "")


def test_a_shell_gets_its_answer(tmp_path: Path) -> None:
    asked = {"_STOPGAP_COMPLETE": "bash_complete", "COMP_WORDS": "stopgap fre", "COMP_CWORD": "1"}
    program = "import sys; sys.argv[0] = 'stopgap'; from daemon.cli import main; main()"
    ended = run_code(program, folder=tmp_path, **asked)
    assert ended.stdout.splitlines() == ["plain,freezes", "plain,freeze"]
