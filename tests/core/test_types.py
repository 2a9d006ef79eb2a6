"""The enumerations hold: what is misspelt, or forgotten, is an error of mypy under our config."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import get_args

import pytest

from daemon.core.incident.reasons import TAKEN_BACK, VETOED
from recovery_actions.reasons import ActionReason

ROOT = Path(__file__).parents[2]
IMPORTS = """\
from daemon.core.incident import events as e
from daemon.core.incident.events.base import BaseEvent
from daemon.core.incident.reasons import TAKEN_BACK, AskReason, TakenBackReason, attempt_ended
from daemon.core.incident.state import Incident, Phase
from daemon.core.incident.step_state import StepState
from daemon.core.people.audiences import Audience
from daemon.core.ports.notification import Message
from daemon.core.recovery.step_answers import AskApproval, Skip
from recovery_actions.reasons import NotReady
"""
SNIPPETS = {
    "right": (
        """
        def right(step: StepState, incident: Incident) -> bool:
            e.StepRefused(step=1, reason="storm", text="")
            attempt_ended("refused", "storm", "")
            NotReady("no_healthy_item", "")
            storm: frozenset[TakenBackReason] = frozenset({"storm"})
            return step.taken_back == "storm" and incident.phase == "deciding"
        """,
        [],
    ),
    "an_event": ('e.StepRefused(step=1, reason="strom", text="")', ["arg-type"]),
    "an_outcome": ('attempt_ended("refused", "strom", "")', ["arg-type"]),
    "an_action": ('NotReady("no_healty_item", "")', ["arg-type"]),
    "the_plan": ('AskApproval(1, "strom", ""); Skip(1, "storm", "")', ["arg-type"] * 2),
    "a_severity": (
        """
        def severe(message: Message, audience: Audience) -> bool:
            return message.severity == "sev0" or audience.concerned("sev0")
        """,
        ["comparison-overlap", "arg-type"],
    ),
    "a_set": ('some: frozenset[TakenBackReason] = frozenset({"strom"})', ["arg-type"]),
    "a_mapping": ('after: dict[e.Verdict, AskReason] = {"partail": "storm"}', ["dict-item"]),
    "a_comparison": (
        'def strom(step: StepState) -> bool: return step.taken_back == "strom"',
        ["comparison-overlap"],
    ),
    "a_phase": (
        'def late(incident: Incident) -> bool: return incident.phase == "watchnig"',
        ["comparison-overlap"],
    ),
    "an_event_without_a_sentence": (
        """
        class Silent(BaseEvent):
            kind: str = "Silent"
        Silent()
        """,
        ["abstract"],
    ),
    "a_family_that_is_not_folded": (
        """
        from typing import assert_never
        def fold(event: e.UpdateEvent) -> None:
            if not isinstance(event, e.UpdateDrafted | e.UpdateAssigned):
                assert_never(event)
        """,
        ["arg-type"],
    ),
    "a_name_that_events_only_import": ("e.Literal", ["attr-defined"]),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The codes of the errors in each snippet: one run of mypy, on the project's own cache."""
    folder = tmp_path_factory.mktemp("snippets")
    for name, (code, _) in SNIPPETS.items():
        (folder / f"{name}.py").write_text(IMPORTS + _dedented(code) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-pretty"]
    ran = subprocess.run(
        [*command, *(str(folder / f"{name}.py") for name in SNIPPETS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in {0, 1}, ran.stderr
    found: dict[str, list[str]] = defaultdict(list)
    for line in ran.stdout.splitlines():
        if error := re.search(r"(\w+)\.py:\d+: error: .* \[([\w-]+)\]$", line):
            found[error[1]].append(error[2])
    assert found, ran.stdout
    return found


def _dedented(code: str) -> str:
    return re.sub(r"^ {8}", "", code, flags=re.MULTILINE)


@pytest.mark.parametrize("name", SNIPPETS)
def test_mypy_sees_it(name: str, errors: dict[str, list[str]]) -> None:
    assert errors.get(name, []) == SNIPPETS[name][1]


def test_no_action_says_what_the_daemon_takes_a_step_back_for() -> None:
    assert not {*TAKEN_BACK, VETOED} & set(get_args(ActionReason))
