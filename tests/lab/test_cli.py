"""The ``lab`` commands as a learner types them, in a folder of the learner's own."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from exercises.checks.registry import EXERCISES, exercise_of

pytestmark = pytest.mark.slow

LESSON = 6
Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    return os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(tmp_path / "work"), "COLUMNS": "200"}


@pytest.fixture
def lab(environment: dict[str, str], tmp_path: Path) -> Lab:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "exercises.lab.cli", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def test_a_check_from_untouched_to_solved(lab: Lab, work: Path) -> None:
    untouched = lab("check", LESSON)
    assert untouched.returncode == 1
    assert "not attempted" in untouched.stdout
    file, solution = work / exercise_of(LESSON).file, exercise_of(LESSON).solution.read_text()
    file.write_text(solution.replace('if sha256(path / name) != entry["sha256"]', "if False"))
    wrong = lab("check", LESSON)
    assert wrong.returncode == 1
    for said in ("not yet", "sent:", "received:", "expected:", "why it matters:", "5 of 7"):
        assert said in wrong.stdout
    assert re.search(rf"✘ +{LESSON} .* not yet \(5 of 7", lab("progress").stdout)
    file.write_text(solution)
    solved = json.loads(lab("check", LESSON, "--json", "--junit", work / "junit.xml").stdout)
    assert [(result["lesson"], result["state"]) for result in solved] == [(LESSON, "solved")]
    cases = ElementTree.parse(work / "junit.xml").findall(".//testcase")
    assert len(cases) == len(solved[0]["findings"])
    assert not ElementTree.parse(work / "junit.xml").findall(".//failure")
    again = lab("check", LESSON).stdout
    assert again.splitlines()[-1].startswith("Next: work/lesson_00.py.")
    assert re.search(rf"✔ +{LESSON} .* min  solved \(7 of 7", lab("progress").stdout)


def test_progress_has_headings_and_one_word_for_each_state(lab: Lab, work: Path) -> None:
    lab("progress")
    (work / exercise_of(LESSON).file).write_text("x = 1\n")
    heading, *rows = lab("progress").stdout.splitlines()[: len(EXERCISES) + 1]
    assert heading.split() == ["Lesson", "Exercise", "Time", "State"]
    states = [row.split(" min  ")[1] for row in rows]
    assert states == ["not checked" if exercise.lesson == LESSON else "not attempted" for exercise in EXERCISES]


def test_a_deleted_file_is_put_back_and_that_is_said(lab: Lab, work: Path) -> None:
    assert "deleted" not in lab("progress").stderr
    (work / exercise_of(LESSON).file).unlink()
    assert (
        f"work/{exercise_of(LESSON).file} was deleted: the untouched exercise is there again." in lab("progress").stderr
    )
    assert (work / exercise_of(LESSON).file).read_bytes() == exercise_of(LESSON).task.read_bytes()


def test_hints_come_one_at_a_time_and_the_last_one_says_what_is_next(lab: Lab) -> None:
    hints = exercise_of(LESSON).hints
    for number in (1, 2, 3, 3):
        said = lab("hint", LESSON).stdout
        assert hints[number - 1] in said
        assert (f"`lab solution {LESSON}`" in said) == (number == 3)
    assert hints[0] in lab("hint", LESSON, 1).stdout


def test_an_unwritten_exercise_says_what_is_left_and_where(lab: Lab, work: Path) -> None:
    lab("progress")
    file = work / exercise_of(LESSON).file
    file.write_text(file.read_text() + "\n# I have begun.\n")
    said = lab("check", LESSON).stdout
    [line] = [n for n, text in enumerate(file.read_text().splitlines(), start=1) if "raise NotImplementedError" in text]
    assert f"line {line}, in `loader`: still to write: " in said
    assert "✘ Every part of the exercise is written." in said


def test_an_update_without_git_names_what_keeps_the_file(
    lab: Lab, work: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    lab("progress")
    (work / exercise_of(LESSON).file).write_text("mine = 1\n")
    record = json.loads((work / ".lab.json").read_text())
    (work / ".lab.json").write_text(json.dumps(record | {exercise_of(LESSON).file: "of an earlier course"}))
    environment["PATH"] = str(tmp_path)
    refused = lab("update", LESSON)
    assert refused.returncode == 1
    assert f"`lab update {LESSON} --keep`" in refused.stderr
    assert lab("update", LESSON, "--keep").returncode == 0
    assert (work / exercise_of(LESSON).file).read_text() == "mine = 1\n"


KILLED = "import os\n\n\ndef loader(path):\n    os.kill(os.getpid(), 9)\n"


def test_what_is_not_judged_says_so_everywhere(lab: Lab, work: Path, tmp_path: Path) -> None:
    """A process that is killed, as one is where memory runs out."""
    lab("progress")
    (work / exercise_of(LESSON).file).write_text(KILLED)
    done = lab("check", LESSON, "--json", "--junit", tmp_path / "junit.xml")
    [result] = json.loads(done.stdout)
    assert (done.returncode, result["state"]) == (1, "not judged")
    assert "could not be judged" not in done.stdout
    assert f"Checking lesson {LESSON}" in done.stderr
    [error] = ElementTree.parse(tmp_path / "junit.xml").findall(".//error")
    assert "SIGKILL" in (error.get("message") or "")
    assert re.search(rf"\? +{LESSON} .* not judged", lab("progress").stdout)
    assert "could not be judged: " in lab("check", LESSON).stdout


def test_a_reset_asks_and_keeps_a_backup(lab: Lab, work: Path) -> None:
    lab("progress")
    file = work / exercise_of(LESSON).file
    file.write_text("mine = 1\n")
    refused = lab("reset", LESSON)
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert file.read_text() == "mine = 1\n"
    assert ".bak" in lab("reset", LESSON, "--yes").stdout
    assert file.read_text() == exercise_of(LESSON).task.read_text()
    assert [backup.read_text() for backup in work.glob("*.bak")] == ["mine = 1\n"]


def test_a_solution_is_shown_only_on_request(lab: Lab) -> None:
    assert lab("solution", LESSON).returncode == 1
    shown = lab("solution", LESSON, "--yes").stdout
    assert f"+++ solutions/{exercise_of(LESSON).file}" in shown


def test_an_unknown_lesson_and_a_missing_bundle_are_sentences(
    lab: Lab, environment: dict[str, str], tmp_path: Path, work: Path
) -> None:
    assert lab("check", 10).returncode == 2
    environment["LABSERVER_HOME"] = str(tmp_path / "nothing")
    lab("progress")
    (work / exercise_of(LESSON).file).write_text("x = 1\n")
    missing = lab("check", LESSON)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "labserver build" in missing.stderr


def test_the_doctor_finds_this_machine_well(lab: Lab) -> None:
    seen = lab("doctor")
    assert seen.returncode == 0, seen.stdout
    for name in ("Python", "packages", "bundle", "ports", "memory", "disk", "container engine", "browser"):
        assert name in seen.stdout


def test_watch_checks_on_save_and_listens_to_keys(environment: dict[str, str], lab: Lab, work: Path) -> None:
    """On a terminal of its own: untouched, a hint on h, a check after the file is saved, an end on q."""
    lab("progress")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "exercises.lab.cli", "watch", str(LESSON)]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.set_blocking(ours, False)
    seen = ""

    def until(said: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while said not in seen:
            assert time.monotonic() < deadline, seen
            try:
                seen += os.read(ours, 65536).decode()
            except BlockingIOError:
                time.sleep(0.05)

    try:
        until("not attempted")
        until("Waiting for you to save")
        os.write(ours, b"h")
        until("Hint 1 of 3")
        (work / exercise_of(LESSON).file).write_text("def loader(path):\n    return 1 / 0\n")
        until("ZeroDivisionError")
        os.write(ours, b"q")
        deadline = time.monotonic() + 20
        while process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_grading_keeps_going_when_a_submission_breaks(lab: Lab, tmp_path: Path) -> None:
    exercise, folder = exercise_of(LESSON), tmp_path / "submissions"
    texts = {
        "ada": exercise.solution.read_text(),
        " =bob": exercise.solution.read_text().replace('if sha256(path / name) != entry["sha256"]', "if False"),
        "eve": "import os\nos._exit(0)\n",
        "zoe": KILLED,
    }
    for learner, text in texts.items():
        nested = folder / learner / ("attempt_1" if learner == "eve" else "")
        nested.mkdir(parents=True)
        (nested / exercise.file).write_text(text)
    (folder / "feedback").mkdir()
    (folder / "feedback/ada.txt").write_text("of the last time")
    table = tmp_path / "grades.csv"
    done = lab("grade", folder, "--csv", table)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in table.read_text().splitlines()]
    column = rows[0].index(f"lesson_{LESSON:02}")
    graded = {row[0]: (row[column], row[column + 2]) for row in rows[1:]}
    assert graded["ada"] == ("solved", "")
    assert graded["' =bob"] == ("not yet", "only-size-checked")
    assert graded["eve"] == ("not yet", "ended")  # in a folder that a learning platform made
    assert graded["zoe"] == ("not judged", "")
    assert "feedback" not in graded
    assert "Left out, since they hold no lesson files: feedback." in done.stdout
    assert "1 not judged (run it again, with fewer --jobs)" in done.stdout
    assert done.stdout.startswith("Grading 4 learners")
    assert "could not be judged" in (tmp_path / "feedback/zoe.txt").read_text()
    assert "sent:" in (tmp_path / "feedback/ =bob.txt").read_text()
    assert len(rows[0]) == 2 + 3 * len(EXERCISES)


def test_grading_that_cannot_begin_writes_nothing_and_leaves_older_grades_alone(
    lab: Lab, environment: dict[str, str], tmp_path: Path
) -> None:
    table, folder, home = tmp_path / "grades.csv", tmp_path / "submissions", environment["LABSERVER_HOME"]
    folder.mkdir()
    assert lab("grade", folder, "--csv", table).returncode == 1  # nobody has submitted anything
    (folder / "ada").mkdir()
    assert lab("grade", folder, "--csv", table).returncode == 1
    (folder / "ada" / exercise_of(LESSON).file).write_text(KILLED)
    environment["LABSERVER_HOME"] = str(tmp_path / "nothing")
    unbuilt = lab("grade", folder, "--csv", table)
    assert (unbuilt.returncode, unbuilt.stdout) == (1, "")
    assert "labserver build" in unbuilt.stderr
    environment["LABSERVER_HOME"] = home
    (tmp_path / "a file").write_text("")
    unwritable = lab("grade", folder, "--csv", tmp_path / "a file/grades.csv")
    assert unwritable.returncode == 1
    assert "--csv" in unwritable.stderr
    assert lab("grade", folder, "--csv", table, "--feedback", tmp_path / "a file").returncode == 1
    assert not table.exists()
    assert not (tmp_path / "feedback").exists()
    table.write_text("older")
    environment["LABSERVER_HOME"] = str(tmp_path / "nothing")
    lab("grade", folder, "--csv", table)
    assert table.read_text() == "older"


def test_a_submission_reaches_no_network_beyond_loopback(lab: Lab, tmp_path: Path) -> None:
    """A namespace of its own; where the system gives none, grading says so."""
    exercise, folder = exercise_of(LESSON), tmp_path / "submissions"
    (folder / "ada").mkdir(parents=True)
    (folder / "ada" / exercise.file).write_text(
        "import socket\n\n\ndef loader(path):\n"
        "    names = [name for _, name in socket.if_nameindex()]\n"
        "    raise ValueError(f'interfaces: {names}')\n"
    )
    done = lab("grade", folder, "--csv", tmp_path / "grades.csv")
    said = (tmp_path / "feedback/ada.txt").read_text()
    assert "interfaces: ['lo']" in said or "no namespaces" in done.stdout, said
