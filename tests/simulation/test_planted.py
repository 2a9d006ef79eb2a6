"""The planted bugs fit the tree as it is: a patch that has rotted would prove nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.simulation.planted_bugs import ROOT, patches, stretch_of
from tests.simulation.stretches import ADDED, STRETCHES

PLANTED = patches()


def test_there_are_ten_of_them_at_least() -> None:
    assert len(PLANTED) >= 10
    numbers = [int(path.name.partition("-")[0]) for path in PLANTED]
    assert numbers == list(range(1, len(PLANTED) + 1))


def test_a_stretch_is_aimed_at_each_of_them() -> None:
    names = {stretch.__name__.removeprefix("_") for stretch in (*STRETCHES, *ADDED.values())}
    assert {stretch_of(patch) for patch in PLANTED} <= names


@pytest.mark.parametrize("patch", PLANTED, ids=lambda path: path.stem)
def test_it_fits_the_product_alone_and_is_a_program_still(patch: Path, tmp_path: Path) -> None:
    changed = [
        line.removeprefix("+++ b/")
        for line in patch.read_text().splitlines()
        if line.startswith("+++ ")
    ]
    assert changed
    assert all(name.startswith("daemon/") for name in changed), "a test is no place for a bug"
    for name in changed:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((ROOT / name).read_text())
    command = ["patch", "-s", "-p1", "-F0", "-d", str(tmp_path), "-i", str(patch)]
    applied = subprocess.run(command, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, f"{patch.name} has rotted: {applied.stdout}{applied.stderr}"
    for name in changed:
        compile((tmp_path / name).read_text(), name, "exec")
