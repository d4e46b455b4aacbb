"""Real boards for tests: a process of its own over a file of a class, and learners who post to it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from awaiting import PATIENCE
from services import end

from exercises.checks.result import CheckFinding, Result, State


@dataclass
class Board:
    """A board that answers at ``url``."""

    url: str
    code: str
    key: str
    process: subprocess.Popen[str]
    printed: str

    def get(self, path: str, key: str | None = None, **headers: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return requests.get(self.url + path, headers=bearer | headers, timeout=PATIENCE)

    def join(self, token: str, name: str | None = None, code: str | None = None) -> requests.Response:
        wish = {"code": code or self.code, "token": token, **({"name": name} if name else {})}
        return requests.post(f"{self.url}/join", json=wish, timeout=PATIENCE)

    def post(self, token: str, *posts: dict[str, Any]) -> requests.Response:
        bearer = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{self.url}/results", json={"posts": posts}, headers=bearer, timeout=PATIENCE)


@contextmanager
def board(file: Path, *arguments: str, port: int = 0) -> Iterator[Board]:
    """``lab classroom``; gone when the block ends, if it is not before."""
    command = [
        sys.executable,
        "-m",
        "exercises.lab.cli",
        "classroom",
        "--file",
        str(file),
        "--port",
        str(port),
        *arguments,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        printed = ""
        while "Ctrl-C stops" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        [(url, key)] = re.findall(r"Your page +(\S+)/#key=(\S+)", printed)
        [code] = re.findall(r"lab join (\S+)", printed)
        yield Board(url, code, key, process, printed)
    finally:
        end(process)
        assert process.stdout
        process.stdout.close()


def result(lesson: int, state: State, failing: str = "", mistake: str = "") -> Result:
    """A result that has everything in it that must stay here."""
    own = {"sent": "SECRET-SENT", "received": "line 3 of SECRET.py: SECRET-VALUE", "expected": "SECRET-EXPECTED"}
    findings: Sequence[CheckFinding] = ()
    if state is not State.NOT_ATTEMPTED:
        findings = [
            CheckFinding("It runs.", True),
            CheckFinding(failing, state is State.SOLVED, mistake=mistake, **own),
        ]
    return Result(lesson, state, tuple(findings), score="SECRET-SCORE")
