"""On-call calendars that are files, and what the daemon begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from tests.contract.test_calendars import HOUR, NOW, ROSTER, Scene, Text, calendar

FILE = ROSTER.replace("{url: env:FEED, stale_after: 24h}", "{file: network.ics}")


class TestFiles:
    async def test_a_file_is_read_as_it_is_each_time(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path, FILE)
        (tmp_path / "network.ics").write_text(calendar("Bo"))
        await scene.renews()
        assert scene.people == [("bo",)]
        (tmp_path / "network.ics").write_text(calendar("Ada Lovelace"))
        await scene.renews()
        assert scene.people == [("ada",)]
        assert (scene.asked, scene.copies) == ([], {}), "nothing is asked of the net"

    @pytest.mark.parametrize("damage", [None, b"\xff\xfe", b"BEGIN:VCALENDAR\r\n"])
    async def test_a_missing_or_broken_one_alarms_and_the_last_plan_stays(
        self, tmp_path: Path, damage: bytes | None
    ) -> None:
        scene, file = Scene(tmp_path, FILE), tmp_path / "network.ics"
        file.write_text(calendar("Bo"))
        await scene.renews()
        file.unlink() if damage is None else file.write_bytes(damage)
        await scene.renews(HOUR)
        await scene.renews(HOUR)
        (alert,) = scene.firing
        assert str(tmp_path) not in alert.annotations["summary"]
        assert scene.people == [("bo",)]
        told = len(scene.resolved)
        file.write_text(calendar("Bo"))
        await scene.renews(HOUR)
        assert len(scene.resolved) == told + 1


class TestTheStart:
    async def test_it_begins_with_what_is_on_disk_without_the_net(self, tmp_path: Path) -> None:
        scene = Scene(tmp_path)
        scene.copies["network"] = Text(calendar("Bo"), NOW - 100 * HOUR)
        scene.subject.recall(scene.roster)
        assert scene.people == [("bo",)]
        assert (scene.asked, scene.alarms) == ([], [])

    @pytest.mark.parametrize("roster", [ROSTER, FILE])
    async def test_nothing_on_disk_or_nothing_readable_stops_it_not(
        self, tmp_path: Path, roster: str
    ) -> None:
        scene = Scene(tmp_path, roster)
        scene.subject.recall(scene.roster)
        scene.copies["network"] = Text("no calendar", NOW)
        (tmp_path / "network.ics").write_text("no calendar")
        with structlog.testing.capture_logs() as logged:
            scene.subject.recall(scene.roster)
        assert scene.people == []
        assert logged[0]["schedule"] == "network"
