"""What came of a case, held against what was expected of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daemon.core.cases.rule_case import Expectation, Place, RuleCase
from daemon.core.incident import events as e
from daemon.core.incident.fold import apply_event, fold
from daemon.core.incident.state import Incident

NOBODY = "none"
"""What is written where no change is to be the suspect."""


@dataclass(frozen=True)
class Mismatch:
    """One expectation that was not met: where it stands, of which moment, both sides in words, and
    what the daemon said about it (may be empty)."""

    place: Place
    at: timedelta
    expected: str
    got: str
    why: str = ""


def mismatches(case: RuleCase, journals: Mapping[str, Sequence[e.Entry]]) -> list[Mismatch]:
    """Everything that came out otherwise, in the order of the case. `journals` are those of all
    incidents, in the order of their opening."""
    found: list[Mismatch] = []
    for index, expected in enumerate(case.expect):
        moment = case.begins + expected.at
        then = [entries for entries in journals.values() if entries[0].at <= moment]
        found += _compared(case, expected, ("expect", index), moment, then)
    for entries in journals.values():
        found += _forbidden(case, entries)
    return list(dict.fromkeys(found))


# ── what is expected at a moment ─────────────────────────────────────────────────────────────


def _compared(
    case: RuleCase,
    expected: Expectation,
    place: Place,
    moment: datetime,
    journals: Sequence[Sequence[e.Entry]],
) -> Iterator[Mismatch]:
    ours = [entries for entries in journals if opened_by(entries, case.rule)]
    if expected.incidents is not None and expected.incidents != len(ours):
        wanted, got = str(expected.incidents), str(len(ours))
        yield Mismatch((*place, "incidents"), expected.at, wanted, got, _opened(ours))
    asked = expected.model_fields_set - {"at", "incidents", "incident"}
    if not asked:
        return
    if len(ours) < expected.incident:
        text = f"incident {expected.incident} of {case.rule}"
        yield Mismatch(place, expected.at, text, f"{len(ours)} have opened", _alerts(case))
        return
    entries = [entry for entry in ours[expected.incident - 1] if entry.at <= moment]
    incident = fold(entries)
    for name in Expectation.model_fields:
        wanted = getattr(expected, name)
        if name not in asked or wanted is None:
            continue
        got, why = _GOT[name](incident, entries, wanted)
        if not _meets(name, wanted, got):
            at = (*place, name)
            yield Mismatch(at, expected.at, _words(wanted), _words(got), why)


def opened_by(entries: Sequence[e.Entry], rule: str) -> bool:
    """Whether the rule of that name opened the incident of this journal."""
    opened = entries[0].event
    return isinstance(opened, e.IncidentOpened) and opened.rule == rule


def _opened(journals: Sequence[Sequence[e.Entry]]) -> str:
    return "; ".join(entries[0].event.describe() for entries in journals[:3])


def _alerts(case: RuleCase) -> str:
    if not case.alerts:
        return "the case has no `alerts:`, and nothing but an alert opens an incident"
    return "does the rule's `match` hold for the labels of the alerts?"


def _meets(name: str, wanted: Any, got: Any) -> bool:
    match name:
        case "statement":
            texts = (wanted,) if isinstance(wanted, str) else wanted
            return all(text in got for text in texts)
        case "refuses" | "verdicts":
            return bool(wanted.items() <= got.items())
        case "pages":
            return sorted(set(wanted)) == sorted(got)
        case _:
            return bool(wanted == got)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {word}" for key, word in sorted(value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) if value != "" else "none"


def _problem(name: str) -> Any:
    def got(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[str, str]:
        problem = incident.confirmed or incident.problem
        if problem is None:
            return "", "it was not measured by then"
        found = {"verdict": problem.verdict, "reason": problem.reason, "statement": problem.text}
        return found[name], "" if name == "statement" else f"{problem.reason}: {problem.text}"

    return got


def _suspect(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[str, str]:
    found = incident.suspicion
    if found is None:
        return NOBODY, "no change was weighed by then"
    blamed = found.change if found.verdict == "suspect" else None
    return (blamed.item if blamed is not None else NOBODY), found.text


def _starts(
    incident: Incident, entries: Sequence[e.Entry], wanted: Sequence[int]
) -> tuple[tuple[int, ...], str]:
    got = tuple(x.event.step for x in entries if isinstance(x.event, e.StepStarted))
    return got, _refusals(incident, entries, [step for step in wanted if step not in got])


def _asks(
    incident: Incident, entries: Sequence[e.Entry], wanted: Sequence[int]
) -> tuple[tuple[int, ...], str]:
    asked = [x.event.step for x in entries if isinstance(x.event, e.ApprovalRequested)]
    got = tuple(sorted(set(asked)))
    return got, _refusals(incident, entries, sorted({*wanted} ^ {*got}))


def _observes(
    incident: Incident, entries: Sequence[e.Entry], wanted: Sequence[int]
) -> tuple[tuple[int, ...], str]:
    observed = (x.event.step for x in entries if isinstance(x.event, e.StepObserved))
    got = tuple(dict.fromkeys(observed))
    return got, _refusals(incident, entries, [step for step in wanted if step not in got])


def _refuses(
    incident: Incident, entries: Sequence[e.Entry], wanted: Mapping[int, str]
) -> tuple[Mapping[int, str], str]:
    found = _last_refusals(entries)
    got = {step: found[step][0] for step in wanted if step in found}
    return got, _refusals(incident, entries, list(wanted))


def _verdicts(
    incident: Incident, _: Sequence[e.Entry], wanted: Mapping[int, str]
) -> tuple[Mapping[int, str], str]:
    got = {step: str(incident.step(step).verdict or "none") for step in wanted}
    texts = (incident.step(step).verdict_text or _standing(incident, step) for step in wanted)
    return got, "; ".join(filter(None, texts))


def _standing(incident: Incident, step: int) -> str:
    state = incident.step(step)
    outcome = f", {state.outcome.detail}" if state.outcome is not None else ""
    return f"step {step} is {state.status}{outcome}"


def _pages(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[tuple[str, ...], str]:
    rang = [page for page in incident.pages.values() if page.delivered_at is not None]
    called = dict.fromkeys(page.queued.person for page in rang)
    return tuple(called), "; ".join(
        f"{page.queued.person}: {page.queued.text}" for page in rang[:3]
    )


def _commander(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[str, str]:
    return incident.commander or NOBODY, ""


def _phase(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[str, str]:
    return incident.phase, ""


def _severity(incident: Incident, _: Sequence[e.Entry], __: Any) -> tuple[str, str]:
    problem = incident.confirmed or incident.problem
    return incident.severity, problem.text if problem is not None else ""


_GOT: Mapping[str, Any] = {
    "verdict": _problem("verdict"),
    "reason": _problem("reason"),
    "statement": _problem("statement"),
    "severity": _severity,
    "suspect": _suspect,
    "starts": _starts,
    "refuses": _refuses,
    "asks": _asks,
    "observes": _observes,
    "verdicts": _verdicts,
    "pages": _pages,
    "commander": _commander,
    "phase": _phase,
}
"""What each key of an expectation asks of an incident: (what it is, what the daemon said)."""


def _refusals(incident: Incident, entries: Iterable[e.Entry], steps: Sequence[int]) -> str:
    """Why these steps did not start, in the daemon's words."""
    found = _last_refusals(entries)
    told = []
    for step in steps:
        reason, text = found.get(step, ("", ""))
        told.append(f"step {step}: {reason}: {text}" if reason else _standing(incident, step))
    return "; ".join(told)


def _last_refusals(entries: Iterable[e.Entry]) -> dict[int, tuple[str, str]]:
    """Why each step was last not started, passed over or taken back: the reason, the sentence."""
    found: dict[int, tuple[str, str]] = {}
    for entry in entries:
        match entry.event:
            case e.StepRefused() | e.StepSkipped() as refused:
                found[refused.step] = (refused.reason, refused.text)
            case e.StepObserved(reason=reason) as observed if reason:
                found[observed.step] = (observed.reason, observed.text)
            case e.StepFinished(outcome=outcome) as ended if outcome.result == "refused":
                found[ended.step] = (outcome.reason, outcome.detail)
    return found


# ── what must never come about ───────────────────────────────────────────────────────────────


def _forbidden(case: RuleCase, entries: Sequence[e.Entry]) -> Iterator[Mismatch]:
    """The first time of each thing that must not be."""
    never, told = case.never, set()
    opened = entries[0]
    if not isinstance(opened.event, e.IncidentOpened):
        return
    incident = Incident(opened.incident, opened.at, opened.event, 1)
    for entry in entries[1:]:
        incident = apply_event(incident, entry.at, entry.event, entry.by)
        for key, got in _so_far(incident, entry.event):
            listed = getattr(never, key)
            if (listed == "any" or got in listed) and (key, got) not in told:
                told.add((key, got))
                at = entry.at - case.begins
                said = entry.event.describe()
                yield Mismatch(("never", key), at, f"never {_words(listed)}", str(got), said)


def _so_far(incident: Incident, event: e.Event) -> Iterator[tuple[str, object]]:
    match event:
        case e.StepStarted(step=step):
            yield "starts", step
        case e.ApprovalRequested(step=step):
            yield "asks", step
        case e.PageQueued(person=person):
            yield "pages", person
    yield "severity", incident.severity
    yield "phase", incident.phase
