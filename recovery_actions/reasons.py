"""Why the actions of this package refuse, fail or succeed: one list, so that a misspelt reason
is an error of mypy.

An action of another package needs none of it; the words that the plan itself understands are
`daemon.core.values.outcome.MeddlingReason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from daemon.core.ports.actions import Refused
from daemon.core.values.outcome import MeddlingReason, Outcome, Result

ActionReason = Literal[
    MeddlingReason,
    # how commands and connections end
    "exit_status",
    "interrupted",
    "lost_sight",
    "not_started",
    "succeeded",
    "timeout",
    "unreachable",
    # what does not allow it, or is not there
    "auto_sync",
    "autoscaled",
    "branch_taken",
    "command_not_allowed",
    "commit_missing",
    "commit_unknown",
    "direct_not_allowed",
    "declared_migration",
    "forbidden",
    "host_not_allowed",
    "locked",
    "managed_by_applicationset",
    "managed_by_gitops",
    "no_directory",
    "no_healthy_item",
    "no_history",
    "no_such_application",
    "no_such_release",
    "no_such_rollout",
    "no_such_cluster",
    "no_such_workload",
    "not_a_release_directory",
    "not_configured",
    "not_in_parts",
    "not_on_branch",
    "not_revertible",
    "not_writable",
    "other_repository",
    "program_missing",
    "release_missing",
    "repository_not_allowed",
    "revision_missing",
    "secret_unreadable",
    # what stands in its way just now
    "already_aborted",
    "already_live",
    "already_scaled",
    "already_reverted",
    "already_so",
    "at_bound",
    "being_deleted",
    "dry_run_failed",
    "not_rolling",
    "on_delete",
    "operation_running",
    "partition_holds_all",
    "pending",
    "rollout_paused",
    "scaled_to_zero",
    "stable_not_healthy",
    # how it went
    "abort_timeout",
    "aborted",
    "called",
    "found_done",
    "helm_failed",
    "helm_timeout",
    "not_accepted",
    "not_healthy",
    "not_merged",
    "not_synced",
    "patch_failed",
    "progress_deadline_exceeded",
    "redirected",
    "refused_by_argocd",
    "refused_by_git_host",
    "refused_by_server",
    "request_closed",
    "restart_failed",
    "restart_timeout",
    "restarted",
    "reverted_in_git",
    "rolled_back",
    "rollout_timeout",
    "rollout_unknown",
    "scaled",
    "server_error",
    "stage_stopped",
    "switch_failed",
    "sync_failed",
    "unexpected_status",
]


@dataclass(frozen=True)
class NotReady(Refused):
    """A refusal of one of this package's actions."""

    reason: ActionReason


def ending(
    *, result: Result, reason: ActionReason, detail: str, facts: Mapping[str, str] | None = None
) -> Outcome:
    """How a run ended; the fields are those of `Outcome`."""
    return Outcome(result=result, reason=reason, detail=detail, facts=dict(facts or {}))


def as_outcome(
    why: Refused, result: Result = "refused", facts: Mapping[str, str] | None = None
) -> Outcome:
    """The end of a run that found at the last moment what preflight would have refused."""
    return Outcome(result=result, reason=why.reason, detail=why.text, facts=dict(facts or {}))


def with_sentence(outcome: Outcome, text: str) -> Outcome:
    """The outcome, with another sentence if there is one."""
    if not text:
        return outcome
    return outcome.model_copy(update={"detail": f"{outcome.detail}; {text}"})
