"""JupyterLab as ``lab start`` starts it, and what the course adds to any JupyterLab: the tile of the service.

The course's defaults for JupyterLab are in ``overrides.json`` beside this file. It is installed among JupyterLab's own
(``pyproject.toml``), so they hold on a hub too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from exercises import announcement, copies
from exercises.registry import COURSE
from labserver.api.dashboard import PAGE
from labserver.capacity.process import leashed

TILE = "lab-service"
"""Under this path of JupyterLab the service answers."""


def jupyter_command(port: int, work: Path, browser: bool) -> tuple[list[str], str]:
    """The command, and the path of the notebook that it opens.

    JupyterLab opens the browser itself: by a file that only its user can read, while a browser's command line, with the
    token in it, can be read by everybody.

    Args:
        port: where it listens.
        work: the learner's folder. JupyterLab shows the whole course if that is in it, else this folder.
        browser: whether to open one. One that fails leaves a line in the log.
    """
    course = COURSE.parent
    root = course if work.is_relative_to(course) else work
    notebook = copies.first(work)
    path = f"/lab/tree/{quote(notebook.relative_to(root).as_posix())}" if notebook else "/lab"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ip", "127.0.0.1", "--port", str(port)),
        "--ServerApp.port_retries=0",  # another port than the one that is waited for helps nobody
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url={path}",
    ]
    if not browser:
        command += ["--no-browser", "--ServerApp.no_browser_open_file=True"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    return command, path


def environment(home: Path, service: str, token: str) -> dict[str, str]:
    """Variables for JupyterLab, its kernels and its terminals. Unlike a command line, only their user can read them."""
    return {"LABSERVER_HOME": str(home), "LABSERVER_URL": service, "JUPYTER_TOKEN": token}


def tile() -> dict[str, Any]:
    """The launcher's tile, for jupyter-server-proxy: opens the service's page inside JupyterLab.

    It shows the service that runs already, by ``LABSERVER_URL`` or as ``lab start`` has announced it. Where none does,
    as on a hub, it starts ``lab serve`` on a Unix socket: the users of a hub share a host, and could open each other's
    ports. That builds first if nothing was built, hence the long time limit.
    """
    shown = {
        "launcher_entry": {"title": "Lab service", "icon_path": str(PAGE / "icon.svg"), "category": "Other"},
        "new_browser_tab": False,
    }
    home = COURSE.parent / os.environ.get("LABSERVER_HOME", "var")
    running = urlsplit(os.environ.get("LABSERVER_URL", ""))
    if not running.port and (found := announcement.find(home)):
        running = urlsplit(found.service)
    if running.port and running.hostname in {"127.0.0.1", "localhost"}:
        return shown | {"port": running.port}
    serve = [sys.executable, "-m", "exercises.cli", "serve", "--unix-socket", "{unix_socket}"]
    return shown | {
        "command": leashed(serve),
        "environment": {"LABSERVER_HOME": str(home)},
        "unix_socket": True,
        "timeout": 180.0,
    }
