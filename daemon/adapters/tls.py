"""How we and a server prove to each other who we are, as a client."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from daemon.core.values.outcome import Permanent

_REASON = re.compile(r"\[SSL(?:: ([A-Z0-9_]+))?\]\s*([^(]*)")


@dataclass(frozen=True)
class Trust:
    """PEM files. `ca`: whom to believe instead of this machine's authorities. `certificate` and
    `key` are ours; without `key` it is in the same file. `setting`: where they are named."""

    setting: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """What to connect with. Raises Permanent naming the file that cannot be used."""
        for name, path in (("ca", self.ca), ("certificate", self.certificate), ("key", self.key)):
            if path is not None:
                self._readable(name, path)
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError:
            raise Permanent(f"`{self.setting}.ca`: {self.ca} holds no PEM certificate") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key, password=self._no_passphrase)
            except ssl.SSLError:
                given = f"{self.certificate}, {self.key or 'with the key in it'}"
                raise Permanent(
                    f"`{self.setting}.certificate` and `key` are no PEM, or do not fit together: "
                    f"{given}"
                ) from None
        return context

    def _readable(self, name: str, path: Path) -> None:
        try:
            path.read_bytes()
        except OSError as error:
            text = f"`{self.setting}.{name}`: cannot read {path}: {error.strerror}"
            raise Permanent(text) from None

    def _no_passphrase(self) -> bytes:
        raise Permanent(f"`{self.setting}.key` is locked by a passphrase; write it without")


def distrust(error: object) -> str:
    """Why TLS was not agreed, in OpenSSL's words; empty if it is not that."""
    found = _REASON.search(str(error))
    return "" if found is None else " ".join((found[2] or found[1] or "TLS").split()).rstrip(":")


def distrust_mend(why: str, otherwise: str) -> str:
    """What helps where TLS was not agreed, by OpenSSL's words; `otherwise`: where our own side of
    it is set. What is wrong with the server's certificate is mended at the server."""
    if "alert" in why:  # of the server, so it speaks of ours
        return otherwise
    if "expired" in why or "not yet valid" in why:
        return "let its certificate be renewed there, and see that this machine's clock is right"
    if "mismatch" in why:
        return "write the name that its certificate has into the address"
    return otherwise
