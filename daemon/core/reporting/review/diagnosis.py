"""What was found out about the cause: findings with what shows them, hypotheses, and the gaps."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident.diagnosis import Hypothesis, IncidentDiagnosis
from daemon.core.incident.dossier import DiagnosisFinding
from daemon.core.incident.state import Incident
from daemon.core.reporting.review.document import (
    Block,
    Bullets,
    Grid,
    Literally,
    Paragraph,
    Section,
)
from daemon.core.values.units import clock_time

MOST_OF_OTHERS = 30
"""So many findings of others stand in the review, the newest; `stopgap dossier` has them all."""
_MOST_EVIDENCE = 5
"""So many pieces of evidence stand beside a hypothesis, the newest."""


def diagnosis_section(incident: Incident) -> Section:
    """The diagnosis as it stands."""
    return Section("Diagnosis", tuple(_blocks(incident)))


def _blocks(incident: Incident) -> Iterator[Block]:
    known = incident.causes
    if known.likeliest is not None:
        one = known.likeliest
        yield Paragraph(f"{_state(one)}: {one.text}", strong=True)
    yield Paragraph(_compared(known))
    yield from _findings(incident)
    if known.hypotheses:
        rows = tuple(_hypothesis(one) for one in known.hypotheses.values())
        yield Grid(("", "Hypothesis", "State", "Owner", "Evidence"), rows)
    if known.dossier is not None and known.dossier.limits:
        yield Paragraph("Not looked at:")
        yield Bullets(known.dossier.limits)


def _compared(known: IncidentDiagnosis) -> str:
    dossier = known.dossier
    if dossier is None or known.dossier_at is None:
        return "No dossier was gathered."
    text = f"Dossier gathered at {clock_time(known.dossier_at)}: {clock_time(dossier.begin)} to "
    text += clock_time(dossier.end)
    if dossier.baseline_from is not None and dossier.baseline_until is not None:
        text += f" compared with {clock_time(dossier.baseline_from)} to "
        text += clock_time(dossier.baseline_until)
    return f"{text}; {dossier.queries} queries."


def _findings(incident: Incident) -> Iterator[Block]:
    known = incident.causes
    own = known.dossier.findings if known.dossier is not None else ()
    others = known.findings[-MOST_OF_OTHERS:]
    found = [*own, *others]
    if not found:
        return
    rows = tuple(_finding(number, one) for number, one in enumerate(found, 1))
    yield Grid(("", "Finding", "Found by"), rows)
    left = len(known.findings) - len(others)
    if left:
        yield Paragraph(
            f"And {left} earlier ones of others; stopgap dossier {incident.id} has all."
        )
    shown = tuple(f"{number}: {one.query}" for number, one in enumerate(found, 1) if one.query)
    if shown:
        yield Paragraph("The queries that show them, by their numbers:")
        yield Literally(shown)


def _finding(number: int, one: DiagnosisFinding) -> tuple[str, ...]:
    return str(number), one.describe(), one.source


def _hypothesis(one: Hypothesis) -> tuple[str, ...]:
    evidence = "; ".join(one.evidence[-_MOST_EVIDENCE:])
    return one.name, one.text, one.state.replace("_", " "), one.owner or "–", evidence or "–"


def _state(one: Hypothesis) -> str:
    return "Supported" if one.state == "supported" else "Likeliest, and still open"
