"""Reports may come late, twice and in any order: the newest decides."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.incident import events as e
from daemon.core.response.commands import RecordPagerReport
from tests.core.build import NOW, SECOND
from tests.core.incident.test_pager_reports import hears
from tests.core.scene import Scene, of

# ── any order, any number of times ───────────────────────────────────────────────────────────

told = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bo", "cy", "", "stranger"]),
        st.sampled_from(["acknowledged", "acknowledged", "unacknowledged"]),
    ),
    min_size=1,
    max_size=7,
).map(
    lambda said: [
        RecordPagerReport(
            "pagerduty",
            how,  # type: ignore[arg-type]
            "" if person == "stranger" else person,
            person,
            NOW + number * 10 * SECOND,
            f"r{number}",
        )
        for number, (person, how) in enumerate(said)
    ]
)


def ended(reports: list[RecordPagerReport]) -> Scene:
    """All of these reports, heard in this order, a few minutes later."""
    scene = Scene()
    scene.passes(3)
    for told_ in reports:
        scene.now += SECOND
        hears(scene, told_)
    return scene


def in_order(reports: list[RecordPagerReport]) -> list[RecordPagerReport]:
    """Those that the rule lets through: never one that is older than, or the same as, another
    before it."""
    passed: list[RecordPagerReport] = []
    for told_ in reports:
        if not passed or told_.occurred_at > passed[-1].occurred_at:
            passed.append(told_)
    return passed


@settings(max_examples=400)
@given(st.data(), told)
def test_any_order_and_any_repetition_end_as_if_in_order(
    data: st.DataObject, reports: list[RecordPagerReport]
) -> None:
    again = data.draw(st.lists(st.sampled_from(reports), max_size=4))
    shuffled = data.draw(st.permutations([*reports, *again]))
    scene = ended(shuffled)
    straight = ended(in_order(shuffled))
    assert scene.commander == straight.commander
    assert scene.incident.responders == straight.incident.responders
    assert len(of(e.PagerSaid, [x.event for x in scene.journal])) == len(in_order(shuffled))
    assert scene.restarted() == scene.incident


@settings(max_examples=400)
@given(st.data(), told)
def test_the_newest_report_decides_whether_somebody_commands(
    data: st.DataObject, reports: list[RecordPagerReport]
) -> None:
    scene = ended(data.draw(st.permutations(reports)))
    newest = reports[-1]
    if newest.state == "acknowledged" and newest.person:
        assert scene.commander
    if newest.state == "unacknowledged" and newest.person in {"", scene.commander}:
        assert not scene.commander
    unacknowledged = [r for r in reports if r.state == "unacknowledged"]
    if not unacknowledged:
        known = [r.person for r in reports if r.person]
        assert bool(scene.commander) <= bool(known)
        assert scene.commander in {*known, ""}
