"""Checks of who else on this machine can read or change what is ours: the store, the settings,
the roster, the approvals."""

from __future__ import annotations

import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from daemon.adapters.store.file_modes import folder_open, found_open, mend, shown_mode
from daemon.cli.client import DEFAULT_CONFIG
from daemon.cli.doctor.context import Installation
from daemon.config.rules_folder import APPROVALS, ROSTER
from daemon.onboarding.findings import Finding, good, warning, wrong

_SECRET = re.compile(r"\$argon2id\$v=|://[^/\s:@]*:[^/\s@]+@")
"""The hash of a password, or credentials in an address; other secrets are named, not written."""


async def check_files(installation: Installation) -> AsyncIterator[Finding]:
    """Whether only our own user reads the store, and nobody else decides what is run."""
    well = True
    for finding in (*_store(installation.settings.beside_store), *_configuration(installation)):
        well = False
        yield finding
    if well:
        yield good("files", "nobody else on this machine can read the store or change the settings")


def _store(path: Path) -> list[Finding]:
    if not path.parent.is_dir():
        return []  # the check of the store says so
    found = []
    files = found_open(path)
    if files:
        text = (
            f"others on this machine can read {', '.join(map(shown_mode, files))}, which hold the"
        )
        text = f"{text} keys that sign links"
        how = f"{mend(files)}, as their owner or root; then: stopgap keys rotate --revoke"
        found.append(wrong("files", text, how))
    if folder_open(path):
        text = f"others can write in {path.parent}, and so put another store there"
        found.append(warning("files", text, f"chmod go-w {path.parent}"))
    if path.exists() and path.stat().st_nlink > 1:
        text = f"{path} has more than one name (hard links)"
        how = "remove the others: who opens it by another does not see the latest entries"
        found.append(warning("files", text, how))
    return found


def _configuration(installation: Installation) -> list[Finding]:
    rules, found = installation.settings.rules_dir, []
    config = installation.config or installation.settings.base / DEFAULT_CONFIG
    for path in (config, rules / ROSTER, rules / APPROVALS):
        if not path.is_file():
            continue
        mode = path.stat().st_mode
        if mode & stat.S_IWOTH:
            text = f"anybody on this machine can change {path}, and so what is run for whom"
            found.append(wrong("files", text, f"chmod o-w {path}"))
        if mode & stat.S_IROTH and _SECRET.search(path.read_text(errors="replace")):
            text = f"anybody on this machine can read {path}, which holds credentials or the hash"
            how = f"chmod o-r {path}, and let the daemon's group read it"
            found.append(warning("files", f"{text} of a password", how))
    return found
