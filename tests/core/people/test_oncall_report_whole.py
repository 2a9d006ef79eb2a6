"""When nobody at all is called for a team, and the whole report as plain JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.core.people.oncall_report import NO_TEAM, REPORT_AHEAD, oncall_view, uncovered
from daemon.core.people.roster import Roster
from daemon.core.people.schedules import Shift

AT = datetime(2026, 11, 4, 12, 0, tzinfo=UTC)  # a Wednesday
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def layer(person: str, begin: str, end: str, **more: Any) -> dict[str, Any]:
    """A person in a window of each day."""
    restrict = [{"from": begin, "to": end, **more}]
    return {"rotation": [person], "start": "2026-11-02", "restrict": restrict}


def roster(*tiers: list[str], **schedules: Any) -> Roster:
    """The team `shop` is called in these tiers."""
    return Roster.model_validate(
        {
            "people": {
                name: {"name": name.title(), "contact": [{"console": True}]}
                for name in ("ada", "bo", "cy")
            },
            "teams": {"shop": {"owners": ["ada"], "lead": "bo", "policy": "shop"}},
            "schedules": {
                name: {"zone": "UTC", **(given if isinstance(given, dict) else {"layers": given})}
                for name, given in schedules.items()
            },
            "policies": {
                "shop": {"tiers": [{"notify": tier, "wait": "2m"} for tier in tiers]},
                "duty": {"tiers": [{"notify": ["duty"] if "duty" in schedules else ["cy"]}]},
            },
            "default_policy": "duty",
        }
    )


DAYS = [layer("ada", "08:00", "20:00")]
NIGHTS = [layer("bo", "20:00", "08:00")]
CALENDAR = {"calendar": {"file": "x.ics"}}


class TestUncovered:
    @pytest.mark.parametrize("tiers", [(["days"], ["cy"]), (["cy"],), (["shop"],)])
    def test_a_person_and_a_teams_owners_are_always_there(self, tiers: tuple[list[str]]) -> None:
        assert uncovered(roster(*tiers, days=DAYS), "shop", AT) == []

    @pytest.mark.parametrize("tiers", [(["days", "nights"],), (["days"], ["nights"])])
    def test_two_schedules_cover_each_other_in_one_tier_or_two(
        self, tiers: tuple[list[str], ...]
    ) -> None:
        assert uncovered(roster(*tiers, days=DAYS, nights=NIGHTS), "shop", AT) == []

    def test_where_neither_has_anybody(self) -> None:
        late = [layer("bo", "21:00", "08:00")]
        found = uncovered(roster(["days"], ["nights"], days=DAYS, nights=late), "shop", AT, 2 * DAY)
        evening = AT + 8 * HOUR
        assert found == [
            Shift(evening, evening + HOUR, ()),
            Shift(evening + DAY, evening + DAY + HOUR, ()),
        ]

    def test_a_gap_is_one_however_many_handovers_are_in_it_and_is_cut_at_the_ends(self) -> None:
        weekly = {"days": ["mon"]}
        found = uncovered(
            roster(
                ["days", "nights"],
                days=[layer("ada", "08:00", "20:00", **weekly)],
                nights=[layer("bo", "20:00", "08:00", **weekly)],
            ),
            "shop",
            AT,
        )
        monday = datetime(2026, 11, 9, 8, 0, tzinfo=UTC)
        assert found == [
            Shift(AT, monday, ()),
            Shift(monday + DAY, monday + 7 * DAY, ()),
            Shift(monday + 8 * DAY, AT + REPORT_AHEAD, ()),
        ]

    def test_a_calendar_counts_as_far_as_it_goes(self) -> None:
        known = roster(["network"], network=CALENDAR)
        assert uncovered(known, "shop", AT) == [Shift(AT, AT + REPORT_AHEAD, ())]
        held = {"network": (Shift(AT - DAY, AT + DAY, ("bo",)),)}
        assert uncovered(known.knowing(held), "shop", AT) == [
            Shift(AT + DAY, AT + REPORT_AHEAD, ())
        ]

    def test_whom_the_roster_does_not_have_any_more_covers_nothing(self) -> None:
        """Until the calendar is read again it still names whoever has left."""
        held = {"network": (Shift(AT - DAY, AT + DAY, ("gone",)),)}
        known = roster(["network"], network=CALENDAR).knowing(held)
        assert known.on_call("network", AT) == ()
        assert uncovered(known, "shop", AT) == [Shift(AT, AT + REPORT_AHEAD, ())]

    def test_an_unknown_team_is_called_by_the_default_policy(self) -> None:
        known = roster(["cy"], duty=[layer("ada", "00:00", "12:00")])
        assert uncovered(known, "shop", AT) == []
        assert uncovered(known, "", AT, DAY) == [Shift(AT, AT + 12 * HOUR, ())]

    def test_it_says_the_same_as_the_tiers_at_every_hour(self) -> None:
        known = roster(
            ["days"],
            ["nights", "network"],
            days=[layer("ada", "09:00", "17:00", days=["mon", "tue", "wed"])],
            nights=[layer("bo", "22:00", "06:00", days=["fri", "sat"])],
            network=CALENDAR,
        ).knowing({"network": (Shift(AT + 3 * DAY, AT + 4 * DAY, ("cy",)),)})
        found = uncovered(known, "shop", AT)
        for hour in range(int(REPORT_AHEAD / HOUR)):
            at = AT + hour * HOUR
            # The last resort is one tier more than the policy has.
            nobody = len(known.tiers("shop", at)) == 3
            assert nobody == any(gap.start <= at < gap.end for gap in found), at
        assert len(found) > 5


class TestTheView:
    def test_it_is_plain_json_of_everything_at_that_moment(self) -> None:
        found = json.loads(json.dumps(oncall_view(roster(["days"], ["bo", "cy"], days=DAYS), AT)))
        first_gap = {"from": "2026-11-04T20:00:00+00:00", "until": "2026-11-05T08:00:00+00:00"}
        assert found["at"] == "2026-11-04T12:00:00+00:00"
        assert found["teams"].pop(NO_TEAM)["tiers"] == [{"tier": 1, "people": ["cy"], "wait": "5m"}]
        assert found["teams"] == {
            "shop": {
                "tiers": [
                    {"tier": 1, "people": ["ada"], "wait": "2m"},
                    {"tier": 2, "people": ["bo", "cy"], "wait": "2m"},
                ],
                "uncovered": [],
            }
        }
        (days,) = found["schedules"]
        gaps = days.pop("gaps")
        assert days == {
            "schedule": "days",
            "zone": "UTC",
            "now": ["ada"],
            "until": first_gap["from"],
            "next": [],
        }
        assert (gaps[0], len(gaps)) == (first_gap, 14)

    def test_an_empty_tier_is_shown_as_such_and_the_last_resort_as_one_more(self) -> None:
        night = AT + 10 * HOUR
        found = oncall_view(roster(["days"], days=DAYS), night)["teams"]["shop"]
        assert found["tiers"] == [
            {"tier": 1, "people": [], "wait": "2m"},
            {"tier": 2, "people": ["cy"], "wait": "5m"},
        ]
        assert found["uncovered"][0] == {
            "from": night.isoformat(),
            "until": "2026-11-05T08:00:00+00:00",
        }

    def test_somebody_for_ever_has_no_end(self) -> None:
        always = [{"rotation": ["ada"], "start": "2026-11-02"}]
        (report,) = oncall_view(roster(["cy"], always=always), AT)["schedules"]
        assert (report["now"], report["until"], report["next"]) == (["ada"], None, [])

    def test_the_calendars_that_the_roster_knows_are_in_it_without_strangers(self) -> None:
        held = {"network": (Shift(AT - DAY, AT + DAY, ("bo", "gone")),)}
        known = roster(["network"], network=CALENDAR).knowing(held)
        (report,) = oncall_view(known, AT)["schedules"]
        assert (report["now"], report["until"]) == (["bo"], (AT + DAY).isoformat())

    def test_a_roster_without_teams_and_schedules(self) -> None:
        bare = {"people": {"ada": {"name": "Ada", "contact": [{"console": True}]}}}
        policies = {"policies": {"all": {"tiers": [{"notify": ["ada"]}]}}, "default_policy": "all"}
        found = oncall_view(Roster.model_validate({**bare, **policies}), AT)
        everybody = {"tier": 1, "people": ["ada"], "wait": "5m"}
        assert found["teams"] == {NO_TEAM: {"tiers": [everybody], "uncovered": []}}
        assert found["schedules"] == []
