"""The Kubernetes actions on a server: the double always, and a real one if there is one.

    STOPGAP_TEST_KUBECONFIG=/etc/stopgap/kubeconfig pytest tests/contract/test_kubernetes_server.py

The real server needs a namespace `demo`. If we may not create a Deployment there, one that is
there is used, and left as it was, but for its old revisions, which make room for those of the
tests. Its pods must become ready by themselves, whatever the image.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.changes.suspects import Candidate, Change
from daemon.core.ports.actions import Ready, Refused
from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes import guards, objects, patches
from recovery_actions.kubernetes.client import JSON_PATCH, ClusterClient
from recovery_actions.kubernetes.errors import Missing, VersionConflict
from recovery_actions.kubernetes.names import WorkloadParams
from recovery_actions.kubernetes.revisions import workload_history
from recovery_actions.kubernetes.watch import KubernetesWatch
from recovery_actions.workshop import Cluster, Workshop
from tests.contract.action_contract import context
from tests.contract.kubernetes_lab import NAMESPACE, Lab
from tests.contract.kubernetes_places import PLACES, made, place

pytestmark = pytest.mark.timeout(600)  # a real server starts real pods, time and again


@pytest.fixture(params=PLACES)
async def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Path]:
    """How to reach a server."""
    async with place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def lab(kubeconfig: Path) -> AsyncIterator[Lab]:
    """A Deployment to work on."""
    async for lab in made(kubeconfig, "deployment"):
        yield lab


@pytest.fixture(params=["statefulset", "daemonset"])
async def other_lab(request: pytest.FixtureRequest, kubeconfig: Path) -> AsyncIterator[Lab]:
    """A StatefulSet or a DaemonSet to work on."""
    async for lab in made(kubeconfig, request.param):
        yield lab


def image() -> str:
    """An image that no revision has had yet. Digits alone: hexadecimal ones may spell `bad`,
    and on the double such an image never becomes ready."""
    return f"app:{secrets.randbelow(10**9)}"


def meaning(raw: dict[str, Any]) -> Any:
    """All of a workload but its status, which is never still."""
    metadata = {k: raw["metadata"].get(k) for k in ("generation", "labels", "annotations", "uid")}
    return metadata, raw["spec"]


async def reason(lab: Lab, action: Any, **more: Any) -> str:
    refused = await action.preflight(lab.params(action), context(**more))
    assert isinstance(refused, Refused), refused
    assert refused.text.isprintable()
    return refused.reason


# ── history ──────────────────────────────────────────────────────────────────────────────────


async def test_the_history_names_what_was_live_and_when(lab: Lab) -> None:
    first, second = await lab.deploy(image()), await lab.deploy(image())
    changes = workload_history(await lab.state())
    assert [c.item for c in changes[-2:]] == [first.item, second.item]
    assert changes[-1].previous == first.item
    assert changes[-2].at <= changes[-1].at
    assert objects.images(second.template) in changes[-1].text
    assert second.item.startswith(f"{lab.workload.name}-")


async def test_the_watch_sees_what_is_live_and_what_comes_back(lab: Lab) -> None:
    watch = KubernetesWatch(
        WorkloadParams(namespace=NAMESPACE, deployment=lab.workload.name), lab.workshop
    )
    good = image()
    first = await lab.deploy(good)
    await lab.deploy(image())
    await lab.deploy(good)
    changes = list(await watch.look())
    assert changes[-1].item == first.item
    assert changes[-1].subject == lab.workload.target
    assert not changes[-1].rolling
    assert [c.item for c in changes].count(first.item) == 2


async def test_the_watch_sees_nothing_where_nothing_is(lab: Lab) -> None:
    nothing = WorkloadParams(namespace=NAMESPACE, deployment="stopgap-test-nothing")
    assert await KubernetesWatch(nothing, lab.workshop).look() == ()


# ── rolling back ─────────────────────────────────────────────────────────────────────────────


async def test_it_rolls_back_to_what_was_chosen_and_not_merely_one_back(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good, _, bad = [await lab.deploy(image()) for _ in range(3)]
    asked: list[Any] = []
    said: list[str] = []

    ready: Any = None
    chosen = context(to=good.item, said=said)

    async def choose(live: str, history: Any = ()) -> Candidate:
        asked.append((live, [c.item for c in history]))
        return await chosen.choose(live, history)

    params = lab.params(action)
    chosen = context(to=good.item, said=said)
    with_choice = type(chosen)(**{**vars(chosen), "choose": choose})
    ready = await action.preflight(params, with_choice)
    assert isinstance(ready, Ready), ready
    assert asked[0][0] == bad.item
    assert asked[0][1][-1] == bad.item
    assert good.item in asked[0][1]
    assert await action.check(params, ready.intent, chosen) == "not_done"

    outcome = await action.run(params, ready.intent, chosen)
    assert (outcome.result, outcome.reason) == ("done", "rolled_back"), outcome
    live = await lab.settled()
    assert live.item == good.item
    assert objects.digest(live.template) == objects.digest(good.template)
    notes = objects.object_labels(await lab.raw())
    assert notes[patches.ROLLED_BACK_FROM] == bad.item
    assert notes[patches.ROLLED_BACK_TO] == good.item
    assert notes[patches.INCIDENT] == "0309-1403-test"
    assert await action.check(params, ready.intent, chosen) == "done"

    before = meaning(await lab.raw())
    again = await action.run(params, ready.intent, chosen)
    assert again.result == "done"
    assert meaning(await lab.raw()) == before


async def test_the_undo_of_the_undo_is_not_taken_for_history(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good, bad = await lab.deploy(image()), await lab.deploy(image())
    params = lab.params(action)
    ready = await action.preflight(params, context(to=good.item))
    assert (await action.run(params, ready.intent, context(to=good.item))).result == "done"
    assert await reason(lab, action, to=good.item) == "already_live"
    # Somebody brings the bad one back, against us: that is theirs to decide.
    await lab.deploy(bad.template["spec"]["containers"][0]["image"])
    assert await action.check(params, ready.intent, context()) == "unknown"
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")


async def test_a_person_may_name_the_revision(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good = await lab.deploy(image())
    await lab.deploy(image())
    params = lab.params(action, to_revision=good.number)
    ready = await action.preflight(params, context())
    assert isinstance(ready, Ready), ready
    assert ready.intent["to"] == good.item
    gone = lab.params(action, to_revision=10**6)
    refused = await action.preflight(gone, context())
    assert refused.reason == "revision_missing"


async def test_the_dry_run_changes_nothing(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good = await lab.deploy(image())
    await lab.deploy(image())
    before, revisions = meaning(await lab.raw()), (await lab.state()).revisions
    assert isinstance(await action.preflight(lab.params(action), context(to=good.item)), Ready)
    assert meaning(await lab.raw()) == before
    assert (await lab.state()).revisions == revisions


async def test_somebody_elses_deployment_wins(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good = await lab.deploy(image())
    await lab.deploy(image())
    params = lab.params(action)
    ready = await action.preflight(params, context(to=good.item))
    theirs = await lab.deploy(image())
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert theirs.item in outcome.detail
    assert (await lab.settled()).item == theirs.item
    assert await action.check(params, ready.intent, context()) == "unknown"


ODD = "sh -c 'a && b <in >out 2>&1' \u00e9\u2603\U0001f600 \u2028 \x7f \t\n \"\\ /"


async def test_a_template_with_odd_characters_is_the_same_to_the_server(lab: Lab) -> None:
    """A server compares a precondition byte for byte with how it would have written it itself."""
    notes = {"stopgap.dev/test-odd": ODD}
    await lab.merge({"metadata": {"annotations": notes}})
    await lab.merge({"spec": {"template": {"metadata": {"annotations": notes}}}})
    good, bad = await lab.deploy(image()), await lab.deploy(image())
    rollback, restart = lab.action("kubernetes_rollback"), lab.action("kubernetes_restart")
    ready = await rollback.preflight(lab.params(rollback), context(to=good.item))
    assert isinstance(ready, Ready), ready
    assert ready.intent["from"] == bad.item
    outcome = await rollback.run(lab.params(rollback), ready.intent, context())
    assert outcome.result == "done", outcome
    ready = await restart.preflight(lab.params(restart), context())
    assert isinstance(ready, Ready), ready
    assert (await restart.run(lab.params(restart), ready.intent, context())).result == "done"
    template = (await lab.raw())["spec"]["template"]
    assert template["metadata"]["annotations"]["stopgap.dev/test-odd"] == ODD


async def test_a_test_that_fails_is_a_conflict(lab: Lab) -> None:
    stale = [
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "replace", "path": "/spec/replicas", "value": 7},
    ]
    before = meaning(await lab.raw())
    with pytest.raises(VersionConflict):
        await lab.client.patch(lab.workload.resource, JSON_PATCH, stale)
    with pytest.raises(VersionConflict):
        await lab.merge({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 7}})
    assert meaning(await lab.raw()) == before


async def test_a_paused_deployment_is_refused(lab: Lab) -> None:
    good = await lab.deploy(image())
    await lab.deploy(image())
    await lab.merge({"spec": {"paused": True}})
    assert await reason(lab, lab.action("kubernetes_rollback"), to=good.item) == "rollout_paused"
    assert await reason(lab, lab.action("kubernetes_restart")) == "rollout_paused"


async def test_one_that_was_expected_and_is_not_live_is_refused(lab: Lab) -> None:
    good = await lab.deploy(image())
    await lab.deploy(image())
    chosen = context(to=good.item)
    other = type(chosen)(**{**vars(chosen), "expected": good.item})
    for name in ("kubernetes_rollback", "kubernetes_restart"):
        action = lab.action(name)
        refused = await action.preflight(lab.params(action), other)
        assert refused.reason == "changed_meanwhile"


async def test_a_declared_migration_is_respected(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    good = await lab.deploy(image())
    await lab.deploy(image())
    await lab.merge({"metadata": {"annotations": {guards.NO_ROLLBACK: "drops a column"}}})
    refused = await action.preflight(lab.params(action), context(to=good.item))
    assert refused.reason == "declared_migration"
    assert "drops a column" in refused.text


async def test_statefulsets_and_daemonsets_roll_back(other_lab: Lab) -> None:
    lab, action = other_lab, other_lab.action("kubernetes_rollback")
    good, bad = await lab.deploy(image()), await lab.deploy(image())
    params = lab.params(action)
    ready = await action.preflight(params, context(to=good.item))
    assert isinstance(ready, Ready), ready
    assert ready.intent["from"] == bad.item
    outcome = await action.run(params, ready.intent, context())
    assert outcome.result == "done", outcome
    assert (await lab.settled()).item == good.item
    assert await action.check(params, ready.intent, context()) == "done"
    changes: list[Change] = workload_history(await lab.state())
    assert changes[-1].item == good.item
    restart = lab.action("kubernetes_restart")
    ready = await restart.preflight(lab.params(restart), context())
    assert (await restart.run(lab.params(restart), ready.intent, context())).result == "done"


async def test_the_next_apply_on_the_servers_side_meets_no_conflict(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    await lab.apply(image(), force=True)
    good = await lab.settled()
    await lab.apply(image())
    await lab.settled()
    params = lab.params(action)
    ready = await action.preflight(params, context(to=good.item))
    outcome = await action.run(params, ready.intent, context())
    assert outcome.result == "done", outcome
    assert "the fields are kubectl's again" in outcome.detail
    following = image()
    await lab.apply(following)
    assert objects.images((await lab.settled()).template).startswith(following)
    # Without that it would be one, as anybody else's patch makes it.
    await lab.put_image(image())
    with pytest.raises(VersionConflict):
        await lab.apply(image())


async def test_the_next_revision_takes_on_nothing_of_ours(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    await lab.merge({"metadata": {"annotations": {patches.CHANGE_CAUSE: "the good one"}}})
    good = await lab.deploy(image())
    await lab.merge({"metadata": {"annotations": {patches.CHANGE_CAUSE: "the bad one"}}})
    await lab.deploy(image())
    good = (await lab.state()).find(good.item) or good
    params = lab.params(action)
    ready = await action.preflight(params, context(to=good.item))
    assert (await action.run(params, ready.intent, context())).result == "done"
    raw = await lab.raw()
    kept = good.annotations.get(patches.CHANGE_CAUSE)
    assert objects.annotations_of(raw).get(patches.CHANGE_CAUSE) == kept
    newest = await lab.deploy(image())
    assert not {key for key in newest.annotations if key.startswith(patches.OUR_PREFIX)}
    assert not {key for key in objects.annotations_of(raw) if key.startswith(patches.OUR_PREFIX)}


async def test_the_date_of_what_came_back_does_not_move(lab: Lab) -> None:
    first = image()
    await lab.deploy(first)
    await lab.deploy(image())
    back = await lab.deploy(first)
    before = workload_history(await lab.state())
    assert before[-1].item == back.item
    replicas = (await lab.raw())["spec"]["replicas"]
    await lab.merge({"metadata": {"labels": {"stopgap.dev/test": "label"}}})
    await lab.merge({"spec": {"replicas": replicas + 1}})
    await lab.settled()
    assert workload_history(await lab.state()) == before


# ── restarting and scaling ───────────────────────────────────────────────────────────────────


async def test_a_restart_is_done_once(lab: Lab) -> None:
    action = lab.action("kubernetes_restart")
    await lab.deploy(image())
    params = lab.params(action)
    ready = await action.preflight(params, context())
    assert isinstance(ready, Ready), ready
    assert await action.check(params, ready.intent, context()) == "not_done"
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("done", "restarted"), outcome
    before = meaning(await lab.raw())
    assert (await action.run(params, ready.intent, context())).result == "done"
    assert meaning(await lab.raw()) == before
    assert await action.check(params, ready.intent, context()) == "done"
    written = before[1]["template"]["metadata"]["annotations"]
    assert written[patches.RESTART] == "step-1"
    assert written[patches.RESTARTED_AT] == "2025-03-09T14:03:00+00:00"


async def test_a_restart_never_runs_over_a_deployment(lab: Lab) -> None:
    action = lab.action("kubernetes_restart")
    await lab.deploy(image())
    params = lab.params(action)
    ready = await action.preflight(params, context())
    theirs = await lab.deploy(image())
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert (await lab.settled()).item == theirs.item


async def test_it_scales_and_no_further_than_asked(lab: Lab) -> None:
    action = lab.action("kubernetes_scale")
    now = (await lab.raw())["spec"]["replicas"]
    params = lab.params(action, by="+1", min=1, max=now + 1)
    ready = await action.preflight(params, context())
    assert isinstance(ready, Ready), ready
    assert await action.check(params, ready.intent, context()) == "not_done"
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("done", "scaled"), outcome
    assert (await action.run(params, ready.intent, context())).result == "done"
    assert (await lab.raw())["spec"]["replicas"] == now + 1
    assert await action.check(params, ready.intent, context()) == "done"
    refused = await action.preflight(params, context())
    assert refused.reason == "at_bound"
    await lab.merge({"spec": {"replicas": now}})
    assert await action.check(params, ready.intent, context()) == "not_done"


async def test_somebody_elses_scaling_wins(lab: Lab) -> None:
    action = lab.action("kubernetes_scale")
    now = (await lab.raw())["spec"]["replicas"]
    params = lab.params(action, replicas=now + 2, min=1, max=now + 2)
    ready = await action.preflight(params, context())
    await lab.merge({"spec": {"replicas": now + 1}})
    outcome = await action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert (await lab.raw())["spec"]["replicas"] == now + 1


# ── showing, and what goes wrong ─────────────────────────────────────────────────────────────


async def test_it_shows_what_stands_there(lab: Lab) -> None:
    live = await lab.deploy(image())
    action = lab.action("kubernetes_rollback")
    shown = await action.show(lab.params(action), context())
    assert shown["live"] == live.item
    assert shown["image"] == objects.images(live.template)
    assert "available" in shown["replicas"]
    assert "of" in shown["pods"]
    assert any(key.startswith(f"pod {lab.workload.name}-") for key in shown)
    assert all(type(text) is str and text.isprintable() for text in shown.values())


async def test_a_name_that_is_not_there_is_refused(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    params = action.Params(namespace=NAMESPACE, deployment="stopgap-test-nothing")
    refused = await action.preflight(params, context())
    assert refused.reason == "no_such_workload"
    assert "stopgap-test-nothing in namespace demo" in refused.text
    with pytest.raises(Missing):
        await lab.client.get(params.workload.resource)


async def test_a_wrong_token_is_named_and_not_told(lab: Lab, tmp_path: Path) -> None:
    config = yaml.safe_load(lab.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": "a-wrong-token-of-ours"}
    for one in config["clusters"]:
        if authority := one["cluster"].get("certificate-authority"):
            one["cluster"]["certificate-authority"] = str(lab.kubeconfig.parent / authority)
    wrong = tmp_path / "wrong"
    wrong.write_text(yaml.safe_dump(config))
    workshop = Workshop(tmp_path, cluster=Cluster(kubeconfig=wrong))
    try:
        with pytest.raises(Permanent, match="does not know us") as caught:
            await workshop.shared(ClusterClient).get(lab.workload.resource)
        assert "a-wrong-token" not in str(caught.value)
    finally:
        await workshop.close()


async def test_a_namespace_that_is_not_ours_is_forbidden(lab: Lab) -> None:
    action = lab.action("kubernetes_rollback")
    params = action.Params(namespace="stopgap-test-nowhere", deployment="checkout")
    refused = await action.preflight(params, context())
    if refused.reason == "no_such_workload":
        pytest.skip("this user may read every namespace, so none is forbidden")
    assert refused.reason == "forbidden"
    assert "we may not get deployments in namespace stopgap-test-nowhere" in refused.text
    assert "verbs [get]" in refused.text
