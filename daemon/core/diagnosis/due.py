"""When a dossier is gathered: once fast recovery has ended, or by the Commander's order."""

from __future__ import annotations

from daemon.core.decision import Decision, GatherDossier
from daemon.core.incident.state import Incident

MOST_DOSSIERS = 10
"""So many at the most are gathered for one incident: each is kept in its journal."""


def dossier_due(incident: Incident) -> Decision:
    """Gather it, if that is due; once for each time that it is.

    It is due once diagnosis is open or service restored, anew after a relapse, and whenever it was
    ordered; never before, for the metrics belong to recovery first.
    """
    known = incident.causes
    if incident.confirmed is None or incident.closed is not None or not incident.rule:
        return Decision()
    ended = incident.diagnosis is not None or incident.recovered_at is not None
    if known.dossier_at is None:
        due = ended or known.ordered_at is not None
    else:
        again = incident.relapsed_at is not None and known.dossier_at < incident.relapsed_at
        ordered = known.ordered_at is not None and known.dossier_at < known.ordered_at
        due = (again and ended) or ordered
    if not due or known.gathered >= MOST_DOSSIERS:
        return Decision()
    return Decision(effects=(GatherDossier(),))
