"""An example of a proposal can be typed as it stands, and is taken."""

from __future__ import annotations

import inspect
import pkgutil
import shlex
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field

import recovery_actions
from daemon.core.ports.actions import NO_RISK_DECLARED, risk_of
from daemon.core.recovery.proposal_examples import example_lines, example_options
from daemon.core.values.units import Frozen


def catalogue() -> Iterator[Any]:
    """Every action class of ours."""
    for found in pkgutil.iter_modules(recovery_actions.__path__):
        if found.name == "contract":
            continue  # tests, for other packages
        module = import_module(f"recovery_actions.{found.name}")
        for name, one in inspect.getmembers(module, inspect.isclass):
            ours = one.__module__ == module.__name__ and not name.startswith("_")
            if ours and isinstance(getattr(one, "name", None), str) and hasattr(one, "preflight"):
                yield one


ACTIONS = {action.name: action for action in catalogue()}


def test_the_whole_catalogue_is_looked_at() -> None:
    assert {"release_rollback", "run_command", "http_call", "kubernetes_rollback"} <= set(ACTIONS)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_the_example_of_an_action_is_taken_by_it(name: str) -> None:
    schema = ACTIONS[name].Params.model_json_schema(by_alias=True)
    typed = shlex.split(example_options(schema))
    pairs = (pair.partition("=") for pair in typed if pair != "--with")
    params = {key: yaml.safe_load(value) for key, _, value in pairs}
    assert params
    ACTIONS[name].Params.model_validate(params)
    ACTIONS[name].Params.model_validate(yaml.safe_load(example_lines(schema)))


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_each_action_of_ours_declares_its_risk_in_one_line(name: str) -> None:
    risk = risk_of(ACTIONS[name])
    assert risk != NO_RISK_DECLARED
    assert "\n" not in risk
    assert len(risk) <= 130


def test_without_examples_what_is_required_is_named_by_its_type() -> None:
    class Params(Frozen):
        flag: str
        share: int = Field(ge=1)
        quiet: bool = False

    assert issubclass(Params, BaseModel)
    assert example_options(Params.model_json_schema()) == "--with flag=FLAG --with share=1"
    assert risk_of(object()) == NO_RISK_DECLARED
