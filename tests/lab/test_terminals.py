"""Commands in terminals, pipes and encodings of every kind: nothing breaks, and what is copied from them is whole."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from awaiting import PATIENCE
from services import own_home

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
OWN = (
    "COLUMNS",
    "LINES",
    "TERM",
    "FORCE_COLOR",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "LC_ALL",
)
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
PRINTING = ("lab progress", "lab doctor", "lab check 4", "lab hint 3 1", "lab solution 2 --yes", "lab --help")
HELP = ("lab", "lab start --help", "lab classroom --help", "labserver serve --help", "labserver replay --help")
OPTIONS = {"lab start --help": "--no-jupyter", "labserver serve --help": "--unix-socket", "lab": "classroom"}


def variables(home: Path, folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    own_home(home, folder / "a [red] home :smile:")
    kept = {name: value for name, value in os.environ.items() if name not in OWN}
    own = {"LABSERVER_HOME": str(folder / "a [red] home :smile:"), "LAB_WORK": str(folder / "work"), "TERM": "xterm"}
    return {**kept, **own, **more}


def piped(line: str, environment: Mapping[str, str]) -> str:
    """What a command prints into a pipe."""
    done = subprocess.run(
        [BIN / line.split()[0], *line.split()[1:]], env=environment, capture_output=True, timeout=PATIENCE, check=False
    )
    printed = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode in {0, 1, 2}
    assert "Traceback" not in printed
    assert "\x1b" not in printed
    return printed


def on_terminal(line: str, environment: Mapping[str, str]) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    command = [str(BIN / line.split()[0]), *line.split()[1:]]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = b""
        with suppress(OSError):  # how the end of a terminal looks
            while block := os.read(ours, 65_536):
                printed += block
        process.wait(timeout=PATIENCE)
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode())


@pytest.mark.parametrize("line", PRINTING)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_prints(home: Path, tmp_path: Path, line: str, encoding: str) -> None:
    printed = piped(line, variables(home, tmp_path, ENCODINGS[encoding]))
    assert not re.search("[✔✘…]", printed)
    if line == "lab doctor":
        assert re.search(r"^\+ Python ", printed, re.MULTILINE)


@pytest.mark.parametrize("columns", ["20", "40", "79", "80", "500", "abc", "0", "-5"])
@pytest.mark.parametrize("line", OPTIONS)
def test_help_cuts_no_option_and_no_command(home: Path, tmp_path: Path, line: str, columns: str) -> None:
    printed = piped(line, variables(home, tmp_path, {"COLUMNS": columns}))
    assert "…" not in printed
    assert OPTIONS[line] in printed


@pytest.mark.parametrize("columns", ["20", "abc", "500"])
@pytest.mark.parametrize("term", ["xterm", "dumb", ""])
def test_a_path_an_address_and_a_command_are_whole(home: Path, tmp_path: Path, columns: str, term: str) -> None:
    environment = variables(home, tmp_path, {"COLUMNS": columns, "TERM": term})
    assert f"The bundle at {environment['LABSERVER_HOME']}/bundle is current.\n" in piped(
        "labserver build --if-needed", environment
    )
    for line in ("labserver replay --url http://127.0.0.1:1", "lab solution 2"):
        printed = on_terminal(line, environment) if line.startswith("labserver") else piped(line, environment)
        [error] = [said for said in printed.splitlines() if said.startswith("error: ")]
        assert error.endswith((" or `labserver serve`.", "add --yes."))


@pytest.mark.parametrize(
    "forced", [{"FORCE_COLOR": "1"}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, {"CLICOLOR_FORCE": "1"}]
)
def test_colours_that_are_forced_break_no_result(home: Path, tmp_path: Path, forced: dict[str, str]) -> None:
    for line in ("labserver clock", "lab progress"):
        piped(line, variables(home, tmp_path, forced))


@pytest.mark.parametrize("line", HELP)
def test_no_escape_code_on_a_dumb_terminal(home: Path, tmp_path: Path, line: str) -> None:
    assert "\x1b" not in on_terminal(line, variables(home, tmp_path, {"TERM": "dumb"}))
