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
from typing import Annotated

import typer
from rich.console import Console

from labserver.api.server import uvicorn_command
from labserver.capacity.process import free_port, started
from labserver.errors import LabError
from labserver.freshness import is_current
from labserver.settings import Settings, settings

app = typer.Typer(help="The course.", no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(stderr=True, highlight=False)


@app.callback()
def course() -> None:
    """Ten lessons in deploying models."""


@app.command()
def start(
    jupyter: Annotated[bool, typer.Option(help="Start JupyterLab beside the service.")] = True,
) -> None:
    """Build if needed, start the finished service and JupyterLab, and print both addresses."""
    chosen = settings()
    if not is_current(chosen):
        subprocess.run([sys.executable, "-m", "labserver.cli", "build"], check=True)
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
    port = chosen.port if _is_free(chosen.port) else free_port()
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


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run a command. What a person can mend is one line and exit code 1."""
    try:
        app()
    except LabError as error:
        console.print(f"error: {error}", soft_wrap=True)
        sys.exit(1)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
