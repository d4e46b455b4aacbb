"""One home folder, from wherever a command runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labserver import settings as settings_module
from labserver.errors import LabError
from labserver.settings import Settings, settings

ROOT = Path(__file__).parents[2]


def test_the_home_is_beside_the_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABSERVER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings().home == ROOT / "var" == settings_module.ROOT / "var"
    monkeypatch.setenv("LABSERVER_HOME", "elsewhere/var")
    assert Settings().home == ROOT / "elsewhere/var"
    monkeypatch.setenv("LABSERVER_HOME", str(tmp_path))
    assert Settings().home == tmp_path


def test_an_installed_package_without_a_course_takes_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABSERVER_HOME", raising=False)
    monkeypatch.setattr("labserver.settings.ROOT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert Settings().home == Path("var")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["notebooks", "tests", "/"])
def test_commands_find_it_from_every_folder(folder: str) -> None:
    """And build no second one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LABSERVER_")}
    before = set((ROOT / "notebooks").iterdir()) | set((ROOT / "tests").iterdir())
    for module in ("labserver", "exercises.lab"):
        code = f"import {module}.__main__; from labserver.settings import settings; print(settings().home)"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT / folder, env=kept, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{ROOT / 'var'}\n"
    assert set((ROOT / "notebooks").iterdir()) | set((ROOT / "tests").iterdir()) == before


def test_an_address_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABSERVER_URL", "127.0.0.1:8000")
    settings.cache_clear()
    with pytest.raises(LabError, match=r"LABSERVER_URL='127\.0\.0\.1:8000' is not usable"):
        settings()
    monkeypatch.undo()
    settings.cache_clear()
