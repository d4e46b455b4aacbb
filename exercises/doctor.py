"""``lab doctor``: what the course needs, what of it is here, and the command that mends what is not."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exercises.registry import COURSE
from labserver.capacity.process import free_port, is_free
from labserver.freshness import is_current
from labserver.settings import settings

LEAST_MEMORY = 4.0
"""GiB. A build takes 1.5, JupyterLab with a notebook and its stages another 2."""

HELPFUL = {
    "container engine": (("podman", "docker"), "install podman or docker; lesson 1 does with less without one"),
    "browser": (("chromium", "chromium-browser", "google-chrome", "firefox"), "install one, such as chromium"),
    "wrk": (("wrk",), "install wrk; only `make bench` and `make faults` need it"),
    "git": (("git",), "install git; only `lab update` needs it"),
}
"""What the course does without, if it must: names of programs, and what to do."""


@dataclass(frozen=True)
class Symptom:
    """One thing that was looked at.

    Attributes:
        name: of the thing.
        well: whether it is as it should be.
        found: what is there.
        remedy: what to run if it is not.
        needed: whether the course does not work without it.
    """

    name: str
    well: bool
    found: str
    remedy: str = ""
    needed: bool = True


def examine() -> Iterator[Symptom]:
    """Look at everything."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Symptom("Python", sys.version_info >= (3, 11), version, "make lab PYTHON=python3.12")
    yield packages()
    chosen = settings()
    built = is_current(chosen)
    yield Symptom(
        "bundle", built, "built and current" if built else "missing or older than the code", "labserver build"
    )
    yield ports(chosen.port)
    yield memory()
    yield writable(chosen.home.resolve())
    for name, (programs, remedy) in HELPFUL.items():
        program = next((path for path in map(shutil.which, programs) if path), None)
        yield Symptom(name, bool(program), Path(program).name if program else "not found", remedy, needed=False)


def packages() -> Symptom:
    """Whether the versions of the lock are installed. Conda takes the newest: there, whether everything is."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        asked = importlib.metadata.requires("labserver") or []
        missing = sorted({one for line in asked if _installed(one := re.split(r"[^\w.-]", line)[0]) is None})
        found = (
            f"not installed: {', '.join(missing[:5])}" if missing else f"all {len(asked)} installed, by conda and pip"
        )
        return Symptom("packages", not missing, found, "conda env update --file environment.yml")
    lock = COURSE.parent / "requirements.txt"
    if not lock.exists():
        return Symptom("packages", True, "installed without the lock")
    wanted = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)([^\n]*)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    others = [name for name, version, condition in wanted if ";" not in condition and _installed(name) != version]
    found = f"{len(wanted)} as locked" if not others else f"not as locked: {', '.join(others[:5])}"
    return Symptom("packages", not others, found, "make setup")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def ports(wanted: int) -> Symptom:
    """Whether loopback gives a port, and whether the usual one is taken."""
    try:
        free_port()
    except OSError as error:
        return Symptom(
            "ports", False, f"loopback gives none ({error})", "look whether a firewall or sandbox forbids it"
        )
    taken = "" if is_free(wanted) else f"; {wanted} is taken, another one will be used"
    return Symptom("ports", True, f"loopback gives them{taken}")


def memory() -> Symptom:
    """Memory of the machine; whether that is enough."""
    try:
        gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return Symptom("memory", True, "unknown")
    remedy = f"close other programs: {LEAST_MEMORY:.0f} GiB are comfortable"
    return Symptom("memory", gigabytes >= LEAST_MEMORY, f"{gigabytes:.0f} GiB", remedy, needed=False)


def writable(home: Path) -> Symptom:
    """Whether what is built can be written."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free / 2**30
    well = os.access(there, os.W_OK) and free > 1
    return Symptom("disk", well, f"{free:.0f} GiB free", "set LABSERVER_HOME to a folder with 1 GiB that you may write")
