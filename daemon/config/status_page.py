"""The section `status_page` of stopgap.yaml: a page for the public, written to a folder."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from daemon.core.values.units import Duration, Frozen, parse_duration


class StatusPageSettings(Frozen):
    """`folder`: where `index.html` and `status.json` are written; None: no page. `audience`: whose
    updates it shows, public ones. `history`: for how long what is over stays on it. `components`:
    names that the public knows, each with the teams and rules whose problems are its own."""

    folder: Path | None = None
    title: str = Field(default="Service status", min_length=1, max_length=200)
    audience: str = "customers"
    history: Duration = Field(
        default=parse_duration("14d"), ge=timedelta(days=1), le=timedelta(days=90)
    )
    components: dict[str, tuple[str, ...]] = Field(default_factory=dict)
