"""``lab start``: the service and JupyterLab, side by side, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from exercises import announcement, copies
from exercises.announcement import Announcement
from exercises.jupyterlab import environment, jupyter_command
from exercises.workspace import Workspace, folder
from labserver.api.server import uvicorn_command
from labserver.capacity.process import Server, free_port, is_free, leashed, started
from labserver.errors import LabError
from labserver.freshness import is_current
from labserver.model.bundle import load_bundle
from labserver.settings import Settings, settings

console = Console(stderr=True, highlight=False)

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a polite kill, and a terminal that is closed."""


def start(jupyter: bool, browser: bool) -> None:
    """Build if needed, start the finished service and JupyterLab, say where they are, and wait for Ctrl-C.

    A second ``lab start`` on the same home folder says where the first one is.

    Raises:
        LabError: if something does not start, or ends by itself.
    """
    for number in ENDS:
        signal.signal(number, _as_interrupt)
    try:
        chosen = settings().model_copy(update={"home": settings().home.resolve()})
        built = is_current(chosen)
        if built and (running := _running(chosen, jupyter)):
            _say_where("Already running; nothing was started.", running)
            return
        if not built:
            _build(chosen)
        work = folder().resolve()
        prepare(work)
        with ExitStack() as stack:
            _run(chosen, work, jupyter, browser and _has_display(), stack)
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal is gone
            console.print("Stopped.")


def _running(chosen: Settings, jupyter: bool) -> Announcement | None:
    found = announcement.find(chosen.home)
    if not found or found.bundle != load_bundle(chosen.bundle).manifest["bundle_hash"]:
        return None
    if jupyter and not found.jupyter:
        raise LabError(
            f"A service without JupyterLab already runs (process {found.pid}). Stop it there with Ctrl-C, "
            "then run `lab start`; or open its page with `lab start --no-jupyter`."
        )
    return found


def _build(chosen: Settings) -> None:
    console.print("Building the data, the features and the model, once: about 10 s, a minute on a slow machine.")
    command = leashed([sys.executable, "-m", "labserver.cli", "build"])
    subprocess.run(command, env=os.environ | {"LABSERVER_HOME": str(chosen.home)}, check=True)


def prepare(work: Path) -> None:
    """Make or renew the learner's folder, and name what is the learner's own and has a newer original.

    Raises:
        LabError: if the folder cannot be written.
    """
    for changed in Workspace(work).prepare():
        console.print(f"work/{changed.file} is yours and the course has changed it: `lab update {changed.lesson}`.")
    for kept in copies.prepare(work):
        console.print(f"{kept.name} is yours and the course has changed it: rename yours, and `lab start` brings it.")


def _run(chosen: Settings, work: Path, jupyter: bool, browser: bool, stack: ExitStack) -> None:
    console.print("Starting the service: a few seconds.")
    servers = [stack.enter_context(running_service(chosen))]
    service, page, token = servers[0].url, None, ""
    if jupyter:
        console.print("Starting JupyterLab: a few seconds.")
        token = secrets.token_urlsafe(24)
        lab, page = stack.enter_context(running_jupyter(chosen, work, service, token, browser))
        servers.append(lab)
    bundle = load_bundle(chosen.bundle).manifest["bundle_hash"]
    said = Announcement(os.getpid(), str(chosen.home), bundle, service, page, token)
    announcement.announce(said)
    stack.callback(announcement.withdraw, said)
    _say_where("Ready. Ctrl-C stops everything.", said)
    _wait(servers)


@contextmanager
def running_service(chosen: Settings) -> Iterator[Server]:
    """The finished service on its port, or on a free one if that is taken; stopped at the end."""
    port = chosen.port if is_free(chosen.port) else free_port()
    command = uvicorn_command(chosen.model_copy(update={"port": port}), 1)
    with started(command, port, chosen.home, environment={"LABSERVER_HOME": str(chosen.home)}) as server:
        server.await_ready()
        yield server


@contextmanager
def running_jupyter(
    chosen: Settings, work: Path, service: str, token: str, browser: bool
) -> Iterator[tuple[Server, str]]:
    """JupyterLab on a free port, and its address with the token."""
    port = free_port()
    command, path = jupyter_command(port, work, browser)
    with started(command, port, chosen.home, environment=environment(chosen.home, service, token)) as server:
        server.await_ready("/api")
        yield server, f"{server.url}{path}?token={token}"


def _wait(servers: Sequence[Server]) -> None:
    """Until one of them ends by itself: JupyterLab has a menu entry for that."""
    while all(server.process.poll() is None for server in servers):
        time.sleep(0.5)
    ended = next(server for server in servers if server.process.poll() is not None)
    if ended.process.returncode != 0 or ended is servers[0]:
        last = " ".join(ended.log.read_text(errors="replace").strip().splitlines()[-5:])
        name = "The service" if ended is servers[0] else "JupyterLab"
        raise LabError(f"{name} has ended: {last or 'without a word.'}")
    console.print("JupyterLab was shut down, so the service ends too.")


def _say_where(how: str, said: Announcement) -> None:
    lines = [f"  Service     {said.service}/"] + ([f"  JupyterLab  {said.jupyter}"] if said.jupyter else [])
    print(f"\n{how}\n" + "\n".join(lines) + "\n", flush=True)


def _has_display() -> bool:
    """Whether a browser would open before this person's eyes: a terminal with a display, not the far end of ssh."""
    shown = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    for other in ENDS:  # what has begun to stop is not interrupted
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
