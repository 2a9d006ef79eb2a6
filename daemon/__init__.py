"""Stopgap: restore first, diagnose second, learn always.

The journey of one alert, and the room of each part of it:

    web         the webhook's body          →  intake: durable inbox, then 200
                people                      →  web.api (JSON), web.site (pages): look, and steer
    intake      the inbox                   →  one open incident per (rule, group labels)
    conduct     one incident at a time: fold the journal, `core.decide`, start the effects
    execute     one effect of a decision: page, measure, step, update, review
    define      the rule's queries          →  a Problem with its numbers     (measure: asking)
    recover     one step of the plan: intent → preflight → run → outcome
    verify      a Reading after a step      →  one of six verdicts            (core.recovery)
    communicate the queued pages            →  delivered, or failed over
    watch       what was deployed when      →  suspects                       (core.suspects)
    learn       the closed incident         →  its review
    trace       the symptom over time       →  the curve of a chart           (core.curve)
    overview    rules, coverage, the whole  →  what the pages and the API tell of it
    telemetry   all of it in numbers        →  /metrics                       (observing: the hooks)
    casebook    the only way to change an incident: read, work out events, append, or again

`core` holds the nouns and every decision. It is pure: no I/O, no asyncio, no logging, no clock;
`now` is an argument. `adapters` (storage, Prometheus, pagers) and `recovery_actions` fill the
ports of `core.ports`; only `app`, the composition root, knows them, and it alone has a clock.

Imports go one way, and import-linter proves it:

    cli → app → web → intake | conduct → define | recover | verify | communicate | learn | watch
        | trace | overview → casebook | measure → settings | ruleset → auth_settings → core
"""
