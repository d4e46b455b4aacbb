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

from exercises.registry import EXERCISES, exercise

LESSON = 6
Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    return os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(tmp_path / "work"), "COLUMNS": "200"}


@pytest.fixture
def lab(environment: dict[str, str], tmp_path: Path) -> Lab:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "exercises.cli", *map(str, arguments)]
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
    file, solution = work / exercise(LESSON).file, exercise(LESSON).solution.read_text()
    file.write_text(solution.replace('if sha256(path / name) != entry["sha256"]', "if False"))
    wrong = lab("check", LESSON)
    assert wrong.returncode == 1
    for said in ("not yet", "sent:", "received:", "expected:", "why it matters:", "5 of 7"):
        assert said in wrong.stdout
    assert "borrowed" in lab("progress").stdout
    file.write_text(solution)
    solved = json.loads(lab("check", LESSON, "--json", "--junit", work / "junit.xml").stdout)
    assert [(result["lesson"], result["state"]) for result in solved] == [(LESSON, "solved")]
    cases = ElementTree.parse(work / "junit.xml").findall(".//testcase")
    assert len(cases) == len(solved[0]["findings"])
    assert not ElementTree.parse(work / "junit.xml").findall(".//failure")
    progress = lab("progress").stdout
    assert re.search(rf"✔ {LESSON} .* yours .* solved", progress)


def test_hints_come_one_at_a_time(lab: Lab) -> None:
    hints = exercise(LESSON).hints
    for number in (1, 2, 3, 3):
        assert hints[number - 1] in lab("hint", LESSON).stdout
    assert hints[0] in lab("hint", LESSON, 1).stdout


def test_a_reset_asks_and_keeps_a_backup(lab: Lab, work: Path) -> None:
    lab("progress")
    file = work / exercise(LESSON).file
    file.write_text("mine = 1\n")
    refused = lab("reset", LESSON)
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert file.read_text() == "mine = 1\n"
    assert ".bak" in lab("reset", LESSON, "--yes").stdout
    assert file.read_text() == exercise(LESSON).task.read_text()
    assert [backup.read_text() for backup in work.glob("*.bak")] == ["mine = 1\n"]


def test_a_solution_is_shown_only_on_request(lab: Lab) -> None:
    assert lab("solution", LESSON).returncode == 1
    shown = lab("solution", LESSON, "--yes").stdout
    assert f"+++ solutions/{exercise(LESSON).file}" in shown


def test_an_unknown_lesson_and_a_missing_bundle_are_sentences(
    lab: Lab, environment: dict[str, str], tmp_path: Path, work: Path
) -> None:
    assert lab("check", 10).returncode == 2
    environment["LABSERVER_HOME"] = str(tmp_path / "nothing")
    lab("progress")
    (work / exercise(LESSON).file).write_text("x = 1\n")
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
    command = [sys.executable, "-m", "exercises.cli", "watch", str(LESSON)]
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
        (work / exercise(LESSON).file).write_text("def loader(path):\n    return 1 / 0\n")
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
    known, folder = exercise(LESSON), tmp_path / "submissions"
    texts = {
        "ada": known.solution.read_text(),
        "=bob": known.solution.read_text().replace('if sha256(path / name) != entry["sha256"]', "if False"),
        "eve": "import os\nos._exit(0)\n",
        "zoe": None,
    }
    for learner, text in texts.items():
        (folder / learner).mkdir(parents=True)
        if text:
            (folder / learner / known.file).write_text(text)
    table = tmp_path / "grades.csv"
    done = lab("grade", folder, "--csv", table)
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in table.read_text().splitlines()]
    column = rows[0].index(f"lesson_{LESSON:02}")
    graded = {row[0]: (row[column], row[column + 2]) for row in rows[1:]}
    assert graded["ada"] == ("solved", "")
    assert graded["'=bob"] == ("not yet", "only-size-checked")
    assert graded["eve"] == ("not yet", "ended")
    assert graded["zoe"] == ("not attempted", "")
    assert "sent:" in (tmp_path / "feedback/=bob.txt").read_text()
    assert len(rows[0]) == 2 + 3 * len(EXERCISES)


def test_a_submission_reaches_no_network_beyond_loopback(lab: Lab, tmp_path: Path) -> None:
    """A namespace of its own; where the system gives none, grading says so."""
    known, folder = exercise(LESSON), tmp_path / "submissions"
    (folder / "ada").mkdir(parents=True)
    (folder / "ada" / known.file).write_text(
        "import socket\n\n\ndef loader(path):\n"
        "    names = [name for _, name in socket.if_nameindex()]\n"
        "    raise ValueError(f'interfaces: {names}')\n"
    )
    done = lab("grade", folder, "--csv", tmp_path / "grades.csv")
    said = (tmp_path / "feedback/ada.txt").read_text()
    assert "interfaces: ['lo']" in said or "no network namespaces" in done.stdout, said
