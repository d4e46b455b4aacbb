"""JupyterLab as ``lab start`` starts it, and what the course adds to any JupyterLab: the tile of the service.

The course's defaults for JupyterLab are in ``overrides.json`` beside this file. It is installed among JupyterLab's own
(``pyproject.toml``), so they hold on a hub too.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from jupyter_core.paths import jupyter_config_dir

from exercises.checks.registry import ROOT
from exercises.lab import notebook_copies
from labserver.api.dashboard import PAGE_FOLDER
from labserver.errors import LabError
from labserver.running import announcement
from labserver.running.process import dying_with_parent
from labserver.settings import settings

OWN_FOLDER = ".jupyterlab"
"""Folder in the learner's one, for what JupyterLab keeps: open tabs, and a configuration if there is one."""
TILE = "lab-service"
"""Path of JupyterLab under which the service answers."""


def jupyter_command(port: int, work: Path, browser: bool) -> tuple[list[str], str]:
    """The command, and the path of the notebook that it opens.

    JupyterLab opens the browser itself, by a file that only its user can read. Every user of the machine could read a
    browser's command line with the token in it.

    Args:
        port: its port.
        work: the learner's folder. If it is in the course, JupyterLab shows the whole course, else this folder.
        browser: open a browser. One that fails leaves a line in the log.
    """
    course = ROOT
    root = course if work.is_relative_to(course) else work
    notebook = notebook_copies.first_copy(work)
    path = f"/lab/tree/{quote(notebook.relative_to(root).as_posix())}" if notebook else "/lab"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ip", "127.0.0.1", "--port", str(port)),
        "--ServerApp.port_retries=0",  # a different port than the expected one is of no use
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url={path}",
        "--ServerApp.base_url=/",
        f"--LabApp.workspaces_dir={work / OWN_FOLDER}",  # not the tabs of a different course
        f"--LabApp.user_settings_dir={Path(jupyter_config_dir()) / 'lab/user-settings'}",  # the usual font and theme
        # Not a login shell, which sets its own PATH: `lab` would not be found.
        f"--ServerApp.terminado_settings={json.dumps({'shell_command': [os.environ.get('SHELL') or 'sh']})}",
    ]
    if not browser:
        command += ["--no-browser", "--ServerApp.no_browser_open_file=True"]
    if os.geteuid() == 0:
        command.append("--allow-root")
    return command, path


def environment(home: Path, work: Path, service: str, token: str) -> dict[str, str]:
    """Variables for JupyterLab, its kernels and its terminals. Unlike a command line, only their user can read them.

    The environment's programs are first on PATH, so that ``lab`` is a command in JupyterLab's terminal. Its Jupyter
    files come first too: a kernel of another program may be named python3 as well.

    The user's own configuration of Jupyter and IPython is left out. It may move the address, name other folders or
    kernels, run code in each notebook, or open JupyterLab to everybody, who could then run code as this user. One for
    the course alone is read from ``work/``.
    """
    configuration = work / OWN_FOLDER / "config"
    configuration.mkdir(parents=True, exist_ok=True)
    return {
        "LABSERVER_HOME": str(home),
        "LABSERVER_URL": service,
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(configuration),
        "JUPYTER_CONFIG_PATH": "",
        "IPYTHONDIR": str(work / OWN_FOLDER / "ipython"),
        "PATH": _first(Path(sys.executable).parent, os.environ.get("PATH", os.defpath)),
        "JUPYTER_PATH": _first(Path(sys.prefix) / "share/jupyter", os.environ.get("JUPYTER_PATH", "")),
    }


def check_closed(url: str, token: str) -> None:
    """Make sure that JupyterLab takes this token, and nobody without it. The system's configuration is read too.

    Args:
        url: its address.
        token: its token.

    Raises:
        LabError: if not; names the folders with a configuration.
    """
    address = f"{url}/api/status"
    with urllib3.PoolManager(retries=False, timeout=30.0) as pool:
        closed = pool.request("GET", address).status == 403
        known = pool.request("GET", address, headers={"Authorization": f"token {token}"}).status == 200
    if not (closed and known):
        raise LabError(
            f"JupyterLab {'does not take its token' if closed else 'would let in anybody on this machine'}: a "
            "configuration says so. `jupyter --paths` lists the folders with one; take the lines about token, password "
            "and identity out, or start without JupyterLab: `lab start --no-jupyter`."
        )


def _first(place: Path, others: str) -> str:
    return os.pathsep.join(filter(None, (str(place), others)))


def tile() -> dict[str, Any]:
    """The launcher's tile, for jupyter-server-proxy: opens the service's page inside JupyterLab.

    It shows the running service of ``LABSERVER_URL`` or of ``lab start``. If there is none, as on a JupyterHub, it
    starts ``lab serve`` on a Unix socket: the users of a hub share a host, and could open each other's ports.
    ``lab serve`` builds first if nothing was built, hence the long time limit.
    """
    shown = {
        "launcher_entry": {"title": "Lab service", "icon_path": str(PAGE_FOLDER / "icon.svg"), "category": "Notebook"},
        "new_browser_tab": False,
    }
    chosen = settings()
    found = announcement.find(chosen.home)
    running = urlsplit(chosen.url or (found.service if found else ""))
    if running.port and running.hostname in {"127.0.0.1", "localhost"}:
        return shown | {"port": running.port}
    serve = [sys.executable, "-m", "exercises.lab.cli", "serve", "--unix-socket", "{unix_socket}"]
    return shown | {
        "command": dying_with_parent(serve),
        "environment": {"LABSERVER_HOME": str(chosen.home)},
        "unix_socket": True,
        "timeout": 180.0,
    }
