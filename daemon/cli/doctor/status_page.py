"""Check of the public status page: whether it would be written, and says what it is meant to."""

from __future__ import annotations

from collections.abc import AsyncIterator

from daemon.cli.doctor.context import Installation
from daemon.core.reporting.status_page.model import audience_trouble
from daemon.onboarding.findings import Finding, good, warning, wrong

_PLACE = "status page"


async def check_status_page(installation: Installation) -> AsyncIterator[Finding]:
    """Whether its audience and its parts are there; nothing if no page is kept."""
    chosen, roster = installation.settings.status_page, installation.roster
    if chosen.folder is None or roster is None:
        return
    trouble = audience_trouble(roster, chosen.audience)
    if trouble:
        yield wrong(_PLACE, trouble, "mend it: the daemon does not start so")
        return
    known = {*roster.teams, *(rule.rule for rule in installation.rules)}
    for name, of in chosen.components.items():
        strangers = sorted(set(of) - known)
        if strangers:
            text = f"no team and no rule is called {', '.join(strangers)}, so {name} has no problem"
            yield warning(_PLACE, f"{text} of theirs", f"mend `status_page.components.{name}`")
    folder = installation.settings.base / chosen.folder
    yield good(_PLACE, f"it is written into {folder}, from the updates to {chosen.audience}")
