"""One environment for the tests of a module that look at it; each leaves it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, project


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Set up from a shell that belongs to other environments, and leads pip, uv and Python elsewhere if it can."""
    folder = tmp_path_factory.mktemp("whole")
    made, foreign = project(folder / "project"), folder / "foreign"
    foreign.mkdir()
    for name in ("json.py", "re.py", "six.py", "typing.py"):
        (foreign / name).write_text("raise SystemExit('a module of somebody else')\n")
    (folder / "home").mkdir()
    names = ("PYTHONPATH", "PYTHONUSERBASE", "PIP_TARGET", "PIP_PREFIX", "UV_TARGET", "UV_PREFIX", "UV_PYTHON")
    elsewhere = dict.fromkeys((*names, "VIRTUAL_ENV", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT"), str(foreign))
    done = made.make(**elsewhere, PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1", UV_SYSTEM_PYTHON="1", PIP_DRY_RUN="1")
    assert done.returncode == 0, done.stdout
    assert [line[:3] for line in done.stdout.splitlines() if line[1:3] == "/3"] == ["1/3", "2/3", "3/3"]
    assert len(list(foreign.iterdir())) == 4
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """Without an environment."""
    return project(tmp_path / "project")
