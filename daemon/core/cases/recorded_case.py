"""The case that a closed incident was: made of its journal, and of the samples kept with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal, get_args

from daemon.core.alertmanager import Alert
from daemon.core.cases.curves import CurvePiece
from daemon.core.cases.given_series import CountSeries, GivenSeries, Measure, measures_of
from daemon.core.cases.rule_case import (
    Expectation,
    GivenAction,
    GivenAlert,
    GivenChange,
    GivenMove,
    GivenTrouble,
    RuleCase,
)
from daemon.core.changes.change import Change
from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.incident.reasons import AskReason, Hindrance
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.rules.rule import ProblemSpec, Rule
from daemon.core.values.drill_key import drill_of, key_prefix
from daemon.core.values.outcome import Permanent

_MOST_ALERTS = 200
"""So many changes of alerts go into a case; of a storm the first are enough."""
_AFTER = timedelta(minutes=1)
"""So long after the first measurement is looked at what came of it."""
_SECOND = timedelta(seconds=1)
_NOT_APPROVED: frozenset[AskReason] = frozenset(
    {"not_approved", "approval_void", "approval_expired", "autonomy_withdrawn"}
)
"""Why a step was asked for that else had run by itself."""
_FROM_OUTSIDE: frozenset[str] = frozenset(
    {*get_args(Hindrance), "upstream_alerting", "monitoring_outage"}
)
"""Why a step did not start that neither its rule nor its incident's own samples say."""


class NotReplayable(Permanent):
    """The incident cannot be made into a case; the text says why, and what to do."""


def recorded_samples(entries: Sequence[e.Entry]) -> e.SamplesRecorded:
    """What was kept of its measurements. Raises NotReplayable if nothing was."""
    kept = [x.event for x in entries if isinstance(x.event, e.SamplesRecorded)]
    if kept and kept[-1].series:
        return kept[-1]
    why = (kept[-1].trouble or "Prometheus had none") if kept else ""
    if not kept and fold(entries).closed is None:
        why = "they are kept when it is over, and it is still open"
    elif not kept:
        why = "nothing was measured, or it is from before Stopgap kept samples"
    raise NotReplayable(
        f"its samples were not kept ({why}); `stopgap replay --against-prometheus RULE` asks "
        "Prometheus itself, as far back as it remembers"
    )


def in_earnest(entries: Sequence[e.Entry]) -> Sequence[e.Entry]:
    """The journal of a drill's incident with its targets and changes called what they would be in
    earnest, as a case has them; another one as it is."""
    run = drill_of(fold(entries).key)
    if not run:
        return entries
    prefix = key_prefix(run)
    return [
        entry.model_copy(update={"event": e.decode(e.encode(entry.event).replace(prefix, ""))})
        for entry in entries
    ]


def case_of(entries: Sequence[e.Entry], rule: Rule) -> RuleCase:
    """The incident as a case of that rule. Raises NotReplayable."""
    incident, kept = fold(entries), recorded_samples(entries)
    finest = _finest(kept)
    problem = rule.problem
    wanted = {(name, 0) for name in ("bad", "total") if getattr(problem, name)}
    wanted |= {("value", number) for number in range(len(problem.values))}
    if not wanted <= finest.keys():
        has, asks = (", ".join(_told(one) for one in sorted(each)) for each in (finest, wanted))
        raise NotReplayable(
            f"samples of {has} were kept, and {rule.rule} measures {asks} now: they do not fit"
        )
    first = min((finest[name] for name in wanted), key=_starts)
    begins, step = _starts(first), first.step
    series = {name: _notation(finest[name], begins) for name in sorted(wanted)}
    given: dict[str, Any] = {
        name: CountSeries(per_minute=text) for (name, _), text in series.items() if name != "value"
    }
    values = [text for (name, _), text in series.items() if name == "value"]
    if problem.value is not None:
        given["value"] = values[0]
    elif values:
        given["values"] = values
    return RuleCase(
        case=f"The incident {incident.id}",
        why=(incident.confirmed or incident.problem).text if incident.problem else "",
        rule=rule.rule,
        begins=begins,
        interval=step,
        scrape=kept.scrape or step,
        labels=dict(incident.group_labels),
        series=GivenSeries.model_validate(given),
        changes=tuple(_changes(entries, kept, begins)),
        alerts=tuple(_alerts(entries, incident, begins)),
        people=tuple(_moves(entries, begins)),
        actions=dict(_actions(entries)),
        trouble=tuple(
            GivenTrouble(began=max(one.begin - begins, timedelta(0)), over=one.end - begins)
            for one in kept.earlier
            if one.end > begins
        ),
        approvals=_approvals(entries, rule),
        until=_ceil((incident.closed_at or entries[-1].at) - begins),
        expect=tuple(_expected(entries, incident, begins)),
    )


def recorded_pieces(
    kept: e.SamplesRecorded, begins: datetime, spec: ProblemSpec
) -> dict[Measure, list[CurvePiece]]:
    """All that was kept, also of long before the case: rates in events a second, and values."""
    found: dict[Measure, list[CurvePiece]] = {}
    start = begins.timestamp()
    values = measures_of(spec)
    for (name, number), parts in groupby(sorted(kept.series, key=_by_query), key=_named):
        pieces: list[CurvePiece] = []
        for one in parts:
            step = one.step.total_seconds()
            begin = _starts(one).timestamp() - start
            over = one.window.total_seconds() if name != "value" else 1.0
            pieces += [
                CurvePiece(begin + n * step, *_piece(value, over))
                for n, value in enumerate(one.values)
            ]
            pieces.append(CurvePiece(begin + len(one.values) * step, *_piece(None, over)))
        measure = values[number] if name == "value" and number < len(values) else (name,)
        found[measure] = pieces[:-1]  # it goes on as it ended
    return found


def _named(one: e.RecordedSeries) -> tuple[str, int]:
    return one.query, one.number


def _told(named: tuple[str, int]) -> str:
    name, number = named
    return f"{name} {number + 1}" if number else name


def _by_query(one: e.RecordedSeries) -> tuple[str, int, datetime]:
    return *_named(one), one.begin


def _piece(value: float | None, over: float) -> tuple[float, Any]:
    return (math.nan, "missed") if value is None else (value / over, "seen")


def _finest(kept: e.SamplesRecorded) -> dict[tuple[str, int], e.RecordedSeries]:
    """The series around the incident: of each query the one with the shortest step."""
    found: dict[tuple[str, int], e.RecordedSeries] = {}
    for one in kept.series:
        known = found.get(_named(one))
        if known is None or one.step < known.step:
            found[_named(one)] = one
    return found


def _starts(one: e.RecordedSeries) -> datetime:
    """A count is of the time before its moment; a value holds from its moment on."""
    return one.begin if one.query == "value" else one.begin - one.step


def _notation(one: e.RecordedSeries, begins: datetime) -> str:
    """It in promtool's notation, with what is the same again and again said once. Counts are given
    as so many a minute."""
    scale = 1.0 if one.query == "value" else timedelta(minutes=1) / one.window
    lead = max(round((_starts(one) - begins) / one.step), 0)
    values: list[str] = ["_"] * lead
    values += ["_" if v is None else f"{v * scale:.6g}" for v in one.values]
    runs = [(text, len(list(run))) for text, run in groupby(values)]
    told = []
    for text, count in runs:
        more = count if text == "_" else count - 1
        told.append(f"{text}x{more}" if count > 1 else text)
    return " ".join(told)


def _since(at: datetime, begins: datetime) -> timedelta:
    return max(at - begins, timedelta(0))


def _ceil(length: timedelta) -> timedelta:
    return -(-length // _SECOND) * _SECOND


def _changes(
    entries: Sequence[e.Entry], kept: e.SamplesRecorded, begins: datetime
) -> Iterator[GivenChange]:
    told = {
        _identity(entry.event.change): entry.at
        for entry in entries
        if isinstance(entry.event, e.ChangeReported)
    }
    changes = {_identity(change): change for change in kept.changes}
    for entry in entries:
        if isinstance(entry.event, e.ChangeReported):
            changes.setdefault(_identity(entry.event.change), entry.event.change)
    for identity, change in sorted(changes.items(), key=lambda pair: pair[1].at):
        if change.at < begins:
            continue  # nothing is blamed that is so long ago
        at, known = _since(change.at, begins), told.get(identity)
        yield GivenChange(
            at=at,
            to=change.item,
            was=change.previous,
            target=change.aim if not change.reported or change.target else "",
            told=None if known is None else max(_since(known, begins), at),
            reported_by=change.seen_by if change.reported else "",
            labels=change.labels,
        )


def _identity(change: Change) -> tuple[str, str, datetime]:
    return change.subject, change.item, change.at


def _alerts(
    entries: Sequence[e.Entry], incident: Incident, begins: datetime
) -> Iterator[GivenAlert]:
    """Whenever an alert began or ended; that it still fires is no news."""
    last: dict[str, str] = {}
    for entry in entries:
        alerts = entry.event.alerts if isinstance(entry.event, e.AlertsReceived) else ()
        for alert in alerts:
            if last.get(alert.identity) == alert.status or len(last) > _MOST_ALERTS:
                continue
            last[alert.identity] = alert.status
            at = _since(entry.at, begins)
            yield GivenAlert(
                at=at,
                state=alert.status,
                since=min(_since(alert.starts_at, begins), at),
                labels=_beyond(alert, incident),
            )


def _beyond(alert: Alert, incident: Incident) -> dict[str, str]:
    known = incident.group_labels
    return {name: value for name, value in alert.labels.items() if known.get(name) != value}


def _moves(entries: Sequence[e.Entry], begins: datetime) -> Iterator[GivenMove]:
    """What people did, as the commands that came of it."""
    for entry in entries:
        if not entry.by.startswith(PERSON_PREFIX):
            continue
        who = entry.by.removeprefix(PERSON_PREFIX)
        for does, more in _move(entry.event):
            at = _since(entry.at, begins)
            yield GivenMove.model_validate({"at": at, "who": who, "does": does, **more})


def _move(event: e.Event) -> Iterator[tuple[str, Mapping[str, Any]]]:
    match event:
        case e.ResponderArrived():
            yield "ack", {}
        case e.ResponderLeft():
            yield "leave", {}
        case e.IncidentPaused():
            yield "pause", {}
        case e.IncidentResumed():
            yield "resume", {}
        case e.StepApproved(step=step, first=first):
            yield "start" if first else "approve", {"step": step}
        case e.StepVetoed(step=step):
            yield "veto", {"step": step}
        case e.StepSkipped(step=step, person=person) if person:
            yield "skip", {"step": step, "reason": event.text}
        case e.StepProposed(action=action, params=params, within=within):
            yield "propose", {"action": action, "with": params, "within": within}
        case e.NoPlanDeclared():
            yield "no-plan", {}
        case e.IncidentClosed(reason="by_person"):
            yield "close", {"reason": event.text}


def outside_reasons(entries: Sequence[e.Entry]) -> dict[int, tuple[str, str]]:
    """Why steps did not start that came from outside the incident (a freeze, another incident, the
    monitoring): step → (reason, text), the first of each. A case knows nothing of it."""
    found: dict[int, tuple[str, str]] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, e.StepRefused | e.StepObserved) and event.reason in _FROM_OUTSIDE:
            found.setdefault(event.step, (event.reason, event.text))
    return found


def _approvals(entries: Sequence[e.Entry], rule: Rule) -> Literal["all", "none"] | tuple[int, ...]:
    """Which automatic steps counted as approved: all but those that were found not to be."""
    missing = {
        x.event.step
        for x in entries
        if isinstance(x.event, e.StepRefused | e.ApprovalRequested)
        and x.event.reason in _NOT_APPROVED
    }
    if not missing:
        return "all"
    return tuple(n for n in range(1, len(rule.recover) + 1) if n not in missing) or "none"


def _actions(entries: Sequence[e.Entry]) -> Iterator[tuple[int, GivenAction]]:
    """How each step's action went, the last time. What it did to the series is in these."""
    begun: dict[int, datetime] = {}
    for entry in entries:
        match entry.event:
            case e.StepStarted(step=step):
                begun[step] = entry.at
            case e.StepFinished(step=step, outcome=outcome) if step in begun:
                took = max(entry.at - begun[step], timedelta(0))
                if outcome.result == "refused":
                    yield step, GivenAction(refuses=outcome.reason, prepares=took)
                else:
                    yield step, GivenAction(ends=outcome.result, takes=took)


def _expected(
    entries: Sequence[e.Entry], incident: Incident, begins: datetime
) -> Iterator[Expectation]:
    """What came of it: after the first measurement, and at the end."""
    defined = next((x for x in entries if isinstance(x.event, e.ProblemDefined)), None)
    if defined is not None and isinstance(defined.event, e.ProblemDefined):
        at = _ceil(_since(min(defined.at + _AFTER, incident.closed_at or entries[-1].at), begins))
        # More may have been known by then than at the first look.
        then = fold([entry for entry in entries if entry.at <= begins + at])
        problem, found = then.confirmed or defined.event.problem, then.suspicion
        blamed = found.change if found is not None and found.verdict == "suspect" else None
        told: dict[str, Any] = {"verdict": problem.verdict}
        if problem.verdict == "confirmed":
            told["suspect"] = "none" if blamed is None else blamed.item
        yield Expectation(at=at, **told)
    end = _ceil(_since(incident.closed_at or entries[-1].at, begins))
    starts = tuple(x.event.step for x in entries if isinstance(x.event, e.StepStarted))
    verdicts = {n: s.verdict for n, s in incident.steps.items() if s.verdict is not None}
    yield Expectation(at=end, starts=starts, verdicts=verdicts or None)
