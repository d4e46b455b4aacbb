"""Whose fault a failure is: a busy machine's, a full disk's or a killer's is not held against the learner."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from services import FLIGHT, own_home, running, store_of

from exercises.checks.answering import TooLate, asked
from exercises.checks.attempt import Attempt
from exercises.checks.doubt import Doubt, Doubtful, Patience, Unjudged, in_time
from exercises.checks.registry import exercise_of
from exercises.checks.result import CheckFinding, Result, State
from exercises.lab import course as course_module
from exercises.lab.control import Pace, pace
from exercises.lab.course import RESULTS, Course
from exercises.lab.judging import judge
from exercises.lab.shown import SIGNS, html, junit, result_lines
from exercises.lab.telling import Silent
from exercises.lab.workspace import Workspace
from labserver.settings import Settings

pytestmark = pytest.mark.slow

IDLE = Pace(worked=1.0, took=1.0)
"""The measurement of an idle machine. The tests' own machine is not idle: several tests run at once."""
ENDLESS = "def loader(path):\n    while True:\n        pass\n"
DECIDES = 'return "warn" if probability > self.threshold else "no_warning"'
SERVED = "'exercises' not in sys.modules"
"""True in the live service alone."""


@pytest.fixture
def busy() -> Iterator[None]:
    """Four processes for each core that have nothing to do but to compute. Sessions of their own: a system that shares
    cores fairly between sessions would else count them as one.
    """
    burn = [sys.executable, "-S", "-c", "while True: pass"]
    burners = [subprocess.Popen(burn, start_new_session=True) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def test_a_busy_machine_is_told_from_an_idle_one(busy: None) -> None:
    measured = pace()
    assert measured.busy, measured
    assert not IDLE.busy
    assert str(Pace(1.0, 6.04)) == "1.0 s of work took 6.0 s"


def test_a_right_answer_that_a_busy_machine_makes_late_is_not_judged(busy: None, settings: Settings) -> None:
    short = dataclasses.replace(exercise_of(6), seconds=3)
    result = judge(short, short.solution, settings)
    assert result.state is State.NOT_JUDGED
    assert re.match(
        r"no end after 3 s, and the machine was busy \(.* of work took .* s\)\. Run it again", result.reason
    )
    assert result.next is None


def test_a_wrong_answer_on_a_busy_machine_is_wrong_once_it_gets_its_answers(
    busy: None, settings: Settings, tmp_path: Path
) -> None:
    patient = dataclasses.replace(exercise_of(6), seconds=900)
    file = tmp_path / patient.file
    file.write_text(patient.solution.read_text().replace('if sha256(path / name) != entry["sha256"]', "if False"))
    result = judge(patient, file, settings)
    assert result.state is State.NOT_YET
    assert result.next is not None
    assert result.next.mistake == "only-size-checked"


def test_an_endless_loop_on_a_quiet_machine_is_not_yet_solved(settings: Settings, tmp_path: Path) -> None:
    """With the real measurement. Where the machine is not quiet for a minute, the test cannot say anything."""
    short = dataclasses.replace(exercise_of(6), seconds=3)
    file = tmp_path / short.file
    file.write_text(ENDLESS)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if pace().busy:
            continue
        result = judge(short, file, settings)
        if result.state is State.NOT_YET:
            assert [found.mistake for found in result.findings] == ["no-end"]
            return
        assert "the machine was busy" in result.reason
    pytest.skip("the machine is not quiet")


def live(old: str, new: str, patience: Patience, settings: Settings, tmp_path: Path) -> Result:
    """Lesson 5's solution with a change, judged as on an idle machine."""
    patient = dataclasses.replace(exercise_of(5), seconds=600)
    file, solution = tmp_path / patient.file, patient.solution.read_text()
    assert old in solution
    file.write_text(solution.replace(old, new, 1))
    return judge(patient, file, settings, patience=patience, measure=lambda: IDLE)


def test_a_service_that_answers_nobody_in_time_is_not_the_learners(settings: Settings, tmp_path: Path) -> None:
    """Both services, with the learner's part and with the course's own, have a millisecond: they say 408 or nothing."""
    result = live(DECIDES, f"{DECIDES}  # mine", Patience(answer=0.001, ready=300), settings, tmp_path)
    assert result.state is State.NOT_JUDGED, result
    assert "course's own part fares no better" in result.reason
    assert all(found.passed for found in result.findings)


@pytest.mark.parametrize(
    ("decide", "seen"),
    [
        ("raise StoreUnavailable('mine')", "the answer 503: The online store does not answer"),
        ("while True: pass", "no answer within 20 s|the answer 408: The request took longer than 20 s"),
    ],
)
def test_what_only_the_learners_part_does_in_the_live_service_is_the_learners(
    decide: str, seen: str, settings: Settings, tmp_path: Path
) -> None:
    indent = "\n" + " " * 8
    lines = ["import sys", "from labserver.errors import StoreUnavailable", f"if {SERVED}:", f"    {decide}", DECIDES]
    result = live(DECIDES, indent.join(lines), Patience(answer=20, ready=300), settings, tmp_path)
    assert result.state is State.NOT_YET, result
    assert result.next is not None
    assert result.next.mistake == "no-answer"
    assert re.match(seen, result.next.received)


def test_a_service_that_ends_by_itself_is_the_learners(settings: Settings, tmp_path: Path) -> None:
    text = f"import sqlite3\nimport sys\n\nif {SERVED}:\n    sys.exit(7)\n"
    result = live("import sqlite3\n", text, Patience(), settings, tmp_path)
    assert result.state is State.NOT_YET, result
    assert result.next is not None
    assert "does not run: line" in result.next.received


def test_a_service_that_is_not_ready_yet_is_in_doubt_and_the_courses_own_is_not_judged(
    home: Path, tmp_path: Path
) -> None:
    attempt = Attempt(6, exercise_of(6).solution, Settings(home=own_home(home, tmp_path)), Patience(ready=0.01))
    with pytest.raises(Doubtful) as doubtful, attempt.service():
        pytest.fail("it cannot be ready")
    assert doubtful.value.doubt.seen == "the service was not ready within 0.01 s"
    assert Doubt.from_json(json.loads(json.dumps(doubtful.value.doubt.to_json()))) == doubtful.value.doubt
    with pytest.raises(Unjudged, match="course's own"), attempt.service(own=False):
        pytest.fail("it cannot be ready")


def test_a_503_is_no_answer(home: Path, tmp_path: Path) -> None:
    """The online store is gone while the service runs."""
    with running(own_home(home, tmp_path)) as service, requests.Session() as session:
        store_of(service.home).unlink()
        until = time.monotonic() + 30
        while service.get("/readyz").status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        with pytest.raises(TooLate, match="the answer 503"):
            asked(session, "POST", f"{service.url}/v1/predictions", FLIGHT, 20)


def test_what_is_late_is_in_doubt_and_a_finding_that_holds_is_one() -> None:
    good, late = CheckFinding("It is right.", True), CheckFinding("It is fast.", False, received="90 ms")
    assert list(in_time([good])) == [good]
    with pytest.raises(Doubtful, match=r"“It is fast” did not hold \(90 ms\)"):
        list(in_time([late]))


class Killer(Silent):
    """Kills a check with SIGKILL, as a system without memory does, once its code has written its process id."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self) -> None:
        until = time.monotonic() + 60
        while not (self._mark.exists() and self._mark.read_text()):
            if time.monotonic() > until:
                return
            time.sleep(0.05)
        os.kill(int(self._mark.read_text()), 9)


def test_a_check_that_is_killed_from_outside_is_not_judged(settings: Settings, tmp_path: Path) -> None:
    file, mark = tmp_path / exercise_of(6).file, tmp_path / "pid"
    file.write_text(
        f"import os, time\nfrom pathlib import Path\n\n\ndef loader(path):\n"
        f"    Path({str(mark)!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    )
    killing = threading.Thread(target=Killer(mark))
    killing.start()
    result = judge(exercise_of(6), file, settings, measure=lambda: IDLE)
    killing.join()
    assert result.state is State.NOT_JUDGED
    assert "killed from outside (SIGKILL)" in result.reason


def test_a_full_disk_is_not_the_learners(home: Path, tmp_path: Path) -> None:
    """A disk of a few MiB for the check's own files, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=2m tmpfs {disk}"
    if shutil.which("unshare") is None or subprocess.run([*alone, "sh", "-c", mount], check=False).returncode:
        pytest.skip("This system gives no mount namespaces.")
    work = tmp_path / "work"
    work.mkdir()
    (work / exercise_of(6).file).write_text(exercise_of(6).solution.read_text() + "\n# mine\n")
    check = f"{mount} && TMPDIR={disk} {sys.executable} -m exercises.lab.cli check 6"
    environment = os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(work)}
    done = subprocess.run(
        [*alone, "sh", "-c", check], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "could not be judged: the disk is full" in done.stdout, done.stdout + done.stderr


REASON = "no answer within 20 s, and the machine was busy (1.0 s of work took 6.0 s). Run it again."
UNJUDGED = Result(6, State.NOT_JUDGED, (CheckFinding("It loads.", True),), "", 21.0, REASON)


def test_what_is_not_judged_is_shown_as_such() -> None:
    said = "\n".join(result_lines(UNJUDGED))
    assert said.startswith(f"{SIGNS[State.NOT_JUDGED]} Lesson 6")
    assert f"could not be judged: {REASON}" in said
    assert "not judged" in html(UNJUDGED)
    assert REASON in html(UNJUDGED)
    suite = ElementTree.fromstring(junit([UNJUDGED]))[0]
    assert (suite.get("errors"), suite.get("failures"), suite.get("tests")) == ("1", "0", "2")
    assert [(case.get("name"), case[0].tag) for case in suite if len(case)] == [("The check can judge it.", "error")]
    assert Result.from_json(json.loads(json.dumps(UNJUDGED.to_json()))) == UNJUDGED


def test_results_of_an_earlier_version_are_read() -> None:
    kept = Result(3, State.SOLVED).to_json()
    del kept["reason"]
    assert Result.from_json(kept | {"borrowed": [0, 1]}) == Result(3, State.SOLVED)


def test_what_is_not_judged_changes_no_earlier_result_and_is_not_posted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise, posted = exercise_of(6), []
    own = settings.model_copy(update={"home": tmp_path})
    monkeypatch.setattr(course_module, "post_result", lambda work, result: posted.append(result.state))
    course = Course(Workspace(tmp_path / "work"))
    course.workspace.copy_exercises()
    course.workspace.file(exercise).write_text("mine = 1\n")

    def checked(result: Result) -> tuple[str, str]:
        monkeypatch.setattr(course_module, "judge", lambda *_, **__: result)
        course.check(exercise, own)
        [shown] = [one for one in json.loads(own.progress.read_text()) if one["lesson"] == 6]
        assert shown["state"] == course.state(exercise)
        return course.state(exercise), course.active_part(exercise)

    courses = "uses the course's solution"
    assert course.state(exercise) == "not checked"
    assert checked(UNJUDGED) == ("not judged", courses)
    assert checked(Result(6, State.SOLVED)) == ("solved", "yours")
    assert checked(UNJUDGED) == ("solved", "yours")
    course.workspace.file(exercise).write_text("mine = 2\n")
    assert course.state(exercise) == "not checked"
    assert checked(UNJUDGED) == ("not judged", courses)
    course.workspace.file(exercise).write_text("mine = 1\n")
    assert course.state(exercise) == "solved"
    assert checked(Result(6, State.NOT_YET)) == ("not yet", courses)
    assert posted == [State.SOLVED, State.NOT_YET]
    assert json.loads((course.workspace.path / RESULTS).read_text())[State.NOT_JUDGED] == {}
