"""Why a step of the plan is not started, skipped, asked for, or ended: the daemon's own words.

They are enumerated, so that a misspelt one is an error of mypy wherever it is written or
compared. What an action says (`Outcome.reason`, `Refused.reason`) is open text, for anybody may
write actions; `skipped` and `observed` steps can carry such a reason, too.
"""

from __future__ import annotations

from typing import Literal, TypeGuard, get_args

from daemon.core.values.outcome import Outcome, Result

ConcurrenceReason = Literal[
    "upstream_first", "upstream_unresolved", "concurrent_unmeasured", "shared_onset"
]
"""Why an incident does not act because of another one that began at the same moment."""
AWAITED: frozenset[ConcurrenceReason] = frozenset({"upstream_first", "concurrent_unmeasured"})
"""Those that pass by themselves: nobody is asked."""

Hindrance = Literal[
    ConcurrenceReason,
    "frozen",
    "target_locked",
    "storm",
    "cooldown",
    "second_recovery",
    "budget_spent",
]
"""What may stand in the way of every action, whatever it is."""

WithheldReason = Literal["metrics_look_healthy", "below_threshold", "no_fresh_data"]
"""Why nothing is touched: the latest measurement does not show the problem any more."""

TakenBackReason = Literal[
    WithheldReason,
    ConcurrenceReason,
    "upstream_alerting",
    "paused",
    "frozen",
    "stale_intent",
    "change_unweighed",
    "approval_void",
    "monitoring_outage",
    "storm",
    "autonomy_withdrawn",
]
"""Refusals at the last moment, before anything was changed: the step waits as before."""
TAKEN_BACK: frozenset[TakenBackReason] = frozenset(get_args(TakenBackReason))

VETOED: Literal["vetoed"] = "vetoed"
"""The refusal at the last moment after which the step does not wait any more."""

AttemptReason = Literal[
    TakenBackReason,
    "vetoed",
    "rehearsed",
    "found_done",
    "interrupted",
    "action_failed",
    "action_timed_out",
    "action_crashed",
    "action_gone",
    "deadline_exceeded",
    "step_crashed",
]
"""Why an attempt ended, where it was not the action itself that ended it."""

UnfitReason = Literal[
    "unknown_action", "unsafe_label", "bad_parameters", "not_allowed", "no_single_target"
]
"""Why a step cannot be made concrete for an incident."""

EvidenceReason = Literal[
    "no_suspect_change",
    "changes_unseen",
    "ambiguous_suspects",
    "suspect_is_elsewhere",
]
"""Why a step does not apply by what is known so far; it comes back if the evidence grows."""
EVIDENCE_REASONS: frozenset[EvidenceReason] = frozenset(get_args(EvidenceReason))

SkipReason = Literal[UnfitReason, EvidenceReason, "skipped_by_person"]
"""Why a step is passed over, and the next one looked at."""
SKIPPED_BY_PERSON: SkipReason = "skipped_by_person"

AWAITING_ONSET: Literal["awaiting_onset"] = "awaiting_onset"
"""Why a step waits a little: a change might explain the problem, whose onset does not show yet."""

AskReason = Literal[
    Hindrance,
    "not_approved",
    "approval_void",
    "approval_expired",
    "approval_lapsed",
    "order_lapsed",
    "changed_since",
    "suspect_is_a_rollback",
    "onset_unclear",
    "seen_before",
    "commander_decides",
    "mode_approve",
    "relapsed",
    "after_partial",
    "after_inconclusive",
    "after_worse",
    "after_unknown",
    "changed_meanwhile",
    "monitoring_outage",
    "shared_cause",
    "too_old",
    "autonomy_withdrawn",
]
"""Why a step needs the Commander's word."""

RefusalReason = Literal[Hindrance, WithheldReason, AskReason, "awaiting_onset"]
"""Why a step was not started; with one of AskReason, it is asked for as well."""

AutonomyLoss = Literal["act_made_it_worse", "act_was_undone", "often_overruled"]
"""Why a rule asks for each step, whatever its mode, until a person trusts it again."""

StageReason = Literal[
    "part_is_well",
    "part_is_better",
    "part_is_no_better",
    "made_it_worse",
    "no_sign_in_time",
    "part_not_available",
    "person",
]
"""Why a step that stopped midway goes on, or is taken back."""

DiagnosisReason = Literal["plan_exhausted", "no_plan", "no_suitable_plan"]
"""Why people look for the cause."""


def is_taken_back(reason: str) -> TypeGuard[TakenBackReason]:
    """Whether it is the reason of a refusal after which the step waits as before."""
    return reason in TAKEN_BACK


def attempt_ended(result: Result, reason: AttemptReason, detail: str) -> Outcome:
    """How an attempt ended that its action did not end itself."""
    return Outcome(result=result, reason=reason, detail=detail)
