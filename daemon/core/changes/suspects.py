"""Which change is to blame: pure, explained, and shy.

A change is the one suspect only if it came shortly before the measured onset, concerns what
fails, and stands alone; or if the metrics show what carries it failing while what does not is as
ever. Two candidates are `ambiguous`, and `ambiguous` never acts. Nobody is cleared without
evidence, and nobody is convicted because somebody else was cleared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.changes.change import (
    MIN_OVERLAP,
    REPORTED_PREFIX,
    Candidate,
    Change,
    HealthMark,
    last_healthy,
)
from daemon.core.changes.comparison import (
    Contrast,
    Facts,
    Sibling,
    SiblingComparison,
    compare_siblings,
)
from daemon.core.changes.precedent import Precedent, precedents_text, unexplained
from daemon.core.changes.scoring import (
    SUSPECT_WINDOW,
    Case,
    OnsetBounds,
    candidates,
    cases,
    order,
    placed,
    undoes,
    weighed,
    when_words,
)
from daemon.core.values.units import Frozen, format_duration, printable, unset

__all__ = [
    "MIN_OVERLAP",
    "REPORTED_PREFIX",
    "SUSPECT_WINDOW",
    "Candidate",
    "Change",
    "Contrast",
    "Facts",
    "HealthMark",
    "OnsetBounds",
    "Precedent",
    "Sibling",
    "Suspicion",
    "Weighed",
    "candidates",
    "last_healthy",
    "suspect",
    "unseen",
]

NO_FACTS = unset(Facts)
"""Nothing but the times is known."""
MOST_CLEARED = 12
"""So many cleared changes are told of."""


class Weighed(Frozen):
    """One change and what speaks for it, in sentences; `acquitted` says why it is not to blame."""

    change: Change
    score: float
    reasons: tuple[str, ...]
    acquitted: str = ""


Doubt = Literal["onset_unclear", "seen_before"]
"""Why the change that fits may not be to blame: it may have come after the onset; it was as bad
before it."""


class Suspicion(Frozen):
    """Which change is to blame: `verdict` with the sentence that explains it.

    `candidates`: every change that was weighed, the likeliest first. `shared`: other services
    turned worse at the same time, so the cause is not here. `unseen`: changes could not be read.
    `returned`: the suspect had been live before, so it is somebody's rollback. `doubtful`: it is
    the one that fits, but for the `doubt`, which a person decides on.
    """

    verdict: Literal["suspect", "doubtful", "none", "ambiguous", "unseen"]
    text: str
    doubt: Doubt | Literal[""] = ""
    change: Change | None = None
    candidates: tuple[Weighed, ...] = ()
    shared: bool = False
    returned: bool = False


def unseen(known: Suspicion, why: str) -> Suspicion:
    """The suspicion where changes could not be read: nobody is blamed, and nobody is cleared."""
    text = f"what was changed could not be seen: {why}"
    if known.shared:
        text = f"{known.text}; {text}"
    return known.model_copy(update={"verdict": "unseen", "text": text})


def suspect(
    changes: Sequence[Change],
    onset: datetime | None,
    resolution: timedelta,
    facts: Facts = NO_FACTS,
    now: datetime | None = None,
    bounds: OnsetBounds | None = None,
) -> Suspicion:
    """Find the one change that explains the onset.

    `resolution` is the uncertainty of the onset: a change may appear up to that much later than
    the estimated onset and still have come first; `bounds` tell more of it, where more is known.
    `now` is only told of.
    """
    siblings = compare_siblings(facts.siblings, facts.drop)
    if onset is None:
        text = "the onset is not known, so no change can explain it"
        if siblings.shared:
            text = _shared(siblings)
        return Suspicion(verdict="none", text=text, shared=siblings.shared)
    bounds = bounds or OnsetBounds.around(onset, resolution)
    weighty = _convicted(
        [
            weighed(case, changes, onset, facts, siblings, now)
            for case in placed(cases(changes, onset, resolution), onset, bounds, facts)
        ]
    )
    found = _verdict(weighty, onset, siblings)
    if found.change is not None:
        case = next(c for c in weighty if c.change == found.change)
        found = _doubted(found, case, bounds, facts, changes, now or onset)
    returned = found.change is not None and undoes(found.change, changes)
    return found.model_copy(update={"returned": returned})


def _doubted(
    found: Suspicion,
    case: Case,
    bounds: OnsetBounds,
    facts: Facts,
    changes: Sequence[Change],
    now: datetime,
) -> Suspicion:
    """The suspicion with what speaks against it, unless the metrics show that what carries the
    change fails and what does not is as ever."""
    if case.contrast.clean:
        return found
    doubt: Doubt
    if bounds.may_be_after(case.began):
        doubt = "onset_unclear"
        why = f"the trouble began {bounds.text}, so the metrics do not tell which came first"
    elif before := unexplained(facts.precedents, case.change, changes):
        doubt = "seen_before"
        why = f"it was as bad before, {precedents_text(before, now)}, without this change"
    else:
        return found
    text = f"{found.text}; but {why}"
    return found.model_copy(update={"verdict": "doubtful", "doubt": doubt, "text": text})


def _convicted(found: Sequence[Case]) -> list[Case]:
    """If the contrast convicts exactly one, whatever else changed is cleared: it would have hit
    the old revision as well."""
    proven = [c for c in found if not c.cleared and c.contrast.clean]
    if len(proven) != 1:
        return list(found)
    why = f"it would have hit the old revision too: {proven[0].contrast.short}"
    return [
        c if c is proven[0] or c.cleared else replace(c, cleared=why, outside=True, score=0.0)
        for c in found
    ]


def _verdict(found: Sequence[Case], onset: datetime, siblings: SiblingComparison) -> Suspicion:
    newest_first = sorted(found, key=lambda c: order(c.change), reverse=True)
    ranked = sorted(newest_first, key=lambda c: -c.score)
    left = [c for c in ranked if not c.cleared]
    rivals = [c for c in ranked if c.cleared and not c.outside]
    candidates = tuple(
        Weighed(change=c.change, score=c.score, reasons=c.reasons, acquitted=c.cleared)
        for c in [*left, *[c for c in ranked if c.cleared][:MOST_CLEARED]]
    )
    names = ", ".join(c.name for c in sorted(left, key=lambda c: order(c.change)))
    if siblings.shared:
        also = f"; beside it changed: {names}" if names else ""
        return Suspicion(
            verdict="none", text=_shared(siblings) + also, candidates=candidates, shared=True
        )
    if not left:
        return Suspicion(verdict="none", text=_nobody(ranked, rivals, onset), candidates=candidates)
    if len(left) > 1:
        text = f"{len(left)} changes fit the onset: {names}"
        return Suspicion(verdict="ambiguous", text=text, candidates=candidates)
    if rivals and left[0].contrast.says != "worse":
        text = (
            f"{names} is left, for {rivals[0].name} is acquitted ({rivals[0].cleared}); but "
            "nothing beyond its time speaks against it"
        )
        return Suspicion(verdict="ambiguous", text=text, candidates=candidates)
    text = "; ".join([_accusation(left[0], onset), *_spoken_free(ranked)])
    return Suspicion(verdict="suspect", text=text, change=left[0].change, candidates=candidates)


def _accusation(case: Case, onset: datetime) -> str:
    change = case.change
    called = f" ({printable(change.text)})" if change.text else ""
    parts = [
        f"{change.subject}: {change.previous or '?'} → {change.item}{called}, "
        f"{when_words(onset - case.began)}"
    ]
    if change.rolling:
        parts.append("rollout still running")
    if case.down:
        parts.append(case.down)
    if case.contrast.short:
        parts.append(case.contrast.short)
    return "; ".join(parts)


def _spoken_free(ranked: Sequence[Case]) -> list[str]:
    """What else changed in time, and why it is none of that."""
    names = [c.name for c in ranked if c.cleared and c.score == 0 and c.reasons[1:]]
    return [f"acquitted: {', '.join(names)}"] if names else []


def _nobody(ranked: Sequence[Case], rivals: Sequence[Case], onset: datetime) -> str:
    if rivals:
        return "no change explains it: " + "; ".join(f"{c.name}: {c.cleared}" for c in rivals)
    text = f"no change in the {format_duration(SUSPECT_WINDOW)} before the onset"
    if ranked:
        text += f"; {ranked[0].name} is acquitted: {ranked[0].cleared}"
    return text


def _shared(siblings: SiblingComparison) -> str:
    return f"{siblings.text}; a shared cause is likelier"
