"""A text of a wrong form is told in words, and never as the pattern that it does not match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from daemon.config.settings import Settings
from daemon.core.cases.rule_case import RuleCase
from daemon.core.drills.scenario import DrillScenario
from daemon.core.people.roster import Roster
from daemon.core.recovery.approvals import Approvals
from daemon.core.recovery.freeze_windows import FreezeWindows
from daemon.core.rules.rule import Rule
from daemon.core.values.pattern_words import PATTERN_WORDS
from daemon.core.values.yaml_document import Mistakes, one_document

WRITTEN = (Settings, Roster, Rule, FreezeWindows, Approvals, DrillScenario, RuleCase)
"""All that people write as files."""


def patterns(schema: Any, seen: set[int]) -> Iterator[str]:
    """The patterns that the library checks by itself."""
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if isinstance(schema, dict):
        if schema.get("type") == "str" and "pattern" in schema:
            yield schema["pattern"]
        schema = list(schema.values())
    for inner in schema if isinstance(schema, list | tuple) else ():
        yield from patterns(inner, seen)


def of_model(model: type[BaseModel]) -> set[str]:
    names = {"model_config": ConfigDict(defer_build=False), "__module__": model.__module__}
    return set(patterns(type("Built", (model,), names).__pydantic_core_schema__, set()))


def test_each_pattern_of_what_people_write_has_words_and_no_words_are_left_over() -> None:
    assert set().union(*map(of_model, WRITTEN)) == PATTERN_WORDS.keys()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "listen: 127.0.0.1",
            "listen: an address with its port is needed; write it like 127.0.0.1:9393; "
            "it is '127.0.0.1'",
        ),
        (
            "prometheus: {url: 'prometheus:9090'}",
            "prometheus.url: this is no address; write it like https://host.example:9090; "
            "it is 'prometheus:9090'",
        ),
        (
            "log: {level: loud}",
            "log.level: this is no level; write one of debug, info, warning, error; it is 'loud'",
        ),
    ],
)
def test_the_words_say_the_mend(written: str, told: str) -> None:
    with pytest.raises(Mistakes) as caught:
        one_document(written, "stopgap.yaml").read(Settings)
    assert str(caught.value) == f"stopgap.yaml:1: {told}"
