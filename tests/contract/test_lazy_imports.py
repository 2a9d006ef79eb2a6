"""What is not asked for is not loaded: the start waits for none of it, and no memory holds it."""

from __future__ import annotations

from pathlib import Path

from tests.interpreter import TREE, run_code

NOT_CONFIGURED = {
    "alembic",
    "apprise",
    "chardet",
    "charset_normalizer",
    "cryptography",
    "icalendar",
    "joserfc",
    "kubernetes_asyncio",
    "mcp",
    "opentelemetry",
    "psycopg",
    "rich",
    "slack_sdk",
    "sqlalchemy.dialects.postgresql",
}
NOBODY_LOOKS = {
    "jinja2",
    "daemon.drilling.played",
    "daemon.replaying",
    "daemon.web.api.docs",
    "daemon.web.api.schemas",
    "daemon.web.api.table",
    "daemon.web.rooms",
    "daemon.web.site.incident",
}
NO_RULE_NAMES = {
    "recovery_actions.argocd",
    "recovery_actions.git_revert",
    "recovery_actions.http_call",
    "recovery_actions.kubernetes",
    "recovery_actions.releases",
}
_SERVING = """
import os, signal, sys
from daemon.cli.server import run_command

class Stopped:  # as soon as the door is open
    def write(self, text):
        sys.__stderr__.write(text)
        if "listening" in text:
            os.kill(os.getpid(), signal.SIGTERM)
    def fileno(self): return 2
    def flush(self): ...
    def isatty(self): return False

sys.stderr = Stopped()
run_command.main([], standalone_mode=False)
print(*sys.modules)
"""
ROSTER = """\
people:
  ada: {name: Ada, contact: [{console: true}]}
policies:
  always: {tiers: [{notify: [ada], wait: 5m}]}
default_policy: always
teams:
  shop: {owners: [ada], policy: always}
"""


def loaded(code: str, folder: Path = TREE) -> set[str]:
    """The modules that a new interpreter has loaded when it has run this, which prints them."""
    done = run_code(code, folder=folder)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def found(names: set[str], modules: set[str]) -> set[str]:
    """Those of the names that are loaded, or any module below them."""
    return {name for name in names if any(f"{m}.".startswith(f"{name}.") for m in modules)}


def test_the_command_line_waits_for_no_library_but_its_own() -> None:
    modules = loaded("import sys, daemon.cli; print(*sys.modules)")
    large = {"aiohttp", "asyncio", "jinja2", "pydantic", "rich", "sqlalchemy", "structlog", "yaml"}
    assert found(large | NOT_CONFIGURED | {"daemon.app", "daemon.core"}, modules) == set()


def test_a_command_that_asks_the_daemon_does_not_load_it() -> None:
    code = "import sys, daemon.cli.incidents, daemon.cli.reports; print(*sys.modules)"
    assert found({"daemon.app", "aiohttp", "sqlalchemy", "structlog"}, loaded(code)) == set()


def test_no_garbage_is_looked_for_among_what_a_command_has_loaded() -> None:
    code = """
import gc
from daemon.cli import stopgap
seen = []
gc.callbacks.append(lambda phase, _: seen.append(len(gc.get_objects())))
stopgap.get_command(None, "run")
[[] for _ in range(1000)]
later = [[] for _ in range(1000)]  # more than the collector waits for
print(gc.isenabled(), bool(seen), all(count < 10_000 for count in seen))
"""
    assert loaded(code) == {"True"}


def test_a_daemon_has_nothing_of_what_is_not_configured(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    (tmp_path / "stopgap.yaml").write_text("listen: 127.0.0.1:0\n", encoding="utf-8")
    modules = loaded(_SERVING, tmp_path)
    assert "daemon.web.health" in modules
    assert found(NOT_CONFIGURED | NOBODY_LOOKS | NO_RULE_NAMES, modules) == set()


def test_no_validator_is_built_before_its_model_is_used() -> None:
    code = """
from daemon import app
from daemon.core.incident.events import Draft, Entry, IncidentOpened, build_validators
models = (Draft, Entry, IncidentOpened)
print(*(f"{model.__name__}-early" for model in models if model.__pydantic_complete__))
build_validators()
print(*(model.__name__ for model in models if model.__pydantic_complete__))
"""
    assert loaded(code) == {"Draft", "Entry", "IncidentOpened"}


def test_settings_are_read_by_one_validator_and_not_by_one_for_each_section() -> None:
    code = """
from daemon.config.settings import Settings, load_settings
settings = load_settings(None, {})
sections = [type(getattr(settings, name)) for name in Settings.model_fields]
print(Settings.__pydantic_complete__)
print(*(one.__name__ for one in sections if getattr(one, "__pydantic_complete__", False)))
"""
    assert loaded(code) == {"True"}
