"""Debian's nginx in front of a server of a test, with the very lines that docs/sharing.md gives to a reader."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.browser.server import ROOT
from tests.waiting import wait_for

NAME = "lab.example.org"
"""The host of the documentation."""

PASSWORD = "of-the-proxy"
"""What ada and bob type where nginx asks who they are."""

_PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(folder: Path, port: int, app: int, asks_who: bool = False) -> Iterator[Path]:
    """Serve https://127.0.0.1:`port`/dans/ from the app on port `app`; yields the certificate to trust.

    With `asks_who` it has people log in, and says who they are. Without nginx the test is skipped.
    """
    if _PROGRAM is None:
        pytest.skip("no nginx found; on Debian: apt-get install nginx-light")
    folder.mkdir()
    _certify(folder)
    (folder / "passwords").write_text("".join(f"{name}:{{PLAIN}}{PASSWORD}\n" for name in ("ada", "bob")))
    (folder / "nginx.conf").write_text(_config(folder, port, app, asks_who))
    log = folder / "error.log"
    process = subprocess.Popen([_PROGRAM, "-c", str(folder / "nginx.conf"), "-e", str(log)])

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(answers, "an answer of nginx")
        yield folder / "certificate"
    finally:
        process.terminate()
        process.wait()


def _config(folder: Path, port: int, app: int, asks_who: bool) -> str:
    blocks = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/sharing.md").read_text(), re.S)
    server, who = blocks
    if asks_who:
        server = _put(server, "location /dans/ {", f"location /dans/ {{\n{who}")
        server = _put(server, "/etc/nginx/dans.htpasswd", str(folder / "passwords"))
    for given, here in (
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("127.0.0.1:8501", f"127.0.0.1:{app}"),
        (f"/etc/ssl/{NAME}.pem", str(folder / "certificate")),
        (f"/etc/ssl/{NAME}.key", str(folder / "key")),
    ):
        server = _put(server, given, here)
    parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = "".join(f"{part}_temp_path {folder / part};\n" for part in parts)
    return (
        f"daemon off;\nmaster_process off;\npid {folder / 'pid'};\nerror_log {folder / 'error.log'};\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{kept}{server}}}\n"
    )


def _put(text: str, given: str, here: str) -> str:
    assert text.count(given) == 1, f"docs/sharing.md has {given!r} {text.count(given)} times"
    return text.replace(given, here)


def _certify(folder: Path) -> None:
    """A key, and a certificate of it for the host of the documentation and for this machine."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    hosts = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate").write_bytes(certificate.public_bytes(pem))
    (folder / "key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
