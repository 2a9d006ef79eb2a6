"""The forms that a kubeconfig may have, on a server that proves itself and asks who we are."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from yarl import URL

from daemon.core.values.outcome import Permanent
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import Workload
from recovery_actions.workshop import Cluster, Workshop
from tests.contract.action_contract import script
from tests.doubles.serving import on_loopback

CHECKOUT = Workload("demo", "deployment", "checkout").resource
SECRET = "t0ken-that-nobody-may-read"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca), and what it has signed: a server and a client. As many clusters do, it
    leaves out the extensions that say which key signed what."""
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    for name in ("server", "client"):
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:kubernetes")
        openssl("req", *new, "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
        openssl("x509", "-req", "-in", "csr", *signer, "-days", "2", "-out", f"{name}.crt")
    return folder


@dataclass
class Server:
    """It notes who asked: the credentials, and whether there was a certificate."""

    folder: Path
    papers: Path
    port: int = 0
    seen: list[tuple[str, bool, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        certified = bool(request.transport.get_extra_info("peercert"))
        self.seen.append((request.headers.get("Authorization", ""), certified, request.path))
        return web.json_response({"kind": "Deployment", "metadata": {"name": "checkout"}})

    def data(self, name: str) -> str:
        return base64.b64encode((self.papers / name).read_bytes()).decode()

    def kubeconfig(self, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
        server = cluster.pop("server", f"https://127.0.0.1:{self.port}")
        place = {"cluster": "c", "user": "u", "namespace": "elsewhere"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": place}],
            "current-context": "x",
        }
        path = self.folder / "kube/config"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(config))
        return path

    async def ask(self, cluster: dict[str, Any], user: dict[str, Any]) -> tuple[str, bool, str]:
        """Who the server saw when a client with that kubeconfig asked."""
        settings = Cluster(kubeconfig=self.kubeconfig(cluster, user))
        workshop = Workshop(self.folder, cluster=settings)
        try:
            assert (await workshop.shared(ClusterClient).get(CHECKOUT))["kind"] == "Deployment"
        finally:
            await workshop.close()
        return self.seen[-1]


@pytest.fixture
async def server(papers: Path, tmp_path: Path) -> AsyncIterator[Server]:
    found = Server(tmp_path, papers)
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).write_bytes((papers / name).read_bytes())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers / "ca.crt")
    context.load_cert_chain(papers / "server.crt", papers / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", found.answer)
    async with on_loopback(app, tls=context) as address:
        found.port = URL(address).port or 0
        yield found


async def test_an_authority_is_a_file_beside_the_kubeconfig_or_data_in_it(server: Server) -> None:
    token = {"token": "T"}
    for cluster in (
        {"certificate-authority": "../ca.crt"},
        {"certificate-authority": str(server.folder / "ca.crt")},
        {"certificate-authority-data": server.data("ca.crt")},
        {"insecure-skip-tls-verify": True},
    ):
        assert (await server.ask(cluster, token))[:2] == ("Bearer T", False)


async def test_a_certificate_is_who_we_are(server: Server) -> None:
    authority = {"certificate-authority": "../ca.crt"}
    files = {"client-certificate": "../client.crt", "client-key": "../client.key"}
    data = {
        "client-certificate-data": server.data("client.crt"),
        "client-key-data": server.data("client.key"),
    }
    assert (await server.ask(dict(authority), files))[:2] == ("", True)
    assert (await server.ask(dict(authority), data))[:2] == ("", True)
    assert (await server.ask(dict(authority), {**data, "token": "T"}))[:2] == ("Bearer T", True)


async def test_a_credential_plugin_may_give_a_certificate(server: Server) -> None:
    status = {
        "clientCertificateData": (server.papers / "client.crt").read_text(),
        "clientKeyData": (server.papers / "client.key").read_text(),
    }
    version = "client.authentication.k8s.io/v1"
    said = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    (server.folder / "said").write_text(json.dumps(said))
    plugin = script(server.folder / "plugin", f"cat {server.folder}/said")
    user = {"exec": {"apiVersion": version, "command": plugin, "args": None, "env": None}}
    assert (await server.ask({"certificate-authority": "../ca.crt"}, user))[:2] == ("", True)


async def test_a_token_may_end_in_a_newline(server: Server) -> None:
    authority = {"certificate-authority": "../ca.crt"}
    (server.folder / "kube").mkdir()
    (server.folder / "kube/token").write_text("T\n")
    assert (await server.ask(dict(authority), {"tokenFile": "token"}))[0] == "Bearer T"
    assert (await server.ask(dict(authority), {"token": "T\n"}))[0] == "Bearer T"


@pytest.mark.parametrize(
    "token", [f"{SECRET}\nX-Other: 1", f"{SECRET}\rx", f"{SECRET}\0", f"{SECRET}é"]
)
async def test_a_token_that_is_none_is_not_told(server: Server, token: str) -> None:
    with pytest.raises(Permanent, match="is no token; make it one line") as caught:
        await server.ask({"insecure-skip-tls-verify": True}, {"token": token})
    assert SECRET not in str(caught.value)
    assert server.seen == []


async def test_the_name_on_the_certificate_must_fit_or_be_said(server: Server) -> None:
    here = f"https://localhost:{server.port}"
    authority = {"certificate-authority": "../ca.crt", "server": here}
    with pytest.raises(Permanent, match="certificate is not trusted"):
        await server.ask(dict(authority), {"token": SECRET})
    with pytest.raises(Permanent, match="certificate is not trusted"):
        await server.ask({}, {"token": SECRET})
    assert server.seen == []
    named = {**authority, "tls-server-name": "kubernetes"}
    assert (await server.ask(named, {"token": "T"}))[0] == "Bearer T"


async def test_a_server_may_stand_below_a_path(server: Server) -> None:
    below = {"server": f"https://127.0.0.1:{server.port}/k8s/clusters/c-1/"}
    seen = await server.ask({**below, "insecure-skip-tls-verify": True}, {"token": "T"})
    assert seen[2] == f"/k8s/clusters/c-1{CHECKOUT.path}"


async def test_a_kubeconfig_that_impersonates_is_refused(server: Server) -> None:
    with pytest.raises(Permanent, match="impersonates somebody"):
        await server.ask({"insecure-skip-tls-verify": True}, {"token": "T", "as": "somebody"})
    assert server.seen == []
