"""`make demo`: a bad deployment is noticed, quantified, paged, rolled back and verified, for real.

Everything runs on loopback, on free ports, in a folder of its own. Ends with 0 only if every
stage of the story happened.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from time import monotonic

import aiohttp
import monitoring
from night import tell_night
from plots import PLOTS
from processes import Died, PortTaken, marked, program, stop_marked
from sandbox import PARTS, TREE, CommandFailed, NotInTime, Sandbox
from story import StageMissing
from telling import Teller

OURS = TREE / ".demo"
KEPT = OURS / "sandbox"
PORT_ATTEMPTS = 3
NIGHT = "night"
"""The story that is told in virtual time, with nothing started."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Trouble = (StageMissing, NotInTime, Died, CommandFailed)


class Interrupted(Exception):
    """Somebody stopped the demo by a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number) or "interrupted")
        self.number = number


async def perform(folder: Path, teller: Teller, *, kill_at: str, keep: bool) -> bool:
    """Play the story in `folder`; whether it came to its good end. Raises PortTaken.

    It leaves no process behind, unless it was told to and all went well.
    """
    begin = monotonic()
    happy = False
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        sandbox = Sandbox(folder, http)
        story = PLOTS[os.environ.get("STORY", "")](sandbox, teller, kill_at)
        try:
            sandbox.prepare()
            story.prepare()
            await sandbox.start()
            review = await story.play()
            outcome = await story.outcome()
            happy = True
        except Trouble as error:
            tell_trouble(teller, sandbox, error)
        finally:
            if not (happy and keep):
                sandbox.processes.stop()
    if happy:
        teller.heading("Restored")
        teller.facts("The incident", outcome)
        teller.facts("Seconds after the deployment", story.durations())
        OURS.mkdir(exist_ok=True)
        copy = OURS / f"review-{story.timeline.incident}.md"
        shutil.copy(review, copy)
        teller.plain(f"The review of the incident: {shown(copy)}")
        teller.plain(f"The demo took {monotonic() - begin:.0f} s.")
    if happy and keep:
        tell_kept(teller, sandbox)
    return happy


async def attempts(folder: Path, teller: Teller, *, kill_at: str, keep: bool) -> bool:
    """Perform; once more where somebody snatched one of the ports. Raises Interrupted."""
    caught: list[int] = []
    this = asyncio.current_task()

    def stop(number: int) -> None:
        if this and not caught:
            this.cancel()
        caught.append(number)

    for number in STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        for _ in range(PORT_ATTEMPTS):
            try:
                return await perform(folder, teller, kill_at=kill_at, keep=keep)
            except PortTaken:
                teller.scene("another program took one of the ports; starting again on others")
                clear(folder)
    except asyncio.CancelledError:
        raise Interrupted(caught[0]) from None
    teller.problem("no free ports to be had; is something else taking them by the dozen?")
    return False


def tell_trouble(teller: Teller, sandbox: Sandbox, error: Exception) -> None:
    """Say which stage did not happen, and where to look."""
    teller.problem(str(error))
    log = sandbox.processes.log("stopgap")
    if log.exists():
        last = log.read_text(errors="replace").splitlines()[-15:]
        teller.plain("The daemon's last words:", *(f"  {line}" for line in last))
    teller.plain(f"All logs: {sandbox.processes.logs}")


def tell_kept(teller: Teller, sandbox: Sandbox) -> None:
    """Say where everything is, and how to be rid of it."""
    folder = shown(sandbox.folder)
    stopgap = shown(Path(sys.executable).with_name("stopgap"))
    listed = "shop", "prometheus", "alertmanager", "stopgap"
    teller.facts("Still running", [(part, sandbox.url(part)) for part in listed])
    teller.facts(
        "What next",
        [
            (
                "see the pages",
                f"{sandbox.url('stopgap')} in a browser; log in with what {folder}/ada.token holds",
            ),
            ("look around", f"{folder} (logs/ and pids are there)"),
            (
                "ask Stopgap",
                f"{stopgap} incidents --url {sandbox.url('stopgap')} "
                f"--token-file {folder}/ada.token",
            ),
            ("break it again", f"{folder}/deploy v2"),
            ("stop it", "make demo STOP=1"),
        ],
    )


def shown(path: Path) -> str:
    """The path as short as it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def clear(folder: Path) -> None:
    """Make it an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def stop_kept(teller: Teller) -> int:
    """What STOP=1 does."""
    count = stop_marked(KEPT)
    teller.plain(f"stopped {count} processes of the sandbox" if count else "nothing was running")
    return 0


def play_night() -> int:
    """What STORY=night does; returns the exit code."""
    teller = Teller()
    review, happy = tell_night(teller)
    OURS.mkdir(exist_ok=True)
    copy = OURS / "review-of-the-night.md"
    copy.write_text(review)
    teller.heading("The review, as it is pasted into the wiki")
    teller.plain(review, f"It is kept: {shown(copy)}")
    return 0 if happy else 1


def play(kill_at: str, *, keep: bool) -> int:
    """Choose the folder, perform, tidy up; returns the exit code."""
    teller = Teller()
    if keep and marked(KEPT):
        teller.problem("a sandbox is running already; stop it first: make demo STOP=1")
        return 2
    monitoring.commands(monitoring.chosen(), dict.fromkeys(PARTS, ""))
    program("ALERTMANAGER_BIN", "prometheus-alertmanager", "alertmanager")
    folder = KEPT if keep else Path(tempfile.mkdtemp(prefix="stopgap-demo-"))
    clear(folder)
    try:
        happy = asyncio.run(attempts(folder, teller, kill_at=kill_at, keep=keep))
        code = 0 if happy else 1
    except Interrupted as interrupted:
        teller.problem(f"{interrupted}: everything that was started has been stopped")
        code = 128 + interrupted.number
    if not keep and code != 1:  # after a failure, the folder holds the logs
        shutil.rmtree(folder, ignore_errors=True)
    return code


def main() -> int:
    """Read the command line and the environment, and do it."""
    parser = argparse.ArgumentParser(
        description="A bad deployment, from the first failed checkout to the review.",
        epilog=f"In the environment: STORY={', '.join(filter(None, PLOTS))} or {NIGHT} tells "
        "another story; METRICS=victoria-metrics measures with that instead of Prometheus; "
        "KEEP=1 leaves all running and says where; STOP=1 ends that; "
        "NO_COLOR=1 tells it in plain lines.",
    )
    parser.add_argument(
        "--kill-at",
        metavar="EVENT",
        default="",
        help="kill -9 the daemon when this event is on the timeline, such as StepPrepared, and "
        "restart it: the story must end just as well",
    )
    arguments = parser.parse_args()
    if asked("STOP"):
        return stop_kept(Teller())
    story = os.environ.get("STORY", "")
    if story == NIGHT:
        return play_night()
    if story not in PLOTS:
        parser.error(f"STORY is one of {', '.join(filter(None, [*PLOTS, NIGHT]))}, or left out")
    return play(arguments.kill_at, keep=asked("KEEP"))


def asked(variable: str) -> bool:
    """Whether the environment says so."""
    return os.environ.get(variable, "") not in {"", "0"}


if __name__ == "__main__":
    sys.exit(main())
