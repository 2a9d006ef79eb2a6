"""TLS served directly, with real certificates on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import DummyCookieJar, web
from pydantic import ValidationError
from structlog.testing import capture_logs

from daemon import app
from daemon.cli.doctor.certificate import check_certificate
from daemon.cli.doctor.local import check_address
from daemon.config.serving import TlsFiles, TlsSettings
from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent
from daemon.web.application import web_application
from daemon.web.serving.client_names import client_names
from daemon.web.serving.connections import Connections
from daemon.web.serving.listener import Listener
from daemon.web.serving.tls import LOOK_EVERY, Certificate, read_papers
from tests.contract.papers import Papers
from tests.contract.rig import HOOK, MAX_BODY, Rig
from tests.stories.stage import alert, body

SENT = body(alert())
ALERTS = "/api/v1/alerts"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    made = Papers(tmp_path_factory.mktemp("papers"))
    made.authority("ca")
    made.authority("another")
    for name in ("server", "renewed", "alertmanager", "stranger"):
        made.certified(name)
    return made


@pytest.fixture
def files(papers: Papers, tmp_path: Path) -> TlsFiles:
    """A copy that may be changed."""
    for name in ("server.crt", "server.key", "ca.crt"):
        shutil.copy(papers.folder / name, tmp_path)
    return TlsFiles(tmp_path / "server.crt", tmp_path / "server.key", None, required=False)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class House:
    """The whole application over TLS."""

    def __init__(self, rig: Rig, port: int, certificate: Certificate) -> None:
        self.rig = rig
        self.port = port
        self.certificate = certificate

    async def asks(
        self, client: ssl.SSLContext, method: str = "GET", path: str = "/-/ready", **more: Any
    ) -> int:
        """The status of the answer."""
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession(cookie_jar=DummyCookieJar()) as session,
            session.request(method, url, ssl=client, **more) as answer,
        ):
            await answer.read()
            return answer.status

    async def delivers(self, client: ssl.SSLContext, **headers: str) -> int:
        return await self.asks(client, "POST", ALERTS, data=SENT, headers=headers)


@asynccontextmanager
async def housed(files: TlsFiles, *names: str, token: str | None = None) -> AsyncIterator[House]:
    rig = Rig(certificates=names)
    rig.webhook = token
    clock = Clock()
    certificate = Certificate(files, clock)
    connections = Connections(100, 100, 60, 60)
    runner = web.AppRunner(web_application(rig.context(), MAX_BODY, connections), access_log=None)
    await runner.setup()
    listener = Listener(connections, runner.server, certificate.context)  # type: ignore[arg-type]
    try:
        async with listener.listening("127.0.0.1", 0) as ((_, port),):
            yield House(rig, port, certificate)
    finally:
        await runner.cleanup()


async def test_https_is_served_by_what_the_files_hold(papers: Papers, files: TlsFiles) -> None:
    async with housed(files) as context:
        assert await context.asks(papers.client()) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await context.asks(papers.client(authority="another"))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_in_use_are_spoken(
    papers: Papers, files: TlsFiles, newest: ssl.TLSVersion
) -> None:
    async with housed(files) as context:
        client = papers.client()
        client.maximum_version = newest
        assert await context.asks(client) == 200


def test_older_versions_are_not_spoken(files: TlsFiles) -> None:
    assert read_papers(files).context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_plain_http_gets_a_clear_answer(files: TlsFiles) -> None:
    with capture_logs() as logs:
        async with (
            housed(files) as context,
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{context.port}{ALERTS}", data=SENT) as answer,
        ):
            assert answer.status == 400
            assert "This port speaks https" in await answer.text()
    assert [x["event"] for x in logs] == ["plain http was spoken on the port of https"]


async def test_who_says_nothing_or_nonsense_holds_up_nobody(
    papers: Papers, files: TlsFiles
) -> None:
    with capture_logs() as logs:
        async with housed(files) as context:
            _, silent = await asyncio.open_connection("127.0.0.1", context.port)
            reader, odd = await asyncio.open_connection("127.0.0.1", context.port)
            odd.write(b"\x16\x03\x01\x00\x05hello")
            await reader.read()
            assert await context.asks(papers.client()) == 200
            silent.close()
            odd.close()
    (line,) = [x for x in logs if x["log_level"] == "warning"]
    assert line["event"] == "connections were closed that did not agree on TLS"
    assert line["reason"]


async def test_a_renewed_certificate_serves_the_next_connection(
    papers: Papers, files: TlsFiles
) -> None:
    async with housed(files) as context:
        before = context.certificate.papers
        shutil.copy(papers.folder / "renewed.crt", files.certificate)
        assert context.certificate.context() is before.context  # it was looked at just now
        clock: Any = context.certificate._clock
        clock.now += LOOK_EVERY
        with capture_logs() as logs:  # certificate and key are exchanged one after the other
            assert context.certificate.context() is before.context
        assert logs[0]["event"].startswith("the old certificate stays in force")
        assert await context.asks(papers.client()) == 200
        shutil.copy(papers.folder / "renewed.key", files.key)
        context.certificate.look()
        assert context.certificate.papers is not before
        assert await context.asks(papers.client()) == 200


def test_unchanged_files_are_not_read_again(files: TlsFiles) -> None:
    certificate = Certificate(files, Clock())
    before = certificate.papers
    certificate.look()
    assert certificate.papers is before
    os.utime(files.certificate, ns=(1, 1))
    certificate.look()
    assert certificate.papers is not before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("server.crt", None, "`tls.certificate`: cannot read .*server.crt: No such file"),
        ("server.key", None, "`tls.key`: cannot read .*server.key: No such file"),
        ("ca.crt", None, "`tls.client_ca`: cannot read .*ca.crt: No such file"),
        ("server.crt", "no PEM", "holds no PEM"),
        ("server.key", "no PEM", "holds no PEM"),
        ("ca.crt", "no PEM", "`tls.client_ca`: .*ca.crt holds no PEM"),
        ("server.key", "renewed.key", r"`tls.key` \(.*server.key\) is not the key of"),
        ("server.key", "locked", "locked by a passphrase"),
    ],
)
def test_what_is_broken_is_said_with_its_file(
    papers: Papers, files: TlsFiles, name: str, content: str | None, said: str
) -> None:
    path = files.certificate.parent / name
    if content is None:
        path.unlink()
    elif content == "locked":
        locked = ("-aes256", "-passout", "pass:x", "-in", "server.key", "-out", str(path))
        papers.openssl("pkey", *locked)
    elif (papers.folder / content).exists():
        shutil.copy(papers.folder / content, path)
    else:
        path.write_text(content)
    given = replace(files, client_ca=files.certificate.parent / "ca.crt")
    with pytest.raises(Permanent, match=said):
        read_papers(given)


def test_its_end_is_told_in_time(files: TlsFiles) -> None:
    papers = read_papers(files)
    day = f"{papers.ends_at:%Y-%m-%d}"
    assert papers.aging(papers.ends_at - timedelta(days=15)) == ""
    soon = papers.aging(papers.ends_at - timedelta(days=13))
    assert soon == f"the certificate of 127.0.0.1 expires on {day}"
    assert papers.aging(papers.ends_at).endswith(f"expired on {day}")
    clock = Clock()
    clock.now = papers.ends_at
    with capture_logs() as logs:
        Certificate(files, clock)
        certificate = Certificate(files, clock)
        for hours in (1, 23, 1):
            clock.now += timedelta(hours=hours)
            certificate.look()
    # At its reading, here twice, and then once a day.
    said = [("renew the certificate", "warning")]
    assert [(x["event"], x["log_level"]) for x in logs] == 3 * said


async def test_a_certificate_stands_for_the_token(papers: Papers, files: TlsFiles) -> None:
    files = replace(files, client_ca=papers.folder / "ca.crt")
    async with housed(files, "alertmanager") as context:
        assert await context.delivers(papers.client("alertmanager")) == 200
        assert await context.delivers(papers.client("stranger")) == 401
        assert await context.delivers(papers.client()) == 401
        assert await context.delivers(papers.client(), **HOOK) == 401  # there is no token
    async with housed(files, "alertmanager", token="hook-token") as context:
        assert await context.delivers(papers.client("alertmanager")) == 200
        assert await context.delivers(papers.client("stranger"), **HOOK) == 200
        assert await context.delivers(papers.client("stranger")) == 401
    async with housed(files, "127.0.0.1") as context:  # an alternative name
        assert await context.delivers(papers.client("stranger")) == 200


async def test_nobody_elses_authority_is_believed(papers: Papers, files: TlsFiles) -> None:
    files = replace(files, client_ca=papers.folder / "another.crt")
    async with housed(files, "alertmanager") as context:
        with pytest.raises(aiohttp.ClientError):
            await context.delivers(papers.client("alertmanager"))
        assert context.rig.inbox.waiting == {}


async def test_where_a_certificate_is_required_nothing_is_served_without(
    papers: Papers, files: TlsFiles
) -> None:
    files = replace(files, client_ca=papers.folder / "ca.crt", required=True)
    async with housed(files) as context:
        assert await context.asks(papers.client("stranger")) == 200
        with pytest.raises(aiohttp.ClientError):
            await context.asks(papers.client())


def test_names_are_those_of_the_subject_and_the_alternatives() -> None:
    peer = {
        "subject": ((("countryName", "DE"),), (("commonName", "am"), ("serialNumber", "7"))),
        "subjectAltName": (
            ("DNS", "am.example"),
            ("IP Address", "192.0.2.1"),
            ("URI", "spiffe://x"),
        ),
    }
    assert client_names(peer) == {"am", "am.example", "192.0.2.1", "spiffe://x"}
    assert not client_names({})
    assert not client_names(None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"certificate": "a"}, "go together"),
        ({"key": "a"}, "go together"),
        ({"client_certificates": "required"}, "set `certificate`"),
        ({"client_ca": "a"}, "set `certificate`"),
        ({"certificate": "a", "key": "b", "client_ca": "c"}, "goes with"),
        ({"certificate": "a", "key": "b", "client_certificates": "optional"}, "goes with"),
    ],
)
def test_settings_that_say_half_are_a_mistake(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TlsSettings.model_validate(given)


def test_certificates_of_clients_let_us_listen_everywhere() -> None:
    named = {"listen": "0.0.0.0:9393", "auth": {"webhook_certificates": ["alertmanager"]}}
    with pytest.raises(ValidationError, match=r"set `tls\.client_ca`"):
        Settings.model_validate(named)
    tls = {"certificate": "a", "key": "b", "client_ca": "c", "client_certificates": "optional"}
    settings = Settings.model_validate({**named, "tls": tls})
    files = settings.tls.files(Path("/etc"))
    assert files == TlsFiles(Path("/etc/a"), Path("/etc/b"), Path("/etc/c"), required=False)
    assert Settings().tls.files(Path()) is None


async def looked_at(files: TlsFiles) -> list[tuple[str, str]]:
    """What `stopgap doctor` says of them."""
    tls = {"certificate": files.certificate, "key": files.key}
    installation: Any = SimpleNamespace(settings=Settings.model_validate({"tls": tls}))
    return [(found.state, found.text) async for found in check_certificate(installation)]


async def test_doctor_looks_at_the_certificate(
    files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.key.chmod(0o600)
    ends_at = read_papers(files).ends_at
    day = f"{ends_at:%Y-%m-%d}"
    assert await looked_at(files) == [("ok", f"the certificate of 127.0.0.1 holds until {day}")]
    files.key.chmod(0o644)
    _, public = await looked_at(files)
    assert public == ("warning", f"anybody on this machine can read {files.key}")
    monkeypatch.setattr(app, "now", lambda: ends_at - timedelta(days=1))
    assert (await looked_at(files))[0][0] == "warning"
    monkeypatch.setattr(app, "now", lambda: ends_at)
    assert (await looked_at(files))[0][0] == "wrong"
    nothing: Any = SimpleNamespace(settings=Settings())
    assert [found async for found in check_certificate(nothing)] == []


async def test_doctor_asks_the_daemon_over_tls(papers: Papers, files: TlsFiles) -> None:
    async def said(context: House, given: TlsFiles) -> str:
        tls = {"certificate": given.certificate, "key": given.key}
        if given.client_ca is not None:
            tls |= {"client_ca": given.client_ca, "client_certificates": "required"}  # type: ignore[dict-item]
        chosen = {"listen": f"127.0.0.1:{context.port}", "tls": tls}
        async with aiohttp.ClientSession() as session:
            installation: Any = SimpleNamespace(
                settings=Settings.model_validate(chosen), session=session
            )
            return "".join([found.text async for found in check_address(installation)])

    async with housed(files) as context:
        assert "is ready" in await said(context, files)
    files = replace(files, client_ca=papers.folder / "ca.crt", required=True)
    async with housed(files) as context:
        assert "wants to see a certificate" in await said(context, files)
