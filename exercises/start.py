"""``lab start``: the service and JupyterLab, side by side, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

from rich.console import Console

from exercises.workspace import Workspace, folder
from labserver.api.server import uvicorn_command
from labserver.capacity.process import free_port, started
from labserver.freshness import is_current
from labserver.settings import Settings, settings

console = Console(stderr=True, highlight=False)


def start(jupyter: bool) -> None:
    """Build if needed, start the finished service and JupyterLab, print both addresses, and wait for Ctrl-C."""
    chosen = settings()
    if not is_current(chosen):
        subprocess.run([sys.executable, "-m", "labserver.cli", "build"], check=True)
    for changed in Workspace(folder()).prepare():
        console.print(f"work/{changed.file} is yours and the course has changed it: `lab update {changed.lesson}`.")
    signal.signal(signal.SIGTERM, _as_interrupt)
    signal.signal(signal.SIGHUP, _as_interrupt)
    try:
        with running_service(chosen) as url, running_jupyter(chosen, url) if jupyter else nullcontext() as lab:
            lines = [f"  Service     {url}/"] + ([f"  JupyterLab  {lab}"] if lab else [])
            console.print("\nReady. Ctrl-C stops everything.\n" + "\n".join(lines) + "\n", soft_wrap=True)
            signal.pause()
    except KeyboardInterrupt:
        console.print("Stopped.")


@contextmanager
def running_service(chosen: Settings) -> Iterator[str]:
    """The finished service on its port, or on a free one if that is taken; stopped at the end."""
    port = chosen.port if is_free(chosen.port) else free_port()
    command = uvicorn_command(chosen.model_copy(update={"port": port}), 1)
    with started(command, port, chosen.home) as server:
        server.await_ready()
        yield server.url


@contextmanager
def running_jupyter(chosen: Settings, url: str) -> Iterator[str]:
    """JupyterLab on a free port with a token of its own; the notebooks find the service in ``LABSERVER_URL``."""
    token, port = secrets.token_urlsafe(16), free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip", "127.0.0.1", "--port", str(port)]
    if os.geteuid() == 0:
        command.append("--allow-root")
    # The token goes by the environment: a command line can be read by every user of the machine.
    environment = {"LABSERVER_URL": url, "JUPYTER_TOKEN": token}
    with started(command, port, chosen.home, environment=environment) as server:
        server.await_ready("/api")
        yield f"{server.url}/lab?token={token}"


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
