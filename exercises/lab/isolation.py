"""What graded code may see and reach: see :mod:`exercises.lab.apart`, which runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from exercises.lab import apart
from labserver.settings import ROOT, Settings

ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8")
"""Variables that graded code gets. Others may hold what only the grader should know."""


@dataclass(frozen=True)
class Isolation:
    """Folders that graded code does not see, and those inside them that it does.

    Attributes:
        hidden: the grader's own home, the submissions, everybody's temporary files.
        kept: the course, its Python, and what was built. Nothing of it can be written.
    """

    hidden: tuple[Path, ...]
    kept: tuple[Path, ...]

    def command(self, own: Path, command: Sequence[str]) -> list[str]:
        """The command that runs another one apart, with ``own`` as the only folder that it can write to."""
        plan = {
            "hidden": [str(path) for path in self.hidden],
            "kept": [str(path) for path in self.kept],
            "own": str(own.resolve()),
        }
        return [sys.executable, "-I", "-S", apart.__file__, str(os.getpid()), json.dumps(plan), *command]

    def environment(self, own: Path) -> dict[str, str]:
        """The variables that graded code gets."""
        known = {name: value for name, value in os.environ.items() if name in ENVIRONMENT}
        return known | {"HOME": str(own.resolve())}


def isolation(chosen: Settings, submissions: Path) -> Isolation | None:
    """The isolation of graded code, or None where the system gives no namespaces."""
    hidden = _folders((Path.home(), submissions, Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")))  # noqa: S108
    linked = (path.resolve().parent for path in (chosen.bundle, chosen.warehouse, chosen.teaching))
    kept = _folders((ROOT, Path(sys.prefix), Path(sys.base_prefix), chosen.home, *linked))
    made = Isolation(hidden, tuple(path for path in kept if path not in hidden))
    return made if _possible(made) else None


def _folders(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Those that exist, as what they are behind links, each once; ``/`` is none of them."""
    found = dict.fromkeys(path.resolve() for path in paths)
    return tuple(path for path in found if path.is_dir() and path != Path("/"))


@cache
def _possible(made: Isolation) -> bool:
    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory(prefix="lab-check-") as folder:
        command = made.command(Path(folder), [sys.executable, "-c", "import exercises.checks.check_process"])
        done = subprocess.run(
            command, env=made.environment(Path(folder)), cwd=folder, capture_output=True, check=False, timeout=60
        )
    return done.returncode == 0
