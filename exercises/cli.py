"""``lab start``: the service and JupyterLab, side by side, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import requests
import typer
from rich.console import Console

from labserver.api.server import uvicorn_command
from labserver.errors import LabError
from labserver.freshness import is_current
from labserver.settings import settings

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
    with running_service(chosen.port) as url:
        lines = [f"  Service     {url}/"]
        with running_jupyter(url) if jupyter else _nothing() as lab:
            if lab:
                lines.append(f"  JupyterLab  {lab}")
            console.print("\nReady. Ctrl-C stops everything.\n" + "\n".join(lines) + "\n", soft_wrap=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                console.print("Stopping …")


@contextmanager
def running_service(port: int) -> Iterator[str]:
    """The finished service on ``port``, or on a free one if that is taken; stopped at the end."""
    number = _free_port(port)
    url = f"http://127.0.0.1:{number}"
    log = settings().home / "service.log"
    command = uvicorn_command(settings().model_copy(update={"port": number}), 1)
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        _await_ready(url, process, log)
        yield url
    finally:
        _stop(process)


@contextmanager
def running_jupyter(url: str) -> Iterator[str]:
    """JupyterLab on a free port with a token of its own; the notebooks find the service in ``LABSERVER_URL``."""
    token = secrets.token_urlsafe(16)
    port = _free_port(0)
    log = settings().home / "jupyter.log"
    # The token goes by the environment: a command line can be read by every user of the machine.
    environment = os.environ | {"LABSERVER_URL": url, "JUPYTER_TOKEN": token}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip", "127.0.0.1", "--port", str(port)]
    if os.geteuid() == 0:
        command.append("--allow-root")
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        _await_answer(f"http://127.0.0.1:{port}/api", process, log)
        yield f"http://127.0.0.1:{port}/lab?token={token}"
    finally:
        _stop(process)


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _free_port(wanted: int) -> int:
    """The wanted port of loopback, or any free one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LabError("No port of 127.0.0.1 is free.")


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    _await_answer(f"{url}/readyz", process, log)


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60.0) -> None:
    """Wait until ``url`` answers with 200.

    Raises:
        LabError: if the process ends first or takes too long; quotes the end of its log.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabError(f"It ended at once. The end of {log}:\n" + "\n".join(log.read_text().splitlines()[-5:]))
        try:
            if requests.get(url, timeout=1).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise LabError(f"{url} did not answer within {seconds:.0f} s. See {log}.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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
