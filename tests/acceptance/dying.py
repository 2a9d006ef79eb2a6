"""The daemon, that dies by kill -9 at an exact point of the journal.

Usage: dying.py before|after KIND run -c stopgap.yaml. It dies when an entry of that kind is
about to be written, or as soon as it is on disk. All the rest is the daemon as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from daemon.adapters.store import SqlJournal
from daemon.cli import main
from daemon.core.incident.events import Draft

_append = SqlJournal.append


def _die_at(when: str, kind: str) -> None:
    async def append(
        journal: SqlJournal,
        incident: str,
        expected: int,
        drafts: Sequence[Draft],
        *rest: Any,
        **more: Any,
    ) -> None:
        due = any(draft.event.kind == kind for draft in drafts)
        if due and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await _append(journal, incident, expected, drafts, *rest, **more)
        if due:
            os.kill(os.getpid(), signal.SIGKILL)

    SqlJournal.append = append  # type: ignore[method-assign]


if __name__ == "__main__":
    _die_at(sys.argv[1], sys.argv[2])
    del sys.argv[1:3]
    sys.exit(main())
