"""The site as it is published, built once; the slides of one lesson with it, since each lesson's take seconds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUILD = """
import sys
from pathlib import Path
from publishing.lessons import lessons
from publishing.site import build
build(Path(sys.argv[1]), decks=lessons()[2:3])
"""


@pytest.fixture(scope="session")
def site(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a process of its own: pdoc imports everything. Moved afterwards, so an address of its first place is dead."""
    made = tmp_path_factory.mktemp("made") / "site"
    environment = {"PYTHONPATH": str(ROOT / "tests/tools"), "LABSERVER_HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", BUILD, str(made)], cwd=ROOT, env=environment, check=True, timeout=900)
    return Path(shutil.move(made, tmp_path_factory.mktemp("a folder with blanks") / "site"))
