"""``lab classroom``: the board, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import resource
import signal
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from exercises.classroom.app import create_app
from exercises.classroom.connections import MOST, BoardConnection
from exercises.classroom.errors import ClassroomError
from exercises.classroom.store import Store

FILES = 100
"""Open at once besides connections, with room to spare."""


@dataclass(frozen=True)
class Where:
    """The address of a board.

    Attributes:
        host: an IP address.
        port: 0 is any free one.
        certificate: a PEM file; with it the board speaks TLS.
        key: the certificate's private key, another PEM file.
    """

    host: str = "127.0.0.1"
    port: int = 8800
    certificate: Path | None = None
    key: Path | None = None

    @property
    def open_to_the_room(self) -> bool:
        """True if other machines can reach it."""
        return not _address(self.host).is_loopback


def serve(file: Path, where: Where, titles: Sequence[str]) -> None:
    """Serve a class until Ctrl-C or SIGTERM. Prints how to join, and the link to the page.

    Raises:
        ClassroomError: if the file, the address or the certificate cannot be used.
    """
    _check_certificate(where)
    _allow_connections()
    with listening(where) as listener, closing(Store(file)) as store:
        board = f"{'https' if where.certificate else 'http'}://{_reached(where.host)}:{listener.getsockname()[1]}"
        print("\n".join(welcome(store, where, board)), flush=True)
        config = uvicorn.Config(
            create_app(store, titles, board),
            log_level="warning",
            http=BoardConnection,
            ws="none",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=where.certificate,
            ssl_keyfile=where.key,
            timeout_graceful_shutdown=5,
        )
        signal.signal(signal.SIGINT, signal.default_int_handler)  # uvicorn takes it over, and raises it at its end
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
        print(f"Stopped. The class is in {file}; `lab classroom` goes on with it.")


def welcome(store: Store, where: Where, board: str) -> list[str]:
    """The text for the instructor: addresses, secrets, and the consequences of the choice of address."""
    lines = [
        "",
        f"  Your page      {board}/#key={store.key}",
        f"  Learners type  lab join {store.code} --board {board}",
        "",
        "The link to your page holds your key: anyone who has it sees all learners. Learners see only themselves.",
    ]
    if not where.open_to_the_room:
        lines.append("Only this machine reaches the board. `--host 0.0.0.0` opens it to the room.")
    elif where.certificate:
        lines.append("The board is open to everybody who reaches this machine and has the code. TLS protects the way.")
    else:
        lines.append(
            "The board is open to everybody who reaches this machine and has the code, in plain HTTP: whoever\n"
            "listens on this network can read the code, your key, pseudonyms and results. Use a network that you\n"
            "trust, or give --certificate and --key."
        )
    return [*lines, f"The class is in {store.path}, with its secrets. Ctrl-C stops; nothing is lost.", ""]


def listening(where: Where) -> socket.socket:
    """A socket that takes connections.

    Raises:
        ClassroomError: if the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if _address(where.host).version == 6 else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
        listener.listen(2_048)
    except OSError as error:
        listener.close()
        raise ClassroomError(
            f"Port {where.port} of {where.host} cannot be used ({error.strerror}). Choose another --port or --host."
        ) from None
    return listener


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ClassroomError(f"--host {host} is not an IP address. 0.0.0.0 is all of this machine's.") from None


def _reached(host: str) -> str:
    """The address that others use: for "all of them", the one that leads out of here."""
    address = _address(host)
    if address.is_unspecified:
        outside = ("2001:db8::1", 9) if address.version == 6 else ("192.0.2.1", 9)
        with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(outside)  # of a datagram socket: chooses an address and sends nothing
                address = ipaddress.ip_address(probe.getsockname()[0])
            except OSError:
                return socket.gethostname()
    return f"[{address}]" if address.version == 6 else str(address)


def _allow_connections() -> None:
    """Raise the limit of open files, and so of connections, where the system's is lower: often it is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + FILES if hard == resource.RLIM_INFINITY else min(hard, MOST + FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_certificate(where: Where) -> None:
    if where.key and not where.certificate:
        raise ClassroomError("--key needs --certificate.")
    if not where.certificate:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(where.certificate, where.key)
    except (OSError, ssl.SSLError) as error:
        raise ClassroomError(f"The certificate cannot be used ({error}). Give PEM files.") from None
