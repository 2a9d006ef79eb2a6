"""Mail against a real SMTP server in the same loop: what arrives, and what a refusal means."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from daemon.adapters.channels.mail import MailChannel
from daemon.adapters.mail import PostOffice
from daemon.adapters.pagers.mail import MailPager
from daemon.core.ports.notification import Message, Page, Reminds
from daemon.core.values.outcome import Permanent, Temporary
from tests.contract.calls import reminder

USER, PASSWORD = "stopgap", "h0rse-battery"
INCIDENT = "1124-0200-abcd"
SENDER = "stopgap@example.org"
TO = ("ada@example.org", "bo@example.org", "cy@example.org")


class Office:
    """A mail server that keeps what it takes. `says` is what it answers to a command instead of
    taking it; `refuses` are addresses that it does not know."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.says: dict[str, str] = {}
        self.refuses: dict[str, str] = {}
        self.port = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.says.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return self.says.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.says:
            return self.says["DATA"]
        self.taken.append(envelope)
        return "250 taken"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        return self.says.get("QUIT", "221 Bye")

    def mail(self, number: int = -1) -> EmailMessage:
        """What was delivered."""
        content = self.taken[number].content
        assert isinstance(content, bytes)
        found = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        return found


def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    """Knows one login."""
    right = isinstance(data, LoginPassword) and data == LoginPassword(
        USER.encode(), PASSWORD.encode()
    )
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def listening(**options: Any) -> AsyncIterator[Office]:
    """An office on a free port of loopback."""
    office, loop = Office(), asyncio.get_running_loop()

    def made() -> SMTP:
        with warnings.catch_warnings():
            # aiosmtpd warns of logins without TLS; this one leaves no machine.
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            return SMTP(office, hostname="double", loop=loop, **options)

    server = await loop.create_server(made, "127.0.0.1", 0)
    try:
        office.port = server.sockets[0].getsockname()[1]
        yield office
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with listening() as found:
        yield found


def post_office(port: int, **more: Any) -> PostOffice:
    given = {"username": None, "password": None, "starttls": False, "tls": False, "timeout": 5}
    return PostOffice("127.0.0.1", port, SENDER, **{**given, **more})


async def refused(subject: PostOffice, kind: type[Exception], said: str, *to: str) -> str:
    """It fails in that way; returns the words, in which no password is."""
    with pytest.raises(kind, match=said) as caught:
        await subject.send(to or TO[:1], "subject", "text", INCIDENT)
    words = str(caught.value)
    assert PASSWORD not in words
    assert caught.value.__cause__ is None
    return words


class TestDelivery:
    async def test_one_mail_to_one_person(self, office: Office) -> None:
        proof = await post_office(office.port).send(TO[:1], "the shop", "it fails\nnow", INCIDENT)
        assert proof == "taken by 127.0.0.1"
        (envelope,) = office.taken
        assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [TO[0]])
        mail = office.mail()
        assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, TO[0], "the shop")
        assert mail.get_content().splitlines() == ["it fails", "now"]
        assert mail["Auto-Submitted"] == "auto-generated", "so that no holiday note comes back"
        age = datetime.now(UTC).replace(tzinfo=None) - mail["Date"].datetime
        assert abs(age) < timedelta(minutes=5)

    async def test_several_do_not_see_each_other(self, office: Office) -> None:
        await post_office(office.port).send(TO, "the shop", "it fails", INCIDENT)
        (envelope,) = office.taken
        assert sorted(envelope.rcpt_tos) == sorted(TO)
        assert isinstance(envelope.content, bytes)
        assert not [address for address in TO if address.encode() in envelope.content]
        assert office.mail()["To"] == SENDER

    async def test_one_incident_is_one_thread_of_different_mails(self, office: Office) -> None:
        subject = post_office(office.port)
        for incident in (INCIDENT, INCIDENT, "1124-0300-efgh"):
            await subject.send(TO[:1], "the shop", "it fails", incident)
        first, second, other = (office.mail(number) for number in range(3))
        assert first["References"] == first["In-Reply-To"] == second["References"]
        assert other["References"] != first["References"]
        assert len({mail["Message-ID"] for mail in (first, second, other)}) == 3
        assert INCIDENT in first["References"]

    async def test_text_in_any_writing_and_lines_of_any_length(self, office: Office) -> None:
        text = "Prüfung → 99,1 % 🔥\n" + "x" * 3000 + "\n.\n.hidden"
        await post_office(office.port).send(TO[:1], "Prüfung → 🔥", text, INCIDENT)
        mail, raw = office.mail(), office.taken[0].content
        assert mail["Subject"] == "Prüfung → 🔥"
        assert mail.get_content().splitlines() == text.splitlines()
        assert isinstance(raw, bytes)
        assert max(len(line) for line in raw.split(b"\r\n")) <= 998

    @pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x0b", "\u2028", "\x85"])
    async def test_a_title_makes_no_header(self, office: Office, break_: str) -> None:
        title = f"shop{break_}Bcc: eve@example.org{break_}{break_}body"
        await post_office(office.port).send(TO[:1], title, "it fails", INCIDENT)
        mail = office.mail()
        assert office.taken[0].rcpt_tos == [TO[0]]
        assert (mail["Bcc"], mail["Subject"]) == (None, "shop Bcc: eve@example.org body")
        assert mail.get_content().strip() == "it fails"

    async def test_a_long_title_is_cut(self, office: Office) -> None:
        await post_office(office.port).send(TO[:1], "shop " * 100, "it fails", INCIDENT)
        assert 100 < len(office.mail()["Subject"]) <= 200


class TestRefusals:
    @pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            ("451 try later", Temporary),
            ("452 full", Temporary),
            ("550 no", Permanent),
            ("554 spam", Permanent),
        ],
    )
    async def test_4xx_may_pass_and_5xx_does_not(
        self, office: Office, command: str, answer: str, kind: type[Exception]
    ) -> None:
        office.says[command] = answer
        await refused(post_office(office.port), kind, answer[:3])
        assert office.taken == []

    async def test_the_only_addressee_is_unknown(self, office: Office) -> None:
        office.refuses[TO[0]] = "550 no such mailbox"
        words = await refused(post_office(office.port), Permanent, "127.0.0.1 answered 550")
        assert "no such mailbox" in words

    async def test_one_of_several_is_unknown_and_the_others_have_it(self, office: Office) -> None:
        office.refuses[TO[1]] = "550 no such mailbox"
        proof = await post_office(office.port).send(TO, "the shop", "it fails", INCIDENT)
        assert sorted(office.taken[0].rcpt_tos) == [TO[0], TO[2]]
        assert "2 of 3" in proof
        assert TO[1] in proof

    async def test_when_all_are_refused_one_that_may_be_taken_later_counts(
        self, office: Office
    ) -> None:
        office.refuses = {TO[0]: "550 no", TO[1]: "451 greylisted", TO[2]: "550 no"}
        await refused(post_office(office.port), Temporary, "451", *TO)

    @pytest.mark.parametrize("goodbye", ["421 closing", "500 what?"])
    async def test_what_was_taken_is_taken_however_it_says_goodbye(
        self, office: Office, goodbye: str
    ) -> None:
        office.says["QUIT"] = goodbye
        assert await post_office(office.port).send(TO[:1], "a", "b", INCIDENT)
        assert len(office.taken) == 1

    async def test_it_offers_no_starttls_and_no_login(self, office: Office) -> None:
        await refused(post_office(office.port, starttls=True), Permanent, "127.0.0.1")
        login = {"username": USER, "password": PASSWORD}
        words = await refused(post_office(office.port, **login), Permanent, "127.0.0.1")
        assert USER not in words
        assert office.taken == [], "and nothing goes out without it"


class TestLogin:
    @pytest.mark.parametrize(
        ("login", "kind", "said"),
        [
            ({}, Permanent, "530"),
            ({"username": USER, "password": f"{PASSWORD}-wrong"}, Permanent, "535"),
            ({"username": USER, "password": "pässword"}, Permanent, "characters"),
        ],
    )
    async def test_required_and_not_given_or_wrong(
        self, login: dict[str, Any], kind: type[Exception], said: str
    ) -> None:
        options = {"auth_required": True, "auth_require_tls": False}
        async with listening(authenticator=authenticator, **options) as office:
            words = await refused(post_office(office.port, **login), kind, said)
            assert login.get("password", "none of it") not in words
            assert office.taken == []

    async def test_with_the_right_one_it_is_taken(self) -> None:
        options = {"auth_required": True, "auth_require_tls": False}
        async with listening(authenticator=authenticator, **options) as office:
            subject = post_office(office.port, username=USER, password=PASSWORD)
            assert await subject.send(TO[:1], "a", "b", INCIDENT) == "taken by 127.0.0.1"


class TestTheNetwork:
    @pytest.mark.parametrize("tls", [False, True])
    async def test_nobody_listens(self, unused_tcp_port: int, tls: bool) -> None:
        await refused(post_office(unused_tcp_port, tls=tls), Temporary, "cannot be reached")

    async def test_it_does_not_speak_tls(self, office: Office) -> None:
        await refused(post_office(office.port, tls=True), Temporary, "127.0.0.1")

    @pytest.mark.parametrize("greeting", [b"", b"220 double\r\n", b"220-half a li"])
    async def test_it_hangs(self, greeting: bytes) -> None:
        """Within the timeout, or the page's next way would come too late."""
        hung = asyncio.Event()

        async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await hung.wait()
            writer.close()

        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await refused(post_office(port, timeout=0.2), Temporary, "127.0.0.1")
            assert loop.time() - began < 1
        finally:
            hung.set()
            server.close()
            await server.wait_closed()


async def test_a_page_and_an_update_are_in_the_same_thread(office: Office) -> None:
    subject, at, link = post_office(office.port), datetime(2026, 11, 24, tzinfo=UTC), "http://d/x"
    page = Page(INCIDENT, "p1", "ada", "shop", "it fails", "sev2", link, at, INCIDENT, "http://a/x")
    await MailPager(subject, TO[0]).page(page)
    words = ("team", "shop: it fails", "shop: it fails", "sev2", "restoring", link)
    await MailChannel(subject, TO).post(Message(INCIDENT, "team.1", 1, *words, at))
    paged, update = office.mail(0), office.mail(1)
    assert paged["References"] == update["References"]
    assert (paged["Subject"], update["Subject"]) == ("[sev2] shop", "[sev2] shop: it fails")
    assert re.search(r"Answer:\s+http://a/x\s", paged.get_content())
    assert paged.get_content().rstrip().endswith("http://d/x")


async def test_a_reminder_is_a_mail_without_severity(office: Office) -> None:
    pager = MailPager(post_office(office.port), TO[0])
    assert isinstance(pager, Reminds)
    await pager.remind(reminder())
    mail = office.mail()
    assert mail["Subject"] == "Follow-up due today: test it"
    assert mail.get_content().splitlines() == ["It is due.", "", "Everything:", "http://stopgap/i"]


async def test_what_is_about_no_incident_is_in_no_thread(office: Office) -> None:
    word = replace(reminder(), incident="")
    await MailPager(post_office(office.port), TO[0]).remind(word)
    assert (office.mail(0)["References"], office.mail(0)["In-Reply-To"]) == (None, None)
