"""Helm by its command line: the history of a release, and what each revision of it really is.

Helm's numbers never come back: a rollback makes a new revision that copies an old one. An item
is therefore the revision in which something came first; "Rollback to 3" is the item 3 again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from daemon.core.changes.suspects import Change
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from recovery_actions.commands import PlainText, ask_argv, shown_command
from recovery_actions.kubernetes.names import InCluster, Namespace, ObjectName
from recovery_actions.workshop import Workshop

_LOOK = timedelta(seconds=30)
"""How long Helm may take to tell the history."""
_LARGEST = 4 << 20
_MAX = "256"
_WORDS = 300
_COPY = re.compile(r"Rollback to (\d+)")
_RAN = frozenset({"deployed", "superseded"})


def _release(text: str) -> str:
    if len(text) > 53:
        raise ValueError("the name of a release has at most 53 characters")
    return text


def _program(text: str) -> str:
    if not text or text.startswith("-") or text == "*":
        raise ValueError("write the program, like helm or /usr/local/bin/helm")
    return text


class HelmPlace(InCluster):
    """Which release, and the program `helm` to ask."""

    release: Annotated[ObjectName, AfterValidator(_release)]
    namespace: Namespace
    helm: Annotated[PlainText, AfterValidator(_program)] = "helm"

    @property
    def target(self) -> str:
        """The target key."""
        cluster = f"{self.cluster}:" if self.cluster else ""
        return f"helm:{cluster}{self.namespace}/{self.release}"


class NoSuchRelease(Permanent):
    """There is no such release."""


class HelmForbidden(Permanent):
    """The cluster does not let us."""


@dataclass(frozen=True)
class HelmRevision:
    """One revision of a release; `item` is the revision that it copies, or itself."""

    number: int
    item: str
    at: datetime | None
    status: str
    description: str
    chart: str

    @property
    def pending(self) -> bool:
        """Whether Helm is just making it, or died over it."""
        return self.status.startswith("pending-")

    @property
    def ran(self) -> bool:
        """Whether it was rolled out to the end."""
        return self.status in _RAN

    @property
    def title(self) -> str:
        """For a sentence: 'revision 7 (shop-1.4.0)', with what it copies."""
        copy = f", a copy of {self.item}" if self.item != str(self.number) else ""
        return f"revision {self.number}{f' ({self.chart}{copy})' if self.chart else ''}"


def cluster_flags(place: HelmPlace, workshop: Workshop) -> list[str]:
    """The cluster of the settings, as Helm wants to be told; nothing if it finds it by itself.
    Raises NoSuchCluster."""
    cluster = workshop.cluster_of(place.cluster)
    flags = ["--kubeconfig", str(cluster.kubeconfig)] if cluster.kubeconfig else []
    return flags + (["--kube-context", cluster.context] if cluster.context else [])


async def release_history(place: HelmPlace, workshop: Workshop) -> list[HelmRevision]:
    """All revisions that are kept, oldest first; never empty. Raises Temporary, NoSuchRelease,
    Forbidden or Permanent."""
    argv = [place.helm, "history", place.release, "--namespace", place.namespace]
    argv += ["--output", "json", "--max", _MAX, *cluster_flags(place, workshop)]
    status, output, complaint = await _read(argv, workshop.base)
    if status != 0:
        raise _trouble(argv, place, " ".join(printable(complaint).split())[-_WORDS:])
    try:
        entries = json.loads(output)
        found = revisions(entries)
    except (ValueError, TypeError, RecursionError) as error:
        raise Permanent(f"{shown_command(argv)} answered with no JSON that can be read") from error
    if not found:
        raise NoSuchRelease(f"Helm knows no revision of {place.release} in {place.namespace}")
    return found


def revisions(entries: Sequence[Mapping[str, Any]]) -> list[HelmRevision]:
    """Read what `helm history --output json` writes. Raises TypeError or ValueError."""
    items: dict[int, str] = {}
    found = []
    for entry in sorted(entries, key=lambda entry: int(entry["revision"])):
        number, description = int(entry["revision"]), str(entry.get("description") or "")
        copy = _COPY.fullmatch(description)
        items[number] = items.get(int(copy[1]), copy[1]) if copy else str(number)
        found.append(
            HelmRevision(
                number=number,
                item=items[number],
                at=_moment(entry.get("updated")),
                status=str(entry.get("status") or ""),
                description=" ".join(printable(description).split())[:_WORDS],
                chart=printable(str(entry.get("chart") or ""))[:100],
            )
        )
    return found


def changes(subject: str, found: Sequence[HelmRevision]) -> list[Change]:
    """What became live when, oldest first. A failed upgrade has changed the cluster, too."""
    seen: list[Change] = []
    for one in found:
        if one.at is not None and (one.ran or one.status == "failed"):
            seen.append(
                Change(
                    subject=subject,
                    item=one.item,
                    previous=seen[-1].item if seen else "",
                    at=one.at,
                    seen_by="helm",
                    text=one.title,
                )
            )
    return seen


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _trouble(argv: Sequence[str], place: HelmPlace, complaint: str) -> Exception:
    text = f"{shown_command(argv)} failed: {complaint or 'it wrote nothing'}"
    if "release: not found" in complaint:
        where = f"{place.release} in the namespace {place.namespace}"
        return NoSuchRelease(f"Helm knows no release {where}")
    if "forbidden" in complaint:
        return HelmForbidden(f"{text}; Helm keeps its releases in Secrets, which it must read")
    return Temporary(text)


async def _read(argv: Sequence[str], base: Path) -> tuple[int, bytes, str]:
    """Run a command that changes nothing; gives its status and both its outputs."""
    try:
        said = await ask_argv(argv, _LOOK, base, _LARGEST)
    except OSError as error:
        raise Permanent(f"{shown_command(argv)} could not be started: {error.strerror}") from error
    return said.status, said.output, said.complaint.decode(errors="replace")
