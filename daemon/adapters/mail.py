"""Mail by SMTP: plain text, one thread for each incident."""

from __future__ import annotations

import asyncio
import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from daemon.adapters.http import WORDS, shortened
from daemon.adapters.outgoing.resolving import connected
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import NOTHING_ALLOWED, OutgoingPolicy
from daemon.core.values.units import printable

SUBJECT = 200

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")

Refusals = dict[str, tuple[int, bytes]]
"""Address → code and words of the server."""


class PostOffice:
    """One mail server. `timeout` in seconds; `starttls` and `tls` check its certificate. It is
    where `outgoing` lets it be, or on this machine if the settings say so literally."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        username: str | None,
        password: str | None,
        *,
        starttls: bool,
        tls: bool,
        timeout: float,
        outgoing: OutgoingPolicy = NOTHING_ALLOWED,
    ) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._username = username
        self._password = password
        self._starttls = starttls
        self._tls = tls
        self._timeout = timeout
        self._outgoing = outgoing.at("smtp").trusting_host(host, port)

    async def send(self, to: Sequence[str], subject: str, text: str, incident: str) -> str:
        """One mail; several addressees do not see each other. Returns the proof, which names
        the addresses that the server refused if it took the mail for others.

        Temporary: 4xx, the network, no answer in time. Permanent: 5xx, what the server cannot
        do. Both name the server and nothing secret.
        """
        try:
            message = self._message(to, subject, text, incident)
            async with asyncio.timeout(self._timeout):
                refused = await asyncio.to_thread(self._deliver, message, list(to))
        except smtplib.SMTPRecipientsRefused as error:
            raise self._nobody(error.recipients) from None
        except smtplib.SMTPAuthenticationError as error:
            # Its words are not repeated: a server may answer with what it was sent.
            raise self._failure(error.smtp_code, "it does not take the login") from None
        except smtplib.SMTPResponseException as error:
            raise self._failure(error.smtp_code, _reply_text(error.smtp_error)) from None
        except smtplib.SMTPServerDisconnected:
            raise Temporary(f"the mail server {self._host} hung up") from None
        except smtplib.SMTPException:  # it knows no STARTTLS, no login, or none of ours
            raise Permanent(
                f"the mail server {self._host} cannot do what is asked of it; "
                "see smtp.security and smtp.username"
            ) from None
        except OSError as error:
            why = type(error).__name__
            raise Temporary(f"the mail server {self._host} cannot be reached ({why})") from None
        except ValueError:
            raise Permanent(
                f"the mail cannot be written to {self._host}: an address or the login in it "
                "has characters that do not belong there"
            ) from None
        return f"taken by {self._host}" + (_besides(refused, len(to)) if refused else "")

    def _message(self, to: Sequence[str], subject: str, text: str, incident: str) -> EmailMessage:
        domain = self._sender.rpartition("@")[2]
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = to[0] if len(to) == 1 else self._sender
        # No control character is left, a line break least of all: it would begin a new header.
        message["Subject"] = shortened(" ".join(printable(subject).split()), SUBJECT)
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=domain)
        if incident:
            thread = f"<{_NOT_IN_ID.sub('-', incident)}@{domain}>"
            message["References"] = thread
            message["In-Reply-To"] = thread
        message["Auto-Submitted"] = "auto-generated"
        # Any server takes this encoding, and a line of any length.
        sendable = text.encode("utf-8", "replace").decode()
        message.set_content(sendable, cte="quoted-printable")
        return message

    def _deliver(self, message: EmailMessage, to: list[str]) -> Refusals:
        server = self._secure() if self._tls else self._plain()
        try:
            if self._starttls:
                server.starttls(context=ssl.create_default_context())
            if self._username is not None:
                server.login(self._username, self._password or "")
            refused = server.send_message(message, self._sender, to)
            # It has the mail. How it says good-bye changes nothing about that.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            return refused
        finally:
            server.close()

    def _plain(self) -> smtplib.SMTP:
        return _PinnedSMTP(self._outgoing, self._host, self._port, self._timeout)

    def _secure(self) -> smtplib.SMTP:
        return _PinnedSMTPS(self._outgoing, self._host, self._port, self._timeout)

    def _nobody(self, refusals: Refusals) -> Temporary | Permanent:
        """Every address was refused; if one may be taken later, the mail is worth another try."""
        code, reply = min(refusals.values())
        return self._failure(code, _reply_text(reply))

    def _failure(self, code: int, reply: str) -> Temporary | Permanent:
        text = f"the mail server {self._host} answered {code}" + (f": {reply}" if reply else "")
        return Permanent(text) if code >= 500 else Temporary(text)


class _PinnedSMTP(smtplib.SMTP):
    """Connects to an address that was checked."""

    def __init__(self, outgoing: OutgoingPolicy, host: str, port: int, timeout: float) -> None:
        self._outgoing = outgoing
        super().__init__(host, port, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connected(self._outgoing, host, port, timeout)


class _PinnedSMTPS(smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""

    def __init__(self, outgoing: OutgoingPolicy, host: str, port: int, timeout: float) -> None:
        self._outgoing, self._tls = outgoing, ssl.create_default_context()
        super().__init__(host, port, timeout=timeout, context=self._tls)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        opened = connected(self._outgoing, host, port, timeout)
        return self._tls.wrap_socket(opened, server_hostname=host)


def _reply_text(reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return shortened(" ".join(printable(text).split()), WORDS)


def _besides(refused: Refusals, addressed: int) -> str:
    listed = ", ".join(f"{address} ({code})" for address, (code, _) in refused.items())
    return f" for {addressed - len(refused)} of {addressed}; refused: {shortened(listed, WORDS)}"
