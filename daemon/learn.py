"""Learn from what happened: write the review of a closed incident."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import structlog

from daemon.casebook import Casebook
from daemon.core.events import ReviewWritten
from daemon.core.outcome import Permanent, Temporary
from daemon.core.review import markdown

log = structlog.get_logger()

RECENT = 100
"""How many of the newest incidents a start looks through for a missing review."""


@dataclass(frozen=True)
class Reviews:
    """Where reviews are written, and how that folder is called in them."""

    folder: Path

    def path(self, incident: str) -> Path:
        """The file of one incident's review."""
        return self.folder / f"{incident}.md"


async def write_review(book: Casebook, incident: str, reviews: Reviews) -> None:
    """Write the review and journal where it is. Raises Temporary if it cannot be written."""
    entries = await book.journal.read(incident)
    path = reviews.path(incident)
    try:
        await asyncio.to_thread(_write, path, markdown(entries))
    except OSError as error:
        raise Temporary(f"cannot write the review {path.name}: {error.strerror}") from error
    written = ReviewWritten(path=f"{path.parent.name}/{path.name}")
    await book.record(incident, lambda i: () if i.review else (written,))


async def unreviewed(book: Casebook) -> list[str]:
    """Recently closed incidents whose review a crash prevented."""
    missing = []
    for head in await book.journal.heads(RECENT):
        if head.closed_at is None:
            continue
        try:
            if not (await book.load(head.incident)).review:
                missing.append(head.incident)
        except (Permanent, ValueError) as error:
            # An entry that this version cannot read; `stopgap audit verify` tells more.
            log.error("a closed incident is unreadable", incident=head.incident, error=str(error))
    return missing


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
