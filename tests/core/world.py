"""Many nights: a service, its metrics, its store and its people, all of them moody."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.core.changes.suspects import Suspicion
from daemon.core.decide import decide
from daemon.core.decision import (
    Decision,
    Effect,
    GatherDossier,
    Listen,
    MeasureProblem,
    Publish,
    ReadRecovery,
    RecordSamples,
    RunStep,
    SendPage,
    Settle,
    TellEnding,
    WriteReview,
)
from daemon.core.incident import events as e
from daemon.core.incident.dossier import Dossier
from daemon.core.incident.fold import apply_event
from daemon.core.measurement.problem import ProblemReason, ProblemVerdict, RecoveryReading
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.guardrails import Freeze, Guard
from daemon.core.recovery.plan import Outlook, open_steps
from daemon.core.recovery.situation import Surroundings
from daemon.core.response import roles
from daemon.core.response.call_answers import DeclineCall, SnoozeCall, is_summoned
from daemon.core.response.command import NotPossible
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Outcome
from tests import commanding
from tests.core.build import (
    ALERTS,
    COUNTS,
    HOUSE,
    LIMITS,
    MINUTE,
    NOW,
    STEPS,
    TARGET,
    ago,
    approved,
    blamed,
    finished,
    healthy,
    impaired,
    make_alert,
    make_incident,
    make_problem,
    make_rule,
    opening,
    started,
    unreadable,
)
from tests.core.sound import sound, sound_crew

FREEZE = Freeze(scope="global", reason="audit", by="bo", at=ago(5))
UNCONFIRMED: list[tuple[ProblemVerdict, ProblemReason]] = [
    ("not_confirmed", "loss_below_threshold"),
    ("insufficient_traffic", "traffic_below_minimum"),
    ("no_data", "prometheus_unreachable"),
    ("query_error", "several_series"),
]
PATIENCE = 3 * MINUTE


def degraded(at: datetime) -> RecoveryReading:
    return impaired(at, 0.007).model_copy(update={"state": "degraded"})


def resolved() -> e.AlertsReceived:
    return e.AlertsReceived(alerts=(make_alert("resolved"),))


class World:
    """One night. `turn` decides once and lets the decision and other things happen.

    `answering`: whoever is called may also say that they cannot come, or later, and is called by
    ways that tell the end quietly.
    """

    def __init__(self, seed: int, roster: Roster = HOUSE, *, answering: bool = False) -> None:
        self.answering = answering
        self.chance = random.Random(seed)  # noqa: S311 - a simulation
        self.roster = roster
        always = {**STEPS[0], "when": "always"}
        plans = [STEPS, [always], [STEPS[0], always, STEPS[1]], [always, always, always], []]
        problem = {**COUNTS, "sentiment": {"complaints": "sum(complaints)"}}
        mode = self.chance.choice(["automatic"] * 4 + ["observe", "approve"])
        self.rule: Rule | None = make_rule(
            recover=self.chance.choice(plans), problem=problem, mode=mode
        )
        self.approvals = approved(self.rule, *range(1, len(self.rule.recover) + 1))
        if self.chance.random() < 0.1:
            self.approvals = Approvals()
        if self.chance.random() < 0.1:
            self.rule = None
        self.now = NOW
        begin = opening("checkout" if self.rule else "")
        self.incident = make_incident((NOW, begin), (NOW, ALERTS))
        self.frozen = self.locked = False
        self.people_come = self.chance.choice([0.0, 0.05, 0.2, 0.5])

    def happen(self, *events: e.Event, by: str = e.DAEMON) -> None:
        for event in events:
            self.incident = apply_event(self.incident, self.now, event, by)
        self.incident = replace(self.incident, seq=self.incident.seq + len(events))

    def around(self) -> Surroundings:
        views: dict[int, Outlook] = {}
        if self.rule is not None:
            for step in open_steps(self.incident, self.rule):
                guard = Guard(
                    freeze=FREEZE if self.frozen else None,
                    locked_by="0301-1200" if self.locked else "",
                    last_finished=self.chance.choice([None, None, self.now - 10 * MINUTE]),
                    started={"rule": self.chance.choice([0, 0, 0, 3])},
                    alerting=self.chance.choice([1, 1, 1, 4]),
                )
                unfit = self.chance.choice([""] * 9 + ["unsafe_label"])
                views[step] = Outlook(TARGET, unfit, unfit, guard)
        return Surroundings(self.roster, self.approvals, LIMITS, views)

    def reading(self) -> RecoveryReading:
        make = self.chance.choice(
            [healthy, healthy, impaired, impaired, impaired, degraded, unreadable]
        )
        return make(self.now)

    def carry_out(self, effect: Effect) -> None:
        if isinstance(effect, GatherDossier):  # no chance in it
            self.happen(e.DossierGathered(dossier=Dossier(begin=self.now, end=self.now)))
            return
        works = self.chance.random() < 0.7
        match effect:
            case SendPage(page):
                self.happen(self.send(page, works))
            case MeasureProblem():
                verdict, reason = self.chance.choice(
                    [*UNCONFIRMED, *[("confirmed", "loss_exceeds_threshold")] * 4]
                )
                severity = self.chance.choice(["sev1", "sev2", "sev3"])
                problem = make_problem(
                    verdict,  # type: ignore[arg-type]
                    reason,  # type: ignore[arg-type]
                    at=self.now,
                    severity=severity if verdict == "confirmed" else "",
                )
                blame = self.chance.choice(
                    [blamed(), blamed(), Suspicion(verdict="ambiguous", text="x"), None]
                )
                self.happen(e.ProblemDefined(problem=problem, suspicion=blame))
            case ReadRecovery(step):
                self.happen(e.RecoveryMeasured(step=step, reading=self.reading()))
            case RunStep(step):
                self.run(step)
            case WriteReview():
                self.happen(e.ReviewWritten(path="x.md"))
            case RecordSamples():
                self.happen(e.SamplesRecorded())
            case Publish(update, channel, version):
                self.happen(self.publish(update, channel, version, works))
            case Settle(person, method, alert, state):
                told = {"person": person, "method": method, "alert": alert, "state": state}
                if works:
                    self.happen(e.PagerSettled(**told, proof="x"))
                else:
                    last = self.chance.random() < 0.2
                    self.happen(e.PagerUnsettled(**told, error="x", last=last))
            case TellEnding(person, method, ending, recoveries):
                self.happen(self.tell(person, method, ending, recoveries, works))
            case Listen():
                self.happen(e.SentimentHeard(source="metrics", text="complaints: 3", value=3.0))

    def send(self, page: str, works: bool) -> e.Event:
        method = self.chance.choice(["console-1" if self.answering else "console", "pagerduty"])
        if works:
            return e.PageDelivered(page=page, method=method, proof="x")
        last, temporary = self.chance.random() < 0.8, self.chance.random() < 0.5
        return e.PageFailed(page=page, method=method, error="x", last=last, temporary=temporary)

    def tell(
        self, person: str, method: str, ending: e.Ending, recoveries: int, works: bool
    ) -> e.Event:
        if works:
            return e.EndingTold(
                person=person, ending=ending, recoveries=recoveries, method=method, proof="x"
            )
        return e.EndingUntold(
            person=person,
            ending=ending,
            recoveries=recoveries,
            method=method,
            error="x",
            last=self.chance.random() < 0.2,
        )

    def publish(self, update: str, channel: str, version: int, works: bool) -> e.Event:
        if works:
            return e.UpdatePublished(update=update, channel=channel, version=version, proof="x")
        failures = self.incident.updates.by_name[update].delivery(channel).failures
        return e.UpdateFailed(
            update=update, channel=channel, version=version, error="x", last=failures >= 7
        )

    def run(self, step: int) -> None:
        state = self.incident.step(step)
        if state.status == "waiting":
            self.happen(started(step))
        elif state.intent is None and not self.incident.paused_by:
            self.happen(e.StepPrepared(step=step, summary="x", intent={"from": "a", "to": "b"}))
        elif state.intent is None:
            self.happen(finished(step, "refused", "paused"))
        elif state.stage is None and self.chance.random() < 0.3:
            self.happen(e.StageReached(step=step, text="1 of 4 pods is back", share=0.25))
        elif state.at_stage and self.chance.random() < 0.7:
            well = self.chance.random() < 0.5
            reason = "part_is_well" if well else "no_sign_in_time"
            self.happen(e.StageRuled(step=step, go_on=well, reason=reason, text="x"))
        else:
            result = self.chance.choice(["done", "done", "failed", "unknown", "refused"])
            outcome = Outcome.model_validate({"result": result, "reason": "so", "detail": "so"})
            self.happen(e.StepFinished(step=step, outcome=outcome))

    # ── people ───────────────────────────────────────────────────────────────────────────────

    def people(self) -> None:
        """Somebody does something, if it is possible."""
        who, other = self.chance.sample(["ada", "bo", "cy", "dee", "fay"], 2)
        groups = [self.on_the_plan, self.on_the_crew, self.on_the_crew, self.on_the_word]
        deed = self.chance.choice(self.chance.choice(groups)(who, other))
        try:
            self.happen(*deed(), by=f"person:{who}")
        except NotPossible:
            return

    def on_the_plan(self, who: str, other: str) -> list[Callable[[], tuple[e.Event, ...]]]:
        incident = self.incident
        step = self.chance.choice([1, 2, 3, *incident.steps])
        return [
            lambda: commanding.acknowledge(incident, who, "cli"),
            lambda: commanding.approve(incident, self.rule, step, who),
            lambda: commanding.start(incident, self.rule, step, who),
            lambda: commanding.skip(incident, self.rule, step, who, other),
            lambda: commanding.veto(incident, self.rule, step, who),
            lambda: commanding.propose(
                incident, self.rule, "run_command", {"argv": ["x"]}, MINUTE, other, who
            ),
            lambda: commanding.pause(incident, who, "wait"),
            lambda: commanding.resume(incident, who),
            lambda: commanding.resume(incident, who),
            lambda: commanding.say(incident, "hm"),
            lambda: commanding.no_plan(incident, who, other),
            lambda: (resolved(),),
            lambda: (ALERTS,),
        ]

    def on_the_crew(self, who: str, other: str) -> list[Callable[[], tuple[e.Event, ...]]]:
        incident, now = self.incident, self.now
        role: e.Role = self.chance.choice(list(roles.ROLE_NAMES))
        waiting = incident.people.open_requests()
        asked = self.chance.choice(waiting).event if waiting else None
        accept = self.chance.random() < 0.5
        said = self.chance.choice(["acknowledged", "acknowledged", "unacknowledged"])
        report = commanding.RecordPagerReport(
            source="pagerduty",
            state=said,  # type: ignore[arg-type]
            person=self.chance.choice([who, who, ""]),
            who=who,
            occurred_at=now - self.chance.choice([0, 1, 3, 20]) * MINUTE,
            reference=str(self.chance.randint(1, 99)),
        )
        deeds_ = [
            lambda: commanding.acknowledge(incident, who, "cli"),
            lambda: commanding.unacknowledge(incident, who, "cli"),
            lambda: commanding.mark_heard(incident, report, now, 10 * MINUTE),
            lambda: commanding.jump(incident, self.roster, self.chance.randint(1, 2), who, now),
            lambda: commanding.engage(incident, self.roster, "mysql", who, "help", "link"),
            lambda: commanding.take(incident, role, who, now, PATIENCE),
            lambda: commanding.assign(incident, role, other, who, now, PATIENCE),
            lambda: commanding.step_down(incident, role, who),
        ]
        if self.answering and is_summoned(incident, who):
            deeds_.append(lambda: commanding.given(incident, DeclineCall(), who, now=now))
            deeds_.append(lambda: commanding.given(incident, SnoozeCall(), who, now=now))
        if asked is not None:
            deeds_ += 3 * [
                lambda: commanding.answer_request(
                    incident, asked.request, asked.asked, accept=accept, now=now, patience=PATIENCE
                )
            ]
        return deeds_

    def on_the_word(self, who: str, other: str) -> list[Callable[[], tuple[e.Event, ...]]]:
        incident, now = self.incident, self.now
        update = self.chance.choice([*incident.updates.by_name, "none"])
        audience = self.chance.choice(list(self.roster.audiences))
        return [
            lambda: commanding.send(incident, update, who, None, None),
            lambda: commanding.send(incident, update, who, None, "my words"),
            lambda: commanding.edit(incident, update, who, f"words of {who}"),
            lambda: commanding.draft_now(incident, self.roster, audience, "", now),
            lambda: commanding.snooze(incident, self.roster, audience, who, 9 * MINUTE, other, now),
            lambda: commanding.sentiment(incident, who, "they complain"),
        ]

    # ── the night ────────────────────────────────────────────────────────────────────────────

    def turn(self) -> Decision:
        """Decide once, check what was decided, and let it and other things happen."""
        surroundings = self.around()
        decision = decide(self.incident, self.rule, surroundings, self.now)
        assert decision == decide(self.incident, self.rule, surroundings, self.now)
        sound(self.incident, self.rule, surroundings, self.now, decision)
        sound_crew(self.incident)
        if decision.record:
            self.happen(*decision.record)
            return decision
        for effect in decision.effects:
            self.carry_out(effect)
        if self.chance.random() < self.people_come:
            self.people()
        self.frozen ^= self.chance.random() < 0.05
        self.locked ^= self.chance.random() < 0.05
        if decision.wake_at is not None and self.chance.random() < 0.5:
            self.now = max(self.now, decision.wake_at)
        self.now += timedelta(seconds=self.chance.choice([0, 1, 5, 20, 60]))
        return decision
