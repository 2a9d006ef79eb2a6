"""`stopgap oncall`: who would be called, and where nobody would be, whatever the clocks do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_cli_double import Ended, run

ROSTER = """\
people:
  ada: {name: Ada, contact: [{console: true}]}
  bo: {name: Bo, contact: [{console: true}], known_as: {calendar: [Brackets]}}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  shop: {owners: [ada], policy: shop}
  duty: {owners: [cy], policy: duty}
schedules:
  nights:
    zone: Europe/Berlin
    layers:
      - {rotation: [ada, bo], start: 2026-10-05, handover: "02:30", every: 1d}
policies:
  shop: {tiers: [{notify: [nights], wait: 2m}]}
  duty: {tiers: [{notify: [duty], wait: 5m}]}
default_policy: duty
"""
WINDOW = ROSTER.replace("every: 1d", 'every: 1d, restrict: [{from: "22:00", to: "06:00"}]')
FEED = """\
  nights:
    zone: Europe/Berlin
    calendar: {file: nights.ics}
"""
CALENDAR = ROSTER[: ROSTER.index("  nights:\n")] + FEED + ROSTER[ROSTER.index("policies:") :]
HOWE = "Australia/Lord_Howe"
EVENT = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:x\r
BEGIN:VEVENT\r
UID:1\r
DTSTAMP:20260101T000000Z\r
DTSTART:20270320T000000Z\r
DTEND:20270420T000000Z\r
SUMMARY:Zed\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An operator's folder, in which the command runs; it has settings, and rules yet to come."""
    for name in ("STOPGAP_URL", "STOPGAP_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "stopgap.yaml").write_text("listen: 127.0.0.1:9393\n")
    return tmp_path


def oncall(home: Path, roster: str, *arguments: str) -> Ended:
    """Run it on this roster."""
    (home / "rules/roster.yaml").write_text(roster)
    ended = run("oncall", *arguments)
    assert "Traceback" not in ended.err
    return ended


def view_of(home: Path, roster: str, at: str) -> Any:
    """What it says as JSON."""
    return json.loads(oncall(home, roster, "--json", "--at", at).out)


def in_zone(zone: str, handover: str) -> str:
    return ROSTER.replace("Europe/Berlin", zone).replace('"02:30"', f'"{handover}"')


class TestWhenTheClocksChange:
    @pytest.mark.parametrize(
        ("zone", "handover", "change", "shown"),
        [
            # In spring 02:30 does not exist: it is read with the offset before the gap.
            ("Europe/Berlin", "02:30", "2027-03-28T01:30:00+00:00", "Sun 2027-03-28 03:30 CEST"),
            # In autumn it comes twice: the first is meant.
            ("Europe/Berlin", "02:30", "2026-10-25T00:30:00+00:00", "Sun 2026-10-25 02:30 CEST"),
            ("Europe/Berlin", "02:30", "2027-10-31T00:30:00+00:00", "Sun 2027-10-31 02:30 CEST"),
            # Lord Howe moves by half an hour.
            (HOWE, "01:45", "2027-04-03T14:45:00+00:00", "Sun 2027-04-04 01:45 +11"),
            (HOWE, "02:15", "2026-10-03T15:45:00+00:00", "Sun 2026-10-04 02:45 +11"),
        ],
    )
    def test_a_handover_in_that_hour(
        self, home: Path, zone: str, handover: str, change: str, shown: str
    ) -> None:
        roster = in_zone(zone, handover).replace("2026-10-05", "2026-09-01")
        minute, rest = int(change[14:16]), change[19:]
        before = f"{change[:14]}{minute - 1:02}:59{rest}"
        (report,) = view_of(home, roster, before)["schedules"]
        assert (report["until"], report["zone"]) == (change, zone)
        (after,) = view_of(home, roster, change)["schedules"]
        assert sorted([*report["now"], *after["now"]]) == ["ada", "bo"]
        assert after["now"] == report["next"]
        assert shown in oncall(home, roster, "--at", before).out

    @pytest.mark.parametrize(
        ("evening", "opens", "closes"),
        [
            ("2027-03-27", "2027-03-27T21:00", "2027-03-28T04:00"),  # 7 hours
            ("2026-10-24", "2026-10-24T20:00", "2026-10-25T05:00"),  # 9 hours
            ("2027-10-30", "2027-10-30T20:00", "2027-10-31T05:00"),
            ("2027-01-01", "2027-01-01T21:00", "2027-01-02T05:00"),
        ],
    )
    def test_a_window_over_that_night(
        self, home: Path, evening: str, opens: str, closes: str
    ) -> None:
        found = view_of(home, WINDOW, f"{evening} 12:00")
        gaps = found["schedules"][0]["gaps"]
        assert (gaps[0]["until"], gaps[1]["from"]) == (f"{opens}:00+00:00", f"{closes}:00+00:00")
        assert found["teams"]["shop"]["uncovered"] == gaps


class TestAt:
    @pytest.mark.parametrize(
        "at",
        [
            *("2027-03-28 01:30", "2027-03-28T01:30:00Z", "2027-03-28T03:30+02:00"),
            "2027-03-27T20:30:00-05:00",
        ],
    )
    def test_the_same_moment_with_and_without_an_offset(self, home: Path, at: str) -> None:
        found = view_of(home, ROSTER, at)
        assert found == view_of(home, ROSTER, "2027-03-28T01:30")
        assert found["at"] == "2027-03-28T01:30:00+00:00"

    def test_a_date_is_its_midnight_in_utc(self, home: Path) -> None:
        assert view_of(home, ROSTER, "2027-03-28")["at"] == "2027-03-28T00:00:00+00:00"

    @pytest.mark.parametrize(
        "at", ["soon", "", "2027-02-29", "2027-03-28 25:00", "0001-01-01", "9999-12-31T23:59-12:00"]
    )
    def test_what_is_no_time_is_wrong_usage(self, home: Path, at: str) -> None:
        ended = oncall(home, ROSTER, "--at", at)
        assert (ended.code, ended.out) == (2, "")
        assert "'--at'" in ended.err

    def test_now_if_it_is_left_out(self, home: Path) -> None:
        assert oncall(home, ROSTER).out.startswith("At ")


class TestWhatIsShown:
    def test_the_shape_for_machines(self, home: Path) -> None:
        found = view_of(home, ROSTER, "2027-01-10")
        assert found == {
            "at": "2027-01-10T00:00:00+00:00",
            "teams": {
                "shop": {
                    "tiers": [{"tier": 1, "people": ["ada"], "wait": "2m"}],
                    "uncovered": [],
                },
                "duty": {"tiers": [{"tier": 1, "people": ["cy"], "wait": "5m"}], "uncovered": []},
            },
            "schedules": [
                {
                    "schedule": "nights",
                    "zone": "Europe/Berlin",
                    "now": ["ada"],
                    "until": "2027-01-10T01:30:00+00:00",
                    "next": ["bo"],
                    "gaps": [],
                }
            ],
            "overrides": [],
            "swaps": [],
            "calendars": [],
        }

    def test_a_time_without_anybody_is_told_and_is_exit_code_1(self, home: Path) -> None:
        ended = oncall(home, WINDOW, "--at", "2027-03-27 12:00")
        assert ended.code == 1
        line = "NOBODY for shop from Sat 2027-03-27 12:00 UTC until Sat 2027-03-27 21:00 UTC"
        assert line in ended.out
        assert "nobody is on call: skipped at once" in ended.out
        assert "gap in nights from Sat 2027-03-27 13:00 CET" in ended.out
        assert "and 10 more gaps in nights; --json lists them" in ended.out

    def test_only_the_team_that_was_asked_for_counts(self, home: Path) -> None:
        ended = oncall(home, WINDOW, "--team", "duty", "--at", "2027-03-27 12:00")
        assert ended.code == 0
        assert "NOBODY" not in ended.out
        assert "shop" not in ended.out
        ended = oncall(home, WINDOW, "--team", "shopp")
        assert (ended.code, ended.out) == (1, "")
        assert "no team 'shopp'; there are shop, duty" in ended.err

    def test_a_gap_that_another_tier_covers_is_shown_and_no_failure(self, home: Path) -> None:
        covered = WINDOW.replace("[nights], wait: 2m}", "[nights], wait: 2m}, {notify: [cy]}")
        ended = oncall(home, covered, "--at", "2027-03-27 12:00")
        assert ended.code == 0
        assert "NOBODY" not in ended.out
        assert "gap in nights from Sat 2027-03-27 13:00 CET" in ended.out

    def test_names_are_shown_as_they_are(self, home: Path) -> None:
        roster = ROSTER.replace("  duty: {owners", '  "[red]:fire:": {owners')
        roster = roster.replace("notify: [duty]", 'notify: ["[red]:fire:"]')
        assert "teams.[red]:fire:: '[red]:fire:' is no name" in oncall(home, roster).err


class TestCalendars:
    def test_one_that_names_nobody_known_does_not_spoil_the_answer(self, home: Path) -> None:
        (home / "rules/nights.ics").write_text(EVENT)
        ended = oncall(home, CALENDAR, "--json", "--at", "2027-03-28")
        assert json.loads(ended.out)["schedules"][0]["now"] == []
        assert ended.code == 1
        assert "Zed" in ended.err
        (home / "rules/nights.ics").write_text(EVENT.replace("Zed", "Brackets"))
        ended = oncall(home, CALENDAR, "--json", "--at", "2027-03-28")
        assert json.loads(ended.out)["schedules"][0]["now"] == ["bo"]

    def test_one_that_is_not_there_is_said_beside_the_answer(self, home: Path) -> None:
        ended = oncall(home, CALENDAR, "--json", "--team", "duty")
        assert list(json.loads(ended.out)["teams"]) == ["duty"]
        assert ended.code == 0
        told = "stopgap: the calendar of nights: cannot read the calendar nights.ics: No such file"
        assert told in ended.err

    def test_so_is_the_secret_of_a_feed(self, home: Path) -> None:
        roster = CALENDAR.replace("file: nights.ics", "url: env:NO_SUCH_FEED")
        ended = oncall(home, roster, "--json", "--team", "duty")
        assert json.loads(ended.out)["at"]
        assert "the environment variable NO_SUCH_FEED is not set" in ended.err


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("notify: [nights]", "notify: [nigths]", 14, "no 'nigths'"),
        ("Europe/Berlin", "Berlin", 10, "did you mean Europe/Berlin?"),
        ("owners: [cy]", "owners: [cy", 7, "not YAML"),
    ],
)
def test_a_broken_roster_is_shown_where_it_is(
    home: Path, old: str, new: str, line: int, said: str
) -> None:
    ended = oncall(home, ROSTER.replace(old, new))
    assert (ended.code, ended.out) == (1, "")
    assert f"roster.yaml:{line}: " in ended.err
    assert said in ended.err
    assert "`stopgap check` shows this" in ended.err


READ = """\
BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:x\r
BEGIN:VEVENT\r
UID:1\r
DTSTART;TZID=Europe/Berlin:20270320T090000\r
DTEND;TZID=Europe/Berlin:20270327T090000\r
SUMMARY:[L1] Ada\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:2\r
DTSTART;TZID=Europe/Berlin:20270327T090000\r
DTEND;TZID=Europe/Berlin:20270403T090000\r
SUMMARY:Bo\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:3\r
DTSTART:20270322T100000Z\r
DTEND:20270322T110000Z\r
RRULE:FREQ=DAILY;COUNT=3\r
SUMMARY:Offsite\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:4\r
DTSTART:20270322T100000Z\r
DTEND:20270322T110000Z\r
STATUS:CANCELLED\r
SUMMARY:Cy\r
END:VEVENT\r
END:VCALENDAR\r
"""
LINES = [
    "calendar of nights: ada now, bo from Sat 2027-03-27 09:00 CET (zone Europe/Berlin)",
    "calendar of nights: no shift: 'Cy', Mon 2027-03-22 11:00 CET: it is cancelled "
    "(STATUS:CANCELLED)",
    "calendar of nights: no shift: 3 × 'Offsite', Mon 2027-03-22 11:00 CET: names nobody whom the "
    "roster knows",
]


class TestWhatWasRead:
    def test_each_calendar_says_who_has_it_and_what_is_no_shift(self, home: Path) -> None:
        (home / "rules/nights.ics").write_text(READ)
        at = "2027-03-22T12:00:00Z"
        told = oncall(home, CALENDAR, "--at", at).out.splitlines()
        assert [line for line in told if line.startswith("calendar of")] == LINES
        [read] = view_of(home, CALENDAR, at)["calendars"]
        assert (read["now"], read["next"], read["zone"]) == (["ada"], ["bo"], "Europe/Berlin")
        assert read["until"] == "2027-03-27T08:00:00Z"
        assert [events["times"] for events in read["passed_over"]] == [1, 3]

    def test_check_says_so_too(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / "rules/nights.ics").write_text(READ)
        (home / "rules/roster.yaml").write_text(CALENDAR)
        moment = datetime(2027, 3, 22, 12, tzinfo=UTC)
        monkeypatch.setattr("daemon.app.oncall.now", lambda: moment)
        for arguments in ((), ("rules",)):
            ended = run("check", *arguments)
            assert [line for line in ended.out.splitlines() if "calendar of" in line] == LINES
            assert ended.code == 0, ended.err
        [read] = json.loads(run("check", "--json").out)["calendars"]
        assert read["now"] == ["ada"]

    def test_check_fetches_nothing_and_says_where_it_is_fetched(self, home: Path) -> None:
        fed = CALENDAR.replace("{file: nights.ics}", "{url: env:NIGHTS}")
        (home / "rules/roster.yaml").write_text(fed)
        line = "calendar of nights: not read yet; `stopgap oncall` fetches it"
        assert line in run("check").out

    def test_a_file_that_is_no_calendar_is_told(self, home: Path) -> None:
        (home / "rules/nights.ics").write_text("<html>log in</html>")
        (home / "rules/roster.yaml").write_text(CALENDAR)
        assert "calendar of nights: this is no iCalendar text" in run("check").out
