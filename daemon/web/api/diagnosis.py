"""The diagnosis of an incident over HTTP: its dossier, hypotheses, findings of others, help."""

from __future__ import annotations

import unicodedata

from pydantic import Field

from daemon.core.diagnosis.commands import (
    AddFinding,
    AddHypothesis,
    AssignHypothesis,
    JudgeHypothesis,
    OrderDiagnosis,
    RequestHelp,
)
from daemon.core.incident.dossier import (
    FINDING_LENGTH,
    QUERY_LENGTH,
    DiagnosisFinding,
    Dossier,
    HypothesisState,
)
from daemon.core.incident.events import DAEMON, METRICS
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.response.command import TEXT_LENGTH
from daemon.core.values.units import Frozen, printable
from daemon.web.api.incident_view import diagnosis_view
from daemon.web.api.operation import (
    ApiOperation,
    Call,
    IncidentPath,
    carried_out,
    do,
    incident_operation,
)
from daemon.web.api.people import ReasonBody
from daemon.web.api.schemas import DiagnosisView, IncidentAfter
from daemon.web.context import WebContext
from daemon.web.errors import HttpProblem

_TAG = "diagnosis"
_INVESTIGATOR = "investigator:"
"""The actor of a finding that came by a token of the scope `findings`, before the token's name;
none of the person's own deeds, so it is no sign of life of theirs."""


def _plain(name: str) -> str:
    """A name as readers take it: whoever is called `Ada ` or `ａｄａ` passes for ada."""
    visible = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return "".join(visible).strip().casefold()


class OneHypothesis(IncidentPath):
    """Which hypothesis of which incident, such as `h1`."""

    hypothesis: str = Field(max_length=20)


class HypothesisBody(Frozen):
    """What may be the cause, and who looks into it; left out, whoever puts it down."""

    text: str = Field(pattern=r"\S", max_length=TEXT_LENGTH)
    owner: str = Field(default="", max_length=100)


class HypothesisJudgement(Frozen):
    """What is thought of a hypothesis now, and why."""

    state: HypothesisState
    evidence: str = Field(default="", max_length=TEXT_LENGTH)


class HypothesisOwner(Frozen):
    """Who looks into it; left out, whoever asks."""

    person: str = Field(default="", max_length=100)


class FindingBody(Frozen):
    """What an investigator has found: in a sentence, with where that can be looked up.

    `hypothesis`: which one it speaks about.
    """

    source: str = Field(pattern=r"\S", max_length=100)
    text: str = Field(pattern=r"\S", max_length=FINDING_LENGTH)
    query: str = Field(default="", max_length=QUERY_LENGTH)
    link: str = Field(default="", max_length=500, pattern=r"^(https?://\S+)?$")
    hypothesis: str = Field(default="", max_length=20)


class FindingTaken(Frozen):
    """The finding stands in the timeline; `seq` is how far the incident is."""

    seq: int


class HelpBody(Frozen):
    """Which team is needed, and for what."""

    team: str = Field(max_length=100)
    reason: str = Field(pattern=r"\S", max_length=TEXT_LENGTH)


class WholeDiagnosis(Frozen):
    """The diagnosis, and the last dossier with all its numbers and curves."""

    diagnosis: DiagnosisView
    dossier: Dossier | None


class DiagnosisOperations:
    """The rows."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        one, hypothesis = "/api/v1/incidents/{id}", "hypotheses/{hypothesis}"
        found = {
            "source": "holmesgpt",
            "text": "the pod checkout-7f is out of memory every two minutes",
            "link": "https://grafana.example/d/memory",
            "hypothesis": "h1",
        }
        return [
            ApiOperation("GET", f"{one}/diagnosis", self.show, "viewer", _TAG),
            incident_operation(
                "POST", "diagnosis", self.order, _TAG, example={"reason": "recovery takes long"}
            ),
            incident_operation(
                "POST", "hypotheses", self.add, _TAG, example={"text": "the disk is full"}
            ),
            incident_operation(
                "POST",
                f"{hypothesis}/judgement",
                self.judge,
                _TAG,
                example={"state": "ruled_out", "evidence": "the disk is half empty"},
            ),
            incident_operation(
                "POST", f"{hypothesis}/owner", self.assign, _TAG, example={"person": "bo"}
            ),
            incident_operation(
                "POST",
                "help",
                self.request_help,
                _TAG,
                example={"team": "database", "reason": "slow queries"},
            ),
            ApiOperation(
                "POST",
                f"{one}/findings",
                self.find,
                "anybody",
                _TAG,
                status=201,
                errors=(403, 409),
                guarded=True,
                tagged=True,
                example=found,
            ),
        ]

    async def show(self, call: Call[IncidentPath, None, None]) -> WholeDiagnosis:
        """What is known of the cause: the dossier, hypotheses, and findings of others."""
        incident = await self._context.repository.load(call.at.id)
        view = diagnosis_view(incident)
        return WholeDiagnosis(diagnosis=view, dossier=incident.causes.dossier)

    async def order(self, call: Call[IncidentPath, None, ReasonBody]) -> IncidentAfter:
        """Have the dossier gathered, as the Commander: before recovery has ended, or once more."""
        return await do(self._context, call, OrderDiagnosis(call.sent.reason))

    async def add(self, call: Call[IncidentPath, None, HypothesisBody]) -> IncidentAfter:
        """Put down what may be the cause."""
        return await do(self._context, call, AddHypothesis(call.sent.text, call.sent.owner))

    async def judge(self, call: Call[OneHypothesis, None, HypothesisJudgement]) -> IncidentAfter:
        """Support a hypothesis, rule it out, or open it again."""
        command = JudgeHypothesis(call.at.hypothesis, call.sent.state, call.sent.evidence)
        return await do(self._context, call, command)

    async def assign(self, call: Call[OneHypothesis, None, HypothesisOwner]) -> IncidentAfter:
        """Look into a hypothesis, or let somebody."""
        command = AssignHypothesis(call.at.hypothesis, call.sent.person)
        return await do(self._context, call, command)

    async def request_help(self, call: Call[IncidentPath, None, HelpBody]) -> IncidentAfter:
        """Ask the Commander for a team that the diagnosis needs."""
        return await do(self._context, call, RequestHelp(call.sent.team, call.sent.reason))

    async def find(self, call: Call[IncidentPath, None, FindingBody]) -> FindingTaken:
        """Add what an investigator has found, with a link or a query that shows it.

        An API token with the scope `findings` may do this and nothing else; so may whoever
        responds.
        """
        who, given = call.who, call.sent
        if who is None:  # never: the row admits somebody
            raise HttpProblem(401, "Who are you?", "send a token")
        outside = "findings" in (who.scopes or ())
        if outside:
            who.require_scope("findings")
        else:
            who.require("responder")
        source = printable(given.source).strip()
        people = {_plain(name) for name in self._context.roster().people}
        others = people if outside else people - {_plain(who.person)}
        name = _plain(source.removeprefix(PERSON_PREFIX))
        if not name or name in {DAEMON, METRICS} or name in others:
            text = f"source: {source!r} is the daemon's own or a person's; name yours"
            raise HttpProblem(400, "Bad request", text)
        finding = DiagnosisFinding(
            kind="external",
            text=given.text,
            source=source,
            query=given.query,
            link=given.link,
        )
        by = f"{_INVESTIGATOR}{who.token}" if outside else ""
        command = AddFinding(finding, given.hypothesis, investigator=outside)
        after = await carried_out(self._context, call, command, by=by)
        return FindingTaken(seq=after.seq)
