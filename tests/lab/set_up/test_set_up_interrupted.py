"""A set-up that is ended in the middle: one line, no process left, and the next one gets further."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable

import psutil
from projects import Project, wait


def pip_is_there(made: Project) -> bool:
    return bool(list(made.venv.glob("lib/python*/site-packages/pip-*.dist-info/RECORD")))


def running(made: Project) -> dict[psutil.Process, str]:
    """Processes of a set-up in this folder, and those that one has left behind, with their commands."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if str(made.venv) in command or (process.cwd() == str(made.root) and "-m exercises.lab.set_up" in command):
                found[process] = command
        except psutil.Error:
            continue
    return found


def runs(made: Project, words: str) -> bool:
    return any(words in command for command in running(made).values())


MOMENTS: list[tuple[str, signal.Signals, Callable[[Project], bool]]] = [
    ("the environment is begun", signal.SIGINT, lambda made: (made.venv / "pyvenv.cfg").exists()),
    ("pip is being installed", signal.SIGTERM, lambda made: bool(list(made.venv.glob("lib/*/site-packages/pip")))),
    ("uv is being installed", signal.SIGKILL, lambda made: pip_is_there(made) and runs(made, "pip install")),
    ("packages are being installed", signal.SIGKILL, lambda made: runs(made, "--compile-bytecode")),
    ("the course is being installed", signal.SIGINT, lambda made: runs(made, "--editable")),
]
"""Moments at which a set-up is ended, and the signal. Each begins with the files that the one before has left."""


def end(made: Project, number: signal.Signals, moment: Callable[[Project], bool]) -> str:
    """Run a set-up up to a moment, end it as a terminal would (SIGKILL: the set-up alone), and give what it said."""
    with made.making() as process:
        wait(lambda: moment(made), process)
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            [own] = [one for one, command in running(made).items() if "-m exercises.lab.set_up" in command]
            own.send_signal(number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    return said


def test_a_set_up_that_was_ended_at_any_moment_can_be_repeated(fresh: Project) -> None:
    for what, number, moment in MOMENTS:
        said = end(fresh, number, moment)
        assert "Traceback" not in said, (what, said)
        if number is not signal.SIGKILL:
            assert "Stopped. `make setup` begins again." in said, (what, said)
            assert not running(fresh), what
        assert fresh.fault() == "its set-up did not end", what
    with fresh.making() as first:
        wait(lambda: runs(fresh, "-m venv"), first)
        second = fresh.make()
        said, _ = first.communicate(timeout=60)
    assert first.returncode == second.returncode == 0, said
    assert "Making .venv anew: its set-up did not end." in said
    assert re.fullmatch(r"Another set-up is at work in this folder; waiting .*\n( +\d+ s  waiting\n)*", second.stdout)
    assert fresh.works()


def test_what_a_killed_set_up_leaves_running_is_waited_for(fresh: Project) -> None:
    """Its program goes on for a while: two of them must not write into one environment."""
    with fresh.making() as process:
        wait(lambda: runs(fresh, "-m ensurepip"), process)
        left = [one for one, command in running(fresh).items() if "-m ensurepip" in command]
        for one in left:
            one.suspend()
        [own] = [one for one, command in running(fresh).items() if "-m exercises.lab.set_up" in command]
        own.kill()
        process.communicate(timeout=60)
    try:
        with fresh.making() as process:
            assert process.stdout
            assert process.stdout.readline().startswith("Another set-up is at work in this folder")
    finally:
        for one in left:
            one.kill()
    psutil.wait_procs(left, timeout=20)


def test_it_goes_on_saying_that_it_goes_on(fresh: Project) -> None:
    """In a log, while a package index takes connections and does not answer; then there is no index."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pip = {"PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple", "PIP_CONFIG_FILE": os.devnull}
        with fresh.making(**pip, PIP_RETRIES="0") as process:
            assert process.stdout
            signs: list[int] = []
            while len(signs) < 3:
                found = re.match(r" +(\d+) s  installing uv", process.stdout.readline())
                assert process.poll() is None
                signs += [int(found[1])] if found else []
            silent.close()
            said, _ = process.communicate(timeout=60)
    assert max(signs[1] - signs[0], signs[2] - signs[1]) < 10
    assert "error: The package index cannot be reached: check the network, or set PIP_INDEX_URL" in said
