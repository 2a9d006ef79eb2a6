"""A mail server as strict as a test wants it, and the mails that it took."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult


@dataclass(frozen=True)
class Mail:
    """One mail: who it was for on the envelope, and what it says."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage
    raw: bytes


@dataclass
class MailServer:
    """`refuses`: address → reply. `hangs`: at the end of a mail. `login`: the user and password
    that it wants. `starttls`, `tls`: with what it proves itself."""

    refuses: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    login: tuple[str, str] | None = None
    starttls: ssl.SSLContext | None = None
    tls: ssl.SSLContext | None = None
    mails: list[Mail] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        """Listen on a free port of loopback."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, self.host, 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            loop=asyncio.get_running_loop(),
            hostname="double.example",
            tls_context=self.starttls,
            require_starttls=self.starttls is not None,
            # aiosmtpd knows of TLS by STARTTLS alone, so without that it must only offer a login.
            auth_required=self.login is not None and self.starttls is not None,
            auth_require_tls=self.starttls is not None,
            authenticator=self._authenticate,
        )

    def _authenticate(self, _: Any, __: Any, ___: Any, ____: Any, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given[0])
        if given == self.login:
            return AuthResult(success=True)
        # A careless server: it repeats what it was sent.
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 {given[1]} is wrong")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _: Any, __: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take an addressee, or not."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        """Take the mail."""
        if self.hangs:
            await asyncio.sleep(3600)
        raw = envelope.content
        message = message_from_bytes(raw, policy=policy.default)
        self.mails.append(Mail(envelope.mail_from, tuple(envelope.rcpt_tos), message, raw))
        return "250 2.0.0 queued as 4fXyZ"
