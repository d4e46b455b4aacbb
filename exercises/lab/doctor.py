"""``lab doctor``: lists what the course needs, what this machine lacks, and how to fix it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from exercises.checks.registry import ROOT
from exercises.lab.set_up.environment import VENV, fault
from exercises.lab.workspace import folder
from labserver.errors import LabError
from labserver.features.store import LEAST_SQLITE
from labserver.pipeline.freshness import is_current
from labserver.running.process import free_port, is_free
from labserver.settings import settings

LEAST_MEMORY = 4.0
"""GiB. A build takes 1.5, JupyterLab with a notebook and its stages another 2."""

HELPFUL = {
    "container engine": (("podman", "docker"), "lesson 1 and `make image` use one: `sudo apt install podman`"),
    "browser": (("chromium", "chromium-browser", "google-chrome", "firefox"), "install one: JupyterLab opens in it"),
    "chromium": (("chromium",), "only `make test` needs it: `sudo apt install chromium`"),
    "wrk": (("wrk",), "only `make arc`, `make bench` and `make faults` need it: `sudo apt install wrk`"),
    "promtool": (("promtool",), "lesson 9 tries alert rules with it: `sudo apt install prometheus`"),
    "git": (("git",), "only `lab update` needs it: `sudo apt install git`"),
}
"""Optional programs, each with the command that uses it and its package in Debian and Ubuntu."""


OF_OTHERS = frozenset(
    ["9p", "afs", "ceph", "cifs", "drvfs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3", "smbfs", "vboxsf", "virtiofs"]
)
"""File systems of another machine, or of the system around this one: do not rely on their locks and shared memory."""
NEWER_SQLITE = "make setup PYTHON=... with a Python of its own, such as `uv python install 3.12` gives"


@dataclass(frozen=True)
class Symptom:
    """The result of one examination.

    Attributes:
        name: its subject.
        well: true if nothing is wrong.
        found: a description of what was found.
        remedy: what to run if something is wrong.
        needed: true if the course does not work without it.
    """

    name: str
    well: bool
    found: str
    remedy: str = ""
    needed: bool = True


def examine() -> Iterator[Symptom]:
    """Examine everything."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Symptom("Python", sys.version_info >= (3, 11), version, "make lab PYTHON=python3.12")
    yield environment()
    yield packages()
    chosen = settings()
    built = is_current(chosen)
    yield Symptom(
        "bundle", built, "built and current" if built else "missing or older than the code", "labserver build"
    )
    yield ports(chosen.port)
    yield memory()
    yield disk(chosen.home.resolve())
    yield file_system(chosen.home.resolve(), psutil.disk_partitions(all=True))
    yield Symptom("SQLite", sqlite3.sqlite_version_info >= LEAST_SQLITE, sqlite3.sqlite_version, NEWER_SQLITE)
    yield _writable("work folder", folder().resolve(), "LAB_WORK")
    yield from jupyter_folders()
    for name, (programs, remedy) in HELPFUL.items():
        program = next((path for path in map(shutil.which, programs) if path), None)
        yield Symptom(name, bool(program), Path(program).name if program else "not found", remedy, needed=False)


def environment() -> Symptom:
    """Checks that ``make setup`` has completed this environment. Others, such as conda's, need at least pip."""
    ours = Path(sys.prefix).resolve() == VENV.resolve()
    why = fault() if ours else ""
    if why:
        return Symptom("environment", False, f"in .venv, but {why}", "make setup")
    pip = _installed("pip")
    remedy = "make setup" if ours else f"{sys.executable} -m ensurepip; lesson 1 may need it"
    return Symptom("environment", bool(pip), f"{sys.prefix}, {'pip ' + pip if pip else 'without pip'}", remedy, ours)


def packages() -> Symptom:
    """Checks that the versions of the lock are installed; with conda, which takes the newest, that everything is."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        asked = importlib.metadata.requires("labserver") or []
        missing = sorted({name for line in asked if _installed(name := re.split(r"[^\w.-]", line)[0]) is None})
        found = (
            f"not installed: {', '.join(missing[:5])}" if missing else f"all {len(asked)} installed, by conda and pip"
        )
        return Symptom("packages", not missing, found, "conda env update --file environment.yml")
    lock = ROOT / "requirements.txt"
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
    """Checks that loopback gives a port, and whether the default port is taken."""
    try:
        free_port()
    except OSError as error:
        return Symptom("ports", False, f"none on 127.0.0.1 ({error})", "look whether a firewall or sandbox forbids it")
    taken = "" if is_free(wanted) else f"; {wanted} is taken, another one will be used"
    return Symptom("ports", True, f"free ones on 127.0.0.1{taken}")


def memory() -> Symptom:
    """Checks that the machine has enough memory."""
    try:
        gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return Symptom("memory", True, "unknown")
    remedy = f"close other programs: {LEAST_MEMORY:.0f} GiB are comfortable"
    return Symptom("memory", gigabytes >= LEAST_MEMORY, f"{gigabytes:.0f} GiB", remedy, needed=False)


def disk(home: Path) -> Symptom:
    """Checks that the folder of everything built can be written."""
    free = shutil.disk_usage(_nearest(home)).free / 2**30
    why, enough = unwritable(home), "LABSERVER_HOME to a folder with 1 GiB that you can write"
    return Symptom("disk", not why and free > 1, why or f"{free:.0f} GiB free", f"make room, or set {enough}")


def file_system(home: Path, mounts: Sequence[Any]) -> Symptom:
    """Checks that the folder of everything built is on a disk of this machine.

    Args:
        home: the folder.
        mounts: as :func:`psutil.disk_partitions` gives them.
    """
    above = [mount for mount in mounts if home.is_relative_to(mount.mountpoint)]
    kind = max(above, key=lambda mount: len(Path(mount.mountpoint).parts)).fstype if above else "unknown"
    shared = kind in OF_OTHERS or kind.startswith(tuple(f"{other}." for other in OF_OTHERS))
    remedy = "set LABSERVER_HOME to a folder on a disk of this machine: SQLite's log is no file to share"
    return Symptom("file system", not shared, f"{kind}, of another machine" if shared else kind, remedy, needed=False)


def jupyter_folders(jupyter: bool = True) -> Iterator[Symptom]:
    """Folders that JupyterLab writes to. ``lab start`` announces itself in the last one, also without JupyterLab."""
    if jupyter:
        yield _writable("Jupyter settings", Path(jupyter_config_dir()), "JUPYTER_CONFIG_DIR", "HOME")
        yield _writable("Jupyter data", Path(jupyter_data_dir()), "JUPYTER_DATA_DIR", "HOME")
    yield _writable("Jupyter runtime", Path(jupyter_runtime_dir()), "JUPYTER_RUNTIME_DIR", "HOME")


def require_folders(home: Path, jupyter: bool) -> None:
    """Check before a start that the folders can be written.

    Raises:
        LabError: if a folder that the service, JupyterLab or ``lab start`` needs cannot be written.
    """
    for symptom in (_writable("data folder", home, "LABSERVER_HOME"), *jupyter_folders(jupyter)):
        if not symptom.well:
            raise LabError(f"{symptom.name}: {symptom.found}. {symptom.remedy[0].upper()}{symptom.remedy[1:]}.")


def _writable(name: str, place: Path, *variables: str) -> Symptom:
    """A folder, and the variable that moves it: the first that is set, or the last."""
    variable = next((name for name in variables if name in os.environ), variables[-1])
    why = unwritable(place)
    return Symptom(name, not why, why or str(place), f"set {variable} to a folder that you can write")


def unwritable(place: Path) -> str:
    """The reason why a folder cannot be written or made; empty if it can. Leaves nothing behind."""
    try:
        nearest = _nearest(place)
        with tempfile.TemporaryFile(dir=nearest):
            return ""
    except OSError as error:
        return f"{place} cannot be written ({error.strerror})"


def _nearest(place: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(there for there in (place, *place.parents) if os.path.lexists(there))
