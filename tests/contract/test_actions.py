"""The table of actions: our own, and those of installed packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.core.values.outcome import Permanent
from recovery_actions import catalogue
from recovery_actions.workshop import Workshop

FLAG = """
class Params(__import__("pydantic").BaseModel):
    pass
class Flag:
    name = {name!r}
    Params = Params
    def __init__(self, workshop):
        self.workshop = workshop
    def allowed(self, params): return None
    def target(self, params): return "flag:checkout"
    async def preflight(self, params, context): ...
    async def run(self, params, intent, context): ...
    async def check(self, params, intent, context): ...
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package with an action: its module's name, source, and the object to name."""

    def install(module: str, source: str, factory: str = "Flag") -> None:
        site = tmp_path / f"site-{module}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[stopgap.actions]\nflag = {module}:{factory}\n")
        monkeypatch.syspath_prepend(str(site))

    return install


def test_the_table_names_the_built_in_actions(tmp_path: Path) -> None:
    actions = catalogue(Workshop(tmp_path))
    assert {name: action.name for name, action in actions.items()} == {
        name: name
        for name in (
            "argo_rollouts_abort",
            "argocd_rollback",
            "git_revert",
            "helm_rollback",
            "http_call",
            "kubernetes_restart",
            "kubernetes_rollback",
            "kubernetes_scale",
            "release_rollback",
            "run_command",
        )
    }


def test_parameters_have_a_schema_for_editors(tmp_path: Path) -> None:
    for action in catalogue(Workshop(tmp_path)).values():
        assert action.Params.model_json_schema()["additionalProperties"] is False


def test_an_installed_package_adds_its_action(install: Any, tmp_path: Path) -> None:
    install("acme_flag", FLAG.format(name="feature_flag"))
    workshop = Workshop(tmp_path)
    action: Any = catalogue(workshop)["feature_flag"]
    assert action.target(action.Params()) == "flag:checkout"
    assert action.workshop is workshop


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("acme_clash", FLAG.format(name="run_command"), "an action named run_command already"),
        ("acme_syntax", "def", "is broken: SyntaxError"),
        ("acme_import", "import no_such_module", "is broken: ModuleNotFoundError"),
        ("acme_lacks", "", "is broken: AttributeError"),
        ("acme_raises", "def Flag(workshop): raise OSError('no disk')", "OSError: no disk"),
        ("acme_nameless", FLAG.format(name=""), "`name` is not a text"),
        ("acme_model", FLAG.format(name="f") + "    Params = dict", "not a pydantic model"),
        ("acme_method", FLAG.format(name="f") + "    check = None", "no method check"),
    ],
)
def test_a_broken_package_is_named(
    install: Any, tmp_path: Path, module: str, source: str, message: str
) -> None:
    install(module, source)
    with pytest.raises(Permanent) as caught:
        catalogue(Workshop(tmp_path))
    assert message in str(caught.value)
    assert f"entry point flag = {module}:Flag of {module}" in str(caught.value)
