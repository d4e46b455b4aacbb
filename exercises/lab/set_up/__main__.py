"""``python -m exercises.lab.set_up [--this-python]``: make what the environment lacks; nothing if it is complete."""

import contextlib
import fcntl
import importlib.util
import re
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType

from exercises.lab.set_up.commands import Commands, Progress
from exercises.lab.set_up.environment import (
    BUILD_LOCK_FILE,
    LOCK_FILE,
    NO_ENVIRONMENT,
    PROJECT_FILE,
    PYTHON,
    ROOT,
    STAMP,
    UV,
    UV_LOCK_FILE,
    VENV,
    fault,
    is_current,
    python_of,
    stamp,
)
from exercises.lab.set_up.failures import RUN_SETUP_AGAIN, CommandFailed, Failed, explained

THIS_VERSION = "{}.{}".format(*sys.version_info[:2])
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals of Ctrl-C, of a polite kill, and of a terminal that is closed."""


def main() -> int:
    """Set up. An error that a person can fix is one sentence and exit code 1."""
    for number in END_SIGNALS:
        signal.signal(number, _interrupt)
    try:
        set_up(THIS_VERSION if "--this-python" in sys.argv[1:] else "", Progress())
        return 0
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal is gone
            print("Stopped. `make setup` begins again.", flush=True)
        return 130
    except Failed as failed:
        sentence = str(failed)
    except (CommandFailed, OSError) as failed:
        sentence = explained(str(failed))
    print(f"error: {sentence}", file=sys.stderr)
    return 1


def set_up(version: str, progress: Progress) -> None:
    """Do the steps that are missing.

    Args:
        version: the version of Python that the user wants; empty for any.
        progress: prints the steps.

    Raises:
        Failed: if a person has to do something first.
        CommandFailed: if a program fails.
    """
    if not fault(version) and is_current():
        return
    with alone(progress) as lock:
        commands, why = Commands(lock, progress), fault(version)  # again: another set-up can have ended meanwhile
        if why:
            make_anew(why, commands)
        if why or not is_current():
            install(commands)


def make_anew(why: str, commands: Commands) -> None:
    """Make an environment with pip and uv, and nothing else."""
    check_python()
    found = re.search("[#:]", str(ROOT))  # the one is for addresses, the other separates folders
    if found:
        raise Failed(
            f"The course is in {ROOT}, and no environment can be made below a folder with {found.group()} in its name: "
            f"rename or move the folder, {RUN_SETUP_AGAIN}."
        )
    if VENV.exists() and not VENV.is_dir():
        raise Failed(
            f"{VENV} is a file, and the environment needs a folder of that name: move the file away, {RUN_SETUP_AGAIN}."
        )
    if VENV.is_symlink() and not VENV.exists():
        VENV.unlink()
    if why != NO_ENVIRONMENT:
        print(f"Making .venv anew: {why}.", flush=True)
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    commands.progress.step("1/3 A Python environment in .venv: about 15 s.")
    base = getattr(sys, "_base_executable", sys.executable)  # this Python may be the environment's own
    commands.run(base, "-I", "-m", "venv", "--clear", "--without-pip", str(VENV))
    # Not by `venv`, which would hide why it fails.
    commands.run(PYTHON, "-I", "-m", "ensurepip", "--upgrade", "--default-pip", doing="installing pip")
    # Not --quiet, which would hide that a certificate was not trusted.
    pip = (PYTHON, "-I", "-m", "pip", "install", "--no-user", "--disable-pip-version-check", "--progress-bar", "off")
    commands.download(*pip, "--require-hashes", "--requirement", str(UV_LOCK_FILE), doing="installing uv")


def install(commands: Commands) -> None:
    """Install the packages as locked, and the course. There is no stamp until all are installed."""
    before = STAMP.read_bytes() if STAMP.exists() else b""
    with contextlib.suppress(FileNotFoundError):
        STAMP.unlink()
    arguments = (UV, "pip", "install", "--python", PYTHON)
    commands.progress.step(
        "2/3 The packages, downloaded once and byte-compiled: about 1 minute, longer on a slow line."
    )
    try:
        # Byte-compiled, or with PYTHONDONTWRITEBYTECODE the import of scikit-learn takes seconds in every process.
        packages = ("--require-hashes", "--requirement", str(LOCK_FILE), "--build-constraints", str(BUILD_LOCK_FILE))
        commands.download(*arguments, "--compile-bytecode", *packages)
    except CommandFailed as failed:
        if before and not re.search("^(Unin|In)stalled ", str(failed), re.MULTILINE):
            STAMP.write_bytes(before)  # nothing was changed: without a network the course goes on as it was
        raise
    commands.progress.step("3/3 The course itself: a few seconds.")
    commands.run(*arguments, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp()


def check_python() -> None:
    """Check that this Python can make the environment.

    Raises:
        Failed: if it is too old or too new, or lacks the modules that make environments.
    """
    supported = re.findall(r"Python :: (3\.\d+)", PROJECT_FILE.read_text(encoding="utf-8"))
    if THIS_VERSION not in supported:
        here = [name for name in map("python{}".format, reversed(supported)) if python_of(name)[1]]
        do = f"run `make lab PYTHON={here[0]}`" if here else "install one, then run `make lab PYTHON=python3.12`"
        raise Failed(f"Python {supported[0]} to {supported[-1]} is needed, and this is {sys.version.split()[0]}: {do}.")
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise Failed(
            "This Python came without what makes environments: install it (Debian, Ubuntu: "
            f"`sudo apt install python{THIS_VERSION}-venv`), {RUN_SETUP_AGAIN}."
        )


@contextlib.contextmanager
def alone(progress: Progress) -> "Iterator[int]":
    """One set-up at a time: wait for another one, or for programs that a killed one has left. Gives the open lock."""
    with LOCK_FILE.open("r+b") as file:
        for attempt in range(sys.maxsize):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not attempt:
                    progress.step("Another set-up is at work in this folder; waiting until it ends.")
                time.sleep(0.5)
                progress.tick("waiting")
            except OSError:
                break  # a network's file system without locks
        progress.clear()
        yield file.fileno()


def _interrupt(number: int, frame: "FrameType | None") -> None:
    for other in END_SIGNALS:  # an end that has begun is not interrupted
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
