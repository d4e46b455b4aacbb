"""The process that serves an application: its command line, its socket, its workers, and how it ends.

:mod:`labserver.server` is the one of the finished service.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from labserver.api.listening import BACKLOG, address, bind, handles, is_loopback, listen, reserve
from labserver.api.log_writer import log_output
from labserver.errors import LabError, naming_files
from labserver.features.store import check_sqlite
from labserver.interrupts import hold_sigterm, succeed_on_sigterm
from labserver.settings import FINISHED_STAGE, Settings, settings
from labserver.writing import check_writable

if TYPE_CHECKING:
    from fastapi import FastAPI

    Create = Callable[[], FastAPI]


def server_command(
    module: str, workers: int = 1, *, port: socket.socket | None = None, unix_socket: Path | None = None
) -> list[str]:
    """The command line behind ``labserver serve``.

    Args:
        module: whose process it is, such as ``"labserver.server"``.
        workers: worker processes.
        port: a bound socket that the process inherits; left out, it binds the port of its settings.
        unix_socket: listen there instead. See :func:`labserver.api.listening.reserve`.
    """
    command = [sys.executable, "-m", module, "--workers", str(workers)]
    if unix_socket:
        command += ["--unix-socket", str(unix_socket)]
    elif port:
        command += ["--inherited", str(port.fileno())]
    return command


def become(
    module: str, workers: int = 1, *, port: socket.socket | None = None, unix_socket: Path | None = None
) -> NoReturn:
    """Replace this process by the service, so that a signal to it is a signal to the service.

    Args:
        module: whose process it is, as for :func:`server_command`.
        workers: worker processes; they share one page of metrics.
        port: a bound socket.
        unix_socket: listen there instead.

    Raises:
        LabError: if the Unix socket cannot be used.
    """
    from labserver.monitor.workers import share_metrics

    if port is not None:
        port.set_inheritable(True)
        os.environ["LABSERVER_PORT"] = str(port.getsockname()[1])
    if unix_socket is not None:
        reserve(unix_socket, workers)
    share_metrics(workers)
    command = server_command(module, workers, port=port, unix_socket=unix_socket)
    hold_sigterm()
    os.execv(command[0], command)  # noqa: S606


def worker(create: Create) -> FastAPI:
    """Make the application of one of several workers. A fault that a person can fix ends the process with one line."""
    from labserver.api.logs import configure
    from labserver.monitor.workers import note_begun, note_failed, reserve_shared

    configure(settings().log_level)
    _allow_connections()
    _end_with_supervisor()
    try:
        with naming_files():
            app = create()
        reserve_shared()
        note_begun()
        return app
    except LabError as error:
        if note_failed():
            print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception:
        note_failed()
        raise


def _allow_connections() -> None:
    """Raise the limit of open files, and so of connections, as far as the system allows: the default is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say infinity and grant less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _end_with_supervisor() -> None:
    """Stop, as on SIGTERM, once the supervisor is gone: nobody would restart this worker, and it holds the port."""
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def follow() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="end-with-supervisor", daemon=True).start()


def check_host(chosen: Settings) -> None:
    """Refuse to serve a teaching stage to a network.

    Raises:
        LabError: if a stage below 9 would listen beyond loopback.
    """
    if chosen.lesson < FINISHED_STAGE and not is_loopback(chosen.host):
        raise LabError(
            f"Stage {chosen.lesson} is unfinished on purpose (it runs pickles and trusts its input), so it "
            f"listens on loopback only. Use --host 127.0.0.1, or --lesson {FINISHED_STAGE}."
        )


def check_key(chosen: Settings) -> None:
    """Refuse to serve a network without a key.

    Raises:
        LabError: if there is no key, and the address is not a loopback one.
    """
    if chosen.api_key is None and not is_loopback(chosen.host):
        raise LabError(
            f"At {chosen.host} anyone in the network may use the service: there is no key. Set LABSERVER_API_KEY to a "
            "long random text, or say --open."
        )


def serve(create: Create, worker: str, workers: int, inherited: int | None, unix_socket: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        create: makes the application of one worker.
        worker: where several workers find theirs, such as ``"labserver.server:create_worker"``.
        workers: worker processes.
        inherited: the file descriptor of a bound socket; None to bind the port of the settings.
        unix_socket: listen there instead.

    Raises:
        LabError: if the port, the state folder or something else that the service needs is not usable.
    """
    import structlog
    import uvicorn

    from labserver.api.logs import configure
    from labserver.monitor.workers import remove_shared

    chosen = settings()
    check_host(chosen)
    check_sqlite()
    check_writable(chosen.state)
    _allow_connections()
    configure(chosen.log_level)
    if chosen.api_key is None and not unix_socket and not is_loopback(chosen.host):
        structlog.get_logger().warning("no_key", detail="Anyone who reaches this port may use the service.")
    options: dict[str, Any] = {
        "workers": workers,
        "backlog": BACKLOG,
        "loop": "uvloop",
        "http": "labserver.api.connections:Connection",
        "ws": "none",
        "timeout_keep_alive": chosen.keep_alive_seconds,
        "log_config": None,  # ours stays
        "log_level": chosen.log_level,
        "timeout_graceful_shutdown": chosen.shutdown_seconds,
        "access_log": False,
        "server_header": False,
    }
    if unix_socket:
        try:
            server = uvicorn.Server(uvicorn.Config(create(), uds=str(unix_socket), **options))
            succeed_on_sigterm()
            server.run()
        finally:
            unix_socket.unlink(missing_ok=True)
        return
    # An object, not its descriptor: uvicorn takes that for a Unix socket's and leaves Nagle's algorithm on, which costs
    # every answer 40 ms.
    bound = socket.socket(fileno=inherited) if inherited is not None else bind(chosen.host, chosen.port)
    if workers > 1:
        from labserver.api.supervisor import Supervisor

        supervisor = Supervisor(uvicorn.Config(worker, factory=True, **options), sockets=handles(bound))
        try:
            supervisor.run()
        finally:
            remove_shared()
        if supervisor.failed:
            sys.exit(1)
        return
    config = uvicorn.Config(create(), **options)
    listen(bound)
    structlog.get_logger().info("listening", address=address(bound))
    succeed_on_sigterm()
    uvicorn.Server(config).run(sockets=handles(bound))


def run(create: Create, worker: str) -> None:
    """Serve, with the arguments of this process. What a person can fix is one line and exit code 1.

    Args:
        create: as of :func:`serve`.
        worker: as of :func:`serve`.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {worker.partition(':')[0]}")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--inherited", type=int)
    parser.add_argument("--unix-socket", type=Path)
    chosen = parser.parse_args()
    try:
        with naming_files():
            serve(create, worker, chosen.workers, chosen.inherited, chosen.unix_socket)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        log_output().finish()
        sys.stderr.flush()
        # Not sys.exit: a native library that is unloaded half-loaded prints pages of its own leaks after the one line.
        os._exit(1)
    except KeyboardInterrupt:
        pass
