"""`helm_rollback`: the contract, each refusal, and what a history means."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import ActionContext
from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions import helm as helm_module
from recovery_actions import helm_rollback
from recovery_actions.commands import Ran
from recovery_actions.contract import ActionContract, context, script, until
from recovery_actions.helm import changes, revisions
from recovery_actions.helm_rollback import HelmRollback
from recovery_actions.workshop import Cluster, Workshop
from tests.doubles.helm import Helm

INTENT = {"from": "2", "to": "1", "revision": "1", "last": "2"}


async def no_pause(seconds: float) -> None:
    assert 0 < seconds <= 3


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    (tmp_path / "bin").mkdir()
    double = Helm(tmp_path / "bin")
    double.add("prod/shop", ("superseded", "Install complete"), ("deployed", "Upgrade complete"))
    return double


@pytest.fixture
def workshop(helm: Helm, tmp_path: Path) -> Workshop:
    line = [helm.program, "rollback", "*", "*", "--namespace", "*", "--wait", "--timeout", "*"]
    return Workshop(tmp_path, [line])


@pytest.fixture
def action(workshop: Workshop) -> HelmRollback:
    return HelmRollback(workshop, no_pause)


class TestHelmRollback(ActionContract):
    @pytest.fixture
    def action(self, workshop: Workshop, helm: Helm) -> HelmRollback:
        self.helm = helm
        return HelmRollback(workshop, no_pause)

    @pytest.fixture
    def params(self, action: HelmRollback) -> Any:
        return action.Params(release="shop", namespace="prod", helm=self.helm.program)

    @pytest.fixture
    def refused_params(self, action: HelmRollback) -> Any:
        return action.Params(release="nowhere", namespace="prod", helm=self.helm.program)

    @pytest.fixture
    def context(self) -> ActionContext:
        return context(to="1")

    def world(self, tmp_path: Path) -> Any:
        return self.helm.entries()

    def effect(self, tmp_path: Path) -> Any:
        return self.helm.entries()

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        good = {"release": "shop", "namespace": "prod", "helm": self.helm.program}
        for field in ("release", "namespace", "helm", "to_revision", "timeout"):
            yield {**good, field: value}


def params(double: Helm, /, **changes: Any) -> Any:
    raw = {"release": "shop", "namespace": "prod", "helm": double.program, **changes}
    return HelmRollback.Params.model_validate(raw)


async def refusal(action: HelmRollback, double: Helm, /, to: str = "1", **changes: Any) -> str:
    refused: Any = await action.preflight(params(double, **changes), context(to))
    assert " " in refused.text
    reason: str = refused.reason
    return reason


# ── preflight ────────────────────────────────────────────────────────────────────────────────


async def test_each_refusal_has_its_reason(action: HelmRollback, helm: Helm) -> None:
    assert await refusal(action, helm, to="") == "no_healthy_item"
    assert await refusal(action, helm, to="2") == "no_healthy_item"
    assert await refusal(action, helm, to="9") == "no_healthy_item"
    assert await refusal(action, helm, to_revision=2) == "no_healthy_item"
    assert await refusal(action, helm, namespace="test") == "no_such_release"
    assert await refusal(action, helm, helm="/bin/false") == "command_not_allowed"
    elsewhere = replace(context("1"), expected="7")
    refused: Any = await action.preflight(params(helm), elsewhere)
    assert refused.reason == "changed_meanwhile"
    helm.add("prod/shop", ("deployed", "Install complete"))
    assert await refusal(action, helm) == "no_history"
    helm.add("prod/shop", ("superseded", "Install complete"), ("pending-upgrade", "Preparing"))
    assert await refusal(action, helm) == "pending"
    helm.add("prod/shop", ("superseded", "Install complete"), ("uninstalled", "Gone"))
    assert await refusal(action, helm) == "no_such_release"
    helm.set(broken='query: secrets is forbidden: User "stopgap" cannot list resource "secrets"')
    assert await refusal(action, helm) == "forbidden"
    helm.uninstall()
    assert await refusal(action, helm) == "program_missing"


def test_the_refusal_names_the_line_to_add(helm: Helm, tmp_path: Path) -> None:
    text = HelmRollback(Workshop(tmp_path)).allowed(params(helm, helm="helm"))
    assert text is not None
    assert text.endswith(
        '- ["helm", "rollback", "shop", "*", "--namespace", "prod", "--wait", "--timeout", "300s"]'
    )


def test_the_cluster_of_the_settings_is_that_of_helm(helm: Helm, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "kubeconfig", "prod-eu")
    text = HelmRollback(Workshop(tmp_path, cluster=cluster)).allowed(params(helm))
    assert text is not None
    assert text.endswith(f'"--kubeconfig", "{tmp_path}/kubeconfig", "--kube-context", "prod-eu"]')


async def test_a_failed_revision_is_never_gone_back_to(action: HelmRollback, helm: Helm) -> None:
    helm.add(
        "prod/shop",
        ("superseded", "Install complete"),
        ("failed", 'Upgrade "shop" failed: timed out'),
        ("deployed", "Upgrade complete"),
    )
    assert await refusal(action, helm, to="2") == "no_healthy_item"
    assert await refusal(action, helm, to_revision=2) == "no_healthy_item"
    ready: Any = await action.preflight(params(helm), context("1"))
    assert ready.intent == {"from": "3", "to": "1", "revision": "1", "last": "3"}


async def test_after_a_failed_upgrade_there_is_a_way_back(action: HelmRollback, helm: Helm) -> None:
    helm.add("prod/shop", ("deployed", "Install complete"), ("failed", 'Upgrade "shop" failed: no'))
    ready: Any = await action.preflight(params(helm), context("1"))
    assert (await action.run(params(helm), ready.intent, context())).result == "done"


def test_a_copy_is_what_it_copies() -> None:
    entry = {"updated": "2025-03-09T13:00:00.1Z", "status": "superseded", "chart": "c"}
    said = ["Install complete", "Upgrade complete", "Rollback to 1", "Rollback to 3"]
    said += ["Rollback to 99", "Rollback to 5 or so"]
    found = revisions([{**entry, "revision": n, "description": d} for n, d in enumerate(said, 1)])
    assert [one.item for one in found] == ["1", "2", "1", "1", "99", "6"]
    assert found[3].title == "revision 4 (c, a copy of 1)"
    assert [c.item for c in changes("helm:x", found)] == ["1", "2", "1", "1", "99", "6"]


async def test_the_newest_copy_of_an_item_is_used(action: HelmRollback, helm: Helm) -> None:
    helm.add(
        "prod/shop",
        ("superseded", "Install complete"),
        ("superseded", "Upgrade complete"),
        ("superseded", "Rollback to 1"),
        ("deployed", "Upgrade complete"),
    )
    ready: Any = await action.preflight(params(helm), context("1"))
    assert ready.intent == {"from": "4", "to": "1", "revision": "3", "last": "4"}
    ready = await action.preflight(params(helm, to_revision=1), context())
    assert ready.intent["revision"] == "1"


async def test_no_json_and_no_answer_are_told_apart(
    action: HelmRollback, helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm.set(broken="Kubernetes cluster unreachable: dial tcp: i/o timeout")
    with pytest.raises(Temporary, match="cluster unreachable"):
        await action.preflight(params(helm), context("1"))
    script(helm.path, "echo nonsense")
    with pytest.raises(Permanent, match="no JSON"):
        await action.preflight(params(helm), context("1"))
    script(helm.path, "exec sleep 30")
    monkeypatch.setattr(helm_module, "_LOOK", timedelta(seconds=0.1))
    with pytest.raises(Temporary, match="took more than"):
        await action.preflight(params(helm), context("1"))


async def test_a_look_behind_a_wrapper_script_keeps_nobody_waiting(
    action: HelmRollback, helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, out_of_it = tmp_path / "started", tmp_path / "out-of-it"
    hangs = f'sh -c "echo \\$\\$ > {started}; sleep 60; true"'
    script(helm.path, f'setsid sh -c "echo > {out_of_it}; sleep 5" &\n{hangs}\necho never')
    monkeypatch.setattr(helm_module, "_LOOK", timedelta(seconds=60))
    looking = asyncio.create_task(action.preflight(params(helm), context("1")))
    await until(lambda: started.exists() and started.read_text().strip() and out_of_it.exists())
    inner = int(started.read_text())
    looking.cancel()
    async with asyncio.timeout(4):
        with pytest.raises(asyncio.CancelledError):
            await looking
        await until(lambda: not _runs(inner))


async def test_a_look_that_writes_without_end_is_stopped(
    action: HelmRollback, helm: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helm_module, "_LARGEST", 10_000)
    script(helm.path, "yes")
    with pytest.raises(Temporary, match="wrote more than 10,000 bytes"):
        await action.preflight(params(helm), context("1"))


def _runs(process: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go while it is read
        return False


# ── the rollback ─────────────────────────────────────────────────────────────────────────────


async def test_it_names_the_revision(action: HelmRollback, helm: Helm) -> None:
    said: list[str] = []
    outcome = await action.run(params(helm), INTENT, context(said=said))
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    assert "back at revision 3 (shop-1.1.0, a copy of 1)" in outcome.detail
    wanted = ["rollback", "shop", "1", "--namespace", "prod", "--wait", "--timeout", "300s"]
    assert [call for call in helm.calls if call[0] == "rollback"] == [wanted]
    assert said == [f"`{helm.program} {' '.join(wanted)}` has been started"]


async def test_a_failure_is_said_in_helms_words(action: HelmRollback, helm: Helm) -> None:
    helm.set(fails="timed out waiting for the condition")
    outcome = await action.run(params(helm), INTENT, context())
    assert (outcome.result, outcome.reason) == ("failed", "helm_failed")
    assert "timed out waiting" in outcome.detail
    assert await action.check(params(helm), INTENT, context()) == "half_done"
    helm.set(fails="")
    assert (await action.run(params(helm), INTENT, context())).result == "done"
    assert await action.check(params(helm), INTENT, context()) == "done"


async def test_a_helm_that_hangs_is_stopped_and_can_be_tried_again(
    action: HelmRollback, helm: Helm, monkeypatch: pytest.MonkeyPatch
) -> None:
    helm.set(hangs=True)
    run_argv = helm_rollback.run_argv

    async def impatient(argv: Any, timeout: timedelta, base: Path, umask: int) -> Ran:
        task = asyncio.create_task(run_argv(argv, timedelta(seconds=1), base, umask))
        await until(lambda: len(helm.entries()) == 3)
        return await task

    with monkeypatch.context() as patch:
        patch.setattr(helm_rollback, "run_argv", impatient)
        outcome = await action.run(params(helm), INTENT, context())
    assert (outcome.result, outcome.reason) == ("failed", "helm_timeout")
    assert helm.entries()[-1]["status"] == "pending-rollback"
    assert await action.check(params(helm), INTENT, context()) == "half_done"
    helm.set(hangs=False)
    said: list[str] = []
    outcome = await action.run(params(helm), INTENT, context(said=said))
    assert outcome.result == "done"
    assert "is pending already" in said[0]


async def test_a_rollback_that_outlived_us_is_waited_for(workshop: Workshop, helm: Helm) -> None:
    helm.add(
        "prod/shop",
        ("superseded", "Install complete"),
        ("deployed", "Upgrade complete"),
        ("pending-rollback", "Rollback to 1"),
    )

    async def ends(seconds: float) -> None:
        helm.change(lambda s: s["releases"]["prod/shop"][-1].update(status="deployed"))

    outcome = await HelmRollback(workshop, ends).run(params(helm), INTENT, context())
    assert outcome.result == "done"
    assert all(call[0] == "history" for call in helm.calls)


async def test_a_deployment_meanwhile_is_left_alone(action: HelmRollback, helm: Helm) -> None:
    helm.add("prod/shop", *[("superseded", "Upgrade complete")] * 2, ("deployed", "Upgrade"))
    outcome = await action.run(params(helm), INTENT, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert await action.check(params(helm), INTENT, context()) == "unknown"
    assert all(call[0] == "history" for call in helm.calls)


async def test_a_deployment_right_after_leaves_it_unknown(action: HelmRollback, helm: Helm) -> None:
    helm.set(races=True)
    outcome = await action.run(params(helm), INTENT, context())
    assert (outcome.result, outcome.reason) == ("unknown", "changed_meanwhile")


async def test_a_revision_that_helm_has_dropped_is_refused(
    action: HelmRollback, helm: Helm
) -> None:
    helm.change(lambda state: state["releases"]["prod/shop"].pop(0))
    outcome = await action.run(params(helm), {**INTENT}, context())
    assert (outcome.result, outcome.reason) == ("refused", "no_history")
    outcome = await action.run(params(helm, helm="/bin/false"), INTENT, context())
    assert (outcome.result, outcome.reason) == ("refused", "command_not_allowed")


async def test_the_evidence_shows_the_newest_revisions(action: HelmRollback, helm: Helm) -> None:
    assert await action.show(params(helm), context()) == {
        "revision 2": "deployed, shop-1.2.0: Upgrade complete",
        "revision 1": "superseded, shop-1.1.0: Install complete",
    }
    assert await action.show(params(helm, helm="/bin/echo"), context()) == {}, "it is not allowed"


@pytest.mark.parametrize(
    "change",
    [
        {"release": "-shop"},
        {"release": "shop;x"},
        {"release": "x" * 54},
        {"namespace": "--all"},
        {"namespace": "a.b"},
        {"helm": ""},
        {"helm": "--x"},
        {"helm": "*"},
        {"to_revision": 0},
        {"timeout": "500ms"},
        {"timeout": "1d"},
        {"force": True},
    ],
)
def test_crooked_parameters_are_none(helm: Helm, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        params(helm, **change)
