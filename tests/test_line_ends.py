"""Git for Windows turns line ends by default; bash, sh and make in WSL stumble over turned ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_a_clone_that_turns_line_ends_leaves_ours(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("This is no clone.")
    attributes = (ROOT / ".gitattributes").read_text()
    settings = tmp_path / "gitconfig"
    settings.write_text("[core]\n\tautocrlf = true\n[safe]\n\tdirectory = *\n")
    done = subprocess.run(
        ["git", "clone", "--quiet", "--no-local", str(ROOT), str(tmp_path / "clone")],
        env=os.environ | {"GIT_CONFIG_GLOBAL": str(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone/.gitattributes").read_text() == attributes
    listed = subprocess.run(
        ["git", "ls-files", "--eol"],
        cwd=tmp_path / "clone",
        env=os.environ | {"GIT_CONFIG_GLOBAL": str(settings)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line for line in listed.stdout.splitlines() if "w/crlf" in line or "w/mixed" in line] == []
