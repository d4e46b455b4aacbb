"""Where lesson 1 builds and runs: in containers, or where no engine is here in clean virtual environments.

Both follow the same Containerfiles and are used in the same way. ``python notebooks/lesson_01_boxes.py`` builds ahead
what the notebook builds, so that the notebook finds every layer, or every package, on this machine.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Protocol

from exercises.checks.containerfile import Containerfile, parse
from labserver.errors import LabError
from labserver.running import process
from labserver.running.engine import HARDENING_FLAGS, Engine, container, find_engine
from live import HOME, NOTEBOOKS

ROOT = NOTEBOOKS.parent
NAIVE = NOTEBOOKS / "lesson_01_naive.Containerfile"
SHIPPED = ROOT / "labserver/deploy/Containerfile"
SEARCH = "/usr/local/bin:/usr/bin:/bin"
"""The PATH of a new environment: nothing of the shell that starts it."""


class StartedBox(Protocol):
    """A service that was started, in a container or in an environment. See ``labserver.running.engine.Container``."""

    @property
    def url(self) -> str: ...

    def wait_until_ready(self, seconds: float = 120) -> float:
        """Seconds from the start to the first 200 of /readyz. LabError with its log if it ends before."""

    def execute(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside the service: exit code, and what it printed."""

    def stop(self, grace_seconds: int = 10) -> tuple[int, float]:
        """SIGTERM, and SIGKILL after the grace period: exit code, and the seconds it took."""


class Yard(Protocol):
    """Builds from a Containerfile, and starts what was built.

    Attributes:
        where: what is measured, in words.
    """

    where: str

    def build(self, name: str, containerfile: Path, context: Path) -> float:
        """Build; return the seconds it took. LabError with the builder's last words if it fails."""

    def bytes_added(self, name: str) -> int:
        """What was built, in bytes beyond its base."""

    def start(self, name: str, **settings: str) -> AbstractContextManager[StartedBox]:
        """Start it with these variables; it is gone when the block ends."""


def yard() -> Yard:
    """Containers if an engine and a base image are here, else environments."""
    base = os.environ.get("BASE_IMAGE") or parse(SHIPPED.read_text()).final.base
    engine = find_engine()
    if engine and not engine.run("image", "inspect", base).returncode:
        return Containers(engine, base)
    if engine and not engine.run("pull", base, timeout=60).returncode:
        return Containers(engine, base)
    return Environments()


class Containers:
    """With podman or docker. IMAGE_FLAGS go to the engine's build as they are."""

    def __init__(self, engine: Engine, base: str) -> None:
        self.engine, self.base = engine, base
        self.where = f"{engine.name} containers"
        self._podman = engine.name == "podman"

    def build(self, name: str, containerfile: Path, context: Path) -> float:
        command = ["build", "--file", str(containerfile), "--tag", self._image(name)]
        command += ["--build-arg", f"BASE_IMAGE={self.base}"]
        command += ["--build-context", f"bundle={(HOME / 'bundle').resolve()}"]
        # podman's own format has no health check
        command += ["--format", "docker"] if self._podman else []
        begun = time.perf_counter()
        flags = shlex.split(os.environ.get("IMAGE_FLAGS", ""))
        self.engine.output(*command, *flags, str(context), timeout=600)
        return time.perf_counter() - begun

    def bytes_added(self, name: str) -> int:
        return self.engine.bytes_beyond(self._image(name), self.base)

    def start(self, name: str, **settings: str) -> AbstractContextManager[StartedBox]:
        locked = (
            HARDENING_FLAGS if name == "shipped" else ()
        )  # the naive one would not start without rights
        # Gone in the end even if this process is killed; docker has no such flag.
        limit = ("--timeout=600",) if self._podman else ()
        variables = [w for key, value in settings.items() for w in ("--env", f"{key}={value}")]
        return container(self.engine, self._image(name), (*locked, *limit, *variables))

    def _image(self, name: str) -> str:
        return f"localhost/labserver-lesson-1:{name}"


class Environments:
    """With a virtual environment each: a Containerfile's steps, done by hand in a folder that stands for /app."""

    where = "virtual environments"

    def __init__(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="labserver-")
        self._folder = Path(folder.name)
        self._end = weakref.finalize(self, folder.cleanup)
        self._files: dict[str, Containerfile] = {}

    def build(self, name: str, containerfile: Path, context: Path) -> float:
        text, app, begun = containerfile.read_text(), self._folder / name, time.perf_counter()
        self._files[name] = parse(text)
        lock = next(
            context / copy.words[0]
            for copy in self._files[name].shipped()
            if copy.keyword == "COPY" and copy.words[0].endswith("requirements.txt")
        )
        flags = ["--require-hashes"] if "--require-hashes" in text else []
        shutil.rmtree(app, ignore_errors=True)
        _install(app / "venv", [*flags, "--requirement", str(lock)], compiled="compileall" in text)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(context / "labserver", app / "labserver", ignore=ignored)
        shutil.copytree((HOME / "bundle").resolve(), app / "var/bundle")
        return time.perf_counter() - begun

    def bytes_added(self, name: str) -> int:
        files = (self._folder / name).rglob("*")
        return sum(file.lstat().st_size for file in files if file.is_file())

    @contextmanager
    def start(self, name: str, **settings: str) -> Iterator[StartedBox]:
        app, file, port = self._folder / name, self._files[name], process.free_port()
        shutil.rmtree(app / "var/state", ignore_errors=True)
        environment = {"PATH": SEARCH}
        for instruction in file.image():
            if instruction.keyword == "ENV":
                for key, _, value in (word.partition("=") for word in instruction.words):
                    value = value.replace("$PATH", environment["PATH"])
                    environment[key] = re.sub(r"(?<![\w~])/app\b", str(app), value)
        given = {key: value.replace("/app", str(app)) for key, value in settings.items()}
        environment |= {"LABSERVER_HOST": "127.0.0.1", "LABSERVER_PORT": str(port), **given}
        last = file.last("ENTRYPOINT") or file.last("CMD")
        command = last.exec_form or ["/bin/sh", "-c", last.value] if last else []
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            main = subprocess.Popen(
                process.dying_with_parent(command),
                cwd=app,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        box = Processes(f"http://127.0.0.1:{port}", main, environment, app, log, time.monotonic())
        try:
            yield box
        finally:
            box.kill()


@dataclass(frozen=True)
class Processes:
    """A service and what it was started with. The group of its processes takes the place of a container."""

    url: str
    main: subprocess.Popen[bytes]
    environment: dict[str, str]
    folder: Path
    log: Path
    started: float

    def wait_until_ready(self, seconds: float = 120) -> float:
        left = self.started + seconds - time.monotonic()
        if process.ready_in_time(f"{self.url}/readyz", self._runs, left):
            taken = time.monotonic() - self.started
            return taken - process.waited_for_a_core(self.main.pid)
        raise LabError(f"It is not ready: {self.log.read_text().strip() or 'it logged nothing'}")

    def execute(self, command: Sequence[str]) -> tuple[int, str]:
        done = subprocess.run(
            list(command),
            cwd=self.folder,
            env=self.environment,
            executable=shutil.which(command[0], path=self.environment["PATH"]),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self, grace_seconds: int = 10) -> tuple[int, float]:
        begun = time.monotonic()
        self.main.terminate()
        while self._runs() and time.monotonic() < begun + grace_seconds:
            time.sleep(0.02)
        self.kill()
        return self.main.returncode, time.monotonic() - begun

    def kill(self) -> None:
        if self._runs():
            os.killpg(self.main.pid, signal.SIGKILL)
        self.main.wait()

    def _runs(self) -> bool:
        """Whether any process of the group is left; the first may be gone before the others."""
        self.main.poll()
        try:
            os.killpg(self.main.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _install(place: Path, what: Sequence[str], *, compiled: bool) -> None:
    """Make an environment, with uv's cache if uv is here, without a network if the cache has it all.

    Raises:
        LabError: with the installer's last words, if it fails.
    """
    python = str(place / "bin/python")
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    if uv := shutil.which("uv", path=beside):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
        options = ["--compile-bytecode"] if compiled else []
        command = [uv, "pip", "install", "--quiet", "--python", python, *options, *what]
        try:
            return _run([*command, "--offline"])
        except LabError:
            return _run(command)
    _run([sys.executable, "-m", "venv", "--without-pip", str(place)])
    return _run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *what])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command[1:3])} failed: {done.stderr.strip()[-600:]}")


def teammates_folder(folder: Path) -> Path:
    """What the naive Containerfile builds from: the code, and the names of all that one machine has for it.

    The names carry versions, those of the course for the image's Python. What they need themselves is not named, so its
    versions float.
    """
    named = [one for one in requires("labserver") or [] if "extra" not in one or "build" in one]
    names = {match[0] for one in named if (match := re.match(r"[\w.-]+", one))}
    locked = re.findall(
        r"^(([\w.-]+)==.*?) *\\?$", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
    (folder / "requirements.txt").write_text(
        "".join(f"{line}\n" for line, name in locked if name in names)
    )
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "labserver", folder / "labserver", ignore=ignored, dirs_exist_ok=True)
    return folder


def main() -> None:
    """Build both, and say how long it took."""
    place = yard()
    with tempfile.TemporaryDirectory() as folder:
        naive = place.build("naive", NAIVE, teammates_folder(Path(folder)))
    shipped = place.build("shipped", SHIPPED, ROOT)
    print(f"{place.where}: naive {naive:.0f} s, shipped {shipped:.0f} s")


if __name__ == "__main__":
    main()
