"""Does Prometheus have an alert of what a rule depends on, before Alertmanager tells of it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from daemon.core.measurement.query_result import Unmeasurable, one_number
from daemon.core.ports.metrics import Metrics
from daemon.core.rules.matchers import Matcher
from daemon.core.rules.query_templates import matcher_text
from daemon.core.values.outcome import Permanent, Temporary

_STATES = 'alertstate=~"pending|firing"'


async def upstream_alerting(
    metrics: Metrics, alerts: Sequence[Sequence[Matcher]], since: datetime, now: datetime
) -> bool:
    """Whether one of these alerts, each given by its matchers, became pending or firing after
    `since`. False if nobody can say; labels that Prometheus adds when it sends alerts
    (`external_labels`) are not on what is asked here, so matchers on these find nothing."""
    if not alerts:
        return False
    age = max(1, math.ceil((now - since).total_seconds()))
    began = []
    for matchers in alerts:
        given = "".join(f",{matcher_text(m.name, m.op, m.value)}" for m in matchers)
        chosen = f"ALERTS{{{_STATES}{given}}}"
        began.append(f"({chosen} unless ignoring (alertstate) {chosen} offset {age}s)")
    try:
        return bool(one_number(await metrics.instant(f"count({' or '.join(began)})", now)))
    except (Temporary, Permanent, Unmeasurable, TimeoutError):
        return False  # what the store knows still counts
