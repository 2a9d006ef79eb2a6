"""Stopgap: restore first, diagnose second, learn always.

The journey of one alert, and the room of each part of it:

    web         the webhook's body          →  intake: durable inbox, then 200
                people                      →  web.api (JSON), web.site (pages), web.links (signed
                                               links): look, and steer; all by the front door,
                                               web.serving: bounds, deadlines, TLS
    intake      the inbox                   →  one open incident per (rule, group labels)
                reconcile: what Alertmanager lists and did not tell → the inbox
    conduct     one incident at a time: fold the journal, `core.decide`, start the effects;
                executor: one effect of a decision
    measuring   the rule's queries          →  a Problem with its numbers, a Reading after a step,
                                               the curve of a chart
    recovering  one step of the plan: intent → preflight → run → outcome
    notifying   the queued pages            →  delivered, or failed over; and a watchdog over it;
                emergency: calls about the store itself, which need no store
    watching    what was deployed when      →  suspects                (core.changes.suspects)
                store_health: may anything be entrusted to the store
    diagnosing  the recovered incident      →  a dossier: which labels, series, changes stand out
    reporting   the closed incident         →  its review; what the whole daemon does
    standardizing   the review              →  what the rules could learn, as diffs
    replaying   an incident or a case       →  the same decisions again, in virtual time
    drilling    a scenario                  →  a real incident over metrics that it gives
    telemetry   all of it in numbers        →  /metrics                (instrumentation: the hooks)
    repository  the only way to change an incident: read, work out events, append, or again;
                appends: which were made here; owed_appends: what cannot be written down yet

`core` holds the nouns and every decision, a package for each: values, people, rules, changes,
measurement, incident, reconciliation, response, recovery, diagnosis, reporting, cases, drills. It
is pure: no I/O, no asyncio, no logging, no clock; `now` is an argument. `adapters` (storage,
Prometheus, pagers) and `recovery_actions` fill the ports of `core.ports`; only `app`, the
composition root, knows them, and it alone has a clock. `onboarding` is pure too: what only `init`
and `doctor` need.

Imports go one way, and import-linter proves it:

    cli → app → standardizing → drilling → replaying → web | conduct | watching
        → intake | recovering | notifying | reporting | telemetry | onboarding | diagnosing
        → measuring | repository → config | instrumentation | appends | owed_appends → core
"""
