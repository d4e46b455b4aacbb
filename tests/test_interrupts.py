"""Ctrl-C at any moment of a command: one line, the exit code of an interrupted program, and no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from services import own_home, running
from started import environment

from exercises.lab.start import END_SIGNALS

pytestmark = pytest.mark.slow


def interrupted(command: list[str], variables: dict[str, str], after: str, folder: Path) -> tuple[int, str]:
    """Send what a terminal sends, to every process of the group, once ``after`` was printed."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | variables, stdout=output, stderr=output, start_new_session=True
        )
        deadline = time.monotonic() + 120
        while after not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(timeout=60)
    assert not psutil.wait_procs(family, timeout=30)[1]
    return code, log.read_text()


@pytest.mark.parametrize("after", ["sources:", "features: history", "features: point"])
def test_a_build(tmp_path: Path, after: str) -> None:
    home = tmp_path / "home"
    variables = {"LABSERVER_HOME": str(home), "COLUMNS": "200"}
    code, said = interrupted([sys.executable, "-m", "labserver", "build"], variables, after, tmp_path)
    assert code == 130
    assert said.endswith("\nStopped.\n")
    assert "Traceback" not in said
    assert not list(home.glob("warehouse.*/")), "half a warehouse was left behind"


def test_a_replay(home: Path, tmp_path: Path) -> None:
    with running(own_home(home, tmp_path / "home")) as service:
        variables = {"LABSERVER_HOME": str(service.home)}
        command = [sys.executable, "-m", "labserver", "replay", "--speed", "120", "--url", service.url]
        code, said = interrupted(command, variables, "Replaying: ", tmp_path)
        assert code == 130
        assert said.endswith("\nStopped.\n")
        assert "Traceback" not in said


def test_a_first_start_while_it_builds(home: Path, tmp_path: Path) -> None:
    variables = environment(home, tmp_path) | {"LABSERVER_HOME": str(tmp_path / "empty")}
    command = [sys.executable, "-m", "exercises.lab", "start", "--no-browser"]
    code, said = interrupted(command, variables, "sources:", tmp_path)
    assert code == 0
    assert said.endswith("Stopped.\n")
    assert said.count("Stopped.") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("module", ["labserver", "exercises.lab"])
def test_the_first_moments_of_a_command(module: str, tmp_path: Path) -> None:
    """Interrupted while its imports go on."""
    slow = tmp_path / "typer.py"
    slow.write_text("print('importing', flush=True)\nimport time\ntime.sleep(60)\n")
    run = f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); runpy.run_module({module!r}, run_name='__main__')"
    code, said = interrupted([sys.executable, "-c", run, "--help"], {}, "importing", tmp_path)
    assert (code, said) == (130, "importing\n\nStopped.\n")


def test_one_that_comes_in_a_finaliser_is_not_forgotten(tmp_path: Path) -> None:
    code = """
from labserver.interrupts import one_line
import time
class Slow:
    def __del__(self):
        print("in the finaliser", flush=True)
        time.sleep(2)
with one_line():
    Slow()
    time.sleep(60)
"""
    ended, said = interrupted([sys.executable, "-c", code], {}, "in the finaliser", tmp_path)
    assert (ended, said) == (130, "in the finaliser\n\nStopped.\n")


def test_lab_start_takes_over_every_way_in_which_it_is_ended() -> None:
    assert set(END_SIGNALS) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
