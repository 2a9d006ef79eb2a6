"""What was found out about the cause: findings with what shows them, hypotheses, and the gaps."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident.diagnosis import Hypothesis, IncidentDiagnosis
from daemon.core.incident.dossier import DiagnosisFinding
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    Grid,
    Literally,
    Paragraph,
    Section,
)
from daemon.core.reporting.review.model import Review

MOST_OF_OTHERS = 30
"""So many findings of others stand in the review, the newest; `stopgap dossier` has them all."""
_MOST_EVIDENCE = 5
"""So many pieces of evidence stand beside a hypothesis, the newest."""


def diagnosis_section(review: Review) -> Section | None:
    """The diagnosis as it stands; None where nobody and nothing has looked for the cause."""
    blocks = tuple(_blocks(review))
    return Section("What was found out about the cause", blocks) if blocks else None


def _blocks(review: Review) -> Iterator[Block]:
    known = review.incident.causes
    yield from _compared(known, review)
    yield from _findings(known, review.incident.id)
    if known.hypotheses:
        rows = tuple(_hypothesis(one) for one in known.hypotheses.values())
        yield Grid(("No.", "What it may have been", "State", "Owner", "Evidence"), rows)
    if known.dossier is not None and known.dossier.limits:
        yield Paragraph("Not looked at:")
        yield Bullets(known.dossier.limits)


def _compared(known: IncidentDiagnosis, review: Review) -> Iterator[Block]:
    dossier = known.dossier
    if dossier is None or known.dossier_at is None:
        return
    when = review.when
    text = f"Stopgap looked into the time from {when(dossier.begin)} to {when(dossier.end)}"
    if dossier.baseline_from is not None and dossier.baseline_until is not None:
        usual = f"{when(dossier.baseline_from)} to {when(dossier.baseline_until)}"
        text += f", compared with {usual}"
    asked = "1 query" if dossier.queries == 1 else f"{dossier.queries} queries"
    yield Paragraph(f"{text} ({asked}).")


def _findings(known: IncidentDiagnosis, incident: str) -> Iterator[Block]:
    own = known.dossier.findings if known.dossier is not None else ()
    others = known.findings[-MOST_OF_OTHERS:]
    found = [*own, *others]
    if not found:
        return
    rows = tuple(_finding(number, one) for number, one in enumerate(found, 1))
    yield Grid(("No.", "Finding", "Found by"), rows)
    left = len(known.findings) - len(others)
    if left:
        yield Paragraph(f"And {left} earlier ones of others; stopgap dossier {incident} has all.")
    shown = tuple(f"{number}: {one.query}" for number, one in enumerate(found, 1) if one.query)
    if shown:
        yield Paragraph("The queries that show them, by their numbers:")
        yield Literally(shown)


def _finding(number: int, one: DiagnosisFinding) -> tuple[str, ...]:
    return str(number), one.describe(), one.source


def _hypothesis(one: Hypothesis) -> tuple[str, ...]:
    evidence = "; ".join(one.evidence[-_MOST_EVIDENCE:])
    return one.name, one.text, one.state.replace("_", " "), one.owner or "–", evidence or "–"
