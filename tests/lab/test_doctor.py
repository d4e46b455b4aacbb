"""``lab doctor`` and ``lab start`` on machines that lack something: each says what, and what to do about it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from needed import needed

from exercises.lab.doctor import HELPFUL, file_system, unwritable
from labserver.errors import LabError
from labserver.features.definitions import CATALOGUE
from labserver.features.store import create

pytestmark = pytest.mark.slow

NOWHERE = "/dev/null/home"
"""A folder that nobody can make, the super-user neither."""
MOVED = {"HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "XDG_RUNTIME_DIR"}


def lab(home: Path, work: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in MOVED}
    own = {"HOME": str(work), "LABSERVER_HOME": str(home), "LAB_WORK": str(work), "COLUMNS": "200"}
    command = [sys.executable, "-m", "exercises.lab.cli", *arguments]
    environment = kept | own | variables
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("arguments", [(), ("--no-jupyter",)])
def test_a_home_that_cannot_be_written_is_named_before_anything_starts(
    home: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    work = tmp_path / "work"
    done = lab(home, work, "start", *arguments, HOME=NOWHERE)
    assert (done.returncode, done.stdout) == (1, "")
    said = (
        r"error: Jupyter \w+: /dev/null/home/\S+ cannot be written \(.+\)\. Set HOME to a folder that you can write\.\n"
    )
    assert re.fullmatch(said, done.stderr)
    assert not work.exists()


@pytest.mark.parametrize("variable", ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"])
def test_a_folder_that_was_moved_is_named_by_its_variable(home: Path, tmp_path: Path, variable: str) -> None:
    assert (
        f"Set {variable} to a folder that you can write." in lab(home, tmp_path, "start", **{variable: NOWHERE}).stderr
    )


def test_the_doctor_names_every_folder_that_cannot_be_written(home: Path, tmp_path: Path) -> None:
    done = lab(home, tmp_path, "doctor", HOME=NOWHERE, LAB_WORK=NOWHERE)
    assert done.returncode == 1
    for name, variable in {"settings": "HOME", "data": "HOME", "runtime": "HOME", "work folder": "LAB_WORK"}.items():
        assert re.search(rf"✘ .*{name} +/dev/null/home\S* cannot be written .*\n +set {variable} to", done.stdout)


def test_the_doctor_names_every_program_that_is_missing(home: Path, tmp_path: Path) -> None:
    """With what to install; the course goes on without them, so the exit code does not change."""
    with_all, without = lab(home, tmp_path, "doctor"), lab(home, tmp_path, "doctor", PATH=str(tmp_path))
    assert without.returncode == with_all.returncode
    for name, package in {
        "container engine": "podman",
        "chromium": "chromium",
        "wrk": "wrk",
        "promtool": "prometheus",
        "git": "git",
    }.items():
        assert re.search(rf"· {name} +not found\n +.*`sudo apt install {package}`", without.stdout)
    assert "`make arc`" in without.stdout
    needed("promtool", "prometheus")
    assert re.search("✔ promtool", with_all.stdout)


def test_the_doctor_finds_every_program_by_its_name(home: Path, tmp_path: Path) -> None:
    for programs, _ in HELPFUL.values():
        (tmp_path / programs[0]).write_text("#!/bin/sh\n")
        (tmp_path / programs[0]).chmod(0o755)
    done = lab(home, tmp_path, "doctor", PATH=str(tmp_path))
    for name, (programs, _) in HELPFUL.items():
        assert re.search(rf"✔ {name} +{programs[0]}\n", done.stdout)


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


@pytest.mark.parametrize(
    ("place", "well", "kind"),
    [
        ("/home/ada/course/var", False, "nfs4"),
        ("/home/ada/local/var", True, "ext4"),
        ("/homework/var", True, "overlay"),
        ("/mnt/c/course/var", False, "9p"),
        ("/media/sf/var", False, "fuse.sshfs"),
    ],
)
def test_the_doctor_names_a_folder_that_is_another_machines(place: str, well: bool, kind: str) -> None:
    mounts = [
        Mount("/", "overlay"),
        Mount("/home", "nfs4"),
        Mount("/home/ada/local", "ext4"),
        Mount("/mnt/c", "9p"),
        Mount("/media/sf", "fuse.sshfs"),
    ]
    found = file_system(Path(place), mounts)
    assert (found.well, found.found.split(",")[0]) == (well, kind)


def test_an_old_sqlite_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 26, 0))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.26.0")
    with pytest.raises(LabError, match=r"This Python has SQLite 3\.26\.0, and 3\.35 is needed\."):
        create(tmp_path / "store.db", CATALOGUE)
    assert not (tmp_path / "store.db").exists()


def test_what_can_be_written_is_not_changed_by_looking(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "a/b") == ""
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    assert unwritable(tmp_path / "file/folder") == f"{tmp_path}/file/folder cannot be written (Not a directory)"
