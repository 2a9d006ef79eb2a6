"""When a dossier is gathered: once fast recovery has ended, or by the Commander's order.

Of a storm not all at once: hundreds of dossiers ask for the same curves, of a Prometheus that has
enough to do, and one person reads none of them.
"""

from __future__ import annotations

from daemon.core.decision import Decision, GatherDossier
from daemon.core.incident.state import Incident
from daemon.core.response.storm import Storm

MOST_DOSSIERS = 10
"""So many at the most are gathered for one incident: each is kept in its journal."""

FIRST_OF_A_STORM = 10
"""So many of a storm's open incidents, the oldest, are looked into while it goes on; each that
closes makes room for the next, and whatever was ordered is done."""


def dossier_due(incident: Incident, storm: Storm | None) -> Decision:
    """Gather it, if that is due; once for each time that it is.

    It is due once diagnosis is open or service restored, anew after a relapse, and whenever it was
    ordered; never before, for the metrics belong to recovery first.
    """
    known = incident.causes
    if incident.confirmed is None or incident.closed is not None or not incident.rule:
        return Decision()
    ended = incident.recovered_at is not None or (
        incident.diagnosis is not None
        and (storm is None or storm.is_among_first(incident, FIRST_OF_A_STORM))
    )
    if known.dossier_at is None:
        due = ended or known.ordered_at is not None
    else:
        again = incident.relapsed_at is not None and known.dossier_at < incident.relapsed_at
        ordered = known.ordered_at is not None and known.dossier_at < known.ordered_at
        due = (again and ended) or ordered
    if not due or known.gathered >= MOST_DOSSIERS:
        return Decision()
    return Decision(effects=(GatherDossier(),))
