"""Which scrape targets are the service's own, since when they are down, and what that means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import promql_parser
import pytest

from daemon.core.changes.comparison import OwnTargetsDown
from daemon.core.changes.suspects import Facts, suspect
from daemon.core.measurement.query_result import Unmeasurable
from daemon.core.measurement.samples import QueryAnswer, Series
from daemon.core.ports.metrics import Metrics
from daemon.core.values.outcome import Temporary
from daemon.measuring.own_targets import explain_silence, own_targets, own_targets_down
from daemon.measuring.queries import LEAST_OTHERS, Survey, alerting, outage
from tests.core.build import MINUTE, NOW, SECOND, ago, make_change, make_rule

OWN = '(up{job="shop",service="shop"})'
SILENT = Unmeasurable("no_data", "targets_down", "Prometheus cannot scrape any target of job shop")


@dataclass
class Targets:
    """Prometheus with the service's own targets, `down` of `known`; `rows` are their labels."""

    rows: Sequence[Mapping[str, str]] = ({"job": "shop", "service": "shop"},)
    known: float = 4
    down: float = 0
    since: datetime = field(default_factory=lambda: ago(3))
    blips: Sequence[datetime] = ()
    others: float = 10
    others_down: float = 0
    warnings: Sequence[str] = ()
    away: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def instant(self, query: str, at: datetime) -> QueryAnswer:
        self.asked.append(query)
        if self.away is not None:
            raise self.away
        if query.startswith("group by"):
            found = [Series(dict(row), [(at.timestamp(), 1.0)]) for row in self.rows]
            return QueryAnswer(query, found, self.warnings)
        if query.startswith("count((up == 0) unless"):
            return self._one(query, self.others_down, at)
        if query.startswith("count(up unless"):
            return self._one(query, self.others + self.known - self.down, at)
        if query == "count(up == 0) or vector(0)":
            return self._one(query, self.others_down + self.down, at)
        if query == "count(up)":
            return self._one(query, self.others + self.known, at)
        return self._one(query, self.down if "== 0" in query else self.known, at)

    async def series(
        self, query: str, start: datetime, end: datetime, step: timedelta
    ) -> QueryAnswer:
        samples, at = [], start
        while at <= end:
            blip = any(abs(at - moment) < step for moment in self.blips)
            down = self.down if at >= self.since else float(blip)
            samples.append((at.timestamp(), down))
            at += step
        return QueryAnswer(query, [Series({}, samples)])

    def _one(self, query: str, value: float, at: datetime) -> QueryAnswer:
        return QueryAnswer(query, [Series({}, [(at.timestamp(), value)])])


def survey(known: Targets, labels: Mapping[str, str] | None = None, **problem: Any) -> Survey:
    spec = make_rule().problem.model_copy(update=problem)
    given = {"service": "shop"} if labels is None else dict(labels)
    return Survey(known, spec, given, NOW, MINUTE)


class TestWhichTheyAre:
    """By the labels of the group on `up`, else by the job's name."""

    @pytest.mark.parametrize(
        ("labels", "asked"),
        [
            (
                {"service": "shop"},
                'group by (job, service) (last_over_time(up{service="shop"}[45m]) or '
                'last_over_time(up{job="shop"}[45m]))',
            ),
            (
                {"app": "shop"},
                'group by (app, job) (last_over_time(up{app="shop"}[45m]) or '
                'last_over_time(up{job="shop"}[45m]))',
            ),
            (
                {"app": "shop", "region": "eu"},
                'group by (app, job, region) (last_over_time(up{app="shop",region="eu"}[45m]))',
            ),
            (
                {"service": "shop", "region": "eu"},
                'group by (job, region, service) (last_over_time(up{service="shop"}[45m]) or '
                'last_over_time(up{job="shop"}[45m]))',
            ),
        ],
    )
    async def test_what_is_asked(self, labels: Mapping[str, str], asked: str) -> None:
        known = Targets(rows=())
        assert await own_targets(survey(known, labels)) is None
        assert known.asked == [asked]

    async def test_a_rule_for_one_service_names_it_in_its_queries(self) -> None:
        known = Targets()
        own = await own_targets(
            survey(known, {}, total='sum(increase(r{service="shop"}[$window]))')
        )
        assert own is not None
        assert own.up == OWN
        two = 'sum(increase(r{service="shop"}[$window])) + sum(increase(r{service="pay"}[$window]))'
        assert await own_targets(survey(known, {}, total=two)) is None
        assert await own_targets(survey(known, {}, total="sum(increase(r[$window]))")) is None

    async def test_those_of_other_groups_are_not_its_own(self) -> None:
        rows = [
            {"job": "shop", "service": "shop", "region": "eu"},
            {"job": "shop", "service": "shop", "region": "us"},
            {"job": "web", "service": "shop"},
            {"service": "shop"},
        ]
        own = await own_targets(survey(Targets(rows), {"service": "shop", "region": "eu"}))
        assert own is not None
        assert own.jobs == ("shop", "web")
        assert own.up == (
            '(up{job="shop",region="eu",service="shop"} or up{job="web",region="",service="shop"})'
        )

    async def test_what_nobody_can_tell_is_not_guessed(self) -> None:
        assert await own_targets(survey(Targets([{"job": f"j{n}"} for n in range(21)]))) is None
        assert await own_targets(survey(Targets(warnings=["a store did not answer"]))) is None


class TestSinceWhen:
    """The beginning of the last stretch in which some were down."""

    async def found(self, known: Targets) -> OwnTargetsDown | None:
        here = survey(known)
        own = await own_targets(here)
        assert own is not None
        return await own_targets_down(here, own)

    async def test_all_up(self) -> None:
        assert await self.found(Targets()) is None

    async def test_some_down(self) -> None:
        found = await self.found(Targets(down=3, since=ago(3)))
        assert found is not None
        assert (found.down, found.known) == (3, 4)
        assert found.since is not None
        assert abs(found.since - ago(3)) <= 3 * SECOND

    async def test_a_missed_scrape_before_is_no_beginning(self) -> None:
        found = await self.found(Targets(down=3, since=ago(3), blips=[ago(5), ago(20)]))
        assert found is not None
        assert found.since is not None
        assert abs(found.since - ago(3)) <= 3 * SECOND

    async def test_longer_than_anybody_looks_back(self) -> None:
        found = await self.found(Targets(down=3, since=ago(90)))
        assert found == OwnTargetsDown(down=3, known=4, since=None)


class TestOutage:
    """Its own dead targets count neither way; too few others, and nothing is believed."""

    @pytest.mark.parametrize(
        ("known", "said"),
        [
            (Targets(known=30, down=30), ""),
            (Targets(known=30, down=30, others_down=4), ""),
            (
                Targets(known=30, down=30, others_down=5),
                "5 of 10 scrape targets beside the service's own are down",
            ),
            # those of its own that are up tell that Prometheus can scrape
            (Targets(known=30, down=1, others=2, others_down=2), ""),
            (Targets(known=30, others=0), ""),
            (Targets(known=30, down=30, others=LEAST_OTHERS), ""),
            (
                Targets(known=30, down=30, others=LEAST_OTHERS - 1),
                "30 of the service's own scrape targets are down, and beside them there are 1: "
                "too few to tell that from an outage of the monitoring (2 are enough)",
            ),
            (
                Targets(away=Temporary("connection refused")),
                "Prometheus does not say which of its targets are up: connection refused",
            ),
        ],
    )
    async def test_with_own_targets(self, known: Targets, said: str) -> None:
        assert await outage(known, NOW, 0.5, OWN) == said

    async def test_without_own_targets_all_count(self) -> None:
        said = await outage(Targets(known=30, down=30), NOW, 0.5)
        assert said == "30 of 40 scrape targets are down"


class TestSilence:
    """A rule that nothing but the dead targets could measure."""

    async def explained(self, known: Targets, trouble: Unmeasurable = SILENT) -> Unmeasurable:
        changes = [
            make_change("v1", ago(31), "v0", subject="shop"),
            make_change("v2", ago(3) - 20 * SECOND, "v1", subject="shop"),
            make_change("v3", ago(1), "v2", subject="shop"),
        ]
        return await explain_silence(survey(known), changes, trouble)

    async def test_the_change_before_is_named(self) -> None:
        found = await self.explained(Targets(down=4, since=ago(3)))
        assert (found.verdict, found.reason) == ("no_data", "own_targets_down")
        assert found.text == (
            "the service's own targets (job shop) are down since 14:07:00 UTC, "
            "20s after shop → v2; nothing independent measures it, so nothing is done by itself"
        )

    async def test_no_change_before(self) -> None:
        found = await explain_silence(survey(Targets(down=4)), [], SILENT)
        assert "are down since 14:07:00 UTC; nothing" in found.text
        long = await self.explained(Targets(down=4, since=ago(90)))
        assert "are down for longer than the look-back; nothing" in long.text

    async def test_what_is_no_such_silence_stays_what_it_is(self) -> None:
        empty = Unmeasurable("no_data", "empty_answer", "x")
        assert (await self.explained(Targets(down=4), empty)).reason == "own_targets_down"
        stale = Unmeasurable("no_data", "samples_stale", "x")
        assert await self.explained(Targets(down=4), stale) is stale
        assert await self.explained(Targets(down=3)) is SILENT, "one of them answers"
        assert await self.explained(Targets(rows=())) is SILENT
        assert await self.explained(Targets(away=Temporary("refused"))) is SILENT


class TestSuspicion:
    """What went down with a change speaks against it."""

    def weighed(self, since: datetime | None) -> tuple[float, str, tuple[str, ...]]:
        down = OwnTargetsDown(down=3, known=4, since=since)
        changes = [make_change("v2", ago(6), "v1")]
        found = suspect(changes, ago(5), 30 * SECOND, Facts(own_down=down), NOW)
        (candidate,) = found.candidates
        return candidate.score, found.text, candidate.reasons

    @pytest.mark.parametrize(
        ("since", "after"),
        [(ago(6) - 5 * SECOND, "at the change"), (ago(5.5), "30s after it began")],
    )
    def test_down_since_the_change(self, since: datetime, after: str) -> None:
        score, said, reasons = self.weighed(since)
        told = f"3 of 4 of the service's own targets are down since {since:%H:%M:%S} UTC, {after}"
        assert told in reasons
        assert told in said
        assert score > self.weighed(None)[0]

    @pytest.mark.parametrize("since", [None, ago(6) - 6 * SECOND])
    def test_down_before_it_says_nothing(self, since: datetime | None) -> None:
        _, said, reasons = self.weighed(since)
        assert not any("own targets" in reason for reason in (*reasons, said))


async def test_services_that_alert_are_told_apart_by_the_label_that_names_them() -> None:
    asked: list[str] = []

    class Answering:
        async def instant(self, query: str, at: datetime) -> QueryAnswer:
            asked.append(query)
            return QueryAnswer(query, [Series({}, [(at.timestamp(), 3.0)])])

    metrics = cast(Metrics, Answering())
    assert await alerting(metrics, NOW, timedelta(minutes=5), "service.name") == 3
    (query,) = asked
    assert query.startswith('count(count by ("service.name") (ALERTS')
    assert 'unless on (alertname, "service.name") ALERTS' in query
    promql_parser.parse(query)
