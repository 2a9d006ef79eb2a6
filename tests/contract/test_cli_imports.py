"""A command waits for nothing that it does not use: which modules it has loaded when it ends."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from daemon.cli import stopgap
from tests.interpreter import run_code

_RUN = """
import sys
from daemon.cli import main
for line in sys.argv[1:]:
    sys.argv = ["stopgap", *line.split()]
    try:
        main()
    except SystemExit:
        pass
print(*sys.modules, sep="\\n", file=sys.stderr)
"""
MODELS = {"pydantic", "yaml", "daemon.config", "daemon.core.incident.events", "daemon.core.rules"}
SERVER = {"aiohttp", "sqlalchemy", "structlog", "jinja2", "daemon.app", "daemon.adapters"}
SCREEN = {"rich"}
CLIENT = {"requests", "urllib3"}
AT_HOME = {"init", "check", "test", "replay", "approve", "keys", "run", "doctor", "store", "audit"}
AT_HOME |= {"archive", "apply"}
"""The commands that work on the files of this machine."""


def loaded(*lines: str) -> set[str]:
    """The modules of a process that has carried out these commands, with no daemon to ask."""
    nobody = {"STOPGAP_TOKEN": "x", "STOPGAP_URL": "http://127.0.0.1:1"}
    ended = run_code(_RUN, *lines, **nobody)
    assert ended.returncode == 0, ended.stderr
    assert "Usage: " in ended.stdout or "no answer from the daemon" in ended.stderr
    return set(ended.stderr.splitlines())


def heavy(modules: Iterable[str]) -> set[str]:
    return {*MODELS, *SERVER, *SCREEN, *CLIENT} & set(modules)


def test_help_loads_what_the_command_line_is_made_of_and_no_more() -> None:
    modules = loaded("--help")
    assert "click" in modules
    assert heavy(modules) == set()
    assert {name for name in modules if name.startswith("daemon")} == {"daemon", "daemon.cli"}


def test_no_command_that_asks_the_daemon_loads_models_or_a_server() -> None:
    names = [name for name in stopgap.list_commands(None) if name not in AT_HOME]  # type: ignore[arg-type]
    assert {"ack", "show", "incidents", "reload", "oncall"} <= set(names)
    assert heavy(loaded(*(f"{name} --help" for name in names))) == SCREEN


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("ack x", CLIENT), ("incidents", CLIENT | SCREEN), ("show x", CLIENT | SCREEN)],
)
def test_a_command_that_asks_the_daemon_loads_an_http_client(line: str, wanted: set[str]) -> None:
    assert heavy(loaded(line)) == wanted
