"""The daemon's own decisions in virtual time: for rule tests, for replays, for drills on paper.

`virtual_daemon` puts it together and says how it is used; `virtual_time` is the clock that leaps,
`memory_journal` and `memory_stores` are what it keeps, `simulated_actions` what it does.
"""
