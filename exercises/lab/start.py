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

from exercises.lab import notebook_copies
from exercises.lab.doctor import require_folders
from exercises.lab.jupyterlab import check_closed, environment, jupyter_command
from exercises.lab.workspace import Workspace, folder
from labserver.api.listening import bind
from labserver.api.server import server_command
from labserver.console import console
from labserver.errors import LabError
from labserver.model.bundle import load_bundle
from labserver.pipeline.freshness import is_current
from labserver.running import announcement
from labserver.running.announcement import Announcement
from labserver.running.process import Server, dying_with_parent, free_port, started
from labserver.running.signs import alive
from labserver.settings import Settings, settings

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals of Ctrl-C, of a polite kill, and of a terminal that is closed."""


def start(jupyter: bool, browser: bool) -> None:
    """Build if needed, start the finished service and JupyterLab, print their addresses, and wait for Ctrl-C.

    A second ``lab start`` on the same home folder prints the addresses of the first one.

    Raises:
        LabError: if something does not start, or ends by itself.
    """
    for number in END_SIGNALS:
        signal.signal(number, _as_interrupt)
    try:
        chosen = settings().model_copy(update={"home": settings().home.resolve()})
        require_folders(chosen.home, jupyter)
        built = is_current(chosen)
        if built and (running := _running(chosen, jupyter)):
            _say_where("Already running; nothing was started.", running)
            return
        if not built:
            _build(chosen)
        work = folder().resolve()
        prepare_folder(work)
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
    command = dying_with_parent([sys.executable, "-m", "labserver.cli", "build"])
    # Its own session, so that only this process gets Ctrl-C, ends the build, and prints one line.
    environment = os.environ | {"LABSERVER_HOME": str(chosen.home)}
    subprocess.run(command, env=environment, check=True, start_new_session=True)


def prepare_folder(work: Path) -> None:
    """Make or update the learner's folder, and list the edited files that have a newer original.

    Raises:
        LabError: if the folder cannot be written.
    """
    for changed in Workspace(work).copy_exercises():
        console.print(f"work/{changed.file} is yours and the course has changed it: `lab update {changed.lesson}`.")
    for kept in notebook_copies.copy_notebooks(work):
        console.print(f"{kept.name} is yours and the course has changed it: rename yours, and `lab start` brings it.")


def _run(chosen: Settings, work: Path, jupyter: bool, browser: bool, stack: ExitStack) -> None:
    with alive(console, "Starting the service"):
        servers = [stack.enter_context(running_service(chosen))]
    service, page, token = servers[0].url, None, ""
    if jupyter:
        token = secrets.token_urlsafe(24)
        with alive(console, "Starting JupyterLab"):
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
    with bind(chosen.host, chosen.port, or_any=True) as bound:  # passed on: nothing can take it meanwhile
        port = int(bound.getsockname()[1])
        environment = {"LABSERVER_HOME": str(chosen.home), "LABSERVER_PORT": str(port)}
        command = server_command("labserver.stages.server", port=bound)
        with started(command, port, chosen.home, environment=environment, inherited=[bound]) as server:
            bound.close()
            server.await_ready()
            yield server


@contextmanager
def running_jupyter(
    chosen: Settings, work: Path, service: str, token: str, browser: bool
) -> Iterator[tuple[Server, str]]:
    """JupyterLab on a free port, and its address with the token."""
    port = free_port()
    command, path = jupyter_command(port, work, browser)
    with started(command, port, chosen.home, environment=environment(chosen.home, work, service, token)) as server:
        server.await_ready("/api")
        check_closed(server.url, token)
        yield server, f"{server.url}{path}?token={token}"


def _wait(servers: Sequence[Server]) -> None:
    """Wait until one of them ends by itself: JupyterLab has a menu entry for that."""
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
    """True if a browser would open on this user's screen: a terminal with a display, and no ssh."""
    shown = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    for other in END_SIGNALS:  # a stop that has begun is not interrupted
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
