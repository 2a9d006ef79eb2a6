"""The API's answers about incidents: the models that they are built from and described by."""

from __future__ import annotations

from typing import Literal

from daemon.core.changes.suspects import Suspicion
from daemon.core.incident.dossier import HypothesisState
from daemon.core.incident.events import Event, RequestKind, Role, StageOfSteps, Verdict
from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Phase
from daemon.core.incident.step_state import StepStatus
from daemon.core.incident.updates import DeliveryState
from daemon.core.measurement.problem import Problem, Severity
from daemon.core.recovery.commands import StepCommandName
from daemon.core.response.milestones import Milestone, MilestoneState
from daemon.core.rules.rule import Mode
from daemon.core.values.outcome import Outcome
from daemon.core.values.units import Frozen
from daemon.web.api.organization_view import OrganizationView
from daemon.web.api.stamp import Stamp

_Status = Literal["open", "closed"]


class IncidentRow(Frozen):
    """An incident in a list. `title` says how it stands. `outcome`: how it ended, in words; empty
    while it has not. `rule` is empty if no rule matched its alerts. `drill`: the run of the drill
    that it belongs to; empty in earnest. `mode`: of its rule in force; empty if there is none."""

    id: str
    status: _Status
    phase: Phase
    severity: Severity
    title: str
    outcome: str
    rule: str
    team: str
    service: str
    opened_at: Stamp
    closed_at: Stamp | None
    wake_at: Stamp | None
    drill: str
    mode: Mode | Literal[""]


class TimelineEntry(Frozen):
    """One entry of an incident's journal; `text` is its line for people."""

    seq: int
    at: Stamp
    kind: str
    by: str
    text: str
    event: Event


class TimelineLineView(Frozen):
    """One line of the timeline as people read it; `seqs` are the entries that it stands for, for
    what says the same again is one line."""

    at: Stamp
    by: str
    text: str
    seqs: tuple[int, ...]


class RequestView(Frozen):
    """A question for a role that waits for its answer."""

    request: str
    role: Role
    how: RequestKind
    taker: str
    asked: str
    by: str
    until: Stamp
    why: str


class Suggested(Frozen):
    """Who could take a vacant role."""

    person: str
    why: str


class EngagedView(Frozen):
    """A team that was called in; `answered_by` is empty until somebody came."""

    team: str
    answered_by: str


class SuggestedTeam(Frozen):
    """A team that could help: why, what to ask of them, and what they would be told. Nobody is
    called in by that."""

    team: str
    why: str
    ask: str
    packet: str


class PlaceView(Frozen):
    """A room or a call: `url` leads there, empty if the service did not say."""

    service: str
    name: str
    url: str


class RoomView(Frozen):
    """Where people meet. `room` and `call` are null while they are not there; `troubles`: what does
    not work, each in a sentence."""

    requested_by: str
    room: PlaceView | None
    call: PlaceView | None
    archived_at: Stamp | None
    troubles: tuple[str, ...]


class VendorView(Frozen):
    """A vendor of the roster. `because`: what of the incident points to them; empty if nothing
    does. `tickets`: the numbers of those that were opened with them."""

    vendor: str
    name: str
    what: str
    because: str
    ways: dict[str, str]
    tickets: tuple[str, ...]


class ClockView(Frozen):
    """An item of the ten-minute clock. `took` is how long after the opening it was there."""

    item: Milestone
    text: str
    state: MilestoneState
    due_at: Stamp
    took: str | None


class ChannelView(Frozen):
    """What a channel has of an update; `version` 0: nothing yet."""

    channel: str
    version: int
    state: DeliveryState
    reference: str
    failures: int


class UpdateView(Frozen):
    """An update to an audience; `sent` is null while it is a draft."""

    update: str
    audience: str
    stage: str
    because: str
    text: str
    revision: int
    version: int
    sent: Stamp | None
    by: str
    person: str
    channels: tuple[ChannelView, ...]


class HeardView(Frozen):
    """What the public says, by whom; `value` in the source's own unit."""

    source: str
    text: str
    value: float | None


class AlertView(Frozen):
    """An alert of the incident, as Alertmanager said last."""

    name: str
    status: Literal["firing", "resolved"]
    labels: dict[str, str]


class DryRunView(Frozen):
    """The newest try of a step that changes nothing; `trouble`: why it did not pass."""

    at: Stamp
    passed: bool
    trouble: str


class StepView(Frozen):
    """A step of the plan as far as it has come.

    `waits_for`: why it waits for a person, `asked_because` in a sentence. `label`: what it does in
    a few words; `dry_run`: whether it was tried, null if not; `risk`: what its action declares.
    `observed`: what a rule that only observes would have done, `would` in words. `refusal`: why it
    did not start. `allowed`: what may be done to it now; a veto is anybody's, the rest is the
    Commander's.
    """

    step: int
    status: StepStatus
    action: str
    target: str
    summary: str
    authority: str
    refusal: str
    waits_for: str
    asked_because: str
    label: str
    dry_run: DryRunView | None
    risk: str
    approved_by: str
    proposed_by: str
    observed: str | None
    would: str
    outcome: Outcome | None
    verdict: Verdict | None
    verdict_text: str
    allowed: tuple[StepCommandName, ...]


class ImpactView(Frozen):
    """What it did to users, by the daemon's own measurements. `failed_requests` is null where they
    are not known; times in seconds, `assumed` and `unmeasured` being those parts of `lasted` that
    no measurement covers. `ended`: the last measurement was healthy."""

    failed_requests: float | None
    lasted: float
    assumed: float
    unmeasured: float
    worst_level: float | None
    worst_loss: float | None
    worst_at: Stamp | None
    ended: bool


class CauseView(Frozen):
    """What the cause was, as a person recorded it."""

    text: str
    category: str
    change: str
    person: str
    at: Stamp


class StandardView(Frozen):
    """What was decided about the rules."""

    standard: str
    applied: bool
    rule: str
    path: str
    reason: str
    person: str


class FindingView(Frozen):
    """A finding about the cause; `source` is `stopgap`, or who else found it."""

    kind: str
    text: str
    source: str
    subject: str
    query: str
    link: str
    incident: str


class HypothesisView(Frozen):
    """What may be the cause. `made_by` is empty if the daemon made it."""

    hypothesis: str
    text: str
    state: HypothesisState
    made_by: str
    owner: str
    evidence: tuple[str, ...]


class HelpView(Frozen):
    """A team that the diagnosis needs, and who asks for it."""

    team: str
    person: str
    reason: str


class DiagnosisView(Frozen):
    """What is known of the cause. `gathered`: when the last dossier was; null while there is none.

    `findings`: the dossier's, the weightiest first, then those of others. `limits`: what could not
    be looked at. `needed`: the teams asked for that were not called in yet.
    """

    ordered_by: str
    gathered: Stamp | None
    findings: tuple[FindingView, ...]
    limits: tuple[str, ...]
    hypotheses: tuple[HypothesisView, ...]
    needed: tuple[HelpView, ...]


class CallsView(Frozen):
    """How the calling stands: how many the policy `wants` to come and how many `came`; who
    declined, who is called again when, and who was told that it is over."""

    wants: int
    came: int
    declined: dict[str, Stamp]
    snoozed: dict[str, Stamp]
    told: dict[str, Stamp]


class AlertLinkView(Frozen):
    """Where an alert leads to: its runbook, a dashboard, what fired it, a silence."""

    name: str
    url: str


class AlertWordsView(Frozen):
    """What one alert says of itself."""

    alert: str
    summary: str
    description: str


class IncidentView(Frozen):
    """One incident as it stands after `seq` entries. `document` links to its standard document.

    `title` says how it stands: now, worst, since when, how it ended; `outcome` the last in words.
    `alert_words` is what its alerts say, `alert_links` where they lead.
    `statement` is the problem in one sentence; `problem` has the numbers. `doing` is what the
    daemon does now, and `coming` what it will do next by itself. `suppressed`: why Alertmanager
    tells nothing of its alerts, if it is so. `storm`: the one that it is of; `silence`: the address
    of our silence in Alertmanager, while somebody commands. `durations` are measured from the
    opening. `impact` is null until a problem was confirmed, `cause` until somebody recorded it, and
    `meeting` until a room or a call was asked for. `help`: the teams that could be called in.
    `drill`: the run of the drill that it belongs to; empty in earnest. `mode`: of its rule in
    force; empty if there is none. `organization`: what people have made of it.
    """

    id: str
    status: _Status
    phase: Phase
    stage: StageOfSteps
    severity: Severity
    title: str
    outcome: str
    drill: str
    statement: str
    doing: str
    coming: str
    rule: str
    mode: Mode | Literal[""]
    labels: dict[str, str]
    team: str
    opened_at: Stamp
    acknowledged_at: Stamp | None
    recovered_at: Stamp | None
    closed_at: Stamp | None
    commander: str
    responders: tuple[str, ...]
    paused_by: str
    roles: dict[Role, str]
    requests: tuple[RequestView, ...]
    suggestions: dict[Role, tuple[Suggested, ...]]
    engaged: tuple[EngagedView, ...]
    meeting: RoomView | None
    help: tuple[SuggestedTeam, ...]
    vendors: tuple[VendorView, ...]
    calls: CallsView
    clock: tuple[ClockView, ...]
    missed: dict[str, Stamp]
    updates: tuple[UpdateView, ...]
    sentiment: tuple[HeardView, ...]
    problem: Problem | None
    suspect: str
    suspicion: Suspicion | None
    diagnosis: DiagnosisView
    alerts: tuple[AlertView, ...]
    alert_words: tuple[AlertWordsView, ...]
    alert_links: tuple[AlertLinkView, ...]
    suppressed: str
    storm: str = ""
    silence: str = ""
    steps: tuple[StepView, ...]
    durations: dict[str, str]
    defects: int
    impact: ImpactView | None
    cause: CauseView | None
    follow_ups: tuple[FollowUp, ...]
    standards: tuple[StandardView, ...]
    organization: OrganizationView
    document: str
    review: str
    seq: int


class IncidentAfter(Frozen):
    """The incident as it is after that."""

    incident: IncidentView
