"""Of stopgap.yaml: `connections`, `tls`, and how servers that we ask prove who they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from daemon.core.values.units import Duration, Frozen, parse_duration

_SECOND = timedelta(seconds=1)


class ConnectionSettings(Frozen):
    """Bounds of what is connected to us. Beyond them whoever waits longest makes room.

    `max` at once, `per_address` of one address but for trusted proxies. `header`: until the head
    of a request is here, TLS included; `body`: until the rest is; `idle`: between two requests.
    """

    max: int = Field(default=1000, ge=10)
    per_address: int = Field(default=200, ge=1)
    header: Duration = Field(default=parse_duration("10s"), ge=_SECOND)
    body: Duration = Field(default=parse_duration("30s"), ge=_SECOND)
    idle: Duration = Field(default=parse_duration("75s"), ge=_SECOND)


@dataclass(frozen=True)
class TlsFiles:
    """What we prove ourselves with, and whose certificates of clients are believed.

    `required`: a client without one is not served.
    """

    certificate: Path
    key: Path
    client_ca: Path | None
    required: bool


class TlsSettings(Frozen):
    """What we prove ourselves with: PEM files. Without them the port speaks plain HTTP.

    `client_ca`: who signs the certificates of clients, which are asked for or not.
    """

    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    client_certificates: Literal["none", "optional", "required"] = "none"

    @model_validator(mode="after")
    def _whole(self) -> TlsSettings:
        if self.certificate is None and self.key is None:
            if self.client_ca is not None or self.client_certificates != "none":
                raise ValueError("clients are asked for certificates over TLS: set `certificate`")
        elif self.certificate is None or self.key is None:
            raise ValueError("`certificate` and `key` go together: set both, or neither")
        if (self.client_ca is None) != (self.client_certificates == "none"):
            raise ValueError(
                "`client_ca` goes with `client_certificates: optional` or `required`: it says "
                "whose certificates are believed"
            )
        return self

    @property
    def on(self) -> bool:
        """Whether the port speaks https."""
        return self.certificate is not None

    def files(self, base: Path) -> TlsFiles | None:
        """The files; relative paths start at `base`. None without TLS."""
        if self.certificate is None or self.key is None:
            return None
        client_ca = None if self.client_ca is None else base / self.client_ca
        required = self.client_certificates == "required"
        return TlsFiles(base / self.certificate, base / self.key, client_ca, required)


class TrustSettings(Frozen):
    """How a server proves itself to us, and we to it: PEM files.

    `ca`: who signs its certificate, instead of the authorities that this machine knows.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> TrustSettings:
        if self.key is not None and self.certificate is None:
            raise ValueError("`key` is the one of `certificate`, which is not set")
        return self
