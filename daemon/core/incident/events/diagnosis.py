"""What can have happened to the diagnosis: a dossier gathered, hypotheses, findings of others."""

from __future__ import annotations

from abc import ABC
from typing import Annotated, ClassVar, Literal

from daemon.core.incident.dossier import DiagnosisFinding, Dossier, HypothesisState
from daemon.core.incident.events.base import BaseEvent, EventGroup
from daemon.core.values.units import AnyVersion, printable


class _AboutDiagnosis(BaseEvent, ABC):
    group: ClassVar[EventGroup] = "diagnosis"


class DiagnosisOrdered(_AboutDiagnosis):
    """The Commander wants the dossier gathered now, whatever recovery does; or once more."""

    kind: Literal["DiagnosisOrdered"] = "DiagnosisOrdered"
    person: str
    reason: str = ""

    def describe(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.person} has the dossier of the diagnosis gathered{why}"


class DossierGathered(_AboutDiagnosis):
    """What the metrics, the journal and Alertmanager's alerts tell of the cause."""

    kind: Literal["DossierGathered"] = "DossierGathered"
    dossier: Dossier

    def describe(self) -> str:
        found, leading = self.dossier.findings, self.dossier.leading
        if leading is None:
            why = f" ({self.dossier.limits[0]})" if self.dossier.limits else ""
            return printable(f"dossier gathered: nothing was found{why}")
        more = f", and {len(found) - 1} more findings" if len(found) > 1 else ""
        return printable(f"dossier gathered: {leading.text}{more}")


class HypothesisAdded(_AboutDiagnosis):
    """What may be the cause. `person` is empty if the daemon made it from its findings.

    `evidence`: what speaks for it, each with its query where there is one.
    """

    kind: Literal["HypothesisAdded"] = "HypothesisAdded"
    hypothesis: str
    text: str
    person: str = ""
    owner: str = ""
    evidence: tuple[str, ...] = ()

    def describe(self) -> str:
        by = f" by {self.person}" if self.person else ""
        return printable(f"hypothesis {self.hypothesis}{by}: {self.text}")


class HypothesisJudged(_AboutDiagnosis):
    """A hypothesis is supported, ruled out, or open again."""

    kind: Literal["HypothesisJudged"] = "HypothesisJudged"
    hypothesis: str
    state: Annotated[HypothesisState, AnyVersion]
    person: str
    evidence: str = ""

    def describe(self) -> str:
        what = {"ruled_out": "is ruled out", "open": "is open again"}.get(
            self.state, f"is {self.state}"
        )
        why = f": {self.evidence}" if self.evidence else ""
        return printable(f"hypothesis {self.hypothesis} {what} by {self.person}{why}")


class HypothesisAssigned(_AboutDiagnosis):
    """This person looks into the hypothesis."""

    kind: Literal["HypothesisAssigned"] = "HypothesisAssigned"
    hypothesis: str
    owner: str

    def describe(self) -> str:
        return f"{self.owner} looks into hypothesis {self.hypothesis}"


class FindingAdded(_AboutDiagnosis):
    """Somebody outside, a person's script or an investigator, found something out.

    `hypothesis`: which one it speaks about; empty if about none.
    """

    kind: Literal["FindingAdded"] = "FindingAdded"
    finding: DiagnosisFinding
    hypothesis: str = ""

    def describe(self) -> str:
        about = f" about {self.hypothesis}" if self.hypothesis else ""
        source = printable(self.finding.source)
        return f"finding of {source}{about}: {self.finding.describe()}"


class HelpRequested(_AboutDiagnosis):
    """Whoever looks for the cause needs this team; the Commander decides, the Communicator
    knows."""

    kind: Literal["HelpRequested"] = "HelpRequested"
    team: str
    person: str
    reason: str

    def describe(self) -> str:
        return printable(f"{self.person} needs the team {self.team}: {self.reason}")


DiagnosisEvent = (
    DiagnosisOrdered
    | DossierGathered
    | HypothesisAdded
    | HypothesisJudged
    | HypothesisAssigned
    | FindingAdded
    | HelpRequested
)
