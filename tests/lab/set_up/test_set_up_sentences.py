"""Errors that a person has to fix: one sentence, exit code 1 (make turns it into 2), and no traceback."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from lock import ROOT
from needed import absent
from projects import PYTHON, VERSION, Project, project

OLDEST = (3, 6)


def sentence(made: Project, *arguments: str, **variables: str) -> str:
    """The one line of a set-up that ends at once, without make's own."""
    done = made.make(*arguments, **variables)
    assert done.returncode == 2, done.stdout
    lines = [line for line in done.stdout.splitlines() if not re.match(r"make: \*\*\*|[123]/3 | +\d+ s", line)]
    assert len(lines) == 1, done.stdout
    return lines[0]


@pytest.mark.parametrize(
    "file", [ROOT / "exercises/__init__.py", *sorted((ROOT / "exercises/lab/set_up").glob("*.py"))]
)
def test_an_old_python_can_read_it(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=OLDEST)
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert "__future__" not in imported  # Python 3.6 does not know annotations


def test_an_old_python_says_which_is_needed(fresh: Project) -> None:
    old = [path for minor in range(6, 11) if (path := shutil.which(f"python3.{minor}"))]
    runs = [path for path in old if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0]
    if not runs:
        pytest.skip("No Python older than 3.11 is here, such as Debian 11's package python3.9.")
    for path in runs:
        assert re.fullmatch(
            r"error: Python 3\.11 to 3\.14 is needed, and this is 3\.\d+\.\d+: .*", sentence(fresh, f"PYTHON={path}")
        )


@pytest.mark.parametrize("letter", ["#", ":"])
def test_a_folder_below_which_no_environment_can_be_made(tmp_path: Path, letter: str) -> None:
    made = project(tmp_path / f"course{letter}1")
    said = sentence(made)
    assert said.startswith(f"error: The course is in {made.root}, and no environment can be made below a folder with")
    assert f"with {letter} in its name: rename or move the folder" in said
    assert not made.venv.exists()


@pytest.mark.parametrize("versions", [("3.97", "3.98", "3.99"), ("3.0", "3.1")], ids=["too old", "too new"])
def test_a_python_that_the_packages_are_not_for(fresh: Project, versions: tuple[str, ...]) -> None:
    project = fresh.root / "pyproject.toml"
    names = "".join(f'    "Programming Language :: Python :: {version}",\n' for version in versions)
    project.write_text(re.sub(r"(?s)classifiers = \[.*?\]", f"classifiers = [\n{names}]", project.read_text()))
    said = sentence(fresh)
    assert said.startswith(f"error: Python {versions[0]} to {versions[-1]} is needed, and this is {VERSION}.")
    assert "make lab PYTHON=" in said
    assert not fresh.venv.exists()


@pytest.mark.parametrize("command", ["python3.99", "/nowhere/python", "false"])
def test_a_command_that_is_no_python(fresh: Project, command: str) -> None:
    assert sentence(fresh, f"PYTHON={command}").startswith(f"error: {command} is no command here that runs Python 3")


def test_a_file_in_the_environments_place(fresh: Project) -> None:
    fresh.venv.write_text("mine")
    assert "is a file, and the environment needs a folder of that name: move the file away" in sentence(fresh)
    assert fresh.venv.read_text() == "mine"


def without_ensurepip(folder: Path) -> tuple[Path, Callable[[], None]]:
    """This Python as Debian's package python3 has it: its library by links, less ensurepip. And what installs that."""
    library = Path(sysconfig.get_path("stdlib"))
    theirs = folder / "lib" / library.name
    theirs.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name not in ("ensurepip", "site-packages", "dist-packages"):
            (theirs / entry.name).symlink_to(entry)
    (folder / "bin").mkdir()
    python = Path(shutil.copy(Path(PYTHON).resolve(), folder / f"bin/python{VERSION}"))
    if not (library / "ensurepip").is_dir():
        absent(f"This Python has no ensurepip. Debian's package python{VERSION}-venv has it.")
    return python, lambda: (theirs / "ensurepip").symlink_to(library / "ensurepip")


def test_without_pythons_venv_package_then_with_it(fresh: Project, tmp_path: Path) -> None:
    """An earlier Makefile has left what `python -m venv` leaves without ensurepip: an environment without pip."""
    python, install = without_ensurepip(tmp_path / "usr")
    left = subprocess.run([python, "-m", "venv", fresh.venv], capture_output=True, check=False)
    assert left.returncode != 0
    assert (fresh.venv / "bin/python").exists()
    said = sentence(fresh, f"PYTHON={python}")
    assert f"`sudo apt install python{VERSION}-venv`, then run `make setup` again" in said.replace(")", "")
    install()
    done = fresh.make(f"PYTHON={python}")
    assert done.returncode == 0, done.stdout
    assert "Making .venv anew: its set-up did not end." in done.stdout
    assert fresh.works()


def mounted(made: Project, options: str, then: str = "true") -> str:
    """The sentence in a copy of the project on a file system of its own, which only this command sees."""
    place = made.root.parent / "mounted"
    place.mkdir()
    script = (
        f'mount -t tmpfs -o {options} none "{place}" && cp -r "{made.root}/." "{place}" && cd "{place}" && {then} && '
        f'exec make setup PYTHON="{PYTHON}"'
    )
    apart = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "sh", "-c"]
    try:
        if subprocess.run([*apart, f'mount -t tmpfs none "{place}"'], capture_output=True, check=False).returncode:
            pytest.skip("This user can mount nothing here, in a namespace of its own neither.")
    except OSError:
        absent("unshare is not here. Debian's package util-linux has it.")
    done = subprocess.run(
        [*apart, script], env=made.variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stdout
    [said] = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    return said


def test_a_full_disk(fresh: Project) -> None:
    said = mounted(fresh, "size=4m")
    assert re.match(r"error: No space is left on the disk \(.*mounted: \d MB free\), .*: make room, then run", said)


def test_a_folder_that_cannot_be_written(fresh: Project) -> None:
    said = mounted(fresh, "size=9m", 'mount -o remount,ro "$PWD"')
    assert re.match(r"error: .*mounted\S* cannot be written: copy the course to a folder of yours", said)
