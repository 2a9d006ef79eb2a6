"""`run_command`, and how any command is run: allow-list, deadline, output, environment."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import Action
from recovery_actions import catalogue, commands
from recovery_actions.commands import OUTPUT_LIMIT, run_argv, why_not_allowed
from recovery_actions.contract import HOSTILE, ActionContract, context, script, until
from recovery_actions.workshop import Workshop


class TestRunCommand(ActionContract):
    before = "unknown"
    after = "unknown"

    @pytest.fixture
    def action(self, tmp_path: Path) -> Action:
        show = script(tmp_path / "show", f'printf %s "$1" > {tmp_path}/argument')
        (tmp_path / "argument").write_text("nothing yet")
        return catalogue(Workshop(tmp_path, [[show, "*"]]))["run_command"]

    @pytest.fixture
    def params(self, action: Action, tmp_path: Path) -> Any:
        return action.Params(argv=[str(tmp_path / "show"), "off"])

    @pytest.fixture
    def refused_params(self, action: Action) -> Any:
        return action.Params(argv=["/bin/false"])

    def effect(self, tmp_path: Path) -> Any:
        return (tmp_path / "argument").read_text()

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        show = str(tmp_path / "show")
        yield {"argv": [show, "off"], "target": value}
        yield {"argv": [value]}
        yield {"argv": [show, value]}

    @pytest.mark.parametrize("kind", HOSTILE)
    async def test_a_hostile_argument_arrives_as_it_was_written_or_not_at_all(
        self, action: Action, tmp_path: Path, kind: str
    ) -> None:
        value = HOSTILE[kind].format(canary=tmp_path / "canary", victim=tmp_path)
        raw = {"argv": [str(tmp_path / "show"), value]}
        if kind in ("newline", "carriage return", "nul", "lone surrogate"):
            with pytest.raises(ValidationError):
                action.Params.model_validate(raw)
            return
        params = action.Params.model_validate(raw)
        outcome = await action.run(params, {}, context())
        refused = value == "" or value.startswith("-")
        assert outcome.result == ("refused" if refused else "done")
        assert self.effect(tmp_path) == ("nothing yet" if refused else value)


# ── the allow-list ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("entry", "argv", "covered"),
    [
        (["systemctl", "restart", "shop"], ["systemctl", "restart", "shop"], True),
        (["systemctl", "restart", "shop"], ["systemctl", "restart", "shop", "db"], False),
        (["systemctl", "restart", "shop"], ["systemctl", "restart"], False),
        (["systemctl", "restart", "*"], ["systemctl", "restart", "shop"], True),
        (["systemctl", "restart", "*"], ["systemctl", "restart", "--force"], False),
        (["systemctl", "restart", "*"], ["systemctl", "restart", ""], False),
        (["systemctl", "restart", "*"], ["systemctl", "restart", "shop", "db"], False),
        (["systemctl", "*"], ["systemctl", "restart", "shop"], False),
        (["kill", "-*"], ["kill", "-9"], False),
        (["*"], ["reboot"], False),
        ([], ["reboot"], False),
    ],
)
def test_the_allow_list_compares_element_by_element(
    entry: list[str], argv: list[str], covered: bool
) -> None:
    assert (why_not_allowed(argv, [["other"], entry]) is None) == covered
    assert (why_not_allowed(argv, (("other",), tuple(entry))) is None) == covered


def test_the_refusal_names_the_line_to_add() -> None:
    text = why_not_allowed(["say", 'it\'s "ö"'], [])
    assert text is not None
    assert text.endswith('under `commands: allow:`  - ["say", "it\'s \\"ö\\""]')


# ── parameters and refusals ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"argv": []}, "a command needs a program"),
        ({"argv": [""]}, "a command needs a program"),
        ({"argv": "reboot now"}, "valid list"),
        ({"argv": ["kill", 9]}, "valid string"),
        ({"argv": ["a\nb"]}, "U\\+000A"),
        ({"argv": ["a"], "target": "a\0b"}, "U\\+0000"),
        ({"argv": ["a"], "timeout": "0s"}, "greater than 0"),
        ({"argv": ["a"], "timeout": "soon"}, "not a duration"),
        ({"argv": ["a"], "shell": True}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_named(tmp_path: Path, raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        catalogue(Workshop(tmp_path))["run_command"].Params.model_validate(raw)


def test_a_command_is_its_own_target_unless_it_names_one(tmp_path: Path) -> None:
    action = catalogue(Workshop(tmp_path))["run_command"]
    assert action.target(action.Params(argv=["flag", "off"])) == "command:flag off"
    assert action.target(action.Params(argv=["flag", "off"], target="flag:x")) == "flag:x"


async def test_each_refusal_has_its_reason(tmp_path: Path) -> None:
    action = catalogue(Workshop(tmp_path, [["no-such-program"], ["./missing"]]))["run_command"]
    for argv, reason in (
        (["reboot"], "command_not_allowed"),
        (["no-such-program"], "program_missing"),
        (["./missing"], "program_missing"),
    ):
        refused: Any = await action.preflight(action.Params(argv=argv), context())
        assert refused.reason == reason


async def test_a_command_that_is_no_longer_allowed_does_not_run(tmp_path: Path) -> None:
    touch = script(tmp_path / "touch", f"touch {tmp_path}/ran")
    action = catalogue(Workshop(tmp_path))["run_command"]
    outcome = await action.run(action.Params(argv=[touch]), {}, context())
    assert (outcome.result, outcome.reason) == ("refused", "command_not_allowed")
    assert not (tmp_path / "ran").exists()


async def test_a_failing_command_is_a_failed_outcome_with_its_last_lines(tmp_path: Path) -> None:
    fail = script(tmp_path / "fail", "echo one; echo two; echo three; echo four >&2; exit 7")
    action = catalogue(Workshop(tmp_path, [[fail]]))["run_command"]
    outcome = await action.run(action.Params(argv=[fail]), {}, context())
    assert (outcome.result, outcome.reason) == ("failed", "exit_status")
    assert outcome.detail.endswith("ended with exit status 7; its last lines: two / three / four")
    assert outcome.facts["output"] == "one\ntwo\nthree\nfour\n"


# ── running ──────────────────────────────────────────────────────────────────────────────────

LONG = timedelta(seconds=30)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone, or going while it is being read
        return False


def number(path: Path) -> int:
    """The pid in a file, 0 until it is there."""
    return int((path.read_text() if path.exists() else "").strip() or 0)


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    ran = await run_argv(["./nowhere"], LONG, tmp_path)
    assert ran.reason == "not_started"
    assert ran.text == "`./nowhere` could not be started: there is no program ./nowhere"


async def test_a_file_that_cannot_be_executed_is_no_surprise(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"\x7fELF nonsense")
    (tmp_path / "text").chmod(0o755)
    ran = await run_argv(["./text"], LONG, tmp_path)
    assert (ran.reason, "Exec format error" in ran.text) == ("not_started", True)


async def test_relative_programs_and_the_folder_of_work_are_those_of_the_settings(
    tmp_path: Path,
) -> None:
    script(tmp_path / "where", "pwd")
    ran = await run_argv(["./where"], LONG, tmp_path)
    assert ran.output == f"{tmp_path}\n"


async def test_only_the_last_output_is_kept(tmp_path: Path) -> None:
    talk = script(tmp_path / "talk", "head -c 3000000 /dev/zero | tr '\\0' x; printf '\\377 end'")
    ran = await run_argv([talk], LONG, tmp_path)
    assert len(ran.output) == OUTPUT_LIMIT
    assert ran.output.endswith("x\ufffd end")


async def test_endless_output_is_cut_while_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(commands, "_SPOOL_LIMIT", OUTPUT_LIMIT)
    talk = script(
        tmp_path / "talk",
        "head -c 2000000 /dev/zero | tr '\\0' x\n"
        f"until [ $(stat -Lc %s /proc/$$/fd/1) -le {OUTPUT_LIMIT} ]; do sleep 0.01; done\n"
        "echo it was cut",
    )
    ran = await run_argv([talk], LONG, tmp_path)
    assert ran.output.strip().endswith("xit was cut")


async def test_secrets_of_the_daemon_are_not_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOPGAP_TOKEN", "hush")
    monkeypatch.setenv("PGPASSWORD", "hush")
    monkeypatch.setenv("LANG", "C.UTF-8")
    ran = await run_argv(["env"], LONG, tmp_path)
    assert "LANG=C.UTF-8" in ran.output
    assert f"PATH={os.environ['PATH']}" in ran.output
    assert "STOPGAP" not in ran.output
    assert "hush" not in ran.output


async def test_what_a_command_writes_is_readable_as_it_was_before_ours_became_private(
    tmp_path: Path,
) -> None:
    write = script(tmp_path / "write", f"umask; touch {tmp_path}/served.conf")
    ours = os.umask(0o077)
    try:
        action = catalogue(Workshop(tmp_path, [[write]], umask=0o022))["run_command"]
        outcome = await action.run(action.Params(argv=[write]), {}, context())
        assert (outcome.result, (tmp_path / "served.conf").stat().st_mode & 0o777) == (
            "done",
            0o644,
        )
        assert (await run_argv([write], LONG, tmp_path)).output.strip() == "0077"
    finally:
        os.umask(ours)


async def test_standard_input_is_empty(tmp_path: Path) -> None:
    assert (await run_argv(["cat"], LONG, tmp_path)).reason == "succeeded"


async def test_a_service_left_running_does_not_keep_us_waiting(tmp_path: Path) -> None:
    start = script(tmp_path / "start", "sleep 30 & echo $! > child")
    ran = await run_argv([start], LONG, tmp_path)
    assert ran.reason == "succeeded"
    os.kill(number(tmp_path / "child"), signal.SIGKILL)


async def test_at_the_timeout_the_whole_process_group_ends(tmp_path: Path) -> None:
    hang = script(tmp_path / "hang", "echo starting; sleep 30 & echo $! > child; wait")
    ran = await run_argv([hang], timedelta(milliseconds=90), tmp_path)
    assert ran.reason == "timeout"
    assert ran.text.endswith("took more than 90ms and was stopped; its last lines: starting")
    assert not alive(number(tmp_path / "child"))


async def test_what_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "GRACE", timedelta(milliseconds=30))
    hang = script(tmp_path / "hang", "trap '' TERM; echo $$ > self; while :; do sleep 30; done")
    await run_argv([hang], timedelta(milliseconds=90), tmp_path)
    await until(lambda: not alive(number(tmp_path / "self")))


async def test_cancelling_lets_the_command_finish_and_leaves_no_zombie(tmp_path: Path) -> None:
    body = "echo $$ > self; until [ -e go ]; do :; done; echo still talking; touch finished"
    task = asyncio.create_task(run_argv([script(tmp_path / "slow", body)], LONG, tmp_path))
    await until(lambda: number(tmp_path / "self"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    assert alive(number(tmp_path / "self"))
    (tmp_path / "go").touch()
    await until((tmp_path / "finished").exists)
    await until(lambda: not Path(f"/proc/{number(tmp_path / 'self')}").exists())


def test_a_command_outlives_the_loop_that_started_it(tmp_path: Path) -> None:
    body = "echo $$ > self; until [ -e go ]; do :; done; touch finished"

    async def start() -> None:
        task = asyncio.create_task(run_argv([script(tmp_path / "slow", body)], LONG, tmp_path))
        await until(lambda: number(tmp_path / "self"))
        task.cancel()

    asyncio.run(start())
    gc.collect()
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 10
    while not (tmp_path / "finished").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "finished").exists()
