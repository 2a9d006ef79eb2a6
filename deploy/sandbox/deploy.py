"""Deploy a release of the shop: deploy.py v2

Switches `shop/current` to `shop/releases/<release>` in one atomic step and restarts the shop.
That is all that many deployments without an orchestrator are; it knows nothing of Stopgap.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import shopctl


def deploy(release: str) -> None:
    """Make `release` the one that runs."""
    releases = shopctl.SHOP / "releases"
    known = sorted(folder.name for folder in releases.iterdir())
    if release not in known:
        sys.exit(f"deploy: there is no release {release!r}; there are: {', '.join(known)}")
    fresh = shopctl.SHOP / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("releases") / release)
    os.replace(fresh, shopctl.SHOP / "current")
    shopctl.restart()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("deploy: which release? Write it like: deploy.py v2")
    deploy(sys.argv[1])
