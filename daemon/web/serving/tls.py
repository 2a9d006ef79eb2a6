"""The certificate by which this daemon proves itself.

The files are looked at while connections come, so that a renewed certificate serves the next one
without a restart. Files that do not fit together change nothing, and the log says so.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from daemon.config.serving import TlsFiles
from daemon.core.values.outcome import Permanent

_log = structlog.get_logger()

LOOK_EVERY = timedelta(seconds=10)
REMIND_EVERY = timedelta(days=1)
SOON = timedelta(days=14)
"""So long before its end a certificate should have been renewed."""


@dataclass(frozen=True)
class Papers:
    """What was read: how to serve, whose certificate it is, and until when it holds."""

    context: ssl.SSLContext
    names: Sequence[str]
    ends_at: datetime

    def aging(self, now: datetime) -> str:
        """Why somebody should renew it; empty if nobody needs to yet."""
        day = f"{self.ends_at:%Y-%m-%d}"
        if now >= self.ends_at:
            return f"the certificate of {', '.join(self.names)} expired on {day}"
        if now >= self.ends_at - SOON:
            return f"the certificate of {', '.join(self.names)} expires on {day}"
        return ""


def read_papers(files: TlsFiles) -> Papers:
    """Read certificate, key and authority. Raises Permanent naming the file."""
    certificate, key = files.certificate, files.key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    leaf = _leaf(certificate)
    _must_be_a_key(key)
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError:
        text = f"`tls.key` ({key}) is not the key of `tls.certificate` ({certificate})"
        raise Permanent(f"{text}; give both of the same renewal") from None
    if files.client_ca is not None:
        _trust(context, files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if files.required else ssl.CERT_OPTIONAL
    return Papers(context, _names_in(leaf), leaf.not_valid_after_utc)


class Certificate:
    """The papers in force. `clock` tells the time."""

    def __init__(self, files: TlsFiles, clock: Callable[[], datetime]) -> None:
        self._files = files
        self._clock = clock
        self._looked_at = self._reminded_at = clock()
        self._stamps = self._stamp()
        self.papers = read_papers(files)
        self._say_age()

    def context(self) -> ssl.SSLContext:
        """What the next connection is agreed with."""
        if self._clock() - self._looked_at >= LOOK_EVERY:
            self.look()
        return self.papers.context

    def look(self) -> None:
        """Read the files again if they are others; what is broken changes nothing."""
        self._looked_at = self._clock()
        stamps = self._stamp()
        if stamps == self._stamps:
            if self._looked_at - self._reminded_at >= REMIND_EVERY:
                self._say_age()
            return
        self._stamps = stamps
        try:
            self.papers = read_papers(self._files)
        except Permanent as error:
            _log.error(
                "the old certificate stays in force: the new one is broken", error=str(error)
            )
            return
        _log.info("certificate read again", ends_at=self.papers.ends_at.isoformat())
        self._say_age()

    def _say_age(self) -> None:
        self._reminded_at = self._clock()
        aging = self.papers.aging(self._clock())
        if aging:
            _log.warning("renew the certificate", error=aging)

    def _stamp(self) -> Mapping[Path, Any]:
        """What tells whether a file is another one; it may be a link to a folder of others."""
        given = (self._files.certificate, self._files.key, self._files.client_ca)
        return {path: _state_of(path) for path in given if path is not None}


def _leaf(path: Path) -> x509.Certificate:
    text = _bytes("tls.certificate", path)
    try:
        return x509.load_pem_x509_certificates(text)[0]
    except ValueError:
        raise Permanent(f"`tls.certificate`: {path} holds no PEM certificate") from None


def _must_be_a_key(path: Path) -> None:
    text = _bytes("tls.key", path)
    try:
        load_pem_private_key(text, password=None)
    except TypeError:
        mend = f"write it without: openssl pkey -in {path} -out …"
        raise Permanent(f"`tls.key`: {path} is locked by a passphrase; {mend}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Permanent(f"`tls.key`: {path} holds no PEM private key") from None


def _names_in(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(name.value) for name in found]
    except x509.ExtensionNotFound:
        names = []
    return names or [leaf.subject.rfc4514_string()]


def _trust(context: ssl.SSLContext, path: Path) -> None:
    _bytes("tls.client_ca", path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise Permanent(f"`tls.client_ca`: {path} holds no PEM certificate") from None


def _bytes(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Permanent(f"`{setting}`: cannot read {path}: {error.strerror}") from None


def _state_of(path: Path) -> Any:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
