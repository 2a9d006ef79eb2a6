"""What every measurement of a rule asks before anything else, sent at once.

The scrapes come first: the history can only be asked for when they are known, so that whatever
else is asked fills the time until then.
"""

from __future__ import annotations

from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.scrape_clock import COUNTED_OVER
from daemon.measuring.history import clock_queries
from daemon.measuring.queries import Survey


async def begin_questions(survey: Survey) -> None:
    """Send them, and wait for no answer: the measurement gets those by asking the same. What
    cannot be asked is left to it, which tells of that."""
    spec = survey.spec
    counts = [spec.bad, spec.total] if spec.kind == "counts" else [spec.total]
    counted = [template for template in counts if template is not None]
    try:
        clock = await clock_queries(survey)
        readings = [survey.rendered(t, width) for width in spec.windows for t in counted]
    except Unmeasurable:
        return
    for query in clock.counted:
        survey.begin_over(query, spec.baseline, COUNTED_OVER)
    for query in dict.fromkeys([*clock.newest, *clock.oldest, *readings]):
        survey.begin(query)
