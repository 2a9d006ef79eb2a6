"""The build to compare with: `make storms BASE=REVISION`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import TREE


@pytest.fixture
def base(tmp_path: Path) -> Iterator[tuple[str, Path] | None]:
    """The revision to compare with, and a folder with its code; None if none is named."""
    revision = os.environ.get("BENCH_BASE", "")
    if not revision:
        yield None
        return
    tree = tmp_path / "base"
    _git("worktree", "add", "--detach", "-f", str(tree), revision)
    yield revision, tree
    _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    command = ["git", "-C", str(TREE), *arguments]
    subprocess.run(command, check=True, capture_output=True)
