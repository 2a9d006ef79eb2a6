"""Every event that there is, with any content: what the journal must be able to hold."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st

from daemon.core.alertmanager import Alert
from daemon.core.changes.precedent import Precedent
from daemon.core.changes.suspects import Change, Suspicion
from daemon.core.incident import events as e
from daemon.core.incident.alert_routes import AlertRoute
from daemon.core.incident.dossier import DiagnosisFinding, Dossier, FindingCurve
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.measurement.problem import Problem, RecoveryReading
from daemon.core.rules.matchers import Matcher
from daemon.core.values.outcome import Outcome
from tests.core.build import NOW

KINDS: tuple[type[Any], ...] = get_args(get_args(e.Event)[0])
# JSON has no lone surrogates; the moments are Alertmanager's and ours.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
moments = st.integers(-(10**9), 10**9).map(lambda s: NOW + timedelta(seconds=s, microseconds=s))
numbers = st.floats(allow_nan=False, allow_infinity=False)
labels = st.dictionaries(texts, texts, max_size=2)
alerts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": labels,
        "annotations": labels,
        "startsAt": moments,
        "endsAt": moments,
        "generatorURL": texts,
        "fingerprint": texts,
    }
).map(Alert.model_validate)
readings = st.builds(
    RecoveryReading,
    at=moments,
    state=st.sampled_from(["healthy", "degraded", "impaired", "unreadable"]),
    severity=st.sampled_from(["", "sev1", "sev4"]),
    reason=st.sampled_from(["near_baseline", "away_from_baseline", "no_traffic", "targets_down"]),
    level=st.none() | numbers,
    loss=st.none() | numbers,
    low=st.none() | numbers,
)
problems = st.builds(
    Problem,
    verdict=st.sampled_from(["confirmed", "not_confirmed", "no_data"]),
    reason=st.sampled_from(["loss_exceeds_threshold", "not_significant", "targets_down"]),
    text=texts,
    at=moments,
    symptom=texts,
    baseline=st.none() | numbers,
    onset=st.none() | moments,
    severity=st.sampled_from(["", "sev1", "sev4"]),
    queries=st.lists(texts, max_size=2).map(tuple),
)
earlier = st.builds(Precedent, begin=moments, end=moments)
changes = st.builds(Change, subject=texts, item=texts, previous=texts, at=moments, seen_by=texts)
suspicions = st.builds(
    Suspicion,
    verdict=st.sampled_from(["suspect", "none", "ambiguous"]),
    text=texts,
    change=st.none() | changes,
)
curves = st.builds(
    FindingCurve,
    begin=moments,
    step=st.floats(1, 60),
    own=st.lists(st.none() | st.floats(0, 1), max_size=2).map(tuple),
)
findings = st.builds(
    DiagnosisFinding,
    kind=st.sampled_from(["contribution", "mix", "moved", "alike", "external"]),
    text=texts.filter(bool),
    source=texts,
    subject=texts,
    query=texts,
    link=texts,
    numbers=st.dictionaries(texts, numbers, max_size=2),
    curve=st.none() | curves,
)
dossiers = st.builds(
    Dossier,
    begin=moments,
    end=moments,
    findings=st.lists(findings, max_size=2).map(tuple),
    limits=st.lists(texts, max_size=2).map(tuple),
)
suppressions = st.builds(
    e.Suppression,
    how=st.sampled_from(["silenced", "inhibited", "muted"]),
    alerts=st.lists(texts, max_size=2).map(tuple),
    until=st.none() | moments,
    by=texts,
    reason=texts,
)
matchers = st.builds(Matcher, name=texts, op=st.sampled_from(["=", "!=", "=~", "!~"]), value=texts)
recorded = st.builds(
    e.RecordedSeries,
    query=st.sampled_from(["bad", "total", "value"]),
    begin=moments,
    step=st.integers(1, 9999).map(lambda s: timedelta(seconds=s)),
    window=st.integers(1, 9999).map(lambda s: timedelta(seconds=s)),
    values=st.lists(st.none() | numbers, max_size=4).map(tuple),
)
params = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
drills = st.builds(
    DrillMark,
    run=texts,
    scenario=texts,
    title=texts,
    by=texts,
    began_at=moments,
    blue=st.lists(texts, max_size=2).map(tuple),
    document=st.dictionaries(texts, params, max_size=2),
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "alerts": st.lists(alerts, max_size=2).map(tuple),
    "group_labels": labels,
    "problem": problems,
    "suspicion": st.none() | suspicions,
    "reading": readings,
    "step": st.integers(1, 3),
    "share": st.floats(0.01, 0.99),
    "series": st.lists(recorded, max_size=2).map(tuple),
    "changes": st.lists(changes, max_size=2).map(tuple),
    "scrape": st.none() | st.integers(1, 9999).map(lambda s: timedelta(seconds=s)),
    "params": st.dictionaries(texts, params, max_size=2),
    "intent": labels,
    "drill": st.none() | drills,
    "suppressed": st.lists(suppressions, max_size=2).map(tuple),
    "routes": st.lists(
        st.builds(AlertRoute, key=texts, alerts=st.lists(texts, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    "outcome": st.builds(
        Outcome,
        result=st.sampled_from(["done", "refused", "failed", "unknown"]),
        reason=st.sampled_from(["so", "paused"]),
        detail=texts,
        facts=labels,
    ),
}
plain: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(0, 3),
    bool: st.booleans(),
    datetime: moments,
    date: moments.map(datetime.date),
    date | None: st.none() | moments.map(datetime.date),
    float | None: st.none() | numbers,
    int | None: st.none() | st.integers(0, 3),
    timedelta: st.integers(1, 9999).map(lambda s: timedelta(seconds=s)),
    dict[str, str]: labels,
    tuple[str, ...]: st.lists(texts, max_size=2).map(tuple),
    DiagnosisFinding: findings,
    Dossier: dossiers,
    tuple[Matcher, ...]: st.lists(matchers, max_size=2).map(tuple),
    RecoveryReading | None: st.none() | readings,
    tuple[RecoveryReading, ...]: st.lists(readings, max_size=2).map(tuple),
    Problem | None: st.none() | problems,
    Suspicion: suspicions,
    Change: changes,
    tuple[Precedent, ...]: st.lists(earlier, max_size=2).map(tuple),
}
NARROW = (dict[str, str], RecoveryReading | None, Problem | None, Suspicion)
"""What these say of a field goes before its name."""
PLAIN = {("alerts", tuple[str, ...]), ("alerts", int)}
"""Fields that are called as others are, and hold something else."""


def events_of(kind: type[Any], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Events of that kind, with anything in the fields that are not fixed."""

    def any_(name: str, annotation: Any) -> st.SearchStrategy[Any]:
        if get_origin(annotation) is Literal:
            return st.sampled_from(get_args(annotation))
        if annotation in NARROW:
            return plain[annotation]
        named = name in fields and (name, annotation) not in PLAIN
        return fields[name] if named else plain[annotation]

    told = {n: f.annotation for n, f in kind.model_fields.items() if n not in {"kind", *fixed}}
    return st.builds(kind, **fixed, **{name: any_(name, a) for name, a in told.items()})


# What answers something comes after it; everything else may come in any order.
KNOWN = (
    e.PageQueued(page="known", person="ada", purpose="escalation", text="come"),
    e.RoleRequested(
        request="known",
        role="communicator",
        how="ask",
        taker="bo",
        asked="bo",
        by="",
        until=NOW,
        why="",
        briefing="",
    ),
    e.TeamEngaged(team="known", person="ada", packet=""),
    e.UpdateDrafted(
        update="known",
        audience="all",
        revision=1,
        stage="early",
        text="",
        because="",
        facts="",
        automatic=False,
    ),
)
ANSWERS: dict[type[Any], str] = {
    e.PageDelivered: "page",
    e.PageFailed: "page",
    e.PageAmended: "page",
    e.PageNotAmended: "page",
    e.RoleAnswered: "request",
    e.TeamAnswered: "team",
    e.UpdateAssigned: "update",
    e.UpdateReleased: "update",
    e.UpdateEdited: "update",
    e.UpdatePublished: "update",
    e.UpdateFailed: "update",
    e.UpdateKept: "update",
}
NAMED = {e.PageQueued: "page", e.RoleRequested: "request", e.TeamEngaged: "team"}
courses = st.lists(
    st.tuples(
        moments,
        st.one_of(
            *(events_of(kind, **{name: st.just("known")}) for kind, name in ANSWERS.items()),
            *(
                events_of(kind, **{name: st.sampled_from(["known", "new"])})
                for kind, name in NAMED.items()
            ),
            *(events_of(kind) for kind in KINDS if kind not in {*ANSWERS, *NAMED}),
        ),
        st.sampled_from([e.DAEMON, "person:ada", "person:bo", ""]),
    ),
    max_size=8,
)
"""What may happen after `KNOWN`, when, and by whom."""
