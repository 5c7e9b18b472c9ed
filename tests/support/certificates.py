"""Certificates for tests, made by openssl: an authority, a server on loopback, a client, and a client of somebody else's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


@dataclass
class Certificates:
    """``folder`` has ca.pem, server.pem and -key.pem; each client has a folder of its own, laid out for DOCKER_CERT_PATH."""

    folder: Path

    @property
    def flags(self) -> tuple[str, ...]:
        return (
            *("--tlscacert", f"{self.folder}/ca.pem", "--tlscert", f"{self.folder}/server.pem"),
            *("--tlskey", f"{self.folder}/server-key.pem"),
        )

    def authority(self, name: str = "ca") -> None:
        self._key(name)
        key, out = f"{self.folder}/{name}-key.pem", f"{self.folder}/{name}.pem"
        _openssl(
            "req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", "2", "-out", out
        )

    def _key(self, name: str) -> None:
        _openssl(
            *("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-out", f"{self.folder}/{name}-key.pem"),
        )

    def _sign(self, name: str, common: str, extension: str, authority: str) -> None:
        self._key(name)
        base = f"{self.folder}/{name}"
        Path(f"{base}.ext").write_text(extension)
        _openssl(
            "req",
            "-new",
            "-key",
            f"{base}-key.pem",
            "-subj",
            f"/CN={common}",
            "-out",
            f"{base}.csr",
        )
        _openssl(
            *("x509", "-req", "-in", f"{base}.csr", "-CA", f"{self.folder}/{authority}.pem"),
            *("-CAkey", f"{self.folder}/{authority}-key.pem", "-CAcreateserial", "-days", "2"),
            *("-extfile", f"{base}.ext", "-out", f"{base}.pem"),
        )

    def server(self) -> None:
        self._sign(
            "server",
            "server",
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n",
            "ca",
        )

    def client(self, common: str, authority: str = "ca") -> Path:
        """A folder with the client's ca.pem, cert.pem and key.pem."""
        name = f"client-{common}-{authority}"
        self._sign(name, common, "extendedKeyUsage=clientAuth\n", authority)
        folder = self.folder / name
        folder.mkdir()
        (folder / "ca.pem").write_bytes((self.folder / "ca.pem").read_bytes())
        (folder / "cert.pem").write_bytes((self.folder / f"{name}.pem").read_bytes())
        (folder / "key.pem").write_bytes((self.folder / f"{name}-key.pem").read_bytes())
        return folder


def make(folder: Path) -> Certificates:
    """An authority and its server."""
    found = Certificates(folder)
    found.authority()
    found.server()
    return found
