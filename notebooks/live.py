"""The services that notebooks talk to: the finished one, any stage, and any other application."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from exercises.checks.flights import flights_of, spread
from labserver.errors import LabError
from labserver.homes import identity
from labserver.pipeline.freshness import is_current
from labserver.running import announcement, process
from labserver.settings import FINISHED_STAGE, Settings, settings

NOTEBOOKS = Path(__file__).resolve().parent
HOME = Settings(home=Path(os.environ.get("LABSERVER_HOME") or "var")).home
"""Everything that `labserver build` made. Notebooks read it and never write into it."""

for variable in [name for name in os.environ if name.startswith("LABSERVER_")]:
    if variable not in {"LABSERVER_URL", "LABSERVER_PORT", "LABSERVER_API_KEY"}:
        del os.environ[variable]  # a stage is what its notebook says, whatever the shell says
os.environ["LABSERVER_HOME"] = str(HOME)


class CannotStart(LabError):
    """A service does not answer, or did not start."""

    def _render_traceback_(self) -> list[str]:
        """All that a notebook shows. The sentence is for people, the stack is not."""
        return [str(self)]


class Live:
    """A service that answers at ``url``, and one kept-alive connection to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands between a notebook and this machine
        if key := os.environ.get("LABSERVER_API_KEY"):
            self.session.headers["X-API-Key"] = key

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=120)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=120)


def service() -> Live:
    """The finished service: the one at LABSERVER_URL, else the one of `lab start`, else the one on port 8000.

    On a hub, where nobody runs `lab start`, it is one of this kernel's own.

    Raises:
        CannotStart: if none answers there, or another course's does; says how to start it.
    """
    chosen = settings()
    live = Live(announcement.service_address(chosen))
    try:
        home = live.get("/v1/monitor").json()["home"]
    except (requests.RequestException, ValueError, KeyError):
        home = None
    if home and (chosen.url or home == identity(chosen.state)):
        return live
    if not chosen.url and "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
        return _finished()
    trouble = (
        f"The service at {live.url} is of another home folder"
        if home
        else f"No lab service answers at {live.url}"
    )
    raise CannotStart(
        f"{trouble}. Start yours in a terminal with `lab start`, then run this cell again."
    )


class Started(Live):
    """A service in a process of its own, with a home of its own: what was built, by links, and its own state.

    It ends with its ``with`` block, with :meth:`stop`, or with the kernel, however that ends. Start it from the
    kernel's main thread: Linux takes the thread that started a process for its parent.

    Attributes:
        home: its folder, gone when it is.
        log: the file with its output.
        pid: its process id, and the parent of its workers if it has several.
        server: the same process as `labserver.capacity` knows it, to be measured.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], ready: str) -> None:
        stack = ExitStack()
        self._end = weakref.finalize(
            self, stack.close
        )  # also when a cell is run twice, or never stops it
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="labserver-"))
        self.home = process.own_home(HOME, Path(folder))
        port = process.free_port()
        environment = {"LABSERVER_HOME": str(self.home), **process.UNHURRIED, **environment}
        try:
            server = stack.enter_context(
                process.started(
                    [*command, "--port", str(port)], port, self.home, environment=environment
                )
            )
            server.await_ready(ready)
        except BaseException:
            self.stop()
            raise
        super().__init__(server.url)
        self.server, self.log, self.pid = server, server.log, server.process.pid

    def stop(self) -> None:
        """End the process. A second call does nothing."""
        self._end()

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _start(
    name: str, command: Sequence[str], environment: Mapping[str, str], ready: str
) -> Started:
    try:
        return Started(command, environment, ready)
    except LabError as error:
        if "is taken by another program" in str(error) or "already in use" in str(
            error
        ):  # somebody took the port between our look and our use
            return _start(name, command, environment, ready)
        raise CannotStart(
            f"{name} did not start. {str(error).split('error: ')[-1][-400:]}"
        ) from None


def stage(
    lesson: int, parts: Path | None = None, *, workers: int = 1, **settings: object
) -> Started:
    """The service as it stands after a lesson.

    Args:
        lesson: 0 to 9.
        parts: a file or folder of parts that replace the shipped ones.
        workers: worker processes.
        settings: any of ``labserver.settings.Settings``, such as ``threads=2``.

    Raises:
        CannotStart: with the service's own sentence, if it refuses to start.
    """
    if unknown := settings.keys() - Settings.model_fields.keys():
        raise CannotStart(
            f"There is no setting {', '.join(sorted(unknown))}. They stand in labserver/settings.py."
        )
    chosen = {"lesson": lesson, **({"parts": parts} if parts else {}), **settings}
    environment = {f"LABSERVER_{name.upper()}": str(value) for name, value in chosen.items()}
    command = [sys.executable, "-m", "labserver.cli", "serve", "--workers", str(workers)]
    return _start(f"Stage {lesson}", command, environment, "/readyz")


def app(target: str, **environment: str) -> Started:
    """A FastAPI application from a file beside the notebooks, such as ``"lesson_00_app:app"``, run by uvicorn."""
    command = [sys.executable, "-m", "uvicorn", target, "--app-dir", str(NOTEBOOKS)]
    environment = {
        "OMP_NUM_THREADS": "1",
        **environment,
    }  # threads that wait for one another wait busily
    return _start(target, command, environment, "/openapi.json")


def _finished() -> Started:
    """The finished service, built if need be."""
    if not is_current(Settings(home=HOME)):
        command = [sys.executable, "-m", "labserver.cli", "build"]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            raise CannotStart(f"`labserver build` failed: {built.stderr.strip()[-400:]}")
    return stage(FINISHED_STAGE)


def flights(day: str, number: int) -> list[dict[str, Any]]:
    """At most ``number`` flights, spread over a day such as ``"2013-10-15"``, as bodies of requests."""
    return list(spread(flights_of(HOME / "warehouse.duckdb", day), number))
