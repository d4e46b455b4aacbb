"""Whatever a learner's code does, a check ends, and says what happened."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import psutil
import pytest

from exercises.checks.registry import Exercise, exercise_of
from exercises.checks.result import State
from exercises.lab.control import Pace
from exercises.lab.judging import judge
from labserver.settings import Settings

pytestmark = pytest.mark.slow

IDLE = Pace(worked=1.0, took=1.0)
HEAD = "from pathlib import Path\n\n\ndef loader(path: Path) -> object:\n"
MISBEHAVED = {
    "while True:\n        pass": "no end after",
    "import sys\n    sys.exit(3)": "ended the process (exit code 3)",
    "import os\n    os._exit(0)": "ended in the middle: exit code 0",
    "import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)": "killed by SIGSEGV",
    "return bytearray(10 << 30)": "more memory than",
    "import nothing_of_this_name": "line 5: ModuleNotFoundError",
    "return 1 / 0": "line 5: ZeroDivisionError",
    "raise NotImplementedError('later')": "line 5, in `loader`: still to write: later",
    "return None": "AttributeError",
}


@pytest.fixture
def short() -> Exercise:
    return dataclasses.replace(exercise_of(6), seconds=15)


@pytest.mark.parametrize("body", MISBEHAVED)
def test_misbehaviour_is_a_sentence(body: str, short: Exercise, settings: Settings, tmp_path: Path) -> None:
    if "while" in body:
        short = dataclasses.replace(short, seconds=5)
    file = tmp_path / short.file
    file.write_text(f"{HEAD}    {body}\n")
    began = time.monotonic()
    result = judge(short, file, settings, measure=lambda: IDLE)  # as if the tests were alone on this machine
    assert result.state is State.NOT_YET
    assert MISBEHAVED[body] in result.findings[-1].received
    assert "Traceback" not in result.findings[-1].received
    assert time.monotonic() - began < short.seconds + 15


def test_a_syntax_error_names_its_line_once(short: Exercise, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / short.file
    file.write_text("x = 1\n\ndef loader(path)\n    return None\n")
    [found] = judge(short, file, settings).findings
    assert found.received.endswith("line 3: SyntaxError: expected ':'")


@pytest.mark.parametrize(
    "text", ["def loader(:\n", "import nothing_of_this_name\n", "x = 1\n", "raise SystemExit(2)\n"]
)
def test_a_file_that_does_not_run_is_a_sentence(text: str, short: Exercise, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / short.file
    file.write_text(text)
    result = judge(short, file, settings)
    assert result.state is State.NOT_YET
    assert len(result.findings) == 1
    assert "Traceback" not in result.findings[0].received


def test_a_child_that_the_code_leaves_behind_is_gone(short: Exercise, settings: Settings, tmp_path: Path) -> None:
    file, mark = tmp_path / short.file, tmp_path / "pid"
    file.write_text(
        f"{HEAD}    import subprocess\n"
        f"    Path({str(mark)!r}).write_text(str(subprocess.Popen(['sleep', '600']).pid))\n    return None\n"
    )
    judge(short, file, settings)
    pid = int(mark.read_text())
    for _ in range(50):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    os.kill(pid, 9)
    pytest.fail("the child is still there")
