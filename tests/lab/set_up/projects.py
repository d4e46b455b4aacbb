"""A small project with the course's own Makefile and set-up: eight packages in place of 200."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lock import ROOT

PYTHON = getattr(sys, "_base_executable", sys.executable)
"""The Python that the tests' own environment was made with."""
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = {"editables", "hatchling", "packaging", "pathspec", "pluggy", "six", "tomlkit", "trove-classifiers"}
"""The packages that hatchling needs to install the project, and six, a package of one file."""
CODE = "import exercises.lab.set_up.environment as it; print(it.fault({!r}) or 'whole')"


def typed(variables: Mapping[str, str]) -> dict[str, str]:
    """As in a terminal: a make that runs the tests would make this one say which folder it enters."""
    return {name: value for name, value in variables.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}


@dataclass
class Project:
    """A folder, and the variables with which ``make setup`` runs in it."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=lambda: typed(os.environ))

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def packages(self) -> Path:
        return next(self.venv.glob("lib/python*/site-packages"))

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """``make setup`` with the Python of the tests, unless another one is named."""
        with self.making(*arguments, **variables) as process:
            said, _ = process.communicate(timeout=300)
        assert "Traceback" not in said, said
        return subprocess.CompletedProcess(process.args, process.returncode, said, "")

    @contextmanager
    def making(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """The same, while it runs; ended with the block."""
        path = f"{Path(PYTHON).parent}{os.pathsep}{self.variables['PATH']}"
        process = subprocess.Popen(
            ["make", "setup", *(arguments or ["PYTHON=" + PYTHON])],
            cwd=self.root,
            env={**self.variables, "PATH": path, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 2)
                process.communicate(timeout=60)

    def fault(self, version: str = "") -> str:
        """The result of checking the environment, without changing it."""
        done = subprocess.run(
            [PYTHON, "-E", "-s", "-c", CODE.format(version)], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def works(self) -> bool:
        """True if the project's own command runs from the project's folder, with a package from the environment."""
        done = subprocess.run([self.venv / "bin/tiny"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip()) == self.packages / "six.py" and self.fault() == "whole"


def project(root: Path) -> Project:
    """A new one, without an environment."""
    (root / "labserver").mkdir(parents=True)
    (root / "labserver/__init__.py").write_text(
        '__version__ = "0.1.0"\n\n\ndef main():\n    import six\n\n    print(six.__file__)\n'
    )
    shutil.copytree(
        ROOT / "exercises/lab/set_up", root / "exercises/lab/set_up", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("Makefile", "exercises/__init__.py", "exercises/lab/__init__.py"):
        shutil.copyfile(ROOT / name, root / name)
    ours = (ROOT / "pyproject.toml").read_text()
    kept = re.search(r"\[build-system\].*?\nclassifiers = \[.*?\n\]\n", ours, re.DOTALL)
    assert kept
    (root / "pyproject.toml").write_text(
        kept[0].replace('readme = "README.md"\n', "") + '[project.scripts]\ntiny = "labserver:main"\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["labserver"]\n'
    )
    locked = re.split(r"(?m)^(?=\w)", (ROOT / "requirements.txt").read_text())
    wanted = [entry for entry in locked if re.split("[= ]", entry)[0] in PACKAGES]
    assert len(wanted) == len(PACKAGES)
    (root / "requirements.txt").write_text("".join(wanted))
    return Project(root)


def wait(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until it holds. The process must not end before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
