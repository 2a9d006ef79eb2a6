"""Certificates for tests: an authority, and what it has signed. Made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Papers:
    """A folder with `ca.crt`, and `NAME.crt` and `NAME.key` of whoever was `certified`."""

    folder: Path

    def openssl(self, *arguments: str) -> None:
        """Run it in the folder."""
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def authority(self, name: str = "ca") -> Path:
        """Who signs."""
        made = ("-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")
        uses = ("-addext", "keyUsage=critical,keyCertSign", "-days", "2")
        self.openssl("req", "-x509", *_NEW, *made, *uses)
        return self.folder / f"{name}.crt"

    def certified(self, name: str, alternative: str = "IP:127.0.0.1", days: int = 30) -> Path:
        """A certificate for that common name, signed by `ca`."""
        (self.folder / "ext").write_text(f"subjectAltName={alternative}")
        self.openssl("req", *_NEW, "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
        self.openssl(
            "x509", "-req", "-in", "csr", *signer, "-days", str(days), "-out", f"{name}.crt"
        )
        return self.folder / f"{name}.crt"

    def client(self, name: str = "", authority: str = "ca") -> ssl.SSLContext:
        """A client that believes that authority, and perhaps shows a certificate."""
        context = ssl.create_default_context(cafile=self.folder / f"{authority}.crt")
        if name:
            context.load_cert_chain(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        return context
