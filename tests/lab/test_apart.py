"""Graded code sees and reaches only what its check needs, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from awaiting import PATIENCE, until
from needed import absent
from services import own_home

from exercises.checks.registry import exercise_of
from exercises.lab.isolation import Isolation, isolation
from labserver.settings import ROOT, Settings

pytestmark = pytest.mark.slow


def made(own: Path, hidden: tuple[Path, ...] = (), kept: tuple[Path, ...] = ()) -> Isolation:
    """An isolation in which this Python can run."""
    if isolation(Settings(home=own), own) is None:
        absent("This system gives no namespaces. Run this test where root or a user may make them.")
    return Isolation(hidden, (*kept, Path(sys.prefix), Path(sys.base_prefix)))


def run(apart: Isolation, own: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(apart.command(own, command), capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_hidden_folders_are_empty_kept_ones_are_there_and_one_can_be_written(tmp_path: Path, own: Path) -> None:
    home = tmp_path / "H\u00f6me with blanks"
    for name in ("secret", "course/text", "course/submissions/eve/answer", "course/ä b/text"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    apart = made(own, (home, home / "course/submissions"), (home / "course",))
    found = run(apart, own, "find", str(home), "-type", "f")
    assert sorted(Path(line).relative_to(home).as_posix() for line in found.stdout.splitlines()) == [
        "course/text",
        "course/ä b/text",
    ]
    for place, code in ((own, 0), (home / "course/ä b", 1), (home, 1), (ROOT, 1), (Path("/etc"), 1)):
        assert run(apart, own, "touch", str(place / "written")).returncode == code, place
    assert (own / "written").exists()
    assert not (ROOT / "written").exists()


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("kill -SEGV $$", -11), ("true", 0)])
def test_it_ends_as_its_command_did(own: Path, script: str, code: int) -> None:
    assert run(made(own), own, "sh", "-c", script).returncode == code


def test_what_was_left_behind_is_gone_and_no_other_process_is_seen(own: Path) -> None:
    mark = f"31415.{os.getpid()}"
    script = f"(setsid sleep {mark} &) ; (setsid setsid nohup sleep {mark} & ) ; sleep 0.3; cat /proc/[0-9]*/comm"
    done = run(made(own), own, "sh", "-c", script)
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == [Path(sys.executable).name, "sh", "sleep", "sleep"]
    assert not running(mark)


def running(mark: str) -> list[int]:
    return [process.pid for process in psutil.process_iter() if mark in " ".join(process_words(process))]


def asleep(mark: str) -> bool:
    return any(process_words(psutil.Process(pid))[:2] == ["sleep", mark] for pid in running(mark))


def process_words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_of_it(own: Path, number: signal.Signals) -> None:
    mark = f"27182{number:02d}.{os.getpid()}"
    script = f"trap 'touch {own}/told; exit 7' TERM; setsid sleep {mark} & while :; do sleep 0.1; done"
    process = subprocess.Popen(made(own).command(own, ["sh", "-c", script]))
    try:
        until(lambda: asleep(mark), "It did not start.")
        process.send_signal(number)
        assert process.wait(PATIENCE) == (7 if number == signal.SIGTERM else -9)
    finally:
        process.kill()
        process.wait()
    assert (own / "told").exists() == (number == signal.SIGTERM)
    until(lambda: not running(mark), "Something was left behind.")


def test_it_ends_with_the_process_that_started_it(own: Path) -> None:
    mark = f"16180.{os.getpid()}"
    apart = made(own)
    starter = (
        "import subprocess, sys, time, json, os\n"
        "command = json.loads(sys.argv[1])\n"
        "command[4] = str(os.getpid())\n"
        "subprocess.Popen(command)\n"
        "time.sleep(600)\n"
    )
    command = apart.command(own, ["sleep", mark])
    assert command[4] == str(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", starter, json.dumps(command)])
    try:
        until(lambda: asleep(mark), "It did not start.")
    finally:
        process.kill()
        process.wait()
    until(lambda: not running(mark), "Something was left behind.")


LOOKS = """\
import glob, json, os, subprocess, sys

subprocess.Popen(["setsid", "sleep", "14142.{mark}"])


def tried(what):
    try:
        return what()
    except OSError as error:
        return error.strerror


def loader(path):
    seen = dict(
        variables=sorted(os.environ),
        others=tried(lambda: os.listdir("{others}")),
        home=tried(lambda: os.listdir("{home}")),
        written=tried(lambda: open("{course}/exercises/checks/written", "w").close()),
    )
    raise ValueError("seen " + json.dumps(seen) + " end")
"""


def test_a_submission_sees_no_secret_no_home_and_no_other_learner(settings: Settings, tmp_path: Path) -> None:
    exercise, folder, home = exercise_of(6), tmp_path / "submissions", tmp_path / "home"
    made(tmp_path)
    for learner in ("ada", "eve"):
        (folder / learner).mkdir(parents=True)
    home.mkdir()
    (home / "id_ed25519").write_text("SECRET")
    (folder / "ada" / exercise.file).write_text(exercise.solution.read_text())
    mark = str(time.time_ns())
    text = LOOKS.format(others=folder / "ada", home=home, course=ROOT, mark=mark)
    (folder / "eve" / exercise.file).write_text(text)
    words = ["grade", str(folder), "--csv", str(tmp_path / "g.csv"), "--feedback", str(tmp_path / "feedback")]
    environment = {
        "LABSERVER_HOME": str(settings.home),
        "HOME": str(home),
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "OF_NO_LIST": "SECRET",
    }
    done = subprocess.run(
        [sys.executable, "-m", "exercises.lab.cli", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout
    said = " ".join((tmp_path / "feedback/eve.txt").read_text().split())
    seen = json.loads(said[said.index("seen ") + 5 : said.index(" end")])
    assert {"PATH", "HOME", "TMPDIR"} <= set(seen["variables"])
    assert not (set(environment) - {"HOME"}) & set(seen["variables"])
    assert seen["others"] == seen["home"] == "No such file or directory"
    assert seen["written"] == "Read-only file system"
    assert "Lesson 6" in (tmp_path / "feedback/ada.txt").read_text()
    assert ": solved" in (tmp_path / "feedback/ada.txt").read_text()
    assert not running(mark)
    assert not (ROOT / "exercises/checks/written").exists()


@pytest.mark.parametrize("place", ["lab", "."])
def test_what_was_built_in_the_graders_home_does_not_show_the_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    made(tmp_path)
    own = tmp_path / "home"
    monkeypatch.setenv("HOME", str(own))
    built = own_home(home, own / place)
    apart = isolation(Settings(home=built), tmp_path)
    assert apart
    assert (own in apart.hidden, own in apart.kept) == (True, False)


def test_a_system_without_namespaces_is_told_so_loudly(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from exercises.lab import grading

    monkeypatch.setattr(grading, "isolation", lambda chosen, folder: None)
    monkeypatch.setattr(grading, "EXERCISES", ())
    (tmp_path / "subs/ada").mkdir(parents=True)
    monkeypatch.setattr(grading, "_holds_lessons", lambda folder: folder.name == "ada")
    grading.grade(tmp_path / "subs", tmp_path / "g.csv", tmp_path / "feedback", settings, 1)
    assert "WARNING: this system gives no namespaces." in capsys.readouterr().out
