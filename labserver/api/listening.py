"""The service's socket. It is bound first, so that a start on a taken port does not harm the service that runs."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path

from labserver.errors import LabError
from labserver.settings import Settings

BACKLOG = 256
"""Length of the queue of connections that are not accepted yet. What waits there the service cannot refuse, so the
queue is as long as it can work off in a tenth of a second. Beyond it the system lets a client try again after a second,
which costs the service nothing.
"""
ACCEPTED_A_TURN = 16
"""Connections that a turn of the event loop accepts. A turn answers many requests for little more than one costs, and
libuv accepts one per turn for each handle of the socket: one handle is worth a third of what sixteen are.
"""


def is_loopback(host: str) -> bool:
    """True if only this machine can reach an address.

    Raises:
        LabError: if it is neither an IP address nor ``localhost``.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise LabError(f"{host!r} is not an address. Give an IP address or localhost.") from None


def bind(host: str, port: int, *, or_any: bool = False) -> socket.socket:
    """Bind a socket to a port without listening yet: connections are refused until the service is ready.

    Args:
        host: an IP address, or ``localhost``.
        port: 0 for any free one.
        or_any: take any free port if this one is taken.

    Raises:
        LabError: if the port is taken or not allowed, or the address is not this machine's; says what to do.
    """
    is_loopback(host)
    try:
        try:
            return _bound(host, port, reuse=False)
        except OSError:
            return _bound(host, port, reuse=True)
    except OSError as error:
        if or_any and error.errno == errno.EADDRINUSE:
            return bind(host, 0)
        raise LabError(_sentence(error, host, port)) from None


def _bound(host: str, port: int, *, reuse: bool) -> socket.socket:
    """Bind without SO_REUSEADDR first, then with it. Without, the kernel refuses a port with closing connections of an
    earlier service; with it, the kernel grants a port that another service has bound and does not listen on yet.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def handles(bound: socket.socket) -> list[socket.socket]:
    """The socket, under as many handles as connections are to be accepted in a turn."""
    return [bound, *(bound.dup() for _ in range(ACCEPTED_A_TURN - 1))]


def listen(bound: socket.socket) -> None:
    """Start to accept connections.

    Raises:
        LabError: if another service that was starting at the same time has the port.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise LabError(_sentence(error, *bound.getsockname()[:2])) from None


def bind_for(chosen: Settings, port: int | None = None) -> socket.socket:
    """Bind the socket of a service with these settings.

    A port that is set, by ``port`` or LABSERVER_PORT, is used or the start fails. If the default port is taken, a free
    one is used and printed: while ``lab start`` runs, the default port is always taken. Beyond loopback there is no
    such replacement, because clients must know the port.

    Raises:
        LabError: see :func:`bind`.
    """
    asked_for = port is not None or "LABSERVER_PORT" in os.environ or not is_loopback(chosen.host)
    wanted = chosen.port if port is None else port
    bound = bind(chosen.host, wanted, or_any=not asked_for)
    if wanted not in {0, bound.getsockname()[1]}:
        print(f"Port {wanted} is taken. This service uses a free one: {address(bound)}/.", file=sys.stderr)
    return bound


def _sentence(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} of {host} is taken by another program. Choose another with --port; --port 0 takes any."
        case errno.EACCES:
            return f"Port {port} needs an administrator. Choose one from 1024 on with --port."
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine. Use --host 127.0.0.1, or 0.0.0.0 for all of them."
    return f"Nothing can listen on port {port} of {host} ({error.strerror}). Choose others with --host and --port."


def reserve(unix_socket: Path, workers: int) -> None:
    """Make a Unix socket that only this user can open. The server replaces it and keeps its mode.

    Without this, uvicorn opens its own socket to every user of the machine. From here on, only this user can read
    the files that this process and the server write.

    Raises:
        LabError: if a server answers there already, the path is not usable, or there are several workers.
    """
    if workers > 1:
        raise LabError("A Unix socket is for one worker. Leave out --workers, or listen on a port.")
    os.umask(0o077)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            if unix_socket.is_socket():
                if probe.connect_ex(str(unix_socket)) == 0:
                    raise LabError(f"{unix_socket} is in use: a server answers there.")
                unix_socket.unlink()
            probe.bind(str(unix_socket))
        unix_socket.chmod(0o600)
    except OSError as error:
        raise LabError(
            f"{unix_socket} is not usable as a socket ({error.strerror or error}). Name another path."
        ) from None


def address(bound: socket.socket) -> str:
    """The URL for a client on this machine, such as ``"http://127.0.0.1:8000"``."""
    host, port = bound.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if bound.family == socket.AF_INET6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"
