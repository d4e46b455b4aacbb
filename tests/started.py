"""``lab start`` as a learner runs it, in a home, a work folder and a runtime folder of a test's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from awaiting import PATIENCE, until
from services import own_home

from labserver.running.process import free_port

LAB = [sys.executable, "-m", "exercises.lab.cli", "start"]
READY = re.compile(r"Ready\.|Already running")


@dataclass
class StartedLab:
    """A ``lab start``, and what it has said."""

    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ready(self) -> bool:
        """True if it has printed its address. Fails if it has ended, or builds: everything that it needs is built."""
        assert self.process.poll() is None, self.said
        assert "Building" not in self.said
        return READY.search(self.said) is not None

    @property
    def service(self) -> str:
        return re.search(r"Service +(\S+)/\n", self.said)[1]  # type: ignore[index]

    @property
    def jupyter(self) -> str:
        """The address, with the token."""
        return re.search(r"  JupyterLab  (\S+)", self.said)[1]  # type: ignore[index]

    @property
    def token(self) -> str:
        return self.jupyter.partition("token=")[2]

    @property
    def announcements(self) -> list[Path]:
        return list(Path(self.environment["JUPYTER_RUNTIME_DIR"]).glob("lab-start-*.json"))

    def announced(self) -> dict[str, Any]:
        [file] = self.announcements
        said: dict[str, Any] = json.loads(file.read_bytes())
        return said

    def processes(self) -> list[psutil.Process]:
        """It, its service, JupyterLab, kernels, and whatever those have started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def end(self, number: signal.Signals, seconds: float = PATIENCE) -> None:
        """Send a signal; all of its processes must go."""
        alive = self.processes()
        self.process.send_signal(number)
        self.process.wait(timeout=seconds)
        _, alive = psutil.wait_procs(alive, timeout=seconds)
        assert not alive, [(process.pid, process.cmdline()) for process in alive]


def environment(home: Path, folder: Path, **more: str) -> dict[str, str]:
    """Variables of a learner whose everything is in ``folder``; what was built comes from ``home``."""
    own_home(home, folder / "home")
    own = {
        "LABSERVER_HOME": str(folder / "home"),
        "LABSERVER_PORT": str(free_port()),
        "LABSERVER_DRAIN_SECONDS": "0",
        "LAB_WORK": str(folder / "work"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "COLUMNS": "200",
    }
    kept = {name: value for name, value in os.environ.items() if name != "LABSERVER_URL"}
    return kept | own | more


@contextmanager
def started(
    environment: Mapping[str, str], *arguments: str, ready: bool = True, **options: Any
) -> Iterator[StartedLab]:
    """``lab start``, ready; killed at the end if it still runs. ``options`` are those of ``Popen``."""
    log = Path(environment["LABSERVER_HOME"]) / f"start-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        own = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output, **options}
        process = subprocess.Popen([*LAB, *arguments], env=environment, **own)
    lab = StartedLab(process, environment, log)
    try:
        if ready:
            until(lab.ready, lambda: lab.said)
        yield lab
    finally:
        if process.poll() is None:
            process.kill()  # its processes have asked the kernel to be ended with it
            process.wait()


def expose_application(learner: Mapping[str, str]) -> None:
    """Make JupyterLab show its application as ``window.jupyterapp``: a test in a browser runs its commands."""
    for folder in (Path(learner["JUPYTER_CONFIG_DIR"]), Path(learner["LAB_WORK"]) / ".jupyterlab/config"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jupyter_lab_config.json").write_text(json.dumps({"LabApp": {"expose_app_in_browser": True}}))
