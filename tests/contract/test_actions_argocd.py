"""`argocd_rollback` and the watch of Argo CD: the contract, each refusal, each end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import ActionContext
from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions.argocd import ArgoCDPlace, ArgoCDWatch
from recovery_actions.argocd_rollback import ArgoCDRollback
from recovery_actions.contract import ActionContract, context
from recovery_actions.workshop import ArgoCD as ArgoCDSettings
from recovery_actions.workshop import Workshop
from tests.doubles.argocd import FIRST, TOKEN, ArgoCD
from tests.loopback import LOOPBACK

GOOD, BAD = "a" * 40, "b" * 40
INTENT = {"from": BAD, "to": GOOD, "id": "0", "last": "1"}


async def no_pause(seconds: float) -> None:
    assert 0 < seconds <= 2


@pytest.fixture
async def argo() -> AsyncIterator[ArgoCD]:
    async with ArgoCD().serving() as double:
        double.add("checkout", [GOOD, BAD])
        double.health = ["Progressing", *["Healthy"] * 50]
        yield double


@pytest.fixture
async def workshop(argo: ArgoCD, tmp_path: Path) -> AsyncIterator[Workshop]:
    shop = Workshop(
        tmp_path,
        argocd=ArgoCDSettings(argo.url, "env:ARGO"),
        secret=lambda reference: TOKEN,
        outgoing=LOOPBACK,
    )
    yield shop
    await shop.close()


@pytest.fixture
def action(workshop: Workshop) -> ArgoCDRollback:
    return ArgoCDRollback(workshop, no_pause)


class TestArgoCDRollback(ActionContract):
    @pytest.fixture
    async def action(self, workshop: Workshop, argo: ArgoCD) -> ArgoCDRollback:
        self.argo = argo
        return ArgoCDRollback(workshop, no_pause)

    @pytest.fixture
    def params(self, action: ArgoCDRollback) -> Any:
        return action.Params(application="checkout")

    @pytest.fixture
    def refused_params(self, action: ArgoCDRollback) -> Any:
        return action.Params(application="nowhere", project="shop")

    @pytest.fixture
    def context(self) -> ActionContext:
        return context(to=GOOD)

    def world(self, tmp_path: Path) -> Any:
        return self.argo.live("checkout"), [b for b in self.argo.rollbacks if not b["dryRun"]]

    def effect(self, tmp_path: Path) -> Any:
        return self.argo.live("checkout")

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        yield {"application": value}
        yield {"application": "checkout", "project": value}
        yield {"application": "checkout", "app_namespace": value}
        yield {"application": "checkout", "to_id": value}


def params(action: ArgoCDRollback, **changes: Any) -> Any:
    return action.Params.model_validate({"application": "checkout", **changes})


async def refusal(action: ArgoCDRollback, to: str = GOOD, **changes: Any) -> str:
    refused: Any = await action.preflight(params(action, **changes), context(to))
    assert " " in refused.text
    reason: str = refused.reason
    return reason


async def run(action: ArgoCDRollback, said: list[str] | None = None, **changes: Any) -> Any:
    return await action.run(params(action, **changes), INTENT, context(said=said))


# ── preflight ────────────────────────────────────────────────────────────────────────────────


async def test_each_refusal_has_its_reason(action: ArgoCDRollback, argo: ArgoCD) -> None:
    assert await refusal(action, to="") == "no_healthy_item"
    assert await refusal(action, to=BAD) == "no_healthy_item"
    assert await refusal(action, to="c" * 40) == "no_healthy_item"
    assert await refusal(action, to_id=1) == "no_healthy_item"
    assert await refusal(action, to_id=7) == "no_healthy_item"
    assert await refusal(action, application="nowhere", project="shop") == "no_such_application"
    assert await refusal(action, application="nowhere") == "forbidden"
    argo.add("new", [])
    assert await refusal(action, application="new") == "no_history"
    argo.fails_dry = "revision not found"
    assert await refusal(action) == "dry_run_failed"
    argo.fails_dry, argo.takes = "", 1000
    assert await refusal(action) == "dry_run_failed"
    assert await refusal(action) == "operation_running"
    argo.forbids = True
    assert await refusal(action) == "forbidden"


async def test_auto_sync_is_refused_with_the_way_out(action: ArgoCDRollback, argo: ArgoCD) -> None:
    policy = argo.apps["checkout"]["spec"]["syncPolicy"]
    policy["automated"] = {"selfHeal": True}
    refused: Any = await action.preflight(params(action), context(GOOD))
    assert refused.reason == "auto_sync"
    assert "argocd app set checkout --sync-policy none" in refused.text
    assert (await run(action)).reason == "auto_sync"
    policy["automated"] = {"enabled": False}
    ready: Any = await action.preflight(params(action), context(GOOD))
    assert ready.intent == INTENT


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"kind": "ApplicationSet", "name": "shops", "controller": True}]},
        {"labels": {"argocd.argoproj.io/application-set-name": "shops"}},
    ],
)
@pytest.mark.parametrize("auto_sync", [False, True])
async def test_what_an_applicationset_generates_is_left_alone(
    action: ArgoCDRollback, argo: ArgoCD, metadata: dict[str, Any], auto_sync: bool
) -> None:
    app = argo.add("checkout", [GOOD, BAD], auto_sync=auto_sync)
    app["metadata"] |= metadata
    refused: Any = await action.preflight(params(action), context(GOOD))
    assert refused.reason == "managed_by_applicationset"
    assert "ApplicationSet shops" in refused.text
    assert "git_revert with `application: checkout`" in refused.text
    assert "--sync-policy" not in refused.text  # its controller would set that back
    assert (await run(action)).reason == "managed_by_applicationset"
    assert argo.rollbacks == []
    app["metadata"] = {"ownerReferences": [{"kind": "Namespace", "name": "shops"}]}
    app["spec"]["syncPolicy"] = {}
    ready: Any = await action.preflight(params(action), context(GOOD))
    assert ready.intent == INTENT


async def test_a_wrong_token_and_missing_settings_are_said(
    action: ArgoCDRollback, workshop: Workshop
) -> None:
    workshop.secret = lambda reference: "wrong"
    refused: Any = await action.preflight(params(action), context(GOOD))
    assert refused.reason == "forbidden"
    assert "argocd.token" in refused.text
    assert "wrong or" in refused.text
    workshop.argocd = ArgoCDSettings()
    assert await refusal(action) == "not_configured"
    assert "url and token" in str(action.allowed(params(action)))


async def test_somebody_synced_since_the_suspicion(action: ArgoCDRollback) -> None:
    context_ = context(GOOD)
    changed = ActionContext(**{**context_.__dict__, "expected": "c" * 40})
    refused: Any = await action.preflight(params(action), changed)
    assert refused.reason == "changed_meanwhile"


async def test_the_newest_of_several_entries_with_one_revision_is_used(
    action: ArgoCDRollback, argo: ArgoCD
) -> None:
    for revision in (GOOD, BAD):
        argo.deploy("checkout", revision)
    ready: Any = await action.preflight(params(action), context(GOOD))
    assert ready.intent == {"from": BAD, "to": GOOD, "id": "2", "last": "3"}
    ready = await action.preflight(params(action, to_id=0), context(""))
    assert ready.intent["id"] == "0"


async def test_the_dry_run_is_dry(action: ArgoCDRollback, argo: ArgoCD) -> None:
    await action.preflight(params(action, prune=True), context(GOOD))
    [order] = argo.rollbacks
    assert (order["dryRun"], order["prune"], order["id"]) == (True, True, 0)


@pytest.mark.parametrize("mood", [500, 429, 503])
async def test_a_server_in_trouble_is_temporary(
    action: ArgoCDRollback, argo: ArgoCD, mood: int
) -> None:
    argo.mood = mood
    with pytest.raises(Temporary, match=f"answered {mood}"):
        await action.preflight(params(action), context(GOOD))


@pytest.mark.parametrize("mood", [200, 302, 404])
async def test_what_is_no_argo_cd_is_said(action: ArgoCDRollback, argo: ArgoCD, mood: int) -> None:
    argo.mood = mood
    with pytest.raises(Permanent, match="look at argocd"):
        await action.preflight(params(action), context(GOOD))


# ── the rollback ─────────────────────────────────────────────────────────────────────────────


async def test_it_waits_until_it_is_live_and_healthy(action: ArgoCDRollback, argo: ArgoCD) -> None:
    said: list[str] = []
    outcome = await run(action, said)
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    assert said[0] == "Argo CD syncs checkout to aaaaaaaa"
    assert said[1:] == ["sync Running", "live", "live, health Progressing"]
    assert argo.live("checkout") == [GOOD, BAD, GOOD]
    assert outcome.facts["health"] == "Healthy"


async def test_a_sync_that_fails_is_failed_and_may_be_tried_again(
    action: ArgoCDRollback, argo: ArgoCD
) -> None:
    argo.fails = "one or more objects failed to apply"
    outcome = await run(action)
    assert (outcome.result, outcome.reason) == ("failed", "sync_failed")
    assert "failed to apply" in outcome.detail
    assert await action.check(params(action), INTENT, context()) == "half_done"
    argo.fails = ""
    assert (await run(action)).result == "done"


async def test_what_never_gets_healthy_is_failed(action: ArgoCDRollback, argo: ArgoCD) -> None:
    argo.health = ["Degraded"] * 500
    outcome = await run(action)
    assert (outcome.result, outcome.reason) == ("failed", "not_healthy")
    assert "health Degraded" in outcome.detail


async def test_an_endless_sync_is_unknown(action: ArgoCDRollback, argo: ArgoCD) -> None:
    argo.takes = 10_000
    outcome = await run(action)
    assert (outcome.result, outcome.reason) == ("unknown", "timeout")
    assert await action.check(params(action), INTENT, context()) == "half_done"
    argo._left["checkout"] = 1
    assert (await run(action)).result == "done"
    assert len(argo.rollbacks) == 1


async def test_a_lost_answer_is_looked_for(action: ArgoCDRollback, argo: ArgoCD) -> None:
    argo.loses_answers = 1
    assert (await run(action)).result == "done"
    assert len(argo.rollbacks) == 1


async def test_a_deployment_meanwhile_is_left_alone(action: ArgoCDRollback, argo: ArgoCD) -> None:
    argo.deploy("checkout", "c" * 40)
    outcome = await run(action)
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert await action.check(params(action), INTENT, context()) == "unknown"
    assert argo.rollbacks == []


async def test_a_running_operation_of_others_is_left_alone(
    action: ArgoCDRollback, argo: ArgoCD
) -> None:
    argo.begin("checkout", {"revision": "c" * 40})
    assert (await run(action)).reason == "operation_running"


async def test_a_rollback_that_is_taken_back_at_once_is_reverted(
    action: ArgoCDRollback, argo: ArgoCD
) -> None:
    argo.health = ["Progressing"] * 3

    async def sync_again(seconds: float) -> None:
        if len(argo.live("checkout")) == 3:
            argo.begin("checkout", {"revision": BAD})

    outcome = await ArgoCDRollback(action._workshop, sync_again).run(
        params(action), INTENT, context()
    )
    assert (outcome.result, outcome.reason) == ("failed", "reverted")
    assert "bbbbbbbb" in outcome.detail


async def test_an_argo_cd_that_goes_away_leaves_it_unknown(
    action: ArgoCDRollback, argo: ArgoCD
) -> None:
    async def go_away(seconds: float) -> None:
        argo.mood = 503

    away = ArgoCDRollback(action._workshop, go_away)
    outcome = await away.run(params(action), INTENT, context())
    assert (outcome.result, outcome.reason) == ("unknown", "lost_sight")
    argo.mood = ""
    assert await action.check(params(action), INTENT, context()) == "done"


async def test_the_evidence_shows_the_application(action: ArgoCDRollback) -> None:
    shown = await action.show(params(action), context())
    assert shown == {"live": f"{BAD}, history id 1", "health": "Healthy"}


@pytest.mark.parametrize("name", ["", "a/b", "..", "a..b", "A", "a b", "-a", "a?x=1", "a%2fb"])
def test_a_crooked_name_is_no_parameter(action: ArgoCDRollback, name: str) -> None:
    for field in ("application", "project", "app_namespace"):
        with pytest.raises(ValidationError):
            params(action, **{field: name})


# ── the watch ────────────────────────────────────────────────────────────────────────────────


async def test_the_watch_tells_the_history(workshop: Workshop, argo: ArgoCD) -> None:
    watch = ArgoCDWatch(ArgoCDPlace(application="checkout"), workshop)
    first, second = await watch.look()
    assert (first.item, first.previous, first.at) == (GOOD, "", FIRST)
    assert (second.item, second.previous, second.rolling) == (BAD, GOOD, False)
    assert (second.subject, second.seen_by) == ("argocd:checkout", "argocd")
    assert second.text == "bbbbbbbb, history id 1"
    argo.apps["checkout"]["status"]["health"] = {"status": "Progressing"}
    assert [change.rolling for change in await watch.look()] == [False, True]


async def test_the_watch_sees_a_sync_while_it_goes_on(workshop: Workshop, argo: ArgoCD) -> None:
    watch = ArgoCDWatch(ArgoCDPlace(application="checkout"), workshop)
    argo.begin("checkout", {"revision": "c" * 40})
    change = (await watch.look())[-1]
    assert (change.item, change.previous, change.rolling) == ("c" * 40, BAD, True)
    argo._left["checkout"] = 5
    argo.apps["checkout"]["operation"]["sync"]["dryRun"] = True
    change = (await watch.look())[-1]
    assert (change.item, change.rolling) == (BAD, False)


async def test_the_watch_of_an_application_without_history(
    workshop: Workshop, argo: ArgoCD
) -> None:
    argo.add("new", [])
    assert await ArgoCDWatch(ArgoCDPlace(application="new"), workshop).look() == []
    place = ArgoCDPlace(application="nowhere", project="shop")
    with pytest.raises(Permanent, match="no application nowhere"):
        await ArgoCDWatch(place, workshop).look()


async def test_several_sources_are_one_item(workshop: Workshop, argo: ArgoCD) -> None:
    for entry in argo.apps["checkout"]["status"]["history"]:
        entry["revisions"] = [entry.pop("revision"), "1.2.3"]
    change = (await ArgoCDWatch(ArgoCDPlace(application="checkout"), workshop).look())[-1]
    assert (change.item, change.text) == (f"{BAD}+1.2.3", "bbbbbbbb+1.2.3, history id 1")
