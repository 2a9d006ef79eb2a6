"""Autonomy is earned and taken back: what a rule's automatic decisions came to, and what follows.

An automatic decision is a step that the daemon started without any person's word, or would have
started had a person not forbidden it first. What came of it is one of these:

`right`: it acted, and the metrics showed that it restored the service (`recovered`).
`wrong`: it acted, and the metrics showed that the problem got worse by it (`worse`).
`undone`: it acted, and within UNDONE_WITHIN a person, or a change of the target by somebody else,
    put back the very item that it had taken away. Once undone is undone for good.
`overruled`: a person vetoed or skipped it, and the same was not done by anybody afterwards.
`none`: whatever else ended: `self_recovered`, `inconclusive`, `partial`, `unchanged`, an action
    that failed or was refused. It says nothing about the decision.
`open`: it is not known yet.

After one `wrong` or `undone`, or two `overruled` or `undone` among the last five decisions, the
rule asks for each step, whatever its mode, until a person says that it is trusted again. What the
person knew by then is never held against it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from pydantic import Field

from daemon.core.changes.suspects import Change
from daemon.core.incident import events as e
from daemon.core.incident.reasons import SKIPPED_BY_PERSON, AutonomyLoss
from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.people.roster import Roster
from daemon.core.recovery.plan import plan_of
from daemon.core.response.paging import direct_page, headline
from daemon.core.rules.rule import Rule
from daemon.core.values.units import Frozen, Moment, clock_time

UNDONE_WITHIN = timedelta(hours=2)
"""For so long after an act it counts as undone if what it took away comes back. Whoever deploys
the same again later may have mended what was wrong around it."""
LAST_DECISIONS, MOST_OVERRULED = 5, 2
"""So many of the last decisions are looked at, and so many of them may not be overruled."""
DECISIONS_KEPT = 50
"""So many decisions of a rule are kept, the newest."""

Judgement = Literal["right", "wrong", "undone", "overruled", "none", "open"]
"""What came of a decision; see above."""


class AutomaticDecision(Frozen):
    """One decision: `text` is what came of it, for people. `at`: when it was started or, if it
    never was, when the problem was confirmed."""

    incident: str
    step: int
    action: str
    at: Moment
    judgement: Judgement
    text: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others."""
        return self.incident, self.step


class Withdrawal(Frozen):
    """Why and when a rule lost its autonomy, and over which step of which incident."""

    at: Moment
    reason: AutonomyLoss
    text: str
    incident: str
    step: int


class Restoration(Frozen):
    """A person's word that the rule is trusted again, and why."""

    at: Moment
    person: str
    reason: str


class AutonomyRecord(Frozen):
    """What is kept of a rule: its newest decisions, oldest first, and how its autonomy stands.

    `forgiven` maps (incident, step), as `INCIDENT/STEP`, to the judgement that whoever trusted it
    again knew of. `restoration` is the last.
    """

    decisions: tuple[AutomaticDecision, ...] = ()
    withdrawal: Withdrawal | None = None
    restoration: Restoration | None = None
    forgiven: dict[str, Judgement] = Field(default_factory=dict)

    @property
    def counts(self) -> Mapping[Judgement, int]:
        """How many of the kept decisions came to what."""
        found: dict[Judgement, int] = dict.fromkeys(get_args(Judgement), 0)
        for decision in self.decisions:
            found[decision.judgement] += 1
        return found

    @property
    def withdrawn_text(self) -> str:
        """Why the rule asks for each step, with the evidence; empty while it is trusted."""
        if self.withdrawal is None:
            return ""
        at = self.withdrawal.at
        return f"{self.withdrawal.text} (since {at:%Y-%m-%d} {clock_time(at)})"

    def learning(self, decisions: Iterable[AutomaticDecision]) -> AutonomyRecord:
        """With these decisions in the place of what was known of them; the same once more changes
        nothing. What was undone stays so, and what people then did by hand is not overruled."""
        known = {decision.key: decision for decision in self.decisions}
        for decision in decisions:
            before = known.get(decision.key)
            told = before.judgement if before is not None else ""
            if told != "undone" and (told, decision.judgement) != ("none", "overruled"):
                known[decision.key] = decision
        newest = sorted(known.values(), key=lambda d: (d.at, d.incident, d.step))[-DECISIONS_KEPT:]
        return self.model_copy(update={"decisions": tuple(newest)})

    def judged(self, now: datetime) -> AutonomyRecord:
        """With the autonomy withdrawn, if the decisions ask for it and it is not yet."""
        if self.withdrawal is not None:
            return self
        withdrawal = _withdrawal_due(self._counting(), now)
        return self if withdrawal is None else self.model_copy(update={"withdrawal": withdrawal})

    def trusted(self, person: str, reason: str, now: datetime) -> AutonomyRecord:
        """With a person's word that it is trusted again, whatever is known by now."""
        return AutonomyRecord(
            decisions=self.decisions,
            restoration=Restoration(at=now, person=person, reason=reason),
            forgiven={_name(decision): decision.judgement for decision in self.decisions},
        )

    def _counting(self) -> list[AutomaticDecision]:
        return [d for d in self.decisions if self.forgiven.get(_name(d)) != d.judgement]


def automatic_decisions(
    incident: Incident, rule: Rule, approved: Collection[int], changes: Sequence[Change]
) -> list[AutomaticDecision]:
    """The automatic decisions of one incident, as they stand now.

    `approved`: the steps that a standing approval lets run by themselves. `changes`: those of the
    targets that its steps acted on, and of its suspect's.
    """
    found: list[AutomaticDecision] = []
    for number, state in sorted(incident.steps.items()):
        if state.automatic and state.acted:
            judgement, text = _judged_act(incident, state, changes)
        elif _forbidden(incident, rule, state, approved):
            who = f"by {state.vetoed_by}" if state.vetoed_by else "by a person"
            done = "vetoed" if state.status == "vetoed" else "skipped"
            by_hand = _done_anyway(incident, changes)
            judgement = "none" if by_hand else "overruled"
            text = f"it was {done} {who}{by_hand}"
        elif state.automatic and state.status == "running":
            judgement, text = "open", "it is under way"
        else:
            continue
        spec = plan_of(incident, rule).get(number)
        found.append(
            AutomaticDecision(
                incident=incident.id,
                step=number,
                action=state.action or (spec.action if spec else ""),
                at=state.started_at or incident.confirmed_at or incident.opened_at,
                judgement=judgement,
                text=text,
            )
        )
    return found


def announcement(incident: Incident, withdrawal: Withdrawal, roster: Roster) -> tuple[e.Event, ...]:
    """What is written into the incident when a rule loses its autonomy over it, and the pages to
    its Commander and the team's lead; nothing if it was written already."""
    step = withdrawal.step
    if incident.step(step).withdrew_autonomy:
        return ()
    team = roster.teams.get(incident.opened.team)
    lead = team.lead if team is not None else ""
    text = (
        f"the rule {incident.rule} asks for each step from now on: {withdrawal.text}; "
        f"`stopgap trust {incident.rule} WHY` gives it its autonomy back · {headline(incident)}"
    )
    pages = (
        direct_page(incident, person, "autonomy", text, str(step))
        for person in dict.fromkeys(filter(None, (incident.commander, lead)))
    )
    withdrawn = e.AutonomyWithdrawn(step=step, reason=withdrawal.reason, text=withdrawal.text)
    return (withdrawn, *(page for each in pages for page in each))


def _judged_act(
    incident: Incident, state: StepState, changes: Sequence[Change]
) -> tuple[Judgement, str]:
    undone = _undone(incident, state, changes)
    if undone:
        return "undone", undone
    match state.verdict:
        case "recovered":
            return "right", state.verdict_text
        case "worse":
            return "wrong", state.verdict_text
        case None:
            return "open", "its effect is being measured"
        case _:
            return "none", f"it ended {state.verdict}"


def _undone(incident: Incident, state: StepState, changes: Sequence[Change]) -> str:
    """Who put back what the act had taken away, and when; empty if nobody did in time."""
    removed = (state.intent or {}).get("from", "")
    if not removed or state.finished_at is None:
        return ""
    later = [s for s in incident.steps.values() if s.acted and s.number != state.number]
    back = [s for s in later if s.target == state.target and (s.intent or {}).get("to") == removed]
    for step in back:
        after = step.started_at is not None and step.started_at >= state.finished_at
        if after and step.approved_by:
            return f"{step.approved_by} put {removed} back by step {step.number}"
    if back:
        return ""  # the change that is seen is the plan's own
    for change in changes:
        ours = change.aim == state.target and change.item == removed
        if ours and state.finished_at < change.at <= state.finished_at + UNDONE_WITHIN:
            return f"{removed} was put back at {clock_time(change.at)}"
    return ""


def _forbidden(incident: Incident, rule: Rule, state: StepState, approved: Collection[int]) -> bool:
    """Whether a person forbade what would have been done by itself."""
    skipped = state.status == "skipped" and state.refusal == SKIPPED_BY_PERSON
    if not (state.status == "vetoed" or skipped) or incident.confirmed is None:
        return False
    if state.ask_reason or state.approved_by or state.observed is not None:
        return False  # by then it was a person's decision, or the rule did no more than observe
    return state.automatic or _would_start(incident, rule, state, approved)


def _would_start(
    incident: Incident, rule: Rule, state: StepState, approved: Collection[int]
) -> bool:
    """Whether it was this step's turn, and nothing but a guardrail stood in its way."""
    if state.number > len(rule.recover) or state.number not in approved:
        return False
    spec = rule.step(state.number)
    suspicion = incident.suspicion
    blamed = suspicion is not None and suspicion.verdict == "suspect"
    before = (incident.step(number) for number in range(1, state.number))
    return (
        rule.mode == "automatic"
        and spec.approval == "automatic"
        and (spec.when == "always" or blamed)
        and all(step.status not in {"waiting", "running"} for step in before)
    )


def _done_anyway(incident: Incident, changes: Sequence[Change]) -> str:
    """That people did the same in another way, took the suspect off its target; empty if not."""
    suspect = incident.suspicion.change if incident.suspicion else None
    if suspect is None:
        return ""
    end = incident.closed_at
    for change in changes:
        away = change.subject == suspect.subject and change.item != suspect.item
        if away and change.at > suspect.at and (end is None or change.at <= end):
            return f", and {change.item} was deployed by hand at {clock_time(change.at)}"
    return ""


def _withdrawal_due(decisions: Sequence[AutomaticDecision], now: datetime) -> Withdrawal | None:
    for decision in reversed(decisions):
        if decision.judgement == "wrong":
            text = f"what it did by itself made it worse: {_told(decision)}"
            return _withdrawal(decision, "act_made_it_worse", text, now)
        if decision.judgement == "undone":
            text = f"what it did by itself was undone: {_told(decision)}"
            return _withdrawal(decision, "act_was_undone", text, now)
    last = decisions[-LAST_DECISIONS:]
    overruled = [decision for decision in last if decision.judgement == "overruled"]
    if len(overruled) < MOST_OVERRULED:
        return None
    told = "; ".join(_told(decision) for decision in overruled)
    text = f"{len(overruled)} of its last {len(last)} decisions were overruled: {told}"
    return _withdrawal(overruled[-1], "often_overruled", text, now)


def _withdrawal(
    decision: AutomaticDecision, reason: AutonomyLoss, text: str, now: datetime
) -> Withdrawal:
    return Withdrawal(
        at=now, reason=reason, text=text, incident=decision.incident, step=decision.step
    )


def _told(decision: AutomaticDecision) -> str:
    return f"step {decision.step} ({decision.action}) in {decision.incident}, {decision.text}"


def _name(decision: AutomaticDecision) -> str:
    return f"{decision.incident}/{decision.step}"
