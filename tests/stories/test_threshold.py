"""A rule with a threshold, from the alert to the review: what is told at each moment, and that it
is decided alike when it is replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from daemon.core.incident.events import Entry
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.people.roster import Roster
from daemon.core.reporting.chart import Curve
from daemon.core.reporting.review.markdown import markdown
from daemon.core.reporting.review.model import review_of
from daemon.core.response.help_packet import help_packet
from daemon.core.response.update_text import draft
from daemon.core.rules.rule import load
from daemon.core.values.yaml_document import one_document
from daemon.measuring.chart_data import trace
from daemon.replaying.replay import replay
from daemon.replaying.virtual_time import run_virtually
from tests.decisions.scraping import ScrapedService
from tests.fakes import START
from tests.replaying.test_replay import house
from tests.stories.stage import ROSTER, RULE, Stage, alert

QUERY = 'latency{service="$service"}'
SINGLE = {"value": QUERY, "threshold": {"above": 1}}
JOINED = {
    "threshold": {
        "any": [
            {"value": 'bad{service="$service"}[$window]', "at_least": 3000},
            {"value": QUERY, "above": 1},
        ]
    }
}
VERIFY = {"settle": "30s", "hold": "2m", "watch": "10m"}


def rule_text(measured: dict[str, object]) -> str:
    problem = {
        "symptom": "checkout latency",
        **measured,
        "windows": ["1m", "5m"],
        "baseline": "45m",
        "severity": {"sev1": "100%", "sev2": "0%"},
    }
    return yaml.safe_dump({**yaml.safe_load(RULE), "problem": problem, "verify": VERIFY})


def lived(tmp_path: Path, measured: dict[str, object]) -> tuple[Incident, Sequence[Entry], Curve]:
    """The night of a deployment that makes it slow, and is rolled back."""
    stage = Stage(tmp_path, rule_text=rule_text(measured))
    stage.service = ScrapedService()  # what is recorded and replayed is what scrapes showed
    stage.service.latency = [(-86400.0, 0.2), (60.0, 1.6)]

    def heals() -> None:
        stage.service.latency.append((asyncio.get_running_loop().time(), 0.2))

    async def story() -> tuple[Incident, Sequence[Entry], Curve]:
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(3000)
            incident, rule = await daemon.incident(), stage.rules[0]
            entries = stage.journal.entries[incident.id]
            clock = daemon.repository.clock()
            return incident, entries, await trace(stage.service, incident, rule, entries, clock)

    stage.actions["rollback"].effect = heals
    return run_virtually(story)


@pytest.mark.parametrize("measured", [SINGLE, JOINED], ids=["single", "joined"])
def test_it_is_measured_recovered_told_and_replayed(
    tmp_path: Path, measured: dict[str, object]
) -> None:
    incident, entries, curve = lived(tmp_path, measured)
    problem = incident.confirmed
    assert problem is not None
    assert "above 1 since 14:0" in problem.text
    assert problem.text.endswith("(usually 0.2)")
    assert incident.severity == "sev2"
    assert incident.suspicion is not None
    assert incident.suspicion.verdict == "suspect"
    assert incident.title.startswith("Restored: shop: checkout latency 0.")
    assert "at worst, a problem if above 1, normally 0.2, 14:0" in incident.title
    assert incident.closed is not None
    assert incident.closed.reason == "recovered"
    assert incident.steps[1].verdict == "recovered"
    assert "a problem if above 1, held for" in incident.steps[1].verdict_text
    update = draft(incident, since=None, pause=None, sent_at=None, public=False, description="")
    assert "not above 1" in update
    assert [(one.level, one.words) for one in curve.thresholds] == [(1.0, "above 1")]
    assert (curve.kind, curve.source) == ("value", "prometheus")
    assert f"Problem: {problem.text}" in help_packet(incident, "ada", "", "https://x.example/i")
    review = markdown(review_of(entries, START + timedelta(hours=2), roster()))
    assert "rose from 0.2 to 1." in review
    assert "| above 1 |" in review
    assert "mean of both counts" not in review
    assert ("at least 3,000: does not hold" in review) is (measured is JOINED)
    assert not replay(entries, house(load(rule_text(measured), "shop.yaml")[0][0])).differs


def roster() -> Roster:
    return one_document(ROSTER, "roster.yaml").read(Roster)


async def test_what_was_passed_all_along_is_told_as_of_unknown_age(tmp_path: Path) -> None:
    stage = Stage(tmp_path, rule_text=rule_text(SINGLE))
    stage.service.latency = [(-86400.0, 1.6)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(400)
        incident = await daemon.incident()
    problem = incident.confirmed
    assert isinstance(problem, Problem)
    assert problem.text.endswith("above 1 for longer than 45m")
    state = incident.steps[2]
    assert state.ask_reason == "too_old"
    assert "and nobody knows since when; a person decides" in state.refusal_text
    entries = stage.journal.entries[incident.id]
    review = markdown(review_of(entries, START + timedelta(hours=2), roster()))
    assert "was as bad already, and nobody knows since when" in review


async def test_a_page_tells_no_loss_of_what_has_no_usual_level(tmp_path: Path) -> None:
    """How far the threshold is passed stands in its title, in the metric's own unit."""
    stage = Stage(tmp_path, rule_text=rule_text(SINGLE))
    stage.service.latency = [(-86400.0, 1.6)]
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(900)
    texts = [page.text for page in stage.phones["ada"].pages]
    assert "a problem if above 1" in texts[-1]
    assert not any("loss" in text for text in texts)
