"""Commands that take long show life from the first second, and end in one line when Ctrl-C is pressed."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from awaiting import until
from needed import absent

from exercises.checks.building import fails_by_itself, printed
from exercises.checks.doubt import Unjudged
from exercises.checks.registry import exercise_of
from exercises.checks.result import CheckFinding
from exercises.lab.telling import LinePrinter
from labserver.running.engine import Engine, find_engine

pytestmark = pytest.mark.slow

LESSON = 6
ENDLESS = "def loader(path):\n    while True:\n        pass\n"
BASE = "localhost/python-base:bookworm"


@dataclass
class Typed:
    """A command on a terminal of its own.

    Attributes:
        process: the command, at the head of a process group.
        seen: what it has printed.
    """

    process: subprocess.Popen[bytes]
    terminal: int
    seen: str = ""

    def until(self, pattern: str, seconds: float = 90) -> None:
        """Read until something was printed."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline, self.seen
            self.read()
            time.sleep(0.02)

    def read(self) -> None:
        """The output so far."""
        with suppress(OSError):  # nothing yet, or nothing any more
            self.seen += os.read(self.terminal, 65536).decode().replace("\r\n", "\n")

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal does it: to the whole group. Gives the exit code; nothing is left of it."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(30)
        self.read()
        assert not psutil.wait_procs(started, timeout=10)[1]
        return code


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A learner whose answer has no end."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / exercise_of(LESSON).file).write_text(ENDLESS)
    (tmp_path / "submissions/ada").mkdir(parents=True)
    (tmp_path / "submissions/ada" / exercise_of(LESSON).file).write_text(ENDLESS)
    return folder


@contextmanager
def typed(home: Path, work: Path, *command: str) -> Iterator[Typed]:
    environment = os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(work), "COLUMNS": "200"}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=work, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    try:
        yield Typed(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


LAB = (sys.executable, "-m", "exercises.lab.cli")
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "check": ((*LAB, "check", str(LESSON)), rf"^Checking lesson {LESSON}: "),
    "check of all": ((*LAB, "check", "--all"), rf"(?m)^Checking lesson {LESSON}: "),
    "watch": ((*LAB, "watch", str(LESSON)), rf"(?m)^Checking lesson {LESSON}: "),
    "grade": ((*LAB, "grade", "../submissions"), r"^Grading 1 learners"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_ends_in_one_line(name: str, home: Path, work: Path) -> None:
    command, first = COMMANDS[name]
    with typed(home, work, *command) as lab:
        lab.until(first)
        lab.until(r"(?m)^  \.\.\. 5 s")
        assert lab.interrupt() == 130
        assert lab.seen.rstrip().splitlines()[-1] in ("Stopped.", "^CStopped.")
        assert "Traceback" not in lab.seen
    assert not list(work.glob("grades.csv"))


def test_ctrl_c_in_a_notebook_is_one_line(home: Path, work: Path) -> None:
    with typed(home, work, sys.executable, "-c", f"from exercises import check; print(check({LESSON}))") as lab:
        lab.until(rf"^Checking lesson {LESSON}: ")
        lab.until(r"(?m)^  \.\.\. 5 s")
        lab.interrupt()
        assert lab.seen.splitlines()[-1] == "Stopped."


def test_without_a_terminal_findings_come_as_they_are_found(home: Path, work: Path) -> None:
    """The last thing that is tried never ends: what was found before is there all the same."""
    text = exercise_of(LESSON).solution.read_text().replace("def loader", "calls = []\n\n\ndef loader")
    body = "    calls.append(path)\n    while len(calls) > 3:\n        pass\n    path = path.resolve()"
    (work / exercise_of(LESSON).file).write_text(text.replace("    path = path.resolve()", body))
    environment = os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(work)}
    command = [*LAB, "check", str(LESSON)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        said = [next(process.stdout)]
        while not said[-1].startswith("  ✔ A snapshot"):
            said.append(next(process.stdout))
        assert process.poll() is None
        assert said[0].startswith(f"Checking lesson {LESSON}: ")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize(("everything", "shown"), [(False, ["first"]), (True, ["first", "second"])])
def test_the_first_failure_is_told_in_full(everything: bool, shown: list[str]) -> None:
    written: list[str] = []
    told = LinePrinter(written.append, everything=everything)
    told.found(CheckFinding("It is right.", True))
    for received in ("first", "second"):
        told.found(CheckFinding("It is fast.", False, received=received))
    assert [line.split()[-1] for line in written if "received:" in line] == shown
    assert [line.strip()[0] for line in written if "It is" in line] == ["✔", "✘", "✘"]


def failing(engine: Path, what: str) -> Engine:
    """A program in the place of an engine."""
    engine.write_text(f"#!/bin/sh\n{what}\n")
    engine.chmod(0o755)
    return Engine(str(engine))


@pytest.mark.parametrize(
    ("what", "said", "seen"),
    [
        ("exit 125", "Error: cannot open the storage", "cannot run the base image either"),
        ("exit 0", "dial tcp: lookup registry.example: no such host", "could not fetch what the file wants"),
        ("exit 0", "write /layer.tar: no space left on device", "the disk is full"),
        ("exit 0", "python: can't open file 'x.py'", ""),
        ("exit 127", "python: can't open file 'x.py'", ""),
    ],
)
def test_an_engine_that_fails_is_told_from_a_file_that_does(what: str, said: str, seen: str, tmp_path: Path) -> None:
    engine = failing(tmp_path / "podman", what)
    if not seen:
        fails_by_itself(engine, BASE, said)
        return
    with pytest.raises(Unjudged, match=seen):
        fails_by_itself(engine, BASE, said)


def test_a_build_says_its_steps_and_is_ended_in_time(tmp_path: Path) -> None:
    engine = failing(
        tmp_path / "podman", "echo '[1/2] STEP 1/2: FROM x'\necho working\necho '#5 [2/2] RUN y'\nexec sleep 60"
    )
    steps, build = [], printed([engine.path], 1.0)
    try:
        while True:
            steps.append(next(build).text)
    except StopIteration as over:
        code, said = over.value
    assert steps == ["[1/2] STEP 1/2: FROM x", "#5 [2/2] RUN y"]
    assert (code, said.splitlines()[1]) == (None, "working")


@pytest.mark.ci
def test_a_build_that_is_given_up_leaves_no_process_and_no_container(tmp_path: Path) -> None:
    engine = find_engine()
    if engine is None or engine.name != "podman" or engine.run("image", "exists", BASE).returncode:
        absent(f"There is no podman here, or no image {BASE}.")
    mark = f"echo {tmp_path.name} && sleep 987"
    (tmp_path / "Containerfile").write_text(f"FROM {BASE}\nRUN {mark}\n")

    def containers() -> set[str]:
        return set(engine.output("ps", "--all", "--external", "--quiet").split())

    before, build = containers(), printed([engine.path, "build", "--format", "docker", str(tmp_path)], 120)
    for step in build:
        if "sleep 987" in step.text:
            break

    def sleepers() -> list[psutil.Process]:
        found = psutil.process_iter(["name", "cmdline"])  # of a process that has just ended these are None
        return [one for one in found if one.info["name"] == "sleep" and "987" in (one.info["cmdline"] or ())]

    until(sleepers, "The build's command did not start.")
    during = containers() - before
    build.close()
    assert not sleepers()
    assert during
    # Those of other tests that began meanwhile end too; one that was left behind would not.
    until(lambda: not during & containers(), "A container was left behind.", seconds=300)
