"""`argo_rollouts_abort`: the contract, each refusal, and the end of the canary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.core.ports.actions import ActionContext
from recovery_actions.argo_rollouts_abort import ArgoRolloutsAbort, _canary, _landed
from recovery_actions.contract import ActionContract, context
from recovery_actions.workshop import Cluster, Workshop
from tests.doubles.rollouts import Rollouts

INTENT = {"from": "7d9f", "to": "5c4b"}


async def no_pause(seconds: float) -> None:
    assert 0 < seconds <= 2


@pytest.fixture
async def rollouts() -> AsyncIterator[Rollouts]:
    async with Rollouts().serving() as double:
        yield double


@pytest.fixture
async def workshop(rollouts: Rollouts, tmp_path: Path) -> AsyncIterator[Workshop]:
    shop = Workshop(tmp_path, cluster=Cluster(rollouts.kubeconfig(tmp_path)))
    yield shop
    await shop.close()


@pytest.fixture
def action(workshop: Workshop) -> ArgoRolloutsAbort:
    return ArgoRolloutsAbort(workshop, no_pause)


class TestArgoRolloutsAbort(ActionContract):
    @pytest.fixture
    async def action(self, workshop: Workshop, rollouts: Rollouts) -> ArgoRolloutsAbort:
        self.rollouts = rollouts
        return ArgoRolloutsAbort(workshop, no_pause)

    @pytest.fixture
    def params(self, action: ArgoRolloutsAbort) -> Any:
        return action.Params(namespace="prod", rollout="checkout")

    @pytest.fixture
    def refused_params(self, action: ArgoRolloutsAbort) -> Any:
        return action.Params(namespace="prod", rollout="nowhere")

    def world(self, tmp_path: Path) -> Any:
        return str(self.rollouts.raw)

    def effect(self, tmp_path: Path) -> Any:
        return self.rollouts.status.get("abort")

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        yield {"namespace": value, "rollout": "checkout"}
        yield {"namespace": "prod", "rollout": value}


def params(action: ArgoRolloutsAbort, **changes: Any) -> Any:
    return action.Params.model_validate({"namespace": "prod", "rollout": "checkout", **changes})


async def preflight(action: ArgoRolloutsAbort, asked: ActionContext | None = None) -> Any:
    return await action.preflight(params(action), asked or context())


async def test_it_says_whether_the_stable_version_was_measured(action: ArgoRolloutsAbort) -> None:
    ready = await preflight(action)
    assert ready.intent == INTENT
    assert ready.summary.endswith("back to the stable 5c4b (not measured)")
    assert (await preflight(action, context("5c4b"))).summary.endswith("(measured healthy)")


async def test_each_refusal_has_its_reason(action: ArgoRolloutsAbort, rollouts: Rollouts) -> None:
    assert (await preflight(action, context("9e9e"))).reason == "stable_not_healthy"
    elsewhere = replace(context(), expected="1a1a")
    assert (await preflight(action, elsewhere)).reason == "changed_meanwhile"
    rollouts.status["abort"] = True
    assert (await preflight(action)).reason == "already_aborted"
    rollouts.status["currentPodHash"] = "5c4b"
    assert (await preflight(action)).reason == "not_rolling"
    rollouts.forbids = {"get"}
    assert (await preflight(action)).reason == "forbidden"


async def test_it_waits_until_the_traffic_has_left(
    action: ArgoRolloutsAbort, rollouts: Rollouts
) -> None:
    said: list[str] = []
    outcome = await action.run(params(action), INTENT, context(said=said))
    assert (outcome.result, outcome.reason) == ("done", "aborted")
    assert said[0] == "the canary 7d9f is aborted"
    assert rollouts.status["canary"]["weights"]["canary"]["weight"] == 0


async def test_an_older_definition_has_no_subresource(
    action: ArgoRolloutsAbort, rollouts: Rollouts
) -> None:
    rollouts.subresource = False
    assert (await action.run(params(action), INTENT, context())).result == "done"


async def test_traffic_that_stays_is_said(action: ArgoRolloutsAbort, rollouts: Rollouts) -> None:
    rollouts.takes = 10_000
    outcome = await action.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("failed", "abort_timeout")
    assert await action.check(params(action), INTENT, context()) == "half_done"


async def test_an_abort_without_the_right_is_refused(
    action: ArgoRolloutsAbort, rollouts: Rollouts
) -> None:
    rollouts.forbids = {"patch"}
    outcome = await action.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("refused", "forbidden")
    assert "rollouts/status" in outcome.detail


async def test_another_canary_is_left_alone(action: ArgoRolloutsAbort, rollouts: Rollouts) -> None:
    rollouts.status["currentPodHash"] = "1a1a"
    outcome = await action.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "abort" not in rollouts.status
    assert await action.check(params(action), INTENT, context()) == "unknown"


async def test_a_canary_that_changes_at_the_last_moment_is_left_alone(
    action: ArgoRolloutsAbort, rollouts: Rollouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = type(action._client)
    send = client.patch

    async def late(*arguments: Any, **options: Any) -> Any:
        rollouts.status["currentPodHash"] = "1a1a"
        return await send(*arguments, **options)

    monkeypatch.setattr(client, "patch", late)
    outcome = await action.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "abort" not in rollouts.status


async def test_an_abort_that_is_taken_back_is_reverted(
    action: ArgoRolloutsAbort, rollouts: Rollouts
) -> None:
    async def retry(seconds: float) -> None:
        rollouts.status["abort"] = False

    undone = ArgoRolloutsAbort(action_workshop(action), retry)
    outcome = await undone.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("failed", "reverted")


async def test_a_cluster_that_goes_away_leaves_it_unknown(
    action: ArgoRolloutsAbort, rollouts: Rollouts
) -> None:
    async def go_away(seconds: float) -> None:
        rollouts.mood = 503

    away = ArgoRolloutsAbort(action_workshop(action), go_away)
    outcome = await away.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("unknown", "lost_sight")


@pytest.mark.parametrize(
    ("status", "landed"),
    [
        ({"canary": {}, "updatedReplicas": 1}, "half_done"),
        ({"canary": {}, "updatedReplicas": 0}, "done"),
        ({"canary": {}, "blueGreen": {"activeSelector": "7d9f"}}, "half_done"),
        ({"canary": {}, "blueGreen": {"activeSelector": "5c4b"}}, "done"),
    ],
)
def test_other_strategies_have_other_signs(
    rollouts: Rollouts, status: dict[str, Any], landed: str
) -> None:
    rollouts.raw["status"] |= {"abort": True, "abortedAt": "2025-03-09T14:04:00Z", **status}
    assert _landed(_canary(rollouts.raw), INTENT) == landed


async def test_the_evidence_shows_the_canary(action: ArgoRolloutsAbort) -> None:
    shown = await action.show(params(action), context())
    assert shown["canary"] == "7d9f"
    assert shown["stable"] == "5c4b"
    assert shown["phase"] == "Paused CanaryPauseStep"
    assert shown["pods"] == "1 of 5 new"


def action_workshop(action: ArgoRolloutsAbort) -> Workshop:
    return action._client._workshop
