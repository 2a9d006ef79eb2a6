"""When an acknowledgement is told to Alertmanager as a silence, and when that is lifted."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.core.decision import Decision, LiftSilence, SetSilence, recording
from daemon.core.incident import events as e
from daemon.core.incident.alert_silence import AlertSilence
from daemon.core.incident.state import Incident
from daemon.core.rules.matchers import Matcher
from daemon.core.rules.rule import Rule
from daemon.core.values.backoff import Backoff

SILENCE_BACKOFF = Backoff(timedelta(seconds=30), timedelta(minutes=10))
"""How soon an Alertmanager that did not do what was asked is asked again."""
RENEWED_AT = 4
"""A silence is extended when a quarter of its time is left."""


def silence_due(
    incident: Incident, rule: Rule | None, lasting: timedelta | None, now: datetime
) -> Decision:
    """What is due about the silence. `lasting`: so long each is set for; None sets none.

    It stands while somebody commands, and is extended as long as they do. After a relapse it needs
    a sign of life of theirs: what they knew was over is back, and others must hear of it.
    """
    state = incident.silence
    if lasting is None or not _wanted(incident):
        return Decision() if state is None else _lifting(state, now)
    renew_at = None if state is None else state.until - lasting / RENEWED_AT
    if state is None or renew_at is None or now >= renew_at:
        matchers = group_matchers(incident, rule)
        if matchers is None:
            return Decision()
        return recording(e.SilenceRequested(matchers=matchers, until=now + lasting))
    if not state.pending or state.given_up:
        return Decision(wake_at=renew_at)
    again_at = _again_at(state, now)
    if now < again_at:
        return Decision(wake_at=min(again_at, renew_at))
    return Decision(effects=(SetSilence(),), wake_at=renew_at)


def group_matchers(incident: Incident, rule: Rule | None) -> tuple[Matcher, ...] | None:
    """What selects the alerts of this incident's group and no others; None if its rule is gone, so
    that nobody can say."""
    group = {name: Matcher(name=name, op="=", value=v) for name, v in incident.group_labels.items()}
    if incident.rule and rule is None:
        return None
    own = () if rule is None else rule.match
    return (*group.values(), *(m for m in own if m != group.get(m.name)))


def _wanted(incident: Incident) -> bool:
    if incident.drill is not None or incident.closed is not None or not incident.commander:
        return False
    seen, relapsed_at = incident.people.seen.get(incident.commander), incident.relapsed_at
    return relapsed_at is None or (seen is not None and seen > relapsed_at)


def _lifting(state: AlertSilence, now: datetime) -> Decision:
    if state.given_up or now >= max(state.until, state.set_until or state.until):
        return recording(e.SilenceLifted(text="it ends by itself"))
    again_at = _again_at(state, now)
    return Decision(wake_at=again_at) if now < again_at else Decision(effects=(LiftSilence(),))


def _again_at(state: AlertSilence, now: datetime) -> datetime:
    failed_at = state.failed_at
    return now if failed_at is None else failed_at + SILENCE_BACKOFF.pause(state.failures)
