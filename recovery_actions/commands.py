"""Running a command for an action: an argument vector, an allow-list, a deadline; never a shell.

A command runs in a session of its own, and outlives the daemon on purpose: a restart of a service
that is under way must not be torn because the daemon is being upgraded.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import AfterValidator

from daemon.core.values.outcome import Temporary
from daemon.core.values.units import format_duration

OUTPUT_LIMIT = 4096
"""How many bytes of a command's output are kept: the last ones."""

GRACE = timedelta(seconds=5)
"""Between SIGTERM and SIGKILL, for a command that is out of time."""

_SPOOL_LIMIT = 1 << 20
"""Bytes of output on disk above which the spool is cut back to its tail."""

_LOOK_EVERY = 0.1
"""Seconds between two looks at the size of the spool."""

_SECRET_PREFIX = "STOPGAP_"  # noqa: S105 (the beginning of variables' names)
_STORE_PASSWORD = "PGPASSWORD"  # noqa: S105 (a variable's name, which libpq has chosen)
_SHOWN_LINES = 3
_SHOWN_CHARACTERS = 200

# ── parameters ───────────────────────────────────────────────────────────────────────────────


def without_controls(text: str) -> str:
    """Give back a text that holds no control characters. Raises ValueError if it does."""
    for character in text:
        if ord(character) < 0x20 or ord(character) == 0x7F or "\ud800" <= character <= "\udfff":
            raise ValueError(f"it holds the character U+{ord(character):04X}, which is not allowed")
    return text


def _argv(argv: list[str]) -> list[str]:
    if not argv or not argv[0]:
        raise ValueError("a command needs a program; write it like [systemctl, restart, shop]")
    return argv


PlainText = Annotated[str, AfterValidator(without_controls)]
Argv = Annotated[list[PlainText], AfterValidator(_argv)]
"""A program and its arguments, one element each; elements are never split, joined or expanded."""


# ── what is allowed, and where it is ─────────────────────────────────────────────────────────


def why_not_allowed(argv: Sequence[str], allow: Sequence[Sequence[str]]) -> str | None:
    """Why no entry of `commands.allow` covers this command, with the mend; None if one does.

    An entry covers a command that equals it element by element. `*` after the program stands for
    exactly one argument, which is not empty (some programs read that as "everything") and does
    not begin with `-` (it would be an option).
    """
    if any(_covers(entry, argv) for entry in allow):
        return None
    line = json.dumps(list(argv), ensure_ascii=False)
    return (
        f"{shown_command(argv)} is not in the list of allowed commands; "
        f"to allow it, add this line to stopgap.yaml under `commands: allow:`  - {line}"
    )


def _covers(entry: Sequence[str], argv: Sequence[str]) -> bool:
    if len(entry) != len(argv) or entry[0] != argv[0]:
        return False
    return all(
        have == want or (want == "*" and have != "" and not have.startswith("-"))
        for want, have in zip(entry[1:], argv[1:], strict=True)
    )


def why_not_runnable(argv: Sequence[str], base: Path) -> str | None:
    """Why this command's program cannot be executed, or None if it can."""
    if _program(argv[0], base) is not None:
        return None
    where = f"(seen from {base.absolute()})" if "/" in argv[0] else "in PATH"
    return f"{shown_command(argv)} cannot run: there is no executable {_short(argv[0])} {where}"


def _program(program: str, base: Path) -> str | None:
    """The file to execute, or None: a name is looked up in PATH, a path is relative to `base`."""
    return shutil.which(str(base.absolute() / program) if "/" in program else program)


def shown_command(argv: Sequence[str]) -> str:
    """A command for a sentence: quoted as one would type it, cut short, in backticks."""
    return f"`{_short(shlex.join(argv))}`"


# ── running ──────────────────────────────────────────────────────────────────────────────────


CommandReason = Literal["succeeded", "exit_status", "timeout", "not_started"]


@dataclass(frozen=True)
class Ran:
    """How a command ended: an enumerated reason, a sentence, and the end of its output."""

    reason: CommandReason
    text: str
    output: str = ""


async def run_argv(
    argv: Sequence[str],
    timeout: timedelta,
    base: Path,
    umask: int = -1,
    began: Callable[[int], Awaitable[None]] | None = None,
) -> Ran:
    """Run a command in the folder `base` until it ends or the timeout has passed; -1: our umask.
    `began` hears of its process as soon as there is one.

    At the timeout the whole process group gets SIGTERM, and SIGKILL after GRACE. Cancelling this
    coroutine lets the command go on until then, or for good once the daemon is gone. Raises
    nothing else.

    Output goes to an unlinked file, not to a pipe: whoever still writes after we are gone does
    not die of SIGPIPE, and a service that the command leaves running does not keep us waiting.
    """
    try:
        spool = tempfile.TemporaryFile()  # noqa: SIM115 (entered below, once the program has started)
    except OSError as error:
        return _not_started(argv, error)
    with spool:
        try:
            process = _start(argv, base, spool, umask)
        except OSError as error:
            return _not_started(argv, error)
        ended = _reap(process, timeout + GRACE)
        if began is not None:
            await began(process.pid)
        if await _wait(ended, timeout, spool):
            return _exited(argv, ended.result(), _tail(spool))
        stopped = await stop_group(process.pid)
        return _timed_out(argv, timeout, _tail(spool), stopped)


@dataclass(frozen=True)
class Said:
    """What a command that was asked something ended with, and wrote."""

    status: int
    output: bytes
    complaint: bytes


async def ask_argv(argv: Sequence[str], timeout: timedelta, base: Path, most: int) -> Said:
    """Run a command that changes nothing, in the folder `base`.

    Its whole process group is ended at once when the timeout has passed, when it has written more
    than `most` bytes, and when this coroutine is cancelled: whatever the program has started, and
    whoever holds its outputs, keeps nobody waiting. Raises Temporary in the first two cases,
    OSError if it could not be started.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaint:
        process = _start(argv, base, output, umask=-1, errors=complaint)
        ended = _reap(process)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout.total_seconds()
        try:
            while not ended.done():
                if clock() >= deadline:
                    limit = format_duration(timeout)
                    raise Temporary(f"{shown_command(argv)} took more than {limit}")
                await asyncio.wait({ended}, timeout=min(_LOOK_EVERY, deadline - clock()))
                if max(os.fstat(one.fileno()).st_size for one in (output, complaint)) > most:
                    raise Temporary(f"{shown_command(argv)} wrote more than {most:,} bytes")
        finally:
            if not ended.done():
                _signal_group(process.pid, signal.SIGKILL)
        said, complained = (os.pread(one.fileno(), most, 0) for one in (output, complaint))
        return Said(ended.result(), said, complained)


def _start(
    argv: Sequence[str], base: Path, spool: IO[bytes], umask: int, errors: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    # asyncio's own subprocess is no use here: its transport kills the child when it is dropped,
    # which is just what must not happen to a restart when the daemon shuts down.
    program = _program(argv[0], base)
    if program is None:
        raise FileNotFoundError(f"there is no program {_short(argv[0])}")
    # Appending makes each write go to the end of the spool, wherever cutting it has put that.
    for file in filter(None, (spool, errors)):
        fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return subprocess.Popen(  # noqa: S603 (no shell; the allow-list is the check)
        list(argv),
        executable=program,
        cwd=base.absolute(),
        env=_inherited(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=spool,
        stderr=errors or spool,
        start_new_session=True,
        umask=umask,
    )


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command sees of our environment: none of the names that hold our own secrets."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_SECRET_PREFIX) and name != _STORE_PASSWORD
    }


def _reap(process: subprocess.Popen[bytes], most: timedelta | None = None) -> asyncio.Future[int]:
    """The exit status to come. A thread waits for it, so no zombie stays if nobody else does; it
    ends the process group after `most`, if nobody else has."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def wait() -> None:
        try:
            status = process.wait(None if most is None else most.total_seconds())
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            status = process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody is interested any more
            loop.call_soon_threadsafe(ended.set_result, status)

    threading.Thread(target=wait, name=f"wait for {process.pid}", daemon=True).start()
    return ended


async def _wait(ended: asyncio.Future[int], timeout: timedelta, spool: IO[bytes]) -> bool:
    """Wait for the end, keeping the spool small meanwhile. False if the timeout came first."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout.total_seconds()
    while not ended.done() and clock() < deadline:
        await asyncio.wait({ended}, timeout=min(_LOOK_EVERY, deadline - clock()))
        if os.fstat(spool.fileno()).st_size > _SPOOL_LIMIT:
            tail = _tail(spool)
            os.ftruncate(spool.fileno(), 0)
            os.write(spool.fileno(), tail)
    return ended.done()


async def stop_group(group: int) -> bool:
    """End a process group, politely and then not. False if it is not ours to end."""
    _signal_group(group, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE.total_seconds()):
            # Nothing in the system announces that the last process of a group has ended.
            while _signal_group(group, 0) != "gone":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        return _signal_group(group, signal.SIGKILL) != "not_ours"
    except asyncio.CancelledError:
        _signal_group(group, signal.SIGKILL)
        raise
    return True


def _signal_group(group: int, number: int) -> Literal["sent", "gone", "not_ours"]:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return "gone"
    except PermissionError:  # it runs as another user, by sudo for example
        return "not_ours"
    return "sent"


def _tail(spool: IO[bytes]) -> bytes:
    size = os.fstat(spool.fileno()).st_size
    return os.pread(spool.fileno(), OUTPUT_LIMIT, max(0, size - OUTPUT_LIMIT))


# ── how it ended, in words ───────────────────────────────────────────────────────────────────


def _not_started(argv: Sequence[str], error: OSError) -> Ran:
    why = error.strerror or str(error)
    return Ran("not_started", f"{shown_command(argv)} could not be started: {why}")


def _exited(argv: Sequence[str], status: int, tail: bytes) -> Ran:
    output = tail.decode(errors="replace")
    if status == 0:
        return Ran("succeeded", f"{shown_command(argv)} succeeded", output)
    how = f"ended with exit status {status}" if status > 0 else f"was ended by signal {-status}"
    return Ran("exit_status", f"{shown_command(argv)} {how}; {_last_lines(output)}", output)


def _timed_out(argv: Sequence[str], timeout: timedelta, tail: bytes, stopped: bool) -> Ran:
    output = tail.decode(errors="replace")
    fate = "was stopped" if stopped else "runs on as another user, so it could not be stopped"
    text = f"{shown_command(argv)} took more than {format_duration(timeout)} and {fate}"
    return Ran("timeout", f"{text}; {_last_lines(output)}", output)


def _last_lines(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "it wrote nothing"
    return "its last lines: " + " / ".join(_short(line) for line in lines[-_SHOWN_LINES:])


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
