"""The dangerous stretches: few faults, aimed at where a fault of ours would show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.simulation.drawn_faults import (
    BEGUN,
    WRITTEN,
    Draw,
    aimed_after,
    away_after,
    one_of_all,
    suspended_at,
)
from tests.simulation.scenario import FAULTS_END, PEOPLE, STORM_SERVICES, Fault, Item

_Night = tuple[list[Item], list[Fault]]
Stretch = Callable[[Draw], _Night]


def _sure(draw: Draw, service: str, heals: str, fires: float | None = None) -> list[Item]:
    """A trouble that a change explains and that is confirmed, so that steps begin by themselves."""
    fires = draw.within(40, 70) if fires is None else fires
    begin = round(fires - 25, 3)
    return [
        Item("deployment", round(begin - draw.within(5, 15), 3), service, more=("v2",)),
        Item("trouble", begin, service, more=(draw.one((0.1, 0.3)), heals)),
        Item("delivery", fires, service, more=("firing", round(fires - 3, 3), 0.0, 0)),
    ]


def _two_on_one_target(draw: Draw) -> _Night:
    """Two incidents whose steps act on the same target begin at once."""
    fires = draw.within(50, 80)
    script = _sure(draw, "shop", "never", fires)
    # One change explains both.
    script += _sure(draw, "cart", "never", fires + draw.one((0.0, 0.0, 0.01, 0.3)))[1:]
    return script, one_of_all(draw, 0.3)


def _people_react(draw: Draw) -> _Night:
    """People act in the moment in which the daemon is about to."""
    service = draw.one(("shop", "cart", "search"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    deeds = ("veto", "veto", "veto", "skip", "pause", "acknowledge", "take over", "approve")
    for _ in range(draw.one((1, 2, 4))):
        delay = draw.one((0.0, 0.001, draw.within(0, 0.05), draw.within(0, 1.5)))
        kind = draw.one(("ProblemDefined", "StepStarted", "StepStarted"))
        what, number = draw.one(deeds), draw.one((1, 1, 2))
        more = (service, number, service, kind, number)
        script.append(Item("reaction", delay, what, draw.one(PEOPLE), more))
    slow = [Fault("disk slow", 0.0, FAULTS_END, size=draw.within(0.05, 1.0))]
    return script, slow if draw.chance(0.5) else one_of_all(draw, 0.3)


def _veto_at_the_start(draw: Draw) -> _Night:
    """Somebody stops a step while its start is being decided, and the store takes its time."""
    script = _sure(draw, "shop", draw.one(("rollback", "flag_off")))
    slow = Fault("disk slow", 0.0, FAULTS_END, size=draw.within(0.1, 1.0))
    if draw.chance(0.4):
        what, delay = draw.one(("veto", "veto", "pause")), draw.within(0, 3 * slow.size)
        more = ("shop", 1, "shop", "ask guard", draw.one((1, 1, 1, 2)))
    else:  # at the moment in which the next tier is called
        what, delay = "acknowledge", draw.within(40 - slow.size, 40.0)
        more = ("shop", 1, "shop", "PageQueued", draw.one((1, 1, 2)))
    return [*script, Item("reaction", delay, what, draw.one(PEOPLE), more)], [slow]


def _crash_while_it_runs(draw: Draw) -> _Night:
    """The daemon dies while an action is at work, or before its end is written down."""
    service = draw.one(("shop", "cart", "shop"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    crash = Fault("crash after that", what="effect run", count=draw.one((1, 1, 2)))
    faults = [replace(crash, size=draw.within(0.0, 9.0))]
    if draw.chance(0.3):
        faults.append(Fault("restart late", size=draw.within(5, 60)))
    return script, faults + one_of_all(draw, 0.15)


def _crash_at_a_delivery(draw: Draw) -> _Night:
    """The daemon dies while it takes in an alert that nobody sends again."""
    service = draw.one(("shop", "mail", "mail"))
    script = _sure(draw, service, "rollback")
    what = draw.one(("put", "processed", "processed", "IncidentOpened"))
    crash = Fault("crash after that", what=what, count=draw.one((1, 1, 2)))
    return script, [replace(crash, size=draw.one((0.0, 0.0, 0.02)))]


def _store_away_a_moment(draw: Draw) -> _Night:
    """The store fails for seconds in the middle of what nothing else would wake the daemon for."""
    service = draw.one(("shop", "search", "search"))
    script = _sure(draw, service, "itself")
    what = draw.one(("EffectClaimed", "IncidentClosed", "IncidentClosed", "ReviewWritten"))
    fails = Fault("disk fails after that", what=what, count=1, size=draw.within(0.3, 3))
    reacts = ("acknowledge", "close")
    for deed in reacts[: draw.one((1, 2, 2))]:
        kind = "PageDelivered" if deed == "acknowledge" else "ResponderArrived"
        delay = draw.within(0, 20)
        more = (service, 1, service, kind, 1)
        script.append(Item("reaction", delay, deed, draw.one(PEOPLE), more))
    return script, [fails]


def _crash_at_work(draw: Draw) -> _Night:
    """The daemon dies around what it writes and does of a step, a page, a delivery."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    kinds = [draw.one(WRITTEN), draw.one(("processed", "effect run", "StepPrepared"))]
    faults = [aimed_after(draw, "crash after that", what) for what in kinds[: draw.one((1, 2))]]
    return script, faults + one_of_all(draw, 0.2)


def _disk_at_outcomes(draw: Draw) -> _Night:
    """The store takes nothing just when the world has answered; and then the daemon may die."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off")))
    what = draw.one(("effect page", "effect page", "effect run"))
    faults = [aimed_after(draw, "disk fails after that", what)]
    if draw.chance(0.5):
        crash = Fault("crash after that", what=what, count=faults[0].count)
        faults.append(replace(crash, size=draw.within(0.5, faults[0].size + 2)))
    return script, faults


def _plan_to_its_end(draw: Draw) -> _Night:
    """The first steps do not help, so that the budgets matter."""
    script = _sure(draw, "shop", draw.one(("flag_off", "never")))
    if draw.chance(0.4):
        script += _sure(draw, "cart", "never", draw.within(80, 120))
    return script, one_of_all(draw, 0.3)


def _replica_suspended(draw: Draw) -> _Night:
    """One of two replicas sleeps in the middle of a claim, and wakes with a lease that is over."""
    service = draw.one(("shop", "cart", "search"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    faults = [suspended_at(draw, draw.one(BEGUN)) for _ in range(draw.one((1, 2)))]
    begins = draw.one((0.0, draw.within(0, 40), draw.within(100, 200)))
    return script, [*faults, Fault("second replica", at=begins)]


def _claimed_and_away(draw: Draw) -> _Night:
    """One of two replicas sleeps between what it has claimed and what it does, until the other one
    has done it."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    what = draw.one(("EffectClaimed", "EffectClaimed", "StepPrepared"))
    away = Fault(
        "replica suspended after that",
        what=what,
        count=draw.one((1, 2, 3, 4)),
        size=draw.one((17.0, 25.0, 40.0, 60.0)),
    )
    return script, [away, Fault("second replica", at=0.0)]


def _done_and_away(draw: Draw) -> _Night:
    """A replica does not reach the store any more, or sleeps, just when it has done something to
    the world: it cannot write down what came of it, and another one takes over, or nobody does."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    what = draw.one(("effect page", "effect run", "effect run", "effect post"))
    kind = draw.one(("replica cut off after that", "replica suspended after that"))
    away = away_after(draw, kind, what)
    faults = [replace(away, size=draw.one((16.0, 17.0, 18.0, 20.0, 25.0, 40.0)))]
    if what == "effect run" and draw.chance(0.7):
        faults.append(Fault("action hangs", count=away.count, lasts=FAULTS_END))
        faults.append(Fault("action is half done", count=away.count, lasts=FAULTS_END))
    begins = 0.0 if what == "effect page" else draw.one((0.0, 200.0, 200.0))
    return script, [*faults, Fault("second replica", at=begins)]


def _opened_and_untold(draw: Draw) -> _Night:
    """The opening of an incident is stored, and its daemon is not told; a second one is there."""
    service = draw.one(("shop", "cart", "search", "mail"))
    script = _sure(draw, service, draw.one(("rollback", "itself", "never")))
    untold = Fault("commit unknown at that", what="IncidentOpened", count=1)
    return script, [untold, Fault("second replica", at=draw.one((0.0, 0.0, 200.0)))]


def _lease_won_back(draw: Draw) -> _Night:
    """The only replica is away for longer than its lease while nobody else could take over."""
    fires = draw.within(40, 70)
    script = _sure(draw, draw.one(("shop", "search", "mail")), "never", fires)
    kind = draw.one(("replica suspended", "replica cut off"))
    away = Fault(kind, fires + draw.within(3, 60), draw.one((17.0, 25.0, 40.0)), what="0")
    return script, [away, Fault("second replica", at=draw.one((200.0, 0.0)))]


def _nobody_hears(draw: Draw) -> _Night:
    """A call fails for a while, and nothing else happens that would wake the daemon."""
    fires = draw.within(30, 90)
    script = [Item("delivery", fires, "mail", more=("firing", round(fires - 3, 3), 0.0, 0))]
    faults = [Fault("pager down", round(fires - 1, 3), draw.one((3.0, 5.0, 9.0)))]
    return script, faults


def _lease_over_unseen(draw: Draw) -> _Night:
    """A replica's clock jumps past the end of its lease in the middle of what it does, and somebody
    acts before it has seen that the lease is over; then it wins it back."""
    service = draw.one(("shop", "cart"))
    script = _sure(draw, service, draw.one(("rollback", "flag_off", "never")))
    what, number = draw.one(("effect run", "effect run", "effect page")), draw.one((1, 1, 2))
    jump = Fault("clock forward after that", what=what, count=number, size=61.0)
    for _ in range(draw.one((1, 3))):
        more = (service, 1, service, what, number)
        script.append(Item("reaction", draw.within(0, 1), "note", draw.one(PEOPLE), more))
    return script, [jump, Fault("second replica", at=draw.one((0.0, 200.0, 200.0)))]


def _storm_that_nobody_answers(draw: Draw) -> _Night:
    """So many services alert together that they are a storm, and nobody answers its page until the
    later tiers are called. Some of them begin to fail, or their numbers come, after the page."""
    fires = draw.within(30, 50)
    grave = draw.chance(0.6)
    script: list[Item] = []
    for service in draw.dice.sample(STORM_SERVICES, draw.one((5, 6, 7, 8))):
        alerts = round(fires + draw.one((0.0, draw.within(0, 2), draw.within(0, 20))), 3)
        fails = round(alerts + draw.one((-25.0, -25.0, 5.0, 30.0)), 3)
        share = 0.1 if grave else draw.one((0.02, 0.1, 0.1, 0.3))
        script += [
            Item("trouble", fails, service, more=(share, "never")),
            Item("delivery", alerts, service, more=("firing", round(alerts - 3, 3), 0.0, 0)),
        ]
    if draw.chance(0.3):
        what = draw.one(("acknowledge", "close", "decline", "snooze"))
        service = draw.one(script).what
        more = (service, 1, service)
        script.append(Item("deed", draw.within(60, 200), what, draw.one(PEOPLE), more))
    slow = [Fault("prometheus slow", fires, 20.0, size=draw.within(3, 12))]
    faults = slow if draw.chance(0.2) else one_of_all(draw, 0.3)
    if draw.chance(0.2):
        faults.append(Fault("second replica", at=draw.one((0.0, 0.0, draw.within(0, 200)))))
    return script, faults


STRETCHES: tuple[Stretch, ...] = (
    _two_on_one_target,
    _people_react,
    _veto_at_the_start,
    _crash_at_work,
    _crash_while_it_runs,
    _crash_at_a_delivery,
    _store_away_a_moment,
    _disk_at_outcomes,
    _plan_to_its_end,
    _replica_suspended,
    _claimed_and_away,
    _done_and_away,
    _opened_and_untold,
    _lease_won_back,
    _nobody_hears,
)
ADDED: Mapping[int, Stretch] = {
    7: _storm_that_nobody_answers,
    19: _lease_over_unseen,
    39: _lease_over_unseen,
}
"""Those that were added later have seeds of their own, by what is left of the seed
(`ADDED_EVERY`): all others draw what they drew before, and the nights that are kept stay."""
ADDED_EVERY = 40
