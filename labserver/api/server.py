"""What uvicorn imports: ``uvicorn --factory labserver.api.server:create``, settings from the environment.

The application is imported by ``create``: who only wants the command line (``labserver serve``) must not wait for it.
"""

from __future__ import annotations

import ipaddress
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from labserver.errors import LabError
from labserver.settings import FINISHED, Settings, settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def create() -> FastAPI:
    """The application. A fault that a person can mend ends the process with one line."""
    from labserver.api.app import create_app
    from labserver.api.logs import configure
    from labserver.stages import own_parts, stage

    try:
        chosen = settings()
        check_host(chosen)
        configure(chosen.log_level)
        _allow_connections()
        own = own_parts(chosen.parts) if chosen.parts else {}
        return create_app(chosen, stage(chosen.lesson, own), sorted(own))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _allow_connections() -> None:
    """Take as many open files, and so connections, as the system grants: it starts processes with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say infinity and grant less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def check_host(chosen: Settings) -> None:
    """Refuse to show a teaching stage to a network.

    Raises:
        LabError: if a stage below 9 would listen beyond loopback.
    """
    loopback = chosen.host == "localhost"
    if not loopback:
        try:
            loopback = ipaddress.ip_address(chosen.host).is_loopback
        except ValueError:
            raise LabError(f"{chosen.host!r} is not an address. Give an IP address or localhost.") from None
    if chosen.lesson < FINISHED and not loopback:
        raise LabError(
            f"Stage {chosen.lesson} is unfinished on purpose (it runs pickles and believes what it is sent), so it "
            f"listens on loopback only. Use --host 127.0.0.1, or --lesson {FINISHED}."
        )


def reserve(unix_socket: Path, workers: int) -> None:
    """Make a Unix socket that only this user can open. The server takes its place and keeps its mode.

    Without it uvicorn would open its own to every user of the machine. From here on, what this process and the server
    write is for this user only.

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
        raise LabError(f"{unix_socket} cannot be a socket ({error.strerror or error}).") from None


def uvicorn_command(chosen: Settings, workers: int, unix_socket: Path | None = None) -> list[str]:
    """The command line behind ``labserver serve``. See :func:`reserve` for a Unix socket."""
    place = {"--uds": unix_socket} if unix_socket else {"--host": chosen.host, "--port": chosen.port}
    options = {
        **place,
        "--workers": workers,
        "--loop": "uvloop",
        "--http": "labserver.api.connections:Connection",
        "--log-level": chosen.log_level,
        "--timeout-graceful-shutdown": chosen.shutdown_seconds,
    }
    flags = [str(word) for option in options.items() for word in option]
    return [
        *(sys.executable, "-m", "uvicorn", "--factory", "labserver.api.server:create"),
        *flags,
        *("--no-access-log", "--no-server-header"),
    ]
