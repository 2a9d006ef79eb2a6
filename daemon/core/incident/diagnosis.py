"""The diagnosis of an incident as it stands: its dossier, hypotheses, findings of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from daemon.core.incident import events as e
from daemon.core.incident.dossier import DiagnosisFinding, Dossier, HypothesisState


@dataclass(frozen=True)
class Hypothesis:
    """What may be the cause. `evidence`: what speaks for it or against it, the oldest first.

    `made_by` is empty if the daemon made it.
    """

    name: str
    text: str
    state: HypothesisState = "open"
    made_by: str = ""
    owner: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class IncidentDiagnosis:
    """All of it. `gathered`: how many dossiers there were; `dossier` is the last of them.

    `needed`: the teams that were asked for, with whoever asks and why.
    """

    ordered_at: datetime | None = None
    ordered_by: str = ""
    dossier: Dossier | None = None
    dossier_at: datetime | None = None
    gathered: int = 0
    hypotheses: Mapping[str, Hypothesis] = field(default_factory=dict)
    findings: tuple[DiagnosisFinding, ...] = ()
    needed: Mapping[str, e.HelpRequested] = field(default_factory=dict)

    @property
    def likeliest(self) -> Hypothesis | None:
        """The hypothesis to look at first: the first that is supported, else the first open one."""
        for state in ("supported", "open"):
            for one in self.hypotheses.values():
                if one.state == state:
                    return one
        return None

    @property
    def next_name(self) -> str:
        """What the next hypothesis is called."""
        return f"h{len(self.hypotheses) + 1}"
