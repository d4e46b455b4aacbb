"""A state folder that takes no files is one sentence, whatever starts the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from awaiting import PATIENCE
from services import own_home, running

from labserver.running.process import free_port

pytestmark = pytest.mark.slow

STARTS = {
    "serve": ["labserver.cli", "serve"],
    "serve-workers": ["labserver.cli", "serve", "--workers", "2"],
    "serve-fresh": ["labserver.cli", "serve", "--fresh-store"],
    "stage-2": ["labserver.cli", "serve", "--lesson", "2"],
    "image": ["labserver.server"],
    "clock": ["labserver.cli", "clock"],
}
MOUNTS = {
    "read-only": "mount -t tmpfs -o size=8m,ro tmpfs",
    "no-room": "mount -t tmpfs -o size=100k tmpfs",
    "little-room": "mount -t tmpfs -o size=300k tmpfs",
}


def mounted(mount: str, folder: Path) -> list[str]:
    """The words that start a command with this in place of a folder."""
    return ["unshare", "--mount", "sh", "-c", f'{mount} "$0" && exec "$@"', str(folder)]


def printed(words: list[str], folder: Path) -> tuple[int, str]:
    """Exit code, and what was printed as one line."""
    environment = {"LABSERVER_HOME": str(folder), "LABSERVER_PORT": str(free_port()), "COLUMNS": "400"}
    done = subprocess.run(
        words, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr).strip()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("mount", MOUNTS)
def test_a_state_folder_that_takes_no_files_is_one_sentence(home: Path, tmp_path: Path, start: str, mount: str) -> None:
    state = own_home(home, tmp_path) / "state"
    state.mkdir()
    words = mounted(MOUNTS[mount], state)
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("No folder can be mounted here.")
    code, said = printed([*words, sys.executable, "-m", *STARTS[start]], tmp_path)
    why = "Read-only file system" if mount == "read-only" else "No space left on device"
    assert code == 1
    assert re.fullmatch(
        rf"error: A service keeps its state in \S+state, which takes no files or locks \({why}\)\. .*", said
    )


def test_a_file_in_the_folders_place_is_one_sentence(home: Path, tmp_path: Path) -> None:
    (own_home(home, tmp_path) / "state").write_text("no folder")
    code, said = printed([sys.executable, "-m", "labserver.cli", "serve"], tmp_path)
    assert (code, said[:45]) == (1, "error: A service keeps its state in " + str(tmp_path)[:9])


def test_a_folder_with_just_enough_room_serves(home: Path, tmp_path: Path) -> None:
    state = own_home(home, tmp_path) / "state"
    state.mkdir()
    words = mounted("mount -t tmpfs -o size=3m tmpfs", state)
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("No folder can be mounted here.")
    with running(tmp_path, program=[*words, sys.executable, "-m", "labserver.cli", "serve"]) as service:
        assert service.ready()
