"""Every world of the bench, with what is right in it.

A method sees samples, deployments and clocks. Where these cannot tell a guilty deployment from a
coincidence, both worlds are there as twins: what one gains there the other loses.
"""

from __future__ import annotations

from tests.worlds.parts import (
    before,
    between,
    both,
    elsewhere,
    gap,
    no_deployment,
    nothing,
    ramp,
    recurring,
    season,
    spike,
    step,
    sum_of,
    worst_of,
)
from tests.worlds.world import Noise, World

MINUTE = 60.0
HOUR = 3600.0

LATE = between(10, 25)
"""Innocent: it came after the onset."""
GUILTY = before(20, guilty=True)
STEP = step(0.05, 0.3)
THIN = 2.0
"""Requests a second."""
THIN_STEP = step(0.05, 0.2)
LOG_NORMAL = Noise(sigma=0.6)
AUTOCORRELATED = Noise(sigma=0.6, memory=0.95)
HICCUP = spike(0.1, 0.3, 40, 60)
TWINS_BEFORE = (-10 * MINUTE, -3 * MINUTE)

_STEPS = (
    World("step, guilty 10 s before", "act", STEP, before(10, guilty=True)),
    World("step, guilty 20 s before", "act", STEP, GUILTY),
    World("step, guilty 60 s before", "act", STEP, before(60, guilty=True)),
    World("step, guilty at the onset", "act", STEP, between(-2, 0, guilty=True)),
    World("step of three-fold loss, guilty 20 s", "act", step(0.02, 0.03), GUILTY, usual=0.01),
    World("step, innocent 10-25 s after", "refrain", STEP, LATE),
    World("step, innocent 40-90 s after", "refrain", STEP, between(40, 90)),
    World("step, no deployment", "refrain", STEP, no_deployment),
    World("step under the threshold, guilty", "refrain", step(0.003, 0.006), GUILTY, alert=90),
    World(
        "step, guilty, told 15 s after alert",
        "act",
        STEP,
        between(-20, -10, guilty=True, after_alert=15),
    ),
)
_TWINS = (
    World(
        "step, guilty 3-10 min before", "act", STEP, between(*TWINS_BEFORE, guilty=True), twin=True
    ),
    World("step, coincidence 3-10 min before", "ask", STEP, between(*TWINS_BEFORE), twin=True),
    World("step, coincidence 0-60 s before", "ask", STEP, between(-60, 0), twin=True),
)
_THIN = (
    World(
        "thin, 1 to 6 %, guilty 20 s before", "act", step(0.05, 0.05), GUILTY, rate=THIN, usual=0.01
    ),
    World("thin, guilty 20 s before", "act", THIN_STEP, GUILTY, rate=THIN, usual=0.01),
    World(
        "thin, guilty 60 s before", "act", THIN_STEP, before(60, guilty=True), rate=THIN, usual=0.01
    ),
    World("thin, innocent 10-25 s after", "refrain", THIN_STEP, LATE, rate=THIN, usual=0.01),
    World("thin, no deployment", "refrain", THIN_STEP, no_deployment, rate=THIN, usual=0.01),
    World(
        "thin, nothing, innocent 5-60 s",
        "refrain",
        nothing,
        between(-60, -5),
        rate=THIN,
        usual=0.01,
        alert=60,
    ),
)
_RAMPS = (
    World("ramp of 5 min, guilty 20 s before", "act", ramp(0.05, 0.3, 5 * MINUTE), GUILTY),
    World("ramp of 15 min, guilty 20 s before", "act", ramp(0.1, 0.3, 15 * MINUTE), GUILTY),
    World(
        "leak of 40 min, guilty 10 s before",
        "act",
        ramp(0.05, 0.1, 40 * MINUTE),
        before(10, guilty=True),
    ),
    World(
        "ramp of 10 min, innocent 2-5 min in",
        "refrain",
        ramp(0.1, 0.3, 10 * MINUTE),
        between(2 * MINUTE, 5 * MINUTE),
    ),
    World("ramp of 10 min, no deployment", "refrain", ramp(0.1, 0.3, 10 * MINUTE), no_deployment),
)
_PASSING = (
    World("spike over before acting, guilty", "refrain", HICCUP, GUILTY, alert=95),
    World("spike over before acting, none", "refrain", HICCUP, no_deployment, alert=95),
    World(
        "recurring 3 %, innocent 5-60 s",
        "refrain",
        recurring(0.03, 0.03, 120, 480),
        between(-60, -5),
        history=4,
    ),
    World(
        "recurring 3 %, innocent 2-5 min",
        "refrain",
        recurring(0.03, 0.03, 120, 480),
        between(-5 * MINUTE, -2 * MINUTE),
        history=4,
    ),
    World(
        "recurring 3 %, innocent 6-25 min",
        "refrain",
        recurring(0.03, 0.03, 120, 480),
        between(-25 * MINUTE, -6 * MINUTE),
        history=4,
    ),
    World(
        "recurring 3 %, no deployment",
        "refrain",
        recurring(0.03, 0.03, 120, 480),
        no_deployment,
        history=4,
    ),
    World(
        "recurring 3 %, then a guilty step",
        "act",
        lambda chance: worst_of(recurring(0.03, 0.03, 120, 480)(chance), step(0.15, 0.3)(chance)),
        GUILTY,
        history=4,
    ),
)
_SEASONS = (
    World(
        "season, sinus, innocent",
        "refrain",
        season(0.03, 0.06, 6 * HOUR),
        between(-40 * MINUTE, 0),
        swing=0.5,
        history=26,
        alert=60,
    ),
    World(
        "season, steep rise, innocent",
        "refrain",
        season(0.05, 0.08, 1.5 * HOUR, 80),
        between(-40 * MINUTE, -2 * MINUTE),
        swing=0.5,
        history=26,
    ),
    World(
        "season, steep rise, none",
        "refrain",
        season(0.05, 0.08, 1.5 * HOUR, 80),
        no_deployment,
        swing=0.5,
        history=26,
    ),
    World(
        "season, then a guilty step",
        "act",
        lambda chance: sum_of(season(0.01, 0.02, 1.5 * HOUR, 80)(chance), step(0.1, 0.3)(chance)),
        GUILTY,
        swing=0.5,
        history=26,
    ),
)
_NOISE = (
    World(
        "log-normal, guilty 20 s before",
        "act",
        step(0.1, 0.3),
        GUILTY,
        usual=0.01,
        noise=LOG_NORMAL,
    ),
    World(
        "log-normal, innocent 10-25 s after",
        "refrain",
        step(0.1, 0.3),
        LATE,
        usual=0.01,
        noise=LOG_NORMAL,
    ),
    World(
        "log-normal, nothing, innocent",
        "refrain",
        nothing,
        between(-5 * MINUTE, 0),
        usual=0.02,
        noise=LOG_NORMAL,
        alert=60,
    ),
    World(
        "log-normal recurring, innocent",
        "refrain",
        recurring(0.03, 0.03, 120, 480),
        between(-5 * MINUTE, -5),
        noise=LOG_NORMAL,
        history=4,
    ),
    World(
        "autocorrelated, guilty 20 s before",
        "act",
        step(0.1, 0.3),
        GUILTY,
        usual=0.01,
        noise=AUTOCORRELATED,
    ),
    World(
        "autocorrelated, nothing, innocent",
        "refrain",
        nothing,
        between(-5 * MINUTE, 0),
        usual=0.02,
        noise=AUTOCORRELATED,
        alert=60,
    ),
)
_SCRAPES = (
    World("counters reset, guilty 20 s before", "act", STEP, GUILTY, resets=True),
    World(
        "counters reset, nothing, innocent",
        "refrain",
        nothing,
        before(20, guilty=False),
        resets=True,
        alert=60,
    ),
    World("no `bad` series yet, guilty 20 s", "act", STEP, GUILTY, usual=0.0),
    World("no `bad` series yet, innocent after", "refrain", STEP, LATE, usual=0.0),
    World("no `bad` series, thin, guilty 20 s", "act", THIN_STEP, GUILTY, usual=0.0, rate=THIN),
    World(
        "onset in a gap, innocent in it after",
        "refrain",
        STEP,
        between(60, 10 * MINUTE),
        gap=gap((-8 * MINUTE, -2 * MINUTE), (12 * MINUTE, 14 * MINUTE)),
    ),
    World(
        "onset in a gap, one in it before",
        "ask",
        STEP,
        between(-100, -10),
        gap=gap((-15 * MINUTE, -10 * MINUTE), (3 * MINUTE, 8 * MINUTE)),
    ),
    World(
        "a gap before, guilty 20 s",
        "act",
        STEP,
        GUILTY,
        gap=gap((-20 * MINUTE, -12 * MINUTE), (-8 * MINUTE, -4 * MINUTE)),
    ),
    World("every fifth scrape lost, guilty 20 s", "act", STEP, GUILTY, lost=0.2),
    World("every fifth scrape lost, innocent", "refrain", STEP, LATE, lost=0.2),
    World("scraped every 30 s, guilty 20 s", "act", STEP, GUILTY, scrape=30),
    World("scraped every 30 s, innocent after", "refrain", STEP, LATE, scrape=30),
)
_SEVERAL = (
    World(
        "two of the service, newest guilty",
        "act",
        STEP,
        both(between(-15 * MINUTE, -8 * MINUTE), GUILTY),
    ),
    World("two of the service, first guilty", "ask", STEP, both(GUILTY, between(30, 50))),
    World(
        "two services within seconds",
        "ask",
        STEP,
        both(between(-25, -10, guilty=True), elsewhere(between(-25, -10))),
    ),
    World("guilty, another service after", "act", STEP, both(GUILTY, elsewhere(between(50, 90)))),
    World("another service's alone", "refrain", STEP, elsewhere(GUILTY)),
)
_VALUES = (
    World(
        "p99 x5, guilty 20 s before",
        "act",
        step(4, 4),
        GUILTY,
        "value",
        usual=0.2,
        noise=Noise(0.1),
    ),
    World(
        "p99 x5, guilty 60 s before",
        "act",
        step(4, 4),
        before(60, guilty=True),
        "value",
        usual=0.2,
        noise=Noise(0.1),
    ),
    World(
        "p99 x5, innocent 10-25 s after",
        "refrain",
        step(4, 4),
        LATE,
        "value",
        usual=0.2,
        noise=Noise(0.1),
    ),
    World(
        "p99 x5, no deployment",
        "refrain",
        step(4, 4),
        no_deployment,
        "value",
        usual=0.2,
        noise=Noise(0.1),
    ),
    World(
        "p99 x5 for a minute, guilty",
        "refrain",
        spike(4, 4, 40, 60),
        GUILTY,
        "value",
        usual=0.2,
        noise=Noise(0.1),
        alert=105,
    ),
    World(
        "p99 x5, log-normal, guilty 20 s",
        "act",
        step(4, 4),
        GUILTY,
        "value",
        usual=0.2,
        noise=Noise(0.4),
    ),
    World(
        "p99 x5, autocorrelated, guilty 20 s",
        "act",
        step(4, 4),
        GUILTY,
        "value",
        usual=0.2,
        noise=Noise(0.3, 0.9),
    ),
    World(
        "p99, autocorrelated, innocent",
        "refrain",
        nothing,
        between(-5 * MINUTE, 0),
        "value",
        usual=0.2,
        noise=Noise(0.4, 0.95),
        alert=60,
    ),
    World(
        "p99 x3 recurring, innocent",
        "refrain",
        recurring(2, 2, 120, 480),
        between(-5 * MINUTE, -5),
        "value",
        usual=0.2,
        noise=Noise(0.1),
        history=4,
    ),
)


WORLDS = (
    *_STEPS,
    *_TWINS,
    *_THIN,
    *_RAMPS,
    *_PASSING,
    *_SEASONS,
    *_NOISE,
    *_SCRAPES,
    *_SEVERAL,
    *_VALUES,
)
