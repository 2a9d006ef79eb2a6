"""The fold of the silence in Alertmanager."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from daemon.core.incident import events as e
from daemon.core.incident.alert_silence import AlertSilence
from daemon.core.incident.state import Incident
from daemon.core.values.replace import replace


def apply_silence(incident: Incident, at: datetime, event: e.SilenceEvent) -> Incident:
    """The incident after one more of these events."""
    known = incident.silence
    match event:
        case e.SilenceRequested():
            before = known or AlertSilence(event.matchers, event.until)
            wanted = replace(before, matchers=event.matchers, until=event.until, given_up=False)
            return replace(incident, silence=wanted)
        case e.SilenceSet():
            taken = known and replace(
                known,
                silence=event.silence,
                set_until=event.until,
                link=event.link,
                failures=0,
                failed_at=None,
            )
            return replace(incident, silence=taken)
        case e.SilenceFailed():
            failed = known and replace(
                known, failures=known.failures + 1, failed_at=at, given_up=event.last
            )
            return replace(incident, silence=failed)
        case e.SilenceLifted():
            return replace(incident, silence=None)
        case _:
            assert_never(event)
