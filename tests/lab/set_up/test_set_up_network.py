"""Package indexes that cannot be reached, or whose certificate only the system knows."""

from __future__ import annotations

import functools
import http.server
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from lock import UV_LOCK
from needed import absent
from projects import Project, project, typed, wait

from exercises.lab.set_up.commands import Commands, Progress
from exercises.lab.set_up.failures import CommandFailed


@dataclass(frozen=True)
class Index:
    """A package index with uv and what the project needs, behind a certificate of its own issuer."""

    url: str
    authority: Path
    stranger: Path

    def variables(self, **more: str) -> Mapping[str, str]:
        """Of a shell that knows no certificates but the system's and those named."""
        trusting = {"PIP_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
        kept = {name: value for name, value in typed(os.environ).items() if name not in trusting}
        chosen = {"PIP_INDEX_URL": self.url, "UV_DEFAULT_INDEX": self.url, "PIP_CONFIG_FILE": os.devnull}
        return kept | chosen | {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1"} | more


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate ends the connection."""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("index")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "wheels")]
    lock = project(folder / "project").root / "requirements.txt"
    for file in (UV_LOCK, lock):
        subprocess.run([*download, "--require-hashes", "--requirement", str(file)], check=True, timeout=120)
    for wheel in (folder / "wheels").iterdir():
        page = folder / "simple" / wheel.name.split("-")[0].replace("_", "-")
        page.mkdir(parents=True)
        (page / "index.html").write_text(f'<a href="/wheels/{wheel.name}">{wheel.name}</a>')
    authority, key, certificate = (folder / f"{name}.pem" for name in ("authority", "key", "certificate"))
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    issued = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=CA:FALSE",
    ]
    try:
        run = functools.partial(subprocess.run, check=True, capture_output=True)
        authority_is = ["-subj", "/CN=The network's own authority", "-addext", "keyUsage=critical,keyCertSign"]
        run([*new, "-keyout", folder / "authority.key", "-out", authority, *authority_is])
        issuer = ["-CA", authority, "-CAkey", folder / "authority.key"]
        run([*new, *issued, *issuer, "-keyout", key, "-out", certificate])
    except FileNotFoundError:
        absent("openssl is not here. Debian's package openssl has it.")
    run([*new, "-keyout", folder / "stranger.key", "-out", folder / "stranger.pem", "-subj", "/CN=another authority"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Server(("localhost", 0), functools.partial(Handler, directory=str(folder)))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Index(f"https://localhost:{server.server_address[1]}/simple", authority, folder / "stranger.pem")
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_that_nobody_here_trusts(fresh: Project, index: Index) -> None:
    done = Project(fresh.root, index.variables()).make()
    assert done.returncode == 2
    *_, said, end = done.stdout.splitlines()
    assert said.startswith("error: This machine does not trust the certificate of the package index")
    assert "set PIP_CERT and SSL_CERT_FILE to the file" in said
    assert end.startswith("make: ***")


def test_a_certificate_that_only_the_system_trusts(fresh: Project, index: Index) -> None:
    """pip reads CURL_CA_BUNDLE, uv has a list of its own."""
    done = Project(fresh.root, index.variables(CURL_CA_BUNDLE=str(index.authority))).make()
    assert done.returncode == 0, done.stdout
    assert fresh.works()


def test_pip_too_is_given_the_systems_list(fresh: Project, index: Index) -> None:
    """pip 23, as Python 3.11 and 3.12 bring it, has a list of its own. SSL_CERT_FILE tells OpenSSL of another."""
    with Project(fresh.root, index.variables(SSL_CERT_FILE=str(index.authority))).making() as process:
        wait(lambda: (fresh.venv / "bin/uv").exists(), process)


def test_a_list_that_the_user_has_set_is_not_replaced(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """If you name a list of certificates, you trust no others: here PIP_CERT, with the system's list beside it."""
    ask = "import os, ssl, urllib.request as it; context = ssl.create_default_context(cafile=os.environ['PIP_CERT'])"
    fetch = (sys.executable, "-I", "-c", f"{ask}; it.urlopen({index.url + '/six/'!r}, context=context)")
    monkeypatch.setenv("SSL_CERT_FILE", str(index.authority))
    with (index.authority.parent / "lock").open("w") as lock:
        monkeypatch.setenv("PIP_CERT", str(index.stranger))
        with pytest.raises(CommandFailed, match="CERTIFICATE_VERIFY_FAILED"):
            Commands(lock.fileno(), Progress()).download(*fetch)
        monkeypatch.setenv("PIP_CERT", str(index.authority))
        Commands(lock.fileno(), Progress()).download(*fetch)
