"""``lab serve``: the finished service on a learner's own parts, as far as they are solved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from exercises.course import Course, here
from labserver.freshness import is_current
from labserver.settings import settings
from labserver.stages import own_parts


def own_folder(course: Course, folder: Path) -> list[int]:
    """Fill ``folder`` with links to the solved Python files. Gives their lessons."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    solved = [known for known, whose, _ in course.progress() if whose == "yours" and known.file.endswith(".py")]
    for known in solved:
        (folder / known.file).symlink_to(course.workspace.file(known).resolve())
    return [known.lesson for known in solved]


def home_for(folder: Path) -> Path:
    """The home folder whose bundle fits the parts: one of its own, built if needed, for a catalogue of the learner's.

    Raises:
        subprocess.CalledProcessError: if the build fails; it has said why.
    """
    home = settings().home.resolve()
    if "catalogue" not in own_parts(folder):
        return home
    command = [sys.executable, "-m", "labserver.cli", "build", "--if-needed", "--parts", str(folder)]
    own = home / "own"
    subprocess.run(command, env=os.environ | {"LABSERVER_HOME": str(own)}, check=True)
    shown = own / settings().progress.name  # checks write the progress into the course's home: the page shows that one
    shown.unlink(missing_ok=True)
    shown.symlink_to(settings().progress.resolve())
    return own


def serve(port: int, unix_socket: Path | None = None) -> None:
    """Become ``labserver serve`` with the learner's parts, on a port or a Unix socket. Builds first if needed.

    Raises:
        subprocess.CalledProcessError: if a build fails; it has said why.
    """
    if not is_current(settings()):
        subprocess.run([sys.executable, "-m", "labserver.cli", "build"], check=True)
    folder = settings().home / "parts"
    place = ["--unix-socket", str(unix_socket)] if unix_socket else ["--port", str(port)]
    command = [sys.executable, "-m", "labserver.cli", "serve", *place]
    if lessons := own_folder(here(), folder):
        print(
            f"Your parts of lesson {', '.join(map(str, lessons))} are in force; the course lends the others.",
            flush=True,
        )
        command += ["--parts", str(folder)]
        os.environ["LABSERVER_HOME"] = str(home_for(folder))
    else:
        print("No lesson is solved yet: every part is lent by the course.", flush=True)
    os.execv(command[0], command)  # noqa: S606
