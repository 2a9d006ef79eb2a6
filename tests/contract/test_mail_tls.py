"""Mail over TLS: the login goes to a server that can prove who it is, and to no other."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from daemon.adapters.mail import PostOffice
from daemon.core.values.outcome import Permanent, Temporary
from tests.doubles.mail import MailServer

PASSWORD = "p4ssw0rd-itself"
LOGIN = ("stopgap", PASSWORD)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, signed by itself, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    asked = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    about = ["-subj", "/CN=double", "-addext", "subjectAltName=IP:127.0.0.1"]
    to = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*asked, *about, *to], cwd=path.parent, check=True, capture_output=True)
    path.write_text((path.parent / "key.pem").read_text() + (path.parent / "cert.pem").read_text())
    return path


@pytest.fixture
def secured(certificate: Path) -> ssl.SSLContext:
    """What the server proves itself with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def server(way: str, secured: ssl.SSLContext) -> MailServer:
    """A mail server that wants a login."""
    if way == "tls":
        return MailServer(login=LOGIN, tls=secured)
    return MailServer(login=LOGIN, starttls=secured)


def office(double: MailServer, way: str, password: str = PASSWORD) -> PostOffice:
    """Stopgap's side."""
    return PostOffice(
        double.host,
        double.port,
        "stopgap@example.org",
        "stopgap",
        password,
        starttls=way == "starttls",
        tls=way == "tls",
        timeout=60,
    )


@pytest.mark.parametrize("way", ["starttls", "tls"])
@pytest.mark.usefixtures("trusted")
async def test_the_login_and_the_mail_go_over_tls(way: str, secured: ssl.SSLContext) -> None:
    async with server(way, secured).serving() as double:
        proof = await office(double, way).send(["ada@example.org"], "shop", "is down", "1124")
        assert proof == "taken by 127.0.0.1"
        assert double.logins == ["stopgap"]
        (mail,) = double.mails
        assert (mail.sender, mail.to) == ("stopgap@example.org", ("ada@example.org",))
        assert mail.message.get_content().strip() == "is down"


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_a_server_that_cannot_prove_itself_gets_no_login(
    way: str, secured: ssl.SSLContext
) -> None:
    async with server(way, secured).serving() as double:
        with pytest.raises(Temporary, match="SSLCertVerificationError") as caught:
            await office(double, way).send(["ada@example.org"], "shop", "is down", "1124")
        assert PASSWORD not in str(caught.value)
        assert (double.logins, double.mails) == ([], [])


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_is_not_repeated_even_if_the_server_does(
    secured: ssl.SSLContext,
) -> None:
    async with server("starttls", secured).serving() as double:
        wrong = office(double, "starttls", "wr0ng-one")
        with pytest.raises(Permanent) as caught:
            await wrong.send(["ada@example.org"], "shop", "is down", "1124")
        assert double.logins[0] == "stopgap"
        assert str(caught.value) == (
            "the mail server 127.0.0.1 answered 535: it does not take the login"
        )


@pytest.mark.usefixtures("trusted")
async def test_a_password_that_no_login_can_hold_is_not_repeated(secured: ssl.SSLContext) -> None:
    async with server("tls", secured).serving() as double:
        strange = office(double, "tls", "pässw0rd")
        with pytest.raises(Permanent) as caught:
            await strange.send(["ada@example.org"], "shop", "is down", "1124")
        assert "pässw0rd" not in str(caught.value)
        assert double.mails == []
