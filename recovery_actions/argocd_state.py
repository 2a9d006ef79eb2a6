"""What Argo CD tells of an application, as far as we need it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daemon.core.changes.suspects import Change
from daemon.core.values.units import printable

_WORDS = 300
_SET_LABEL = "argocd.argoproj.io/application-set-name"
_RUNNING = frozenset({"Running", "Terminating"})


@dataclass(frozen=True)
class Deployment:
    """An entry of the history: what became live, and when its sync began."""

    id: int
    item: str
    at: datetime
    repository: str = ""
    """The address of its Git repository; empty if it has several sources, or none."""


@dataclass(frozen=True)
class SyncOperation:
    """The operation that goes on, or the last one."""

    running: bool = False
    phase: str = ""
    message: str = ""
    item: str = ""
    dry: bool = False
    started: datetime | None = None


@dataclass(frozen=True)
class Application:
    """An application as we see it. `history` is oldest first; its last entry is live.

    `generated_by`: the ApplicationSet that keeps the application's spec as its template says.
    """

    history: tuple[Deployment, ...]
    operation: SyncOperation
    auto_sync: bool
    health: str
    sync: str
    generated_by: str = ""

    @property
    def live(self) -> Deployment | None:
        """What is live."""
        return self.history[-1] if self.history else None

    def changes(self, subject: str) -> list[Change]:
        """The history as changes, oldest first."""
        found: list[Change] = []
        for entry in self.history:
            found.append(
                Change(
                    subject=subject,
                    item=entry.item,
                    previous=found[-1].item if found else "",
                    at=entry.at,
                    seen_by="argocd",
                    text=f"{short(entry.item)}, history id {entry.id}",
                )
            )
        return found


def short(item: str) -> str:
    """A revision for a sentence: a commit by its first characters, anything else whole."""
    parts = item.split("+")
    return "+".join(p[:8] if re.fullmatch("[0-9a-f]{40}", p) else p for p in parts)


def application(raw: Mapping[str, Any]) -> Application:
    """Read an application of the API; what is missing there is empty here."""
    spec, status = _part(raw, "spec"), _part(raw, "status")
    policy = _part(spec, "syncPolicy").get("automated")
    entries = (_deployment(entry) for entry in status.get("history") or ())
    history = sorted((d for d in entries if d is not None), key=lambda d: d.id)
    return Application(
        history=tuple(history),
        operation=_operation(raw, status),
        auto_sync=isinstance(policy, Mapping) and policy.get("enabled") is not False,
        health=str(_part(status, "health").get("status") or ""),
        sync=str(_part(status, "sync").get("status") or ""),
        generated_by=_application_set(_part(raw, "metadata")),
    )


def _application_set(metadata: Mapping[str, Any]) -> str:
    """The name of the ApplicationSet that generates it; empty if it stands by itself."""
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if isinstance(owner, Mapping) and owner.get("kind") == "ApplicationSet":
            return sentence(owner.get("name")) or "?"
    # Where the owner reference is cut off on purpose, the controller's own label stays.
    return sentence(_part(metadata, "labels").get(_SET_LABEL))


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = of.get(name)
    return part if isinstance(part, Mapping) else {}


def _item(of: Mapping[str, Any]) -> str:
    """The revision; of several sources, theirs in order."""
    revisions = of.get("revisions")
    several = [str(r) for r in revisions] if isinstance(revisions, Sequence) else []
    return printable(str(of.get("revision") or "+".join(several)))


def _deployment(entry: Any) -> Deployment | None:
    if not isinstance(entry, Mapping):
        return None
    at = _moment(entry.get("deployStartedAt")) or _moment(entry.get("deployedAt"))
    try:
        number = int(entry.get("id") or 0)
    except (TypeError, ValueError):
        return None
    item = _item(entry)
    repository = sentence(_part(entry, "source").get("repoURL"))
    return Deployment(number, item, at, repository) if at is not None and item else None


def _operation(raw: Mapping[str, Any], status: Mapping[str, Any]) -> SyncOperation:
    state = _part(status, "operationState")
    ordered = _part(raw, "operation")
    # What is ordered may not have been begun; the state is that of the operation before then.
    fresh = bool(ordered) and _part(state, "operation") != ordered
    sync = _part(ordered or _part(state, "operation"), "sync")
    result = {} if fresh else _part(state, "syncResult")
    phase = "Running" if fresh else str(state.get("phase") or "")
    return SyncOperation(
        running=bool(ordered) or phase in _RUNNING,
        phase=phase,
        message="" if fresh else sentence(state.get("message")),
        item=_item(sync) or _item(result),
        dry=sync.get("dryRun") is True,
        started=None if fresh else _moment(state.get("startedAt")),
    )


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def sentence(text: Any) -> str:
    """Words of others on one line, cut short."""
    return " ".join(printable(str(text or "")).split())[:_WORDS]
