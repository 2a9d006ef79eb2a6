"""A Prometheus behind TLS: the daemon, `doctor` and `init` believe and prove the same."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from pydantic import ValidationError

from daemon.adapters.tls import Trust, distrust, distrust_mend
from daemon.app import prometheus_for
from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.papers import Papers
from tests.contract.test_cli_init import Prometheus as AskedByInit
from tests.contract.test_cli_init import Runs
from tests.contract.test_cli_init import stopgap as stopgap  # a fixture

NOW = datetime(2026, 3, 1, 14, 3, 20, tzinfo=UTC)
ONE: dict[str, Any] = {"resultType": "vector", "result": [{"metric": {}, "value": [1, "1"]}]}


class Prometheus(AskedByInit):
    """Answers queries, too."""

    def routes(self) -> list[web.RouteDef]:
        return [
            *super().routes(),
            web.post("/api/v1/query", self._query),
            web.get("/api/v1/status/buildinfo", self._build),
            web.get("/api/v1/targets", self._build),
        ]

    async def _query(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": ONE})

    async def _build(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"version": "3.5.0"}})


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    made = Papers(tmp_path_factory.mktemp("papers"))
    made.authority("ca")
    made.authority("another")
    made.certified("server")
    made.certified("stopgap")
    return made


@pytest.fixture
async def double(papers: Papers) -> AsyncIterator[Prometheus]:
    """It serves nobody without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers.folder / "ca.crt")
    context.load_cert_chain(papers.folder / "server.crt", papers.folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    async with Prometheus().serving(tls=context) as serving:
        yield serving


GOOD = {"ca": "ca.crt", "certificate": "stopgap.crt", "key": "stopgap.key"}


def settings(double: Prometheus, papers: Papers, **tls: str) -> Settings:
    given = {"url": double.url, "timeout": "5s", "tls": tls}
    return Settings.model_validate({"prometheus": given, "base": papers.folder})


async def test_both_prove_who_they_are(double: Prometheus, papers: Papers) -> None:
    with closing(prometheus_for(settings(double, papers, **GOOD), {})) as prometheus:
        assert (await prometheus.instant("vector(1)", NOW)).series[0].samples == [(1.0, 1.0)]
        assert await prometheus.version() == "3.5.0"


@pytest.mark.parametrize(
    "given",
    [{}, {**GOOD, "ca": "another.crt"}, {"ca": "ca.crt"}],
    ids=["no", "other", "none shown"],
)
async def test_who_is_not_believed_is_told_with_the_setting(
    double: Prometheus, papers: Papers, given: dict[str, str]
) -> None:
    with closing(prometheus_for(settings(double, papers, **given), {})) as prometheus:
        with pytest.raises(Temporary) as caught:
            await prometheus.instant("vector(1)", NOW)
        assert "`prometheus.tls`" in str(caught.value)
        assert "TLS fails (" in str(caught.value) or given == {"ca": "ca.crt"}
        with pytest.raises(Temporary, match=r"`prometheus\.tls`"):
            await prometheus.version()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ca": "nowhere"}, r"`prometheus\.tls\.ca`: cannot read .*nowhere: No such file"),
        ({"ca": "ca.key"}, r"`prometheus\.tls\.ca`: .*ca\.key holds no PEM certificate"),
        ({"certificate": "ca.crt", "key": "server.key"}, "do not fit together"),
        ({"certificate": "ca.crt"}, "with the key in it"),
        ({"certificate": "stopgap.crt", "key": "locked"}, "locked by a passphrase"),
    ],
)
def test_files_that_cannot_be_used_are_told_at_the_start(
    papers: Papers, given: dict[str, str], said: str
) -> None:
    if not (papers.folder / "locked").exists():
        secret = ("-aes256", "-passout", "pass:x", "-in", "stopgap.key", "-out", "locked")
        papers.openssl("pkey", *secret)
    chosen = {"prometheus": {"tls": given}, "base": papers.folder}
    with pytest.raises(Permanent, match=said):
        prometheus_for(Settings.model_validate(chosen), {})
    with pytest.raises(ValidationError, match="`key` is the one of `certificate`"):
        Settings.model_validate({"prometheus": {"tls": {"key": "k"}}})


async def test_init_asks_likewise_and_doctor_by_what_it_has_written(
    tmp_path: Path, double: Prometheus, papers: Papers, stopgap: Runs
) -> None:
    asks = ("init", "--from-prometheus", double.url)
    refused = await asyncio.to_thread(stopgap, tmp_path, *asks)
    assert (refused.code, "TLS fails (" in refused.err) == (1, True)
    assert "--ca" in refused.err
    at = papers.folder
    alone = await asyncio.to_thread(stopgap, tmp_path, *asks, "--client-key", str(at / "x"))
    assert alone.code == 2
    ours = (
        "--client-certificate",
        str(at / "stopgap.crt"),
        "--client-key",
        str(at / "stopgap.key"),
    )
    made = await asyncio.to_thread(stopgap, tmp_path, *asks, "--ca", str(at / "ca.crt"), *ours)
    assert (made.code, made.err) == (0, "")
    written = yaml.safe_load((tmp_path / "stopgap.yaml").read_text())
    assert written["prometheus"]["tls"] == {name: str(at / file) for name, file in GOOD.items()}
    looked = await asyncio.to_thread(stopgap, tmp_path, "doctor", "--json")
    found = json.loads(looked.out)["findings"]
    assert any("answers, version 3.5.0" in one["text"] for one in found)
    assert any("1 of 2 scrape targets answer" in one["text"] for one in found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "(Caused by SSLError(SSLError(1, '[SSL: TLSV13_ALERT_X] tlsv13 alert x (_ssl.c:1)')))",
            "tlsv13 alert x",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed (_ssl.c:1)",
            "certificate verify failed: self-signed",
        ),
        ("Connection refused", ""),
    ],
)
def test_why_tls_failed_is_told_in_openssls_words(text: str, why: str) -> None:
    assert distrust(Exception(text)) == why


@pytest.mark.parametrize(
    ("why", "mend"),
    [
        ("certificate verify failed: certificate has expired", "let its certificate be renewed"),
        ("certificate verify failed: certificate is not yet valid", "this machine's clock"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid for 'a'.", "name"),
        ("certificate verify failed: IP address mismatch", "into the address"),
        ("certificate verify failed: unable to get local issuer certificate", "see `x.tls`"),
        ("sslv3 alert certificate expired", "see `x.tls`"),
    ],
)
def test_no_setting_of_ours_is_blamed_for_the_servers_certificate(why: str, mend: str) -> None:
    assert mend in distrust_mend(why, "see `x.tls`")


def test_no_file_at_all_is_this_machines_own_trust() -> None:
    assert Trust("x").context().verify_mode == ssl.CERT_REQUIRED
