"""The check of the certificate that this daemon proves itself with."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator

from daemon import app
from daemon.cli.doctor.context import Installation
from daemon.onboarding.findings import Finding, good, warning, wrong
from daemon.web.serving.tls import read_papers


async def check_certificate(installation: Installation) -> AsyncIterator[Finding]:
    """Whether the files fit together, until when they hold, and who can read the key."""
    files = installation.settings.tls.files(installation.settings.base)
    if files is None:
        return
    papers, now = read_papers(files), app.now()
    aging = papers.aging(now)
    if now >= papers.ends_at:
        yield wrong("tls", aging, "renew it; the daemon reads it by itself")
    elif aging:
        yield warning("tls", aging, "renew it; the daemon reads it by itself")
    else:
        names = ", ".join(papers.names)
        yield good("tls", f"the certificate of {names} holds until {papers.ends_at:%Y-%m-%d}")
    if files.key.stat().st_mode & stat.S_IROTH:
        yield warning(
            "tls", f"anybody on this machine can read {files.key}", f"chmod o-r {files.key}"
        )
