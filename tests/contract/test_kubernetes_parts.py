"""The parts of the Kubernetes actions that need no server: names, errors, history, rollouts."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.changes.suspects import last_healthy
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.guards import keeper
from recovery_actions.kubernetes.names import Resource, ScalableParams, WorkloadParams
from recovery_actions.kubernetes.revisions import WorkloadRevision, WorkloadState, workload_history
from recovery_actions.kubernetes.rollout import rollout_status
from recovery_actions.kubernetes_scale import KubernetesScaleParams
from tests.contract.action_contract import HOSTILE

START = datetime(2025, 3, 9, 13, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


# ── names ────────────────────────────────────────────────────────────────────────────────────

ADVERSARIAL = [
    *(text.format(canary="/tmp/c", victim="/tmp/v") for text in HOSTILE.values()),
    *("..", ".", "a/..", "a/../b", "%2e%2e", "a%2fb", "a?watch=1", "a#b", "a;b", "a&b=c", "a\n"),
    *("-a", "a-", "A", "a_b", "a..b", ".a", "a.", "é", "ａ", "a b", "a\t", "a\u200b", "xn--\u0301"),
    *("a" * 254, "a\\b", "a:b", "a@b", "a*", "a,b", "a=b", "http://evil", "//evil", "a\u2024b"),
]


@pytest.mark.parametrize("text", ADVERSARIAL, ids=range(len(ADVERSARIAL)))
@pytest.mark.parametrize("place", ["namespace", "deployment", "statefulset", "daemonset"])
def test_a_hostile_name_is_no_name(place: str, text: str) -> None:
    raw = {"namespace": "prod", "deployment": "checkout"}
    if place not in raw:
        del raw["deployment"]
    with pytest.raises(ValidationError):
        WorkloadParams.model_validate({**raw, place: text})


@given(st.text() | st.from_regex(r"[a-z0-9.\-/%]{1,70}"), st.text(max_size=70))
def test_only_names_reach_the_path_of_a_url(name: str, namespace: str) -> None:
    try:
        workload = WorkloadParams(namespace=namespace or "prod", deployment=name).workload
    except ValidationError:
        return
    path = workload.resource.path
    assert path == f"/apis/apps/v1/namespaces/{workload.namespace}/deployments/{name}"
    assert set(path) <= set("abcdefghijklmnopqrstuvwxyz0123456789-./")
    assert not {"", ".", ".."} & set(path.split("/")[1:])


@given(st.text(min_size=1), st.text(min_size=1))
def test_even_an_unproven_name_stays_one_part_of_the_path(namespace: str, name: str) -> None:
    try:
        path = Resource("", "pods", namespace, name, cluster="").path
    except UnicodeEncodeError:
        return
    parts = path.split("/")
    assert len(parts) == 7
    assert (unquote(parts[4]), unquote(parts[6])) == (namespace, name)


@pytest.mark.parametrize("name", ["a", "0", "check-out", "a.b-c.d", "x" * 253])
def test_what_kubernetes_calls_a_name_is_one(name: str) -> None:
    assert WorkloadParams(namespace="prod", daemonset=name).workload.name == name


def test_exactly_one_workload_is_named() -> None:
    for raw in ({}, {"deployment": "a", "statefulset": "b"}):
        with pytest.raises(ValidationError, match="exactly one of deployment, statefulset, daemo"):
            WorkloadParams.model_validate({"namespace": "prod", **raw})
    with pytest.raises(ValidationError, match="Extra inputs"):
        ScalableParams.model_validate({"namespace": "prod", "daemonset": "a"})


# ── scaling ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("by", "now", "aim"),
    [
        ("+2", 3, 5),
        (2, 3, 5),
        ("-1", 3, 2),
        (-1, 3, 2),
        ("+50%", 3, 5),
        ("+1%", 3, 4),
        ("-50%", 3, 2),
        ("-99", 3, 2),
        ("+99999", 3, 12),
        ("-100%", 9, 2),
        ("+1", 20, 12),
    ],
)
def test_a_change_is_rounded_away_from_now_and_stays_in_bounds(by: Any, now: int, aim: int) -> None:
    params = KubernetesScaleParams(namespace="a", deployment="b", by=by, min=2, max=12)
    assert params.aim(now) == aim
    raised = str(by).startswith("+") or (isinstance(by, int) and by > 0)
    assert params.goes_the_way(now, aim) == (aim > now if raised else aim < now)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"replicas": 3, "by": "+1"},
        {"replicas": 0},
        {"replicas": 9},
        {"by": "2"},
        {"by": "+0"},
        {"by": "-0%"},
        {"by": 0},
        {"by": True},
        {"by": "+1.5"},
        {"by": "+1 %"},
        {"by": "+١"},
        {"by": "+1\n"},
        {"by": "+2", "min": 0},
        {"by": "+2", "min": 6},
        {"by": "+2", "max": None},
    ],
)
def test_a_wrong_change_is_refused(change: dict[str, Any]) -> None:
    raw = {"namespace": "a", "deployment": "b", "min": 1, "max": 5, **change}
    with pytest.raises(ValidationError):
        KubernetesScaleParams.model_validate(raw)


# ── history ──────────────────────────────────────────────────────────────────────────────────


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"image": image}]}}


def revision(
    name: str, *numbers: int, created: int, touched: int | None = None, away: bool = True
) -> WorkloadRevision:
    return WorkloadRevision(
        item=name,
        uid=name,
        number=numbers[-1],
        earlier=numbers[:-1],
        template=template(name),
        created=at(created),
        touched=None if touched is None else at(touched),
        away=away,
    )


def state(live: str, *revisions: WorkloadRevision, changed: int | None = None) -> WorkloadState:
    entry = {
        "manager": "kubectl",
        "time": None if changed is None else at(changed).isoformat(),
        "fieldsV1": {"f:spec": {"f:template": {}}},
    }
    raw = {
        "metadata": {"name": "a", "uid": "u", "managedFields": [entry]},
        "spec": {"template": template(live)},
    }
    workload = WorkloadParams(namespace="prod", deployment="a").workload
    return WorkloadState(workload, raw, tuple(sorted(revisions, key=lambda one: one.number)))


def told(state: WorkloadState) -> list[tuple[str, str, int]]:
    return [
        (c.item, c.previous, round((c.at - START).total_seconds() / 60))
        for c in workload_history(state)
    ]


def test_a_plain_history_is_dated_by_creation() -> None:
    seen = state("v3", *(revision(f"v{n}", n, created=10 * n) for n in (1, 2, 3)))
    assert told(seen) == [("v1", "", 10), ("v2", "v1", 20), ("v3", "v2", 30)]
    assert [c.text for c in workload_history(seen)][-1] == "revision 3, v3"
    assert {c.subject for c in workload_history(seen)} == {"kubernetes:prod/deployment/a"}


@pytest.mark.parametrize("changed", [30, 55, None])
def test_what_came_back_is_dated_by_what_nothing_moves(changed: int | None) -> None:
    """Who owns fields of the template moves his date with a scaling or a label, too."""
    v1 = revision("v1", 1, 3, created=10, touched=55, away=False)
    v2 = revision("v2", 2, created=20, touched=31)
    assert told(state("v1", v1, v2, changed=changed)) == [
        ("v1", "", 10),
        ("v2", "v1", 20),
        ("v1", "v2", 31),
    ]


def test_what_is_just_coming_back_is_dated_by_the_change_of_the_template() -> None:
    v1 = revision("v1", 1, 3, created=10, touched=32, away=False)
    v2 = revision("v2", 2, created=20, touched=31, away=False)
    assert told(state("v1", v1, v2, changed=30))[-1] == ("v1", "v2", 30)


def test_what_came_back_and_went_is_dated_by_what_it_displaced() -> None:
    v1 = revision("v1", 1, 3, created=10, touched=41)
    v2 = revision("v2", 2, created=20, touched=31)
    v4 = revision("v4", 4, created=40, away=False)
    assert told(state("v4", v1, v2, v4)) == [
        ("v1", "", 10),
        ("v2", "v1", 20),
        ("v1", "v2", 31),
        ("v4", "v1", 40),
    ]


def test_nothing_is_credited_with_the_time_of_another() -> None:
    v1 = revision("v1", 1, 3, created=10, touched=41)
    v2 = revision("v2", 2, created=20, touched=None)
    v4 = revision("v4", 4, created=40, away=False)
    seen = state("v4", v1, v2, v4)
    assert told(seen) == [("v4", "", 40)]
    # v1 was live in the baseline, not v2: nobody can tell, so nothing is chosen.
    found = last_healthy("v4", workload_history(seen), {}, (at(33), at(39)))
    assert found.reason == "no_healthy_item"


def test_what_is_still_being_scaled_away_dates_nothing_yet() -> None:
    v1 = revision("v1", 1, 3, created=10, touched=41)
    v2 = revision("v2", 2, created=20, touched=31, away=False)
    assert told(state("v4", v1, v2, revision("v4", 4, created=40))) == [("v4", "", 40)]


def test_a_revision_that_was_tidied_away_ends_the_history() -> None:
    v1 = revision("v1", 1, created=10)
    v3, v4 = revision("v3", 3, created=30), revision("v4", 4, created=40)
    assert told(state("v4", v1, v3, v4)) == [("v3", "", 30), ("v4", "v3", 40)]


def test_what_is_not_dated_is_not_told() -> None:
    v1 = revision("v1", 1, 3, created=10)
    assert told(state("v1", v1, revision("v2", 2, created=20))) == []


def test_a_guess_never_contradicts_what_is_known() -> None:
    v1 = revision("v1", 1, 3, created=10)
    v2 = revision("v2", 2, created=20, touched=55)
    assert told(state("v4", v1, v2, revision("v4", 4, created=40)))[2] == ("v1", "v2", 40)


@given(st.data())
def test_a_history_is_in_order_and_each_knows_the_one_before(data: Any) -> None:
    names = data.draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=9))
    made = []
    for name in dict.fromkeys(names):
        numbers = [n + 1 for n, one in enumerate(names) if one == name]
        minute = st.integers(0, 99)
        made.append(
            revision(
                name,
                *numbers,
                created=data.draw(minute),
                touched=data.draw(st.none() | minute),
                away=data.draw(st.booleans()),
            )
        )
    changed = data.draw(st.none() | st.integers(0, 99))
    changes = workload_history(state(names[-1], *made, changed=changed))
    assert all(a.at <= b.at for a, b in itertools.pairwise(changes))
    assert all(b.previous == a.item for a, b in itertools.pairwise(changes))
    assert not changes or changes[-1].item == names[-1]
    assert [c.item for c in changes] == names[len(names) - len(changes) :]


# ── templates and digests ────────────────────────────────────────────────────────────────────


def test_a_digest_sees_the_template_and_not_what_controllers_add() -> None:
    plain = template("app:1")
    added: dict[str, Any] = json.loads(json.dumps(plain))
    added["metadata"]["labels"][objects.HASH_LABEL] = "74cf55b5dd"
    added["metadata"]["creationTimestamp"] = None
    assert objects.digest(added) == objects.digest(plain) != objects.digest(template("app:2"))


def test_images_are_named_as_people_call_them() -> None:
    long = f"registry.example.org:5000/team/app@sha256:{'a' * 64}"
    containers = [{"image": long}, *({"image": f"x/side:{n}"} for n in range(4))]
    said = objects.images({"spec": {"containers": containers}})
    assert said == f"app@sha256:{'a' * 12}, side:0, side:1 and 2 more"


# ── rollouts ─────────────────────────────────────────────────────────────────────────────────


def workload(status: dict[str, Any], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"generation": 4},
        "spec": {"replicas": 3, **(spec or {})},
        "status": {"observedGeneration": 4, **status},
    }


LATE = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]


@pytest.mark.parametrize(
    ("kind", "status", "spec", "finished", "text"),
    [
        ("deployment", {"observedGeneration": 3}, {}, False, "to see the change"),
        ("deployment", {}, {}, False, "0 of 3 new replicas are there"),
        ("deployment", {"updatedReplicas": 3, "replicas": 4}, {}, False, "1 old replicas"),
        ("deployment", {"updatedReplicas": 3, "replicas": 3}, {}, False, "0 of 3 new replicas"),
        (
            "deployment",
            {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3},
            {},
            True,
            "all 3 replicas are new",
        ),
        (
            "statefulset",
            {"readyReplicas": 2, "updatedReplicas": 3},
            {},
            False,
            "2 of 3 pods are ready",
        ),
        (
            "statefulset",
            {"readyReplicas": 3, "updateRevision": "b", "currentRevision": "a"},
            {},
            False,
            "0 of 3 pods are new",
        ),
        # Halfway back to the revision that is still the current one, as the server tells it.
        (
            "statefulset",
            {
                "readyReplicas": 3,
                "updatedReplicas": 1,
                "updateRevision": "a",
                "currentRevision": "a",
            },
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
            False,
            "1 of 3 pods are new",
        ),
        (
            "statefulset",
            {"readyReplicas": 3, "updatedReplicas": 3, "updateRevision": "b"},
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}},
            True,
            "all 3 pods are new, and all 3 are ready",
        ),
        (
            "statefulset",
            {"readyReplicas": 3, "updatedReplicas": 0},
            {"updateStrategy": {"rollingUpdate": {"partition": 2}}},
            False,
            "0 of 1 pods above the partition are new",
        ),
        (
            "statefulset",
            {"readyReplicas": 3, "updatedReplicas": 1},
            {"updateStrategy": {"rollingUpdate": {"partition": 2}}},
            True,
            "all 1 pods above the partition are new",
        ),
        # Pods that are ending count as ready.
        (
            "statefulset",
            {"replicas": 4, "readyReplicas": 3, "updatedReplicas": 3},
            {},
            False,
            "1 pods are still ending",
        ),
        (
            "statefulset",
            {"readyReplicas": 3},
            {"updateStrategy": {"rollingUpdate": {"partition": 3}}},
            True,
            "no pod is above the partition of 3, and all 3 are ready",
        ),
        (
            "deployment",
            {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 3, "terminatingReplicas": 2},
            {},
            True,
            "all 3 replicas are new and available; 2 old pods are still ending",
        ),
        ("deployment", {}, {"replicas": 0}, True, "scaled to 0: nothing serves"),
        ("statefulset", {}, {"replicas": 0}, True, "scaled to 0: nothing serves"),
        ("deployment", {"replicas": 2}, {"replicas": 0}, False, "2 old replicas"),
        ("daemonset", {}, {}, True, "no node is to have a pod: nothing serves"),
        ("daemonset", {"desiredNumberScheduled": 2}, {}, False, "0 of 2 new pods are there"),
        (
            "daemonset",
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1},
            {},
            False,
            "1 of 2 new pods are available",
        ),
        (
            "daemonset",
            {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2},
            {},
            True,
            "all 2 pods",
        ),
    ],
)
def test_a_rollout_is_judged_as_kubectl_does(
    kind: Any, status: dict[str, Any], spec: dict[str, Any], finished: bool, text: str
) -> None:
    judged = rollout_status(kind, workload(status, spec))
    assert judged.finished is finished
    assert text in judged.text
    assert not judged.failed


def test_only_a_deadline_of_our_own_rollout_counts() -> None:
    late = workload({"conditions": LATE})
    assert rollout_status("deployment", late).failed
    assert not rollout_status("deployment", late, stale=" timed out").failed
    unseen = workload({"conditions": LATE, "observedGeneration": 3})
    assert not rollout_status("deployment", unseen).failed


# ── who else manages it ──────────────────────────────────────────────────────────────────────

INSTANCE = {"app.kubernetes.io/instance": "shop"}
ARGO = [{"manager": "argocd-controller", "fieldsV1": {}}]


@pytest.mark.parametrize(
    ("metadata", "name", "said"),
    [
        ({"labels": INSTANCE}, "Argo CD", "application shop"),
        ({"labels": INSTANCE}, "Argo CD", "say who manages it in its label"),
        ({"labels": INSTANCE | {"app.kubernetes.io/managed-by": "argocd"}}, "Argo CD", "shop"),
        ({"labels": INSTANCE | {"app.kubernetes.io/managed-by": "kustomize"}}, "", ""),
        ({"labels": INSTANCE, "annotations": {"meta.helm.sh/release-name": "shop"}}, "", ""),
        ({"labels": INSTANCE | {"app.kubernetes.io/managed-by": "Helm"}}, "", ""),
        ({"managedFields": [{"manager": "kubectl-client-side-apply"}]}, "", ""),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/D:n/a"}}, "Argo CD", "shop"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD", "shop"),
        ({"labels": INSTANCE, "managedFields": ARGO}, "Argo CD", "application shop"),
        (
            {"labels": INSTANCE, "annotations": {"argocd.argoproj.io/sync-wave": "1"}},
            "Argo CD",
            "application shop",
        ),
        ({"managedFields": ARGO}, "Argo CD", "argocd_rollback, or"),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "Flux",
            "Kustomization flux-system/apps",
        ),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "Flux", "HelmRelease shop"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux", "Kustomization"),
        (
            {
                "labels": {"kustomize.toolkit.fluxcd.io/name": "apps"},
                "annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"},
            },
            "",
            "",
        ),
        ({"managedFields": [{"manager": "helm-controller"}]}, "Flux", "flux suspend helmrelease"),
    ],
)
def test_a_gitops_system_is_known_by_its_marks(
    metadata: dict[str, Any], name: str, said: str
) -> None:
    found = keeper({"metadata": metadata})
    assert (found.name if found else "") == name
    assert said in (found.route if found else "")
