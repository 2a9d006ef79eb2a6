"""Drills in the API, on the pages and on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemon.conduct.executor import ConductDependencies, Stage
from daemon.config.active import ActiveConfig
from daemon.core.drills.calendar import ScheduledDrill
from daemon.core.drills.promotion import PromotionPolicy
from daemon.core.drills.scenario import DrillScenario
from daemon.core.ports.metrics import MetricsServers, NamedMetrics
from daemon.drilling.desk import Desk
from daemon.drilling.house import DrillHouse
from daemon.drilling.runner import Drills
from daemon.intake.intake import Intake
from daemon.replaying.memory_stores import MemoryReviews
from daemon.replaying.recorded_calls import PlainLinks
from daemon.web.context import WebContext
from daemon.web.errors import problem_response
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_cli_double import EVIL, Ended, run
from tests.contract.visitor import give_access
from tests.doubles.serving import Double
from tests.fakes import Following, Service
from tests.stories.stage import LIMITS

ROOT = Path(__file__).parents[2]
SCENARIO = DrillScenario.model_validate(
    {
        "drill": "nobody-knows",
        "title": "An alert <b>nobody</b> knows",
        "why": "to see who comes",
        "brief": "keep silent",
        "labels": {"alertname": "Strange", "service": "attic"},
        "script": [{"at": 0, "alert": "firing"}, {"at": "10m", "public": "is it broken?"}],
        "roles": {"blue": ["bo"], "observers": ["cy"]},
        "expect": {"commander": "5m", "clock": True},
    }
)
SCHEDULE = [
    ScheduledDrill.model_validate({"drill": "nobody-knows", "day": "first tue", "at": "10:30"})
]
CY = {"Authorization": "Bearer cy-token"}


class NoFaults:
    async def cause(self, argv: Any, target: str) -> str:
        raise AssertionError("nothing is broken here")


class DrillRig(Rig):
    """A rig that holds drills; what their scripts post is worked off by `opens`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.drills: Drills
        self.intake = Intake(
            self.inbox,
            self.repository,
            lambda: self.rules,
            None,
            timedelta(hours=1),
            drills=lambda run: self.drills.played(run),
        )

    def context(self) -> WebContext:
        async def nothing(*_: Any) -> list[Any]:
            return []

        dependencies = ConductDependencies(
            servers=MetricsServers(NamedMetrics(Service(), LIMITS.storm_window)),
            actions={},
            limits=LIMITS,
            outage=0.5,
            changes=nothing,
            earlier=nothing,
            reviews=MemoryReviews(),
            links=PlainLinks(),
        )
        stage = Stage(Following(self.drilled), dependencies)
        house = DrillHouse(self.repository, stage.active, dependencies, {})
        self.drills = Drills(house, self.notes, self.intake.receive_drill, NoFaults())
        desk = Desk(self.drills, SCHEDULE, PromotionPolicy(probability=0.05))
        context = super().context()
        return replace(context, drills=desk, config_for_drill=self.drills.config_of)

    def drilled(self) -> ActiveConfig:
        return replace(self.active(), drills={SCENARIO.drill: SCENARIO})

    async def begins(self, who: dict[str, str] = ADA) -> str:
        """The drill is held, and its alert has opened its incident."""
        status, begun = await self.asks("POST", "/api/v1/drills/nobody-knows/run", who)
        assert status == 201
        await self.opens()
        return str(begun["run"])

    async def opens(self) -> None:
        """The alert that the script posts is worked off."""
        await self.intake._arrived.wait()
        async with asyncio.TaskGroup() as group:
            assert await self.intake._work(group)


@pytest.fixture
async def rig() -> AsyncIterator[DrillRig]:
    async with rigged(make=DrillRig) as found:
        playing = asyncio.create_task(found.drills.run())
        await asyncio.sleep(0)
        found.intake._arrived.clear()
        yield found
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def test_a_drill_is_held_watched_stopped_and_reported(rig: DrillRig) -> None:
    run_id = await rig.begins()
    status, listed = await rig.asks("GET", "/api/v1/drills", ADA)
    assert status == 200
    assert [run["run"] for run in listed["under_way"]] == [run_id]
    assert [row["drill"] for row in listed["drills"]] == ["nobody-knows"]
    assert [one["drill"] for one in listed["upcoming"]] == ["nobody-knows"]
    assert "5% of the sev3 and sev4 incidents" in listed["promotion"]
    status, stopped = await rig.asks("POST", f"/api/v1/drill-runs/{run_id}/abort", BO)
    assert (status, stopped) == (200, {"run": run_id})
    status, found = await rig.asks("GET", f"/api/v1/drill-runs/{run_id}", ADA)
    assert found["report"]["ending"] == "aborted"
    assert found["report"]["ended_text"] == "by bo"
    assert [one["name"] for one in found["report"]["criteria"]] == ["commander", "clock"]
    assert [run["run"] for run in found["trend"]] == [run_id]
    answer = await rig.client.get(f"/api/v1/drill-runs/{run_id}/report", headers=ADA)
    text = await answer.text()
    assert text.startswith("# [DRILL] An alert <b>nobody</b> knows")
    status, problem = await rig.asks("POST", f"/api/v1/drill-runs/{run_id}/abort", BO)
    assert status == 409
    assert "no drill" in problem["detail"]


async def test_who_may_not_hold_or_know_a_drill_is_told(rig: DrillRig) -> None:
    status, problem = await rig.asks("POST", "/api/v1/drills/unknown/run", ADA)
    assert (status, problem["detail"]) == (
        404,
        "there is no drill 'unknown'; there are nobody-knows",
    )
    status, problem = await rig.asks("GET", "/api/v1/drill-runs/unknown", ADA)
    assert status == 404
    assert "stopgap drill list" in problem["detail"]
    await rig.begins()
    status, problem = await rig.asks("POST", "/api/v1/drills/nobody-knows/run", ADA)
    assert status == 409
    assert "bo is in the drill nobody-knows" in problem["detail"]
    give_access(rig, ada="viewer")
    status, _ = await rig.asks("POST", "/api/v1/drills/nobody-knows/run", ADA)
    assert status == 403


async def test_the_script_is_for_observers_until_it_is_over(rig: DrillRig) -> None:
    run_id = await rig.begins()
    path = f"/api/v1/drill-runs/{run_id}"
    assert (await rig.asks("GET", path, BO))[1]["script"] == []
    seen = (await rig.asks("GET", path, CY))[1]["script"]
    assert seen == ["keep silent", "0s: the alert is firing", "10m: heard outside: is it broken?"]
    assert "is it broken" not in await page(rig, f"/drills/{run_id}", BO)
    assert "is it broken" in await page(rig, f"/drills/{run_id}", CY)
    await rig.asks("POST", f"{path}/abort", BO)
    assert (await rig.asks("GET", path, BO))[1]["script"] == seen


async def page(rig: DrillRig, path: str, who: dict[str, str] = ADA, status: int = 200) -> str:
    answer = await rig.client.get(path, headers=who)
    text = await answer.text()
    assert answer.status == status, text
    return text


async def test_the_pages_hold_show_and_stop_drills_and_mark_all_of_them(rig: DrillRig) -> None:
    assert "Hold it now" in await page(rig, "/drills")
    answer = await rig.client.post(
        "/drills/run", headers=ADA, data={"drill": "nobody-knows"}, allow_redirects=False
    )
    assert answer.status == 303
    where = answer.headers["Location"]
    await rig.opens()
    shown = await page(rig, where)
    assert "[DRILL] An alert &lt;b&gt;nobody&lt;/b&gt; knows" in shown
    assert "[DRILL] Strange attic" in shown
    assert "[DRILL] Strange attic" in await page(rig, "/")
    incident = next(i for i in rig.journal.entries if i.startswith("drill-"))
    told = await page(rig, f"/incidents/{incident}")
    assert "[DRILL] Strange attic" in told
    assert "This is a drill: nobody is called but its blue team" in told
    assert f'href="{where}"' in told
    assert "It goes on since" in await page(rig, "/drills")
    run_id = where.rpartition("/")[2]
    answer = await rig.client.post(
        "/drills/abort", headers=ADA, data={"run": run_id}, allow_redirects=False
    )
    assert answer.status == 303
    assert "aborted: by ada" in await page(rig, where)
    assert await page(rig, "/drills/none", status=404)


async def test_lists_have_drills_with_their_mark_or_leave_them_out(rig: DrillRig) -> None:
    await rig.begins()

    async def titles(drills: str = "") -> list[str]:
        path = "/api/v1/incidents" + (f"?drills={drills}" if drills else "")
        return [row["title"] for row in (await rig.asks("GET", path, ADA))[1]["incidents"]]

    assert "[DRILL] Strange attic" in await titles()
    assert await titles("only") == ["[DRILL] Strange attic"]
    assert "[DRILL] Strange attic" not in await titles("without")


BEGAN = {"run": "r2", "drill": "storm", "blue": ["ada", "bo"], "observers": []}
LAST = {"run": "r1", "drill": "storm", "points": 3, "out_of": 4, "ending": "finished"}
OVERVIEW = {
    "drills": [{"drill": "storm", "title": f"Six at once {EVIL}", "last": LAST}],
    "under_way": [{"run": "r2", "drill": "storm", "began_at": "2026-11-23T14:03:20+00:00"}],
    "upcoming": [{"drill": "storm", "at": "2026-12-01T09:30:00+00:00"}],
    "promotion": "no incident is promoted for practice",
}


class Api(Double):
    """The drills as the API has them."""

    def routes(self) -> list[web.RouteDef]:
        async def listed(_: web.Request) -> web.Response:
            return web.json_response(OVERVIEW)

        async def begin(request: web.Request) -> web.Response:
            if request.match_info["drill"] != "storm":
                return problem_response(409, "Not now", "bo is called")
            return web.json_response(BEGAN, status=201)

        async def report(request: web.Request) -> web.Response:
            return web.Response(text="# [DRILL] Six", content_type="text/markdown")

        async def stop(request: web.Request) -> web.Response:
            return web.json_response({"run": request.match_info["run"]})

        return [
            web.get("/api/v1/drills", listed),
            web.post("/api/v1/drills/{drill}/run", begin),
            web.get("/api/v1/drill-runs/{run}/report", report),
            web.post("/api/v1/drill-runs/{run}/abort", stop),
        ]


async def typed(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, *arguments)


async def test_the_command_line_lists_holds_stops_and_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Api().serving() as api:
        monkeypatch.setenv("STOPGAP_URL", api.url)
        monkeypatch.setenv("STOPGAP_TOKEN", "t")
        monkeypatch.setenv("COLUMNS", "140")
        listed = await typed("drill", "list")
        assert "goes on: storm, run r2" in listed.out
        assert "3/4" in listed.out
        assert "2026-12-01 09:30" in listed.out
        assert "\x1b[31m" not in listed.out
        assert json.loads((await typed("drill", "list", "--json")).out) == OVERVIEW
        begun = await typed("drill", "run", "storm")
        assert "run r2, with ada, bo" in begun.out
        assert json.loads((await typed("drill", "run", "storm", "--json")).out) == BEGAN
        refused = await typed("drill", "run", "other")
        assert (refused.code, "Not now: bo is called" in refused.err) == (1, True)
        assert (await typed("drill", "abort", "r2")).out == "stopped: r2\n"
        assert (await typed("drill", "report", "r2")).out == "# [DRILL] Six\n"


async def test_the_command_line_checks_scenarios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    shipped = await typed("drill", "check")
    assert (shipped.code, shipped.out) == (0, "8 drills, no mistake\n")
    bad = tmp_path / "bad.yaml"
    text = (ROOT / "rules/drills/storm.yaml").read_text()
    bad.write_text(text.replace("commander: 5m", "comander: 5m").replace("{at: 28s, ch", "{ch"))
    checked = await typed("drill", "check", str(bad))
    assert checked.code == 1
    assert "bad.yaml:15: script.0.at: is missing" in checked.out
    assert "did you mean `commander`?" in checked.out
