"""What a command costs before it does anything: CPU seconds, beside Python doing nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

pytestmark = pytest.mark.bench

STOPGAP = Path(sys.executable).with_name("stopgap")
NOTHING = (sys.executable, "-c", "pass")
COMMANDS = {
    "--help": (STOPGAP, "--help"),
    "ack": (STOPGAP, "ack", "1123-1403-x7qf"),
    "show": (STOPGAP, "show", "1123-1403-x7qf"),
    "incidents": (STOPGAP, "incidents"),
    "the daemon's modules": (sys.executable, "-c", "import daemon.app"),
}
ROUNDS = 9
HELP_COSTS_AT_MOST = 3.0
"""Times what `python -c pass` costs."""


def cost(command: tuple[str | Path, ...]) -> float:
    """The CPU seconds, user and system, of a process; there is no daemon for it to ask."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STOPGAP_TOKEN": "x", "STOPGAP_URL": "http://127.0.0.1:1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def test_help_costs_little_more_than_python() -> None:
    commands = {"python -c pass": NOTHING, **COMMANDS}
    costs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):  # in turn: a busy moment of the machine meets all of them
        for name, command in commands.items():
            costs[name].append(cost(command))
    medians = {name: statistics.median(found) for name, found in costs.items()}
    least = medians["python -c pass"]
    table = Table("command", "CPU, ms", "times Python")
    for name, median in medians.items():
        table.add_row(name, f"{median * 1000:.0f}", f"{median / least:.1f}")
    Console().print(table)
    assert medians["--help"] <= HELP_COSTS_AT_MOST * least
