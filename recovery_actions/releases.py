"""A folder of releases, as Capistrano lays it out: which one is live, and switching it.

    shop/releases/v1/  shop/releases/v2/  shop/current → releases/v2

Everything here but ReleaseWatch is blocking.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import AfterValidator

from daemon.core.changes.suspects import Change
from daemon.core.rules.label_names import named_parts
from daemon.core.rules.query_templates import names_in
from daemon.core.values.outcome import Temporary
from daemon.core.values.units import Frozen
from recovery_actions.commands import without_controls
from recovery_actions.workshop import Workshop

LOCK_FILE = ".stopgap.lock"
STATE_FILE = ".stopgap-rollback.json"
_NEW_LINK = ".stopgap-current"
_NEW_STATE = ".stopgap-rollback.json.new"

_Phase = Literal["linked", "restarted"]
"""How far a rollback is. `linked` is written before the switch: the link says whether it came."""


def _directory(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; name the folder that holds `releases` and `current`")
    if ".." in without_controls(text).split("/"):
        raise ValueError("it holds `..`; write the path without")
    return text


DirectoryText = Annotated[str, AfterValidator(_directory)]


def release_target(directory: str) -> str:
    """The target key of a folder of releases: 'release:' and the path as written, normalised."""
    path = os.path.normpath(directory)
    # POSIX keeps exactly two leading slashes apart; Linux does not, and one folder is one target.
    return "release:" + ("/" + path.lstrip("/") if path.startswith("/") else path)


class ReleaseDirectory:
    """One folder of releases on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._current = path / "current"
        self._releases = path / "releases"

    def live(self) -> str:
        """The name of the release that `current` points to; empty if it points to none."""
        try:
            head, name = os.path.split(os.readlink(self._current).rstrip("/"))
        except OSError:
            return ""
        # Both may go through links of their own: `releases` on another disk is common.
        inside = os.path.realpath(self.path / head) == os.path.realpath(self._releases)
        return name if inside and _is_name(name) else ""

    def fault(self) -> str:
        """Why `live` finds nothing, in words."""
        if not os.path.lexists(self._current):
            return f"{self.path} has no link `current` (or we may not see it)"
        if not os.path.islink(self._current):
            return f"{self._current} is not a symbolic link"
        points_to = os.readlink(self._current)
        return f"{self._current} points to {points_to}, which is no release in {self._releases}"

    def has(self, name: str) -> bool:
        """Whether there is a release of that name."""
        return _is_name(name) and os.path.isdir(self._releases / name)

    def lock(self) -> IO[bytes]:
        """Take the folder's lock, held until the file is closed.

        Raises BlockingIOError if another process holds it, or another OSError.
        """
        held = open(self.path / LOCK_FILE, "ab")  # noqa: SIM115 (closing it gives back the lock)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held.close()
            raise
        return held

    def switch(self, before: str, after: str) -> bool:
        """Point `current` to another release, atomically and durably.

        False, and nothing is changed, if `current` does not point to `before` any more. Raises
        OSError. A deployment tool that does not take our lock can still slip in between the
        look and the rename; the file system offers no way to close that gap of microseconds.
        """
        new = self.path / _NEW_LINK
        new.unlink(missing_ok=True)
        head = os.path.dirname(os.readlink(self._current).rstrip("/"))  # stay relative, or absolute
        new.symlink_to(os.path.join(head, after))
        if self.live() != before:
            new.unlink()
            return False
        os.replace(new, self._current)
        self._sync()
        return True

    def write_phase(
        self, token: str, before: str, after: str, phase: _Phase, running: str = ""
    ) -> None:
        """Remember how far the rollback of that token is, atomically and durably. `running`: the
        mark of the restart that is at work."""
        state = {"token": token, "from": before, "to": after, "phase": phase}
        if running:
            state["running"] = running
        new = self.path / _NEW_STATE
        with new.open("w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path / STATE_FILE)
        self._sync()

    def phase(self, token: str) -> _Phase | None:
        """How far the rollback of that token is; None if it has left no trace."""
        state = self._state(token)
        if state is None:
            return None
        return "restarted" if state.get("phase") == "restarted" else "linked"

    def running(self, token: str) -> str:
        """The mark of the restart that the rollback of that token began last; empty if none."""
        return str((self._state(token) or {}).get("running", ""))

    def _state(self, token: str) -> dict[str, Any] | None:
        try:
            state = json.loads((self.path / STATE_FILE).read_text())
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) and state.get("token") == token else None

    def _sync(self) -> None:
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _fitting(
    folder: Path, part: str, values: Mapping[str, str]
) -> list[tuple[Path, dict[str, str]]]:
    """The folders in `folder` whose name fits the part of a path with `$names` in it, each with
    the values that they have by then."""
    if not names_in(part):
        return [(folder / part, dict(values))] if (folder / part).is_dir() else []
    pattern, new = "", list[str]()
    for literal, name in named_parts(part):
        if name in values:
            pattern += re.escape(values[name])
        elif name in new:
            pattern += f"(?:\\{new.index(name) + 1})"
        elif name:
            new.append(name)
            pattern += "(.+)"
        else:
            pattern += re.escape(literal)
    fits = ((entry, re.fullmatch(pattern, entry.name)) for entry in sorted(folder.iterdir()))
    return [
        (entry, {**values, **dict(zip(new, fit.groups(), strict=True))})
        for entry, fit in fits
        if fit is not None and entry.is_dir()
    ]


def _is_name(name: str) -> bool:
    """Whether this is one plain path component; names may come from a journal, or a label."""
    return name not in ("", ".", "..") and not any(c == "/" or ord(c) < 0x20 for c in name)


class ReleaseWatch:
    """Sees which release of a folder is live, and since when. `directory` as in the action."""

    class Params(Frozen):
        """The folder with `releases/` and `current`."""

        directory: DirectoryText

    def __init__(self, params: Params, workshop: Workshop) -> None:
        self._subject = release_target(params.directory)
        self._path = workshop.base / params.directory

    @staticmethod
    def existing(params: Mapping[str, Any], base: Path) -> list[dict[str, str]]:
        """What the `$names` of `directory` stand for in the folders of releases that exist, as
        `daemon.core.ports.changes.ListsTargets` has it. Raises Temporary."""
        parts = Path(str(params.get("directory", ""))).parts
        found: list[tuple[Path, dict[str, str]]] = [(base, {})]
        try:
            for part in parts:
                found = [fit for path, values in found for fit in _fitting(path, part, values)]
            return [values for path, values in found if os.path.islink(path / "current")]
        except OSError as error:
            where = error.filename or base
            raise Temporary(f"cannot list the folders in {where}: {error.strerror}") from error

    async def look(self) -> Sequence[Change]:
        """The live release, dated by its link; nothing without one. Raises Temporary."""
        seen = await asyncio.to_thread(self._look)
        return () if seen is None else (seen,)

    def _look(self) -> Change | None:
        link = self._path / "current"
        releases = ReleaseDirectory(self._path)
        try:
            seen = link.lstat()
            item = releases.live()
            again = link.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Temporary(f"cannot look at {link}: {error.strerror}") from error
        if (seen.st_ino, seen.st_mtime_ns) != (again.st_ino, again.st_mtime_ns):
            # Dating the new release by the old link would put the blame on the wrong one.
            raise Temporary(f"{link} is being switched right now")
        if not item:
            return None
        at = datetime.fromtimestamp(seen.st_mtime, UTC)
        return Change(subject=self._subject, item=item, at=at, seen_by="releases")
