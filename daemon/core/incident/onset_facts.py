"""What other incidents need to know of one to tell whether both have the same cause."""

from __future__ import annotations

from typing import Annotated, Literal

from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import ProblemVerdict
from daemon.core.values.units import AnyVersion, Frozen, Moment


class OnsetFacts(Frozen):
    """How an incident was measured, since when it fails, and what is suspected.

    `verdict` is empty while nothing was measured. The onset lies in [onset_from, onset_until],
    both None while it is not known. `suspect` is the target of the suspect change, if there is
    one; `recovered_at` None unless it is recovered.
    """

    verdict: Annotated[ProblemVerdict, AnyVersion] | Literal[""] = ""
    onset_from: Moment | None = None
    onset_until: Moment | None = None
    suspect: str = ""
    recovered_at: Moment | None = None


def onset_facts(incident: Incident) -> OnsetFacts:
    """The facts of an incident as it stands."""
    problem, confirmed = incident.confirmed or incident.problem, incident.confirmed
    begin, end = confirmed.onset_bounds if confirmed else (None, None)
    suspect = incident.suspicion.change if incident.suspicion else None
    return OnsetFacts(
        verdict=problem.verdict if problem else "",
        onset_from=begin,
        onset_until=end,
        suspect=suspect.aim if suspect else "",
        recovered_at=incident.recovered_at,
    )
