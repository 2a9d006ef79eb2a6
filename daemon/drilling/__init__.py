"""Drills on the running daemon: real incidents of its own code, over metrics that a scenario gives.

`admission` says whether one may be held now, `played` is the stage of one run, `runner` plays it
and ends it, `desk` is what people ask of it, `planner` holds drills by the calendar, `self_drill`
is the daemon's drill of itself.
"""
