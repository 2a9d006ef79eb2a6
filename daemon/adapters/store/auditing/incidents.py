"""Is one incident as it was written: its entries, its head, and what it says of its steps?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from daemon.adapters.store.auditing.findings import DERIVED, Break
from daemon.adapters.store.auditing.replay import End
from daemon.adapters.store.column_types import to_stamp
from daemon.adapters.store.statements import storable
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event
from daemon.core.incident.onset_facts import onset_facts
from daemon.core.incident.state import Incident
from daemon.core.ports.journal import HEAD_TITLE_LENGTH, HeadState
from daemon.core.recovery.guardrails import service_of
from daemon.core.values.seal import Keyring, Seal, key_of, quoted

COLUMNS = 'incident, seq, at, "by", kind, format, body, digest'
HEAD_COLUMNS = (
    "incident",
    "key",
    "seq",
    "phase",
    "title",
    "severity",
    "opened_at",
    "closed_at",
    "rule",
    "team",
    "service",
    "verdict",
    "onset_from",
    "onset_until",
    "suspect",
    "recovered_at",
    "outcome",
    "pending",
)
_LEARNED = (e.ReviewWritten, *get_args(e.LearningEvent))
TELLING = frozenset(
    kind.__name__
    for kind in (
        e.IncidentOpened,
        e.ProblemDefined,
        e.ProblemReassessed,
        e.RecoveryMeasured,
        e.EvidenceTaken,
        e.IncidentPromoted,
        e.SeveritySet,
        e.IncidentAbsorbed,
        e.SplitFrom,
        e.TeamReassigned,
        e.Recovered,
        e.Relapsed,
        e.DiagnosisOpened,
        e.IncidentClosed,
        e.StepApproved,
        e.StepVetoed,
        e.StepSkipped,
        e.StepReopened,
        e.StepStarted,
        e.StepFinished,
        e.StepVerified,
        *_LEARNED,
    )
)
"""The kinds that a head is made of; to read the others too would take most of the time."""
TELLING_OF_CLOSED = frozenset(
    kind.__name__
    for kind in (
        e.IncidentOpened,
        e.ProblemDefined,
        e.ProblemReassessed,
        e.RecoveryMeasured,
        e.EvidenceTaken,
        e.IncidentPromoted,
        e.SeveritySet,
        e.IncidentAbsorbed,
        e.SplitFrom,
        e.TeamReassigned,
        e.Recovered,
        e.Relapsed,
        e.IncidentClosed,
        *_LEARNED,
    )
)
"""Those that the head of a closed incident is made of: its title with the newest numbers, its
severity, and how much is still to come of it."""

StoredRow = Sequence[Any]
"""COLUMNS, as they are stored."""


@dataclass
class IncidentAuditor:
    """Checks one incident after another; `starts` and `unknown` gather what concerns all."""

    keyring: Keyring
    starts: list[tuple[str, int, str, str]] = field(default_factory=list)
    """(incident, step, started_at, target) of each step that the entries say was started."""
    unknown: set[str] = field(default_factory=set)
    """Keys that digests were made with and that are not known here."""

    def check(
        self, incident: str, rows: Sequence[StoredRow], head: StoredRow | None, end: End | None
    ) -> list[Break]:
        """What is wrong with it. `rows` in the order of seq; `head` has the columns HEAD, and is
        None without a head row, as `end` is if the ledger does not know the incident."""
        found = [*self.check_entries(rows, end), *_lengths(rows, head, end)]
        breaks = [Break(incident, text) for text in found]
        if head is not None and not breaks:
            breaks += self._rebuilt(incident, rows, head)
        return breaks

    def check_entries(self, rows: Sequence[StoredRow], end: End | None) -> list[str]:
        """What is wrong with the entries, as far as there are any."""
        found = list(self._chain(rows))
        if not found and rows and end and rows[-1][1] == end.seq and rows[-1][7] != end.digest:
            found.append(f"its entries were rewritten: the ledger's row {end.number} has others")
        return found

    def _chain(self, rows: Sequence[StoredRow]) -> Iterator[str]:
        """Each entry is checked against the digest that the one before it has stored, so one
        edit is one break and not a break in all that follows."""
        last, previous, seal = 0, "", self.keyring.current
        for row in rows:
            seq, digest = row[1], row[7]
            if not isinstance(seq, int):
                yield f"an entry has {seq!r} for its number"
                continue
            if seq != last + 1:
                first, before = last + 1, seq - 1
                gone = f"entry {first}" if first == before else f"entries {first}…{before}"
                yield f"{gone} missing before entry {seq}"
            elif digest != _digest(seal, previous, row):  # nearly all are of the same key
                key = key_of(digest)
                other = self.keyring.find(key)
                if other is None:
                    self.unknown.add(key)
                elif digest != _digest(other, previous, row):
                    yield f"entry {seq} is not what was written"
                seal = other or seal
            last, previous = seq, digest

    def _rebuilt(
        self, incident: str, rows: Sequence[StoredRow], head: StoredRow
    ) -> Iterator[Break]:
        """The head as the entries make it, against the one that is stored."""
        if not rows or rows[0][4] != e.IncidentOpened.__name__:
            return
        folded: Incident | None = None
        closed_at = next((row[2] for row in rows if row[4] == e.IncidentClosed.__name__), None)
        telling = TELLING if closed_at is None else TELLING_OF_CLOSED
        # What a newer stopgap makes of its own entries is not known here.
        beyond = next(((row[1], row[4]) for row in rows if row[5] > e.FORMAT), None)
        for _, seq, at, by, kind, _, body, _ in rows:
            try:
                if kind == e.StepStarted.__name__:
                    started = json.loads(body)
                    self.starts.append((incident, started["step"], at, started["target"]))
                if beyond is not None or kind not in telling:
                    continue
                event, moment = e.decode(body), datetime.fromisoformat(at)
            except (ValueError, KeyError):
                beyond = (seq, kind)
                break
            if folded is None:
                folded = Incident(incident, moment, event, seq)  # type: ignore[arg-type]
            else:
                folded = apply_event(folded, moment, event, by)
        if beyond is not None:
            text = "entry {} ({}) is of another version, so its head cannot be checked"
            yield Break(incident, text.format(*beyond), "look again with the newest stopgap")
            return
        assert folded is not None  # noqa: S101 - the first row is an opening
        for name, value in _differences(folded, rows[0][2], closed_at, head):
            text = f"the head says {name} {head[HEAD_COLUMNS.index(name)]!r}, the journal {value!r}"
            yield Break(incident, text, DERIVED)


def _digest(seal: Seal, previous: str, row: StoredRow) -> str:
    """As `Seal.digest`, written out for these columns: this is most of the work."""
    incident, seq, at, by, kind, version, body, _ = row
    try:
        who = f"{quoted(incident)}, {seq}, {quoted(at)}, {quoted(by)}"
        return seal.of(f"[{quoted(previous)}, {who}, {quoted(kind)}, {version}, {quoted(body)}]")
    except TypeError:
        return ""  # not even text: that was not written by a daemon


def _lengths(rows: Sequence[StoredRow], head: StoredRow | None, end: End | None) -> Iterator[str]:
    """Whether entries, head and ledger speak of the same number of entries."""
    last = rows[-1][1] if rows else 0
    if head is None and not rows:
        if end is not None:
            yield f"all of it is missing: the ledger has {end.seq} entries (row {end.number})"
        return
    if head is None:
        yield f"the head row is missing; the journal holds {last} entries"
    elif head[2] != last:
        yield f"the head says {head[2]} entries, the journal ends with entry {last}"
    if end is None:
        yield "the ledger does not know it: it was put there by something else than the daemon"
    elif end.seq != last and (head is None or head[2] != end.seq):
        yield (
            f"the ledger says {end.seq} entries (row {end.number}), the journal ends with "
            f"entry {last}"
        )


def _differences(
    folded: Incident, opened_at: str, closed_at: str | None, head: StoredRow
) -> Iterator[tuple[str, Any]]:
    """The columns of the head that are not what they should be, with what they should be."""
    opened, state = folded.opened, HeadState.of(folded, None)
    expected: dict[str, Any] = {
        "key": opened.key,
        "phase": state.phase,
        "title": state.title,
        "severity": state.severity,
        "opened_at": opened_at,
        "closed_at": closed_at,
        "rule": opened.rule,
        "team": opened.team,
        "service": service_of(opened.key),
    }
    stored = dict(zip(HEAD_COLUMNS, head, strict=True))
    if stored["title"] == storable(
        folded.statement[:HEAD_TITLE_LENGTH]
    ):  # as earlier versions wrote it
        del expected["title"]
    if stored["outcome"] is not None:  # of an earlier version, too
        expected["pending"] = state.pending
    if stored["verdict"]:  # heads of an earlier version have nothing of this
        facts = {
            name: to_stamp(value) if isinstance(value, datetime) else value
            for name, value in onset_facts(folded)
        }
        expected |= facts
    for name, value in expected.items():
        if storable(stored[name]) != storable(value):
            yield name, value
