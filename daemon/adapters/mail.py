"""Mail by SMTP: plain text, one thread for each incident."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from daemon.core.outcome import Permanent, Temporary

SUBJECT = 200


class PostOffice:
    """One mail server. `timeout` in seconds; `starttls` and `tls` check its certificate."""

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
    ) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._username = username
        self._password = password
        self._starttls = starttls
        self._tls = tls
        self._timeout = timeout

    async def send(self, to: Sequence[str], subject: str, text: str, incident: str) -> str:
        """One mail; several addressees do not see each other. Raises Temporary or Permanent,
        which name the server and nothing secret."""
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = to[0] if len(to) == 1 else self._sender
        message["Subject"] = " ".join(subject.split())[:SUBJECT]
        message["Date"] = formatdate(localtime=False)
        domain = self._sender.rpartition("@")[2]
        message["Message-ID"] = make_msgid(domain=domain)
        message["References"] = f"<{incident}@{domain}>"
        message["In-Reply-To"] = f"<{incident}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        try:
            refused = await asyncio.to_thread(self._deliver, message, list(to))
        except smtplib.SMTPRecipientsRefused as error:
            code, _ = next(iter(error.recipients.values()))
            raise self._failure(code) from None
        except smtplib.SMTPResponseException as error:
            raise self._failure(error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            why = type(error).__name__
            raise Temporary(f"the mail server {self._host} cannot be reached ({why})") from None
        if refused:
            raise Permanent(f"the mail server {self._host} refused {len(refused)} addresses")
        return f"taken by {self._host}"

    def _deliver(self, message: EmailMessage, to: list[str]) -> dict[str, tuple[int, bytes]]:
        connect = self._secure if self._tls else self._plain
        with connect() as server:
            if self._starttls:
                server.starttls(context=ssl.create_default_context())
            if self._username is not None:
                server.login(self._username, self._password or "")
            return server.send_message(message, self._sender, to)

    def _plain(self) -> smtplib.SMTP:
        return smtplib.SMTP(self._host, self._port, timeout=self._timeout)

    def _secure(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout, context=context)

    def _failure(self, code: int) -> Temporary | Permanent:
        text = f"the mail server {self._host} answered {code}"
        return Temporary(text) if 400 <= code < 500 else Permanent(text)
