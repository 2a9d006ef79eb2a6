"""The way to the API server: credentials, deadlines, and what may never be told."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions.kubernetes import client as client_module
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import Resource, Workload
from recovery_actions.workshop import Cluster as ClusterSettings
from recovery_actions.workshop import Workshop
from tests.contract.action_contract import context, script
from tests.contract.kubernetes_double import TOKEN, Cluster, served
from tests.contract.kubernetes_lab import manifest
from tests.contract.kubernetes_pods import NAMESPACE
from tests.contract.kubernetes_world import World, broken

CHECKOUT = Workload(NAMESPACE, "deployment", "checkout").resource
SECRET = "s3cr3t-that-nobody-may-read"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with served(tmp_path) as cluster:
        cluster.add("deployments", manifest("deployment", "checkout", "app:1"))
        yield cluster


async def asked(kubeconfig: Path | None, **settings: Any) -> Any:
    """One question to the cluster, with a client of its own."""
    settings = {"timeout": timedelta(seconds=10), **settings}
    workshop = Workshop(Path(), cluster=ClusterSettings(kubeconfig=kubeconfig, **settings))
    try:
        return await workshop.shared(ClusterClient).get(CHECKOUT)
    finally:
        await workshop.close()


# ── credentials ──────────────────────────────────────────────────────────────────────────────


async def test_a_token_in_a_file_is_read_again_when_it_has_run_out(
    cluster: Cluster, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    cluster.write_kubeconfig(tokenFile=str(token))
    workshop = Workshop(tmp_path, cluster=ClusterSettings(kubeconfig=cluster.kubeconfig))
    client = workshop.shared(ClusterClient)
    assert (await client.get(CHECKOUT))["kind"] == "Deployment"
    cluster.tokens = {"another"}
    token.write_text("another")
    assert (await client.get(CHECKOUT))["kind"] == "Deployment"
    cluster.tokens, count = set(), len(cluster.asked)
    for _ in range(3):
        with pytest.raises(Permanent, match="401"):
            await client.get(CHECKOUT)
    assert len(cluster.asked) == count + 3  # it does not read them again at once
    await workshop.close()


async def test_a_change_is_sent_again_with_new_credentials(
    cluster: Cluster, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    cluster.write_kubeconfig(tokenFile=str(token))
    workshop = Workshop(tmp_path, cluster=ClusterSettings(kubeconfig=cluster.kubeconfig))
    client = workshop.shared(ClusterClient)
    with pytest.raises(Permanent, match="401"):
        await client.get(CHECKOUT)
    client._renewed = -client_module._RENEW_AGAIN
    token.write_text(TOKEN)
    change = {"spec": {"replicas": 4}}
    await client.patch(CHECKOUT, "application/merge-patch+json", change)
    assert cluster.get("deployments", "checkout")["spec"]["replicas"] == 4
    await workshop.close()


async def test_a_credential_plugin_is_asked(cluster: Cluster, tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    plugin = script(tmp_path / "plugin", f"echo '{json.dumps(credential)}'")
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin}
    cluster.write_kubeconfig(exec=exec_)
    assert (await asked(cluster.kubeconfig))["kind"] == "Deployment"


async def test_a_credential_plugin_is_asked_again_when_its_token_has_run_out(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The library asks it once, and keeps a token that has run out for good."""
    status = f'"status": {{"token": "$(cat {tmp_path}/token)"}}'
    said = '"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"'
    print_it = f"cat <<END\n{{{said}, {status}}}\nEND"
    plugin = script(tmp_path / "plugin", f"echo asked >> {tmp_path}/log\n{print_it}")
    cluster.write_kubeconfig(
        exec={"apiVersion": "client.authentication.k8s.io/v1", "command": plugin}
    )
    (tmp_path / "token").write_text(TOKEN)
    workshop = Workshop(tmp_path, cluster=ClusterSettings(kubeconfig=cluster.kubeconfig))
    client = workshop.shared(ClusterClient)
    assert (await client.get(CHECKOUT))["kind"] == "Deployment"
    cluster.tokens = {"the-next-one"}
    (tmp_path / "token").write_text("the-next-one")
    change = {"spec": {"replicas": 4}}
    await client.patch(CHECKOUT, "application/merge-patch+json", change)
    assert cluster.get("deployments", "checkout")["spec"]["replicas"] == 4
    assert (tmp_path / "log").read_text() == "asked\nasked\n"
    await workshop.close()


async def test_a_failing_plugin_does_not_give_away_what_it_printed(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = script(tmp_path / "plugin", f"echo {SECRET}; echo {SECRET} >&2; exit 3")
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin}
    cluster.write_kubeconfig(exec=exec_)
    with caplog.at_level(logging.DEBUG), pytest.raises(Permanent, match="returned 3") as caught:
        await asked(cluster.kubeconfig)
    assert SECRET not in str(caught.value) + caplog.text


async def test_a_plugin_that_is_not_there_is_named(cluster: Cluster) -> None:
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}
    cluster.write_kubeconfig(exec=exec_)
    with pytest.raises(Permanent, match="no-such-plugin: No such file"):
        await asked(cluster.kubeconfig)


async def test_a_plugin_that_hangs_is_never_started_twice(cluster: Cluster, tmp_path: Path) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    wait = f"echo started >> {tmp_path}/log; until [ -e {tmp_path}/go ]; do :; done"
    plugin = script(tmp_path / "plugin", f"{wait}; echo '{json.dumps(credential)}'")
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin}
    cluster.write_kubeconfig(exec=exec_)
    settings = ClusterSettings(kubeconfig=cluster.kubeconfig, timeout=timedelta(milliseconds=50))
    workshop = Workshop(tmp_path, cluster=settings)
    client = workshop.shared(ClusterClient)
    for _ in range(2):
        with pytest.raises(Temporary, match="took more than 50ms to get; look at its exec plugin"):
            await client.get(CHECKOUT)
    (tmp_path / "go").touch()
    async with asyncio.timeout(60):
        while True:
            with suppress(Temporary):
                assert (await client.get(CHECKOUT))["kind"] == "Deployment"
                break
    assert (tmp_path / "log").read_text() == "started\n"
    await workshop.close()


async def test_a_context_is_chosen_by_its_name(cluster: Cluster) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["current-context"] = "nothing"
    cluster.kubeconfig.write_text(yaml.safe_dump(config))
    assert (await asked(cluster.kubeconfig, context="x"))["kind"] == "Deployment"
    with pytest.raises(Permanent, match="Expected object with name nothing"):
        await asked(cluster.kubeconfig)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be used: there is no such file"),
        ("", "is not well-formed|Expected key current-context"),
        (f"users: [{{token: {SECRET}", "it is broken"),
        ("[]", "is not well-formed"),
        ("clusters: []", "Expected key current-context|is not well-formed"),
    ],
)
async def test_a_broken_kubeconfig_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    if content is not None:
        kubeconfig.write_text(content)
    with pytest.raises(Permanent, match=said) as caught:
        await asked(kubeconfig)
    assert str(kubeconfig) in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_broken_certificates_are_named(cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    inner = config["clusters"][0]["cluster"]
    inner["server"] = "https://127.0.0.1:1"
    inner["certificate-authority-data"] = base64.b64encode(SECRET.encode()).decode()
    cluster.kubeconfig.write_text(yaml.safe_dump(config))
    with pytest.raises(Permanent, match=r"certificates that .* names cannot be used") as caught:
        await asked(cluster.kubeconfig)
    assert SECRET not in str(caught.value)


async def test_without_a_kubeconfig_and_a_pod_there_is_no_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Permanent, match="name a file in `kubernetes: kubeconfig:`"):
        await asked(None)


# ── the way there ────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_hangs_is_given_up(cluster: Cluster) -> None:
    cluster.mood = "hang"
    with pytest.raises(Temporary, match="did not answer about deployments checkout"):
        await asked(cluster.kubeconfig, timeout=timedelta(milliseconds=50))


async def test_a_server_that_is_down_may_come_back(cluster: Cluster) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        cluster.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    cluster.write_kubeconfig()
    with pytest.raises(Temporary, match="cannot be reached"):
        await asked(cluster.kubeconfig)


@pytest.mark.parametrize(
    ("mood", "said"), [(200, "it sends no JSON"), (302, "it redirects"), (404, "there are no")]
)
async def test_what_is_no_api_server_is_said_so(cluster: Cluster, mood: int, said: str) -> None:
    cluster.mood = mood
    with pytest.raises(Permanent, match=said):
        await asked(cluster.kubeconfig)
    assert len(cluster.asked) == 1


async def test_an_address_that_is_none_is_named(cluster: Cluster) -> None:
    for url in ("http://", "nothing", "http://[::1", "http://a:99999", "file:///etc/passwd"):
        cluster.url = url
        cluster.write_kubeconfig()
        with pytest.raises(Permanent, match="is no address of one"):
            await asked(cluster.kubeconfig)


async def test_a_closed_workshop_opens_anew(cluster: Cluster, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, cluster=ClusterSettings(kubeconfig=cluster.kubeconfig))
    client = workshop.shared(ClusterClient)
    assert workshop.shared(ClusterClient) is client
    for _ in range(2):
        assert (await client.get(CHECKOUT))["kind"] == "Deployment"
        await workshop.close()


async def test_unknown_fields_come_through(cluster: Cluster, tmp_path: Path) -> None:
    raw = cluster.get("deployments", "checkout")
    raw["spec"]["template"]["spec"]["fromTheFuture"] = {"a": None, "b": [1.5, True]}
    assert (await asked(cluster.kubeconfig))["spec"] == raw["spec"]


async def test_an_unverified_name_stays_one_part_of_the_url(cluster: Cluster) -> None:
    workshop = Workshop(Path(), cluster=ClusterSettings(kubeconfig=cluster.kubeconfig))
    hostile = Resource("apps/v1", "deployments", NAMESPACE, "../../secrets?watch=1#", cluster="")
    with pytest.raises(Permanent, match="there are no"):
        await workshop.shared(ClusterClient).get(hostile)
    path = cluster.asked[-1]["path"]
    assert path == "/apis/apps/v1/namespaces/demo/deployments/..%2F..%2Fsecrets%3Fwatch%3D1%23"
    await workshop.close()


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


def with_secret(world: World) -> None:
    """Every pod gets a secret in its environment."""
    env = [{"name": "PASSWORD", "value": SECRET}]
    for image in ("app:4", "app:5-bad"):
        template = world.raw_now["spec"]["template"]
        container = {**template["spec"]["containers"][0], "env": env, "image": image}
        world.edit({"spec": {"template": {"spec": {"containers": [container]}}}})


@pytest.mark.parametrize("trouble", ["", "401", "403", "500", "denied", "revert", "slow"])
async def test_no_text_holds_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with broken(tmp_path) as world:
        with_secret(world)
        item = world.cluster.all("replicasets")[0]["metadata"]["name"]
        told = context(item, said=said)
        params = world.params(world.rollback, rollout="9s", hold="9s")
        ready = await world.rollback.preflight(params, context(world.items[0], said=said))
        said += [ready.summary, str(ready.intent)]
        world.cluster.tokens = set() if trouble == "401" else {TOKEN}
        world.cluster.rights = set() if trouble == "403" else None
        world.cluster.mood = 500 if trouble == "500" else ""
        world.cluster.denied = "no" if trouble == "denied" else ""
        world.cluster.auto = trouble != "slow"
        if trouble == "revert":
            world.time.then = lambda now: world.put("app:5-bad")
        for call in (
            world.rollback.run(params, ready.intent, told),
            world.rollback.check(params, ready.intent, told),
            world.rollback.preflight(params, told),
            world.rollback.show(params, told),
        ):
            try:
                said.append(str(await call))
            except (Temporary, Permanent) as error:
                said.append(str(error))
    everything = "\n".join(said) + caplog.text
    assert SECRET not in everything
    assert TOKEN not in everything
