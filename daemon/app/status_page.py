"""Builds what keeps the public status page."""

from __future__ import annotations

from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings
from daemon.core.reporting.status_page.model import StatusPageSpec
from daemon.instrumentation import Observer
from daemon.repository import IncidentRepository
from daemon.watching.status_page import WRITTEN_EVERY, StatusPageKeeper


def status_page_for(
    settings: Settings,
    repository: IncidentRepository,
    active: Live[ActiveConfig],
    observer: Observer,
) -> StatusPageKeeper | None:
    """The keeper; None without a folder. One whose audience is not public writes nothing, and says
    so in the log and after a reload: people are called all the same."""
    chosen = settings.status_page
    if chosen.folder is None:
        return None
    spec = StatusPageSpec(
        title=chosen.title,
        audience=chosen.audience,
        history=chosen.history,
        every=WRITTEN_EVERY,
        components=chosen.components,
    )
    return StatusPageKeeper(repository, active, spec, settings.base / chosen.folder, observer)
