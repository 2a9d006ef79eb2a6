"""How fast cases are played: virtual minutes a second, of quiet time and of incidents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from daemon.app.rule_cases import house_for
from daemon.config.case_files import find_case_files
from daemon.config.settings import Settings
from daemon.core.cases.rule_case import RuleCase
from daemon.core.values.yaml_document import one_document
from daemon.replaying.case_runner import run_case

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
AIM = 5_000
FLOOR = 500
"""Virtual minutes a second; below the floor something is wrong, however slow the machine."""
NIGHT = """
case: A bad deployment in the middle of a day
rule: checkout-success-rate
labels: {service: shop}
series:
  total: {per_minute: '600x1440'}
  bad: {share: '0.002x719 0.3x700'}
changes: [{at: 719m50s, to: v42, was: v41}]
alerts: [{at: 722m}, {at: 725m, state: resolved}]
actions: {1: {then: {bad: {share: '0.002'}}}}
scrape: 2s
until: 1440m
expect: [{at: 730m, verdicts: {1: recovered}, phase: closed}]
"""


def _rate(cases: Sequence[RuleCase]) -> float:
    """Virtual minutes a second of processor time, of all these cases; each has to pass."""
    house = house_for(Settings(), ROOT / "rules", restricted=False)
    minutes, began = 0.0, time.process_time()
    for case in cases:
        run = run_case(case, house)
        assert not run.mismatches, case.case
        minutes += run.minutes
    return minutes / (time.process_time() - began)


def test_virtual_minutes_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    day = one_document(NIGHT, "day.yaml").read(RuleCase)
    files = find_case_files([ROOT / "rules/cases"])
    examples = [case for file in files for case, _ in file.cases if not case.raw]
    try:
        _rate(examples[:1])  # what is made once is made
        quick, short = _rate([day] * 5), _rate(examples)
    finally:
        structlog.configure(**logging)
    with capsys.disabled():
        print(  # noqa: T201
            f"\na day with an incident: {quick:,.0f} virtual minutes a second (aim {AIM:,}); "
            f"{len(examples)} short cases, each little but an incident: {short:,.0f}"
        )
    assert quick > FLOOR
