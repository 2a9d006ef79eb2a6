"""A night that the daemon lived through, replayed by the rules of today and by others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.app.rule_cases import house_for
from daemon.config.case_files import find_case_files
from daemon.config.settings import Settings
from daemon.core.cases.recorded_case import NotReplayable, case_of
from daemon.core.cases.rule_case import GivenMove, RuleCase
from daemon.core.incident.events import Entry, IncidentClosed, SamplesRecorded
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.recovery.guardrails import Freeze
from daemon.core.rules.rule import Rule, load
from daemon.core.values.yaml_document import one_document
from daemon.replaying.case_runner import House, run_case
from daemon.replaying.replay import IncidentReplay, recorded_case, replay
from daemon.replaying.virtual_time import run_virtually
from tests import commanding
from tests.fakes import START, FakeAction
from tests.stories.stage import LIMITS, ROSTER, RULE, Daemon, Stage, alert, healed_by

QUERIES = {
    "bad": 'sum(increase(errors_total{service="$service"}[$window]))',
    "total": 'sum(increase(requests_total{service="$service"}[$window]))',
}


def rule_with(**changed: Any) -> Rule:
    """The rule of the night, or another one in its place."""
    written = yaml.safe_load(RULE)
    for name, value in changed.items():
        written[name] = {**written[name], **value} if isinstance(value, dict) else value
    [(rule, _)] = load(yaml.safe_dump(written), "checkout.yaml")
    return rule


def house(rule: Rule) -> House:
    return House(
        rules={rule.rule: rule},
        roster=one_document(ROSTER, "roster.yaml").read(Roster),
        approvals=Approvals(),
        freezes=FreezeWindows(),
        actions={name: FakeAction(name) for name in ("rollback", "flag_off")},
        limits=LIMITS,
        outage=0.5,
        max_age=timedelta(minutes=2),
    )


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Entry]:
    """A deployment is rolled back, ada comes, and all is well."""
    stage = Stage(tmp_path_factory.mktemp("night"))
    stage.service.fails(0.10, 60)

    async def story() -> None:
        async with stage.daemon() as daemon:
            healed_by(stage, "rollback", 0.002)
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(200)
            await daemon.acknowledges("ada")
            await daemon.at(1800)

    run_virtually(story)
    [entries] = stage.journal.entries.values()
    assert any(isinstance(entry.event, IncidentClosed) for entry in entries)
    return entries


def fates(found: IncidentReplay, fate: str) -> list[str]:
    return [one.shown.word for one in found.compared if one.fate == fate]


def test_by_the_same_rules_nothing_is_decided_otherwise(night: Sequence[Entry]) -> None:
    found = replay(night, house(rule_with()))
    assert not found.differs, [one for one in found.compared if one.fate != "same"]
    assert found.notes == []
    words = fates(found, "same")
    assert words[:3] == [
        "problem: confirmed (loss_exceeds_threshold)",
        "suspect: v2",
        "step 1: started, rollback on shop",
    ]
    assert "step 1: recovered" in words
    assert max(abs(one.later) for one in found.compared) < timedelta(minutes=1)


def test_what_stood_before_as_an_incident_of_its_own_is_no_baseline_in_a_replay_either(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    for share, at in ((0.10, 60), (0.01, 2160), (0.20, 3200), (0.01, 3500)):
        stage.service.fails(share, at)

    async def story() -> None:
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(2400)
            await daemon.receives(alert("resolved", ended=2300))
            await daemon.at(3260)
            await daemon.receives(alert(started=3240))
            await daemon.at(3600)
            await daemon.receives(alert("resolved", started=3240, ended=3590))
            await daemon.at(6000)

    run_virtually(story)
    first, second = stage.journal.entries.values()
    known = [entry.event for entry in first if isinstance(entry.event, SamplesRecorded)]
    assert [one.earlier for one in known] == [()]
    found = replay(second, house(rule_with()))
    assert "problem: confirmed (loss_exceeds_threshold)" in fates(found, "same")
    [trouble] = case_of(second, rule_with()).trouble
    assert trouble.began == timedelta(0)
    assert trouble.over > timedelta(minutes=20)


def test_a_threshold_that_is_too_high_would_have_done_nothing(night: Sequence[Entry]) -> None:
    found = replay(night, house(rule_with(problem={"confirm": {"drop": "20%", "traffic": "30/m"}})))
    assert "step 1: started, rollback on shop" in fates(found, "missing")
    assert any(word.startswith("problem: not_confirmed") for word in fates(found, "new"))
    assert found.acted_at is not None


def test_a_step_that_needs_a_word_would_have_asked(night: Sequence[Entry]) -> None:
    step = {"action": "rollback", "with": {"target": "shop"}, "approval": "commander"}
    found = replay(night, house(rule_with(recover=[step])))
    assert "step 1: started, rollback on shop" in fates(found, "missing")
    assert any("approval wanted" in word for word in fates(found, "new"))


def test_other_windows_are_worked_out_of_the_same_samples(night: Sequence[Entry]) -> None:
    found = replay(night, house(rule_with(problem={"windows": ["2m"]})))
    assert "problem: confirmed (loss_exceeds_threshold)" in fates(found, "same")
    assert found.notes == []


def test_a_query_that_asks_otherwise_is_told(night: Sequence[Entry]) -> None:
    found = replay(night, house(rule_with(problem={"bad": 'worse{service="$service"}[$window]'})))
    assert any("`bad` asks otherwise now" in note for note in found.notes)


def test_an_alert_that_no_rule_matches_opens_nothing(night: Sequence[Entry]) -> None:
    found = replay(night, house(rule_with(match=['alertname="Another"'])))
    assert fates(found, "same") == []
    assert any("does its `match` hold" in note for note in found.notes)


def test_a_rule_that_is_gone_is_told(night: Sequence[Entry]) -> None:
    other = rule_with(rule="another")
    with pytest.raises(NotReplayable, match=r"'checkout-success-rate' is not among .* another"):
        replay(night, house(other))


def test_what_was_not_kept_is_told(night: Sequence[Entry]) -> None:
    without = [entry for entry in night if entry.event.kind != "SamplesRecorded"]
    with pytest.raises(NotReplayable, match="--against-prometheus"):
        replay(without, house(rule_with()))


def test_the_case_of_an_incident_passes_and_can_fail(night: Sequence[Entry]) -> None:
    rule = rule_with()
    case = case_of(night, rule)
    assert len(case.expect) == 2
    assert run_case(case, house(rule)).mismatches == []
    worse = rule_with(problem={"confirm": {"drop": "20%", "traffic": "30/m"}})
    assert run_case(case, house(worse)).mismatches


async def approved_by_ada(stage: Stage, daemon: Daemon) -> None:
    await daemon.at(200)
    await daemon.acknowledges("ada")
    await daemon.at(230)
    await daemon.does(commanding.approve, stage.rules[0], 1, "ada", who="ada")


def lived(
    folder: Path,
    does: Callable[[Stage, Daemon], Awaitable[None]],
    prepare: Callable[[Stage], None],
    rule: str = RULE,
) -> Sequence[Entry]:
    """Another night, to its end."""
    stage = Stage(folder, rule_text=rule)
    stage.service.fails(0.10, 60)
    prepare(stage)

    async def story() -> None:
        async with stage.daemon() as daemon:
            healed_by(stage, "rollback", 0.002)
            await daemon.at(180)
            await daemon.receives(alert())
            await does(stage, daemon)
            await daemon.at(2400)

    run_virtually(story)
    [entries] = stage.journal.entries.values()
    assert any(isinstance(entry.event, SamplesRecorded) for entry in entries)
    return entries


def unapproved(stage: Stage) -> None:
    stage.approved = False


def test_what_nobody_had_approved_waits_in_the_replay_too(tmp_path: Path) -> None:
    entries = lived(tmp_path, approved_by_ada, unapproved)
    rule = rule_with()
    found = replay(entries, house(rule))
    assert not found.differs, [one for one in found.compared if one.fate != "same"]
    assert "step 1: approval wanted (not_approved)" in fates(found, "same")
    case = case_of(entries, rule)
    assert case.approvals == (2,)
    assert run_case(case, house(rule)).mismatches == []


def test_what_came_from_outside_is_told(tmp_path: Path) -> None:
    def frozen(stage: Stage) -> None:
        until = START + timedelta(minutes=5)
        stage.journal.stops["global"] = Freeze(
            scope="global", reason="sale", by="bo", at=START, until=until
        )

    async def nothing(_: Stage, __: Daemon) -> None:
        return None

    found = replay(lived(tmp_path, nothing, frozen), house(rule_with()))
    assert found.differs
    [note] = found.notes
    assert "step 1 did not start then (frozen: frozen by bo" in note


def shipped_cases() -> Iterator[Any]:
    for file in find_case_files((Path("rules/cases"),)):
        for case, _ in file.cases:
            outside = case.earlier or any(move.does == "freeze" for move in case.people)
            unmeasured = case.monitoring or case.never.phase or "Inf" in str(case.series)
            if not (case.raw or outside or unmeasured or case.case.startswith("Alerts of another")):
                yield pytest.param(case, id=case.case)


@pytest.mark.parametrize("case", list(shipped_cases()))
def test_every_case_is_replayed_as_it_went(case: RuleCase) -> None:
    """Also those of values, and those that never were confirmed: ada ends each in the end."""
    home = house_for(Settings(), Path("rules"), restricted=False)
    ends = [
        GivenMove(at=case.end + timedelta(seconds=n), who="ada", does=does)
        for n, does in ((5, "ack"), (6, "close"))
    ]
    longer = {"people": (*case.people, *ends), "until": case.end + timedelta(minutes=5)}
    [entries] = run_case(case.model_copy(update=longer), home).journals.values()
    found = replay(entries, home)
    assert not found.differs, [one for one in found.compared if one.fate != "same"]
    rule, again, _ = recorded_case(entries, home)
    assert run_case(again, home).mismatches == [], rule


def test_the_folder_of_the_rules_stands_for_its_cases() -> None:
    by_rules, by_cases = (find_case_files((Path(p),)) for p in ("rules", "rules/cases"))
    assert [one.path for one in by_rules] == [one.path for one in by_cases] != []
