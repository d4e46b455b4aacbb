"""``lab serve``: the finished service with the learner's solved parts."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from exercises.lab.course import Course, here
from labserver.api.listening import address, bind_for
from labserver.api.server import become
from labserver.pipeline.freshness import is_current
from labserver.settings import settings
from labserver.stages.own import own_parts


def own_folder(course: Course, folder: Path) -> list[int]:
    """Fill ``folder`` with links to the solved Python files. Returns their lessons."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    solved = [
        exercise for exercise, whose, _ in course.progress() if whose == "yours" and exercise.file.endswith(".py")
    ]
    for exercise in solved:
        (folder / exercise.file).symlink_to(course.workspace.file(exercise).resolve())
    return [exercise.lesson for exercise in solved]


def home_for(folder: Path) -> Path:
    """The home folder whose bundle fits the parts; for a learner's catalogue a separate one, built if needed.

    Raises:
        subprocess.CalledProcessError: if the build fails; it has printed the reason.
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


def serve(port: int | None, unix_socket: Path | None = None) -> None:
    """Become the finished service with the learner's parts, on a port or a Unix socket. Builds first if needed.

    Raises:
        LabError: if the port cannot be used, or a learner's part does not run.
        subprocess.CalledProcessError: if a build fails; it has printed the reason.
    """
    chosen = settings()
    bound = None if unix_socket else bind_for(chosen, port)
    if not is_current(chosen):
        subprocess.run([sys.executable, "-m", "labserver.cli", "build"], check=True)
    variables = {"LABSERVER_HOME": str(chosen.home)}
    folder = chosen.home / "parts"
    if lessons := own_folder(here(), folder):
        variables = {"LABSERVER_HOME": str(home_for(folder)), "LABSERVER_PARTS": str(folder)}
        print(f"Your parts are active: lesson {', '.join(map(str, lessons))}. The others are the course's solutions.")
    else:
        print("No lesson is solved yet: every part is the course's solution.")
    if bound:
        print(places(address(bound), variables))
    sys.stdout.flush()
    os.environ |= variables
    become("labserver.stages.server", port=bound, unix_socket=unix_socket)


def places(url: str, variables: Mapping[str, str]) -> str:
    """The address of the service's page, and the command to replay into it: with its home folder and its parts."""
    assigned = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    labserver = shlex.quote(str(Path(sys.executable).with_name("labserver")))
    replay = f"{assigned} {labserver} replay --from 2013-09-01 --days 1 --url {url}"
    return f"\n  Page    {url}/\n  Replay  {replay}\n\nCtrl-C stops the service.\n"
