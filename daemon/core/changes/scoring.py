"""Which changes could be to blame, and what speaks for and against each, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from daemon.core.changes.change import Change
from daemon.core.changes.comparison import Contrasted, Facts, SiblingComparison, contrasted
from daemon.core.values.units import clock_time, format_duration, printable

SUSPECT_WINDOW = timedelta(minutes=30)
"""How long before the onset a change may have been made and still be suspected."""
LONG_ROLLOUT = timedelta(hours=2)
"""The same for a change whose rollout still goes on."""
SCRAPE_JITTER = timedelta(seconds=5)
"""By so much a target may seem to go down before the change that took it down."""
SAME_CHANGE = timedelta(minutes=15)
"""How far apart two who tell of the same change may date it."""


TOLD_APART = timedelta(seconds=5)
"""A change closer to the onset than that is not told from it: so far apart clocks may be, and so
much later than it happens a change may be noted."""


@dataclass(frozen=True)
class OnsetBounds:
    """Between which moments the trouble began: before `earliest`, or after `latest`, only with
    half a percent each; before `quartile` with a quarter."""

    earliest: datetime
    quartile: datetime
    latest: datetime

    @classmethod
    def around(cls, onset: datetime, within: timedelta) -> OnsetBounds:
        """Where only the moment and its uncertainty either way are known."""
        return cls(onset - within, onset - within / 2, onset + within)

    def after_the_onset(self, began: datetime) -> bool:
        """Whether a change that began then surely came too late."""
        return began > self.latest + TOLD_APART

    def may_be_after(self, began: datetime) -> bool:
        """Whether it may well have come too late."""
        return began - TOLD_APART > self.quartile

    @property
    def text(self) -> str:
        """The interval, for a sentence."""
        return f"between {clock_time(self.earliest)} and {clock_time(self.latest)}"


@dataclass(frozen=True)
class Case:
    """One change with all that tell of it (`reports`), and what is held against it.

    `cleared` says why it is not to blame; `outside`: that needed no measurement.
    """

    change: Change
    reports: tuple[Change, ...]
    began: datetime
    contrast: Contrasted = field(default_factory=Contrasted)
    down: str = ""
    cleared: str = ""
    outside: bool = False
    score: float = 0.0
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What changed to what."""
        return f"{self.change.subject} → {self.change.item}"


def candidates(changes: Sequence[Change], onset: datetime, resolution: timedelta) -> list[Change]:
    """The newest change of each subject that came shortly before the onset, oldest first.

    An older change of the same subject is acquitted: what came after it was healthy.
    """
    newest: dict[str, Change] = {}
    for change in sorted(changes, key=order):
        if onset - SUSPECT_WINDOW <= change.at <= onset + resolution:
            newest[change.subject] = change
    return sorted(newest.values(), key=order)


def cases(changes: Sequence[Change], onset: datetime, resolution: timedelta) -> list[Case]:
    """Each change once, with those that tell of the same one: they name it as their target."""
    unique = {(c.subject, c.item, c.at): c for c in sorted(changes, key=order)}
    reports: dict[tuple[str, str, datetime], list[Change]] = {}
    for key, change in unique.items():
        near = [
            other
            for other in unique.values()
            if other.subject == change.target != change.subject
            and abs(other.at - change.at) <= SAME_CHANGE
        ]
        if not near and change.target:
            # Nothing of ours watches the target: two systems may tell of its one deployment.
            near = [
                other
                for other in unique.values()
                if (other.target, other.item) == (change.target, change.item)
                and abs(other.at - change.at) <= SAME_CHANGE
                and order(other) < order(change)
            ]
        if near:
            host = min(near, key=lambda other: (abs(other.at - change.at), order(other)))
            key = (host.subject, host.item, host.at)
        reports.setdefault(key, []).append(change)
    return [_case(unique[key], others, onset, resolution) for key, others in reports.items()]


def _case(
    change: Change, reports: Sequence[Change], onset: datetime, resolution: timedelta
) -> Case:
    # Who told of it first may have told of its beginning: the earliest counts that can.
    others = [c for c in reports if c != change]
    reports = [change, *others]
    fitting = [c.at for c in reports if onset - SUSPECT_WINDOW <= c.at <= onset + resolution]
    texts = dict.fromkeys(printable(c.text or c.item) for c in others)
    if texts:
        text = "; ".join([*filter(None, [change.text]), *list(texts)[:3]])
        rolling = any(c.rolling for c in reports)
        change = change.model_copy(update={"text": text, "rolling": rolling})
    return Case(change, tuple(reports), min(fitting, default=change.at))


def placed(found: Sequence[Case], onset: datetime, bounds: OnsetBounds, facts: Facts) -> list[Case]:
    """Leave out what is too old, and clear what came too late, was replaced, or is elsewhere."""
    placed_cases: list[Case] = []
    next_one: dict[str, datetime] = {}
    for case in sorted(found, key=lambda c: order(c.change), reverse=True):
        change, lead = case.change, onset - case.began
        cleared = ""
        if bounds.after_the_onset(case.began):
            cleared = f"it began {span_words(-lead)} after the onset"
        elif lead > (LONG_ROLLOUT if change.rolling else SUSPECT_WINDOW):
            continue
        elif change.subject in next_one:
            at = clock_time(next_one[change.subject])
            cleared = f"it was replaced at {at}, before the trouble began"
            next_one[change.subject] = change.at
        elif not _concerns(case, facts):
            cleared = f"it was reported for {_labels(change.labels)}, not for this incident"
        else:
            next_one[change.subject] = change.at
        placed_cases.append(replace(case, cleared=cleared, outside=bool(cleared)))
    return placed_cases


def _concerns(case: Case, facts: Facts) -> bool:
    """Labels of a report that contradict the incident's speak of something else."""
    labels = case.change.labels if case.change.reported else {}
    shared = labels.keys() & facts.labels.keys()
    return all(labels[name] == facts.labels[name] for name in shared)


# ── weighing ─────────────────────────────────────────────────────────────────────────────────


def weighed(
    case: Case,
    changes: Sequence[Change],
    onset: datetime,
    facts: Facts,
    siblings: SiblingComparison,
    now: datetime | None,
) -> Case:
    """Give the score and the reasons; clear what the metrics clear."""
    change, lead = case.change, onset - case.began
    if case.cleared:
        return replace(case, reasons=(f"it began at {clock_time(case.began)}",))
    running = change.rolling and lead >= timedelta(0)
    nearness = 1.0 if running else 1 - max(lead, timedelta(0)) / SUSPECT_WINDOW
    contrast = Contrasted()
    # What a report that speaks of everything calls its item says nothing about revisions.
    if not change.reported or change.labels or change.target or len(case.reports) > 1:
        reports = [change, *case.reports]
        contrast = contrasted(facts, [c.item for c in reports], [c.previous for c in reports])
    spared = siblings.spared and not siblings.shared
    down = _targets_down(case, facts)
    score = 0.3 + 0.3 * nearness + 0.1 * running + 0.2 * (contrast.says == "worse") + 0.1 * spared
    score = min(1.0, score + 0.1 * bool(down))
    reasons = [f"it began {when_words(lead)}, at {clock_time(case.began)}"]
    if running:
        reasons.append(_rolling(onset, now))
    reasons += [_touches(change), _return(change, changes), contrast.text, down, siblings.text]
    cleared = contrast.text if contrast.says == "alike" else ""
    return replace(
        case,
        contrast=contrast,
        down=down,
        cleared=cleared,
        score=0.0 if cleared else round(score, 3),
        reasons=tuple(filter(None, reasons)),
    )


def _rolling(onset: datetime, now: datetime | None) -> str:
    since = "" if now is None or now <= onset else f", and for {span_words(now - onset)} since"
    return f"its rollout was still running at the onset{since}"


def _targets_down(case: Case, facts: Facts) -> str:
    """That the service's own targets went down with the change; empty unless they did."""
    found = facts.own_down
    if found is None or found.since is None:
        return ""
    lag = found.since - case.began
    if not -SCRAPE_JITTER <= lag <= SUSPECT_WINDOW:
        return ""
    after = "at the change" if lag < timedelta(seconds=1) else f"{span_words(lag)} after it began"
    return (
        f"{found.down} of {found.known} of the service's own targets are down since "
        f"{clock_time(found.since)}, {after}"
    )


def _touches(change: Change) -> str:
    if not change.reported:
        return "it changed what this rule watches"
    about = f"by {printable(change.seen_by)}"
    if change.target:
        about += f", with the target {printable(change.target)}"
    if change.labels:
        return f"reported {about}, for {_labels(change.labels)}"
    return f"reported {about}, without labels: it may concern everything"


def _return(change: Change, changes: Sequence[Change]) -> str:
    if not _goes_back(change, changes):
        return ""
    return f"it went back to {change.item}, which had been live before"


def undoes(change: Change, changes: Sequence[Change]) -> bool:
    """Whether it is somebody's rollback; to go back to what a rollback had removed is none."""
    earlier = _earlier(change, changes)
    again = bool(earlier) and _goes_back(max(earlier, key=order), changes)
    return _goes_back(change, changes) and not again


def _goes_back(change: Change, changes: Sequence[Change]) -> bool:
    if change.reported:
        return False  # two reports of one deployment are no return
    return any(change.item in {c.item, c.previous} for c in _earlier(change, changes))


def _earlier(change: Change, changes: Sequence[Change]) -> list[Change]:
    return [c for c in changes if c.subject == change.subject and c.at < change.at]


def when_words(lead: timedelta) -> str:
    """How long before the likeliest onset, or after it, for a sentence."""
    if abs(lead) < timedelta(seconds=1):
        return "at the onset"
    if lead < timedelta(0):
        return f"{span_words(-lead)} after the likeliest onset"
    return f"{span_words(lead)} before the onset"


def span_words(length: timedelta) -> str:
    """A length of time for a sentence, in whole seconds."""
    return format_duration(timedelta(seconds=round(length.total_seconds())))


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={printable(value)}" for name, value in sorted(labels.items()))


def order(change: Change) -> tuple[Any, ...]:
    """Oldest first, and the same whatever order they come in."""
    labels = sorted(change.labels.items())
    fields = (change.item, change.subject, change.previous, change.seen_by, change.text)
    return (change.at, *fields, change.target, change.rolling, labels)
