"""Code in an interpreter of its own, where what it loads and prints is its own too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]


def run_code(
    code: str, *arguments: str, folder: Path = TREE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it in that folder, with this tree and these variables besides; how it ended."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TREE), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
