"""What every recovery action owes, as tests. Subclass it for yours, in this package or another.

    class TestFeatureFlag(ActionContract):
        @pytest.fixture
        def action(self, tmp_path): return FeatureFlag(Workshop(tmp_path))
        ...

Needs pytest and pytest-asyncio (`asyncio_mode = "auto"`), which the daemon itself does without;
nothing else of ours imports this module. For failures that show their values, have
`pytest.register_assert_rewrite("recovery_actions.contract")` in your conftest.py.

All commands and parameters of the hostile cases are harmless even to an action that fails them.
"""

# ruff: noqa: S101 (these are tests)

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from daemon.core.changes.suspects import Candidate, Change
from daemon.core.ports.actions import Action, ActionContext, Landed, Ready, Refused
from daemon.core.ports.replicas import NotOurs
from daemon.core.values.outcome import Outcome

NOW = datetime(2025, 3, 9, 14, 3, tzinfo=UTC)

HOSTILE = {
    "double quotes": 'a" ; touch {canary} ; "b',
    "single quotes": "a' ; touch {canary} ; 'b",
    "substitution": "$(touch {canary})",
    "backticks": "`touch {canary}`",
    "newline": "a\ntouch {canary}\n",
    "carriage return": "a\rtouch {canary}",
    "nul": "a\0touch {canary}",
    "semicolon": "; rm -rf {victim}; touch {canary}",
    "pipe": "| tee {canary}",
    "redirection": "> {canary}",
    "ampersand": "& touch {canary} &",
    "upward": "../../etc",
    "option": "--help",
    "glob": "*",
    "braces": "{{a,b}}",
    "variable": "$HOME",
    "lone surrogate": "a\udc80\ud800b",
    "empty": "",
    "ten kilobytes": "x" * 10_240,
}
"""Values that an alert's label could carry into a parameter."""


def context(to: str = "", step: str = "step-1", said: list[str] | None = None) -> ActionContext:
    """A context that goes back to the item `to`, if any, and collects progress in `said`."""

    async def choose(live: str, history: Sequence[Change] = ()) -> Candidate:
        if not to:
            return Candidate(reason="no_healthy_item", text=f"nothing but {live} is known")
        return Candidate(item=to, reason="measured_healthy", text=f"{to} was healthy")

    async def progress(text: str) -> None:
        if said is not None:
            said.append(text)

    return ActionContext(
        token=step, now=NOW, choose=choose, progress=progress, incident="0309-1403-test"
    )


def script(path: Path, body: str) -> str:
    """Write an executable shell script; gives its path."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def until(true: Callable[[], Any]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 (another process sets no Event)
            await asyncio.sleep(0.01)


def tree(root: Path) -> dict[str, tuple[str, int]]:
    """All that a folder holds: each path with its content or link target, and its mtime (ns)."""
    found = {}
    for path in sorted(root.rglob("*")):
        what = (
            f"→ {path.readlink()}"
            if path.is_symlink()
            else path.read_text(errors="replace")
            if path.is_file()
            else "folder"
        )
        found[str(path.relative_to(root))] = (what, path.lstat().st_mtime_ns)
    return found


class ActionContract:
    """The fixtures to fill, then the tests."""

    after: Landed = "done"
    """What `check` says once the action has run: `done`, or `unknown` if nobody can tell."""
    before: Landed = "not_done"
    """What `check` says before anything ran."""

    @pytest.fixture
    def action(self, tmp_path: Path) -> Action:
        """The action, in a world in which `params` can be run."""
        raise NotImplementedError

    @pytest.fixture
    def params(self, action: Action) -> Any:
        """Parameters that work."""
        raise NotImplementedError

    @pytest.fixture
    def refused_params(self, action: Action) -> Any:
        """Valid parameters that preflight must refuse."""
        raise NotImplementedError

    @pytest.fixture
    def context(self) -> ActionContext:
        """The context of all tests."""
        return context()

    def world(self, tmp_path: Path) -> Any:
        """All that the action could change, as a value that can be compared."""
        return tree(tmp_path)

    def effect(self, tmp_path: Path) -> Any:
        """The part of the world that the action is for."""
        raise NotImplementedError

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        """Raw parameters with the value in every place that a rule could put a label."""
        raise NotImplementedError

    def test_it_has_a_name_and_a_strict_frozen_model(self, action: Action, params: Any) -> None:
        assert action.name.isidentifier()
        assert issubclass(action.Params, BaseModel)
        assert action.Params.model_config.get("extra") == "forbid"
        assert action.Params.model_config.get("frozen") is True
        raw = params.model_dump(mode="json")
        assert action.Params.model_validate(raw) == params

    def test_its_target_is_stable_and_not_empty(self, action: Action, params: Any) -> None:
        copy = action.Params.model_validate(params.model_dump(mode="json"))
        assert action.target(params) == action.target(copy) != ""

    async def test_preflight_says_what_it_would_do_and_changes_nothing(
        self, action: Action, params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        world = self.world(tmp_path)
        ready = await action.preflight(params, context)
        assert isinstance(ready, Ready), ready
        assert ready.summary
        assert all(type(v) is str for kv in ready.intent.items() for v in kv)
        assert self.world(tmp_path) == world

    async def test_run_does_it_and_check_can_tell(
        self, action: Action, params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        effect = self.effect(tmp_path)
        intent = await self._intent(action, params, context)
        assert await action.check(params, intent, context) == self.before
        outcome = await action.run(params, intent, context)
        assert outcome.result == "done", outcome
        assert outcome.reason
        assert outcome.detail
        assert self.effect(tmp_path) != effect
        assert await action.check(params, intent, context) == self.after

    async def test_a_replica_that_has_lost_its_lease_changes_nothing(
        self, action: Action, params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        intent = await self._intent(action, params, context)
        effect = self.effect(tmp_path)

        def lost() -> None:
            raise NotOurs("the lease is over")

        with pytest.raises(NotOurs):
            await action.run(params, intent, replace(context, must_act=lost))
        assert self.effect(tmp_path) == effect
        assert await action.check(params, intent, context) == self.before

    async def test_check_changes_nothing(
        self, action: Action, params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        intent = await self._intent(action, params, context)
        world = self.world(tmp_path)
        await action.check(params, intent, context)
        assert self.world(tmp_path) == world

    async def test_running_twice_is_harmless(
        self, action: Action, params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        intent = await self._intent(action, params, context)
        await action.run(params, intent, context)
        effect = self.effect(tmp_path)
        again = await action.run(params, intent, context)
        assert again.result == "done", again
        assert self.effect(tmp_path) == effect
        assert await action.check(params, intent, context) == self.after

    async def test_a_refusal_has_a_reason_and_a_sentence_and_changes_nothing(
        self, action: Action, refused_params: Any, context: ActionContext, tmp_path: Path
    ) -> None:
        world = self.world(tmp_path)
        refused = await action.preflight(refused_params, context)
        assert isinstance(refused, Refused)
        assert refused.reason.replace("_", "").isalpha()
        assert refused.reason.islower()
        assert " " in refused.text
        assert self.world(tmp_path) == world

    @pytest.mark.parametrize("kind", HOSTILE)
    async def test_hostile_parameters_reach_no_shell(
        self, action: Action, context: ActionContext, tmp_path: Path, kind: str
    ) -> None:
        canary, victim = tmp_path / "canary", tmp_path / "victim"
        victim.mkdir()
        value = HOSTILE[kind].format(canary=canary, victim=victim)
        for raw in self.hostile(value, tmp_path):
            try:
                params = action.Params.model_validate(raw)
            except ValidationError:
                continue
            assert action.target(params)
            ready = await action.preflight(params, context)
            if isinstance(ready, Ready):
                outcome = await action.run(params, ready.intent, context)
                assert isinstance(outcome, Outcome)
        assert not canary.exists()
        assert victim.is_dir()

    async def _intent(self, action: Action, params: Any, context: ActionContext) -> Any:
        ready = await action.preflight(params, context)
        assert isinstance(ready, Ready), ready
        return ready.intent
