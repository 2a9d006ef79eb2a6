"""What a wheel and a source distribution hold, and that the wheel's command works elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
PACKAGES = ("daemon", "recovery_actions")
_BUILD = """
from setuptools import build_meta
print(build_meta.build_sdist("dist"))
print(build_meta.build_wheel("dist"))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution and the wheel, built of a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in (*PACKAGES, "deploy"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TREE / name, copy / name, ignore=ignored, symlinks=True)
    for file in TREE.iterdir():
        if file.is_file():
            shutil.copy(file, copy)
    made = subprocess.run(
        [sys.executable, "-c", _BUILD], cwd=copy, capture_output=True, text=True, check=True
    )
    sdist, wheel = (line for line in made.stdout.splitlines() if line.startswith("stopgap-"))
    return copy / "dist" / sdist, copy / "dist" / wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel is unpacked."""
    folder = tmp_path_factory.mktemp("site")
    shutil.unpack_archive(built[1], folder, "zip")
    return folder


def of_the_tree() -> set[str]:
    """All files of the product, as paths in a distribution; a link's files stand in its place."""
    found = set()
    for package in PACKAGES:
        for folder, _, names in os.walk(TREE / package, followlinks=True):
            if not folder.endswith("__pycache__"):
                found |= {str((Path(folder) / name).relative_to(TREE)) for name in names}
    return found


def test_the_wheel_has_all_that_the_product_is_made_of(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == of_the_tree()


def test_the_source_distribution_can_be_built_from(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert of_the_tree() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "deploy/constraints.txt"} <= names


def stopgap(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The wheel's command, run in that folder."""
    line = "from daemon import cli; print(cli.__file__, flush=True); cli.main()"
    return subprocess.run(
        [sys.executable, "-c", line, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_command_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    """What `init` writes comes from the wheel, and `check` takes it."""
    version = stopgap(installed, tmp_path, "--version")
    place, said = version.stdout.splitlines()
    assert Path(place).is_relative_to(installed)
    assert said == f"stopgap, version {_version()}"
    written = stopgap(installed, tmp_path, "init")
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "stopgap.yaml").is_file()
    checked = stopgap(installed, tmp_path, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_demos_rules_hold_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    checked = stopgap(installed, tmp_path, "check", str(TREE / "rules"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _version() -> str:
    lines = (TREE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("version = "))
