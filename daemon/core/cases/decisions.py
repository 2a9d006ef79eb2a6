"""What the daemon decided in an incident, line by line, and what it would decide otherwise now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Literal

from daemon.core.changes.suspects import Suspicion
from daemon.core.incident import events as e


@dataclass(frozen=True)
class RecordedDecision:
    """One decision: `word` is what tells it from another ("step 1 started"), `text` why."""

    at: datetime
    word: str
    text: str


Fate = Literal["same", "missing", "new"]
"""It is decided now as then; it was decided then and is not now; the other way round."""


@dataclass(frozen=True)
class ComparedDecision:
    """A decision of then, of now, or of both."""

    fate: Fate
    then: RecordedDecision | None
    now: RecordedDecision | None

    @property
    def shown(self) -> RecordedDecision:
        """The one to show: now's, where there is one."""
        found = self.now or self.then
        assert found is not None  # noqa: S101 - one of them is always there
        return found

    @property
    def later(self) -> timedelta:
        """How much later it is decided now than then; zero where it is not in both."""
        return self.now.at - self.then.at if self.now and self.then else timedelta(0)


def decisions(entries: Sequence[e.Entry]) -> list[RecordedDecision]:
    """The decisions of a journal, in their order; one that is said again and again, once."""
    found: list[RecordedDecision] = []
    last: dict[str, str] = {}
    for entry in entries:
        for about, word, text in _decided(entry.event):
            if last.get(about) != word:
                last[about] = word
                found.append(RecordedDecision(entry.at, word, text))
    return found


def compare(
    then: Sequence[RecordedDecision], now: Sequence[RecordedDecision]
) -> list[ComparedDecision]:
    """Both, side by side. What came out the same is paired, if only in another order."""
    matcher = SequenceMatcher(
        None, [one.word for one in then], [one.word for one in now], autojunk=False
    )
    found: list[ComparedDecision] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            pairs = zip(then[a:b], now[c:d], strict=True)
            found += [ComparedDecision("same", *pair) for pair in pairs]
        else:
            found += [ComparedDecision("missing", one, None) for one in then[a:b]]
            found += [ComparedDecision("new", None, one) for one in now[c:d]]
    return list(_reordered(found))


def _reordered(found: Sequence[ComparedDecision]) -> Iterator[ComparedDecision]:
    """What is missing in one place and new in another is the same, at another time: the first with
    the first, the second with the second."""
    places: dict[tuple[Fate, str], list[int]] = {}
    for number, one in enumerate(found):
        places.setdefault((one.fate, one.shown.word), []).append(number)
    pairs = {
        new: missing
        for (fate, word), numbers in places.items()
        if fate == "new"
        for new, missing in zip(numbers, places.get(("missing", word), ()), strict=False)
    }
    gone = set(pairs.values())
    for number, one in enumerate(found):
        if number in pairs:
            yield ComparedDecision("same", found[pairs[number]].then, one.now)
        elif number not in gone:
            yield one


def _decided(event: e.Event) -> Iterator[tuple[str, str, str]]:
    """(what it is about, the decision in a few words, why)."""
    match event:
        case e.ProblemDefined(problem=problem, suspicion=suspicion):
            yield "problem", f"problem: {problem.verdict} ({problem.reason})", problem.text
            yield from _suspicion(suspicion)
        case e.ProblemReassessed(suspicion=suspicion):
            yield from _suspicion(suspicion)
        case e.StepStarted(step=step, action=action, target=target):
            yield f"step {step}", f"step {step}: started, {action} on {target}", event.authority
        case e.StepRefused(step=step, reason=reason):
            yield f"step {step}", f"step {step}: not started ({reason})", event.text
        case e.StepSkipped(step=step, reason=reason, person="") if not event.person:
            yield f"step {step}", f"step {step}: skipped ({reason})", event.text
        case e.StepObserved(step=step, reason=reason, action=action, target=target):
            would = f"would ask ({reason})" if reason else f"would start, {action} on {target}"
            yield f"step {step}", f"step {step}: {would}", event.text
        case e.ApprovalRequested(step=step, reason=reason):
            yield f"asks {step}", f"step {step}: approval wanted ({reason})", event.text
        case e.StepFinished(step=step, outcome=outcome) if outcome.result == "refused":
            yield f"step {step}", f"step {step}: refused ({outcome.reason})", outcome.detail
        case e.StepVerified(step=step, verdict=verdict):
            yield f"verdict {step}", f"step {step}: {verdict}", event.text
        case e.Recovered() | e.Relapsed():
            yield "course", event.kind.lower(), event.describe()
        case e.DiagnosisOpened(reason=reason):
            yield "course", f"diagnosis opened ({reason})", event.describe()
        case e.IncidentClosed(reason=reason):
            yield "course", f"closed ({reason})", event.text


def _suspicion(suspicion: Suspicion | None) -> Iterator[tuple[str, str, str]]:
    if suspicion is None:
        return
    blamed = suspicion.change if suspicion.verdict == "suspect" else None
    word = f"suspect: {blamed.item}" if blamed is not None else f"suspect: {suspicion.verdict}"
    if suspicion.doubt:
        word += f" ({suspicion.doubt})"
    yield "suspect", word, suspicion.text
