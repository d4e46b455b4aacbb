"""The learner's side: what is posted, what never is, and that no check waits for a board."""

from __future__ import annotations

import ast
import json
import os
import secrets
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from awaiting import PATIENCE, until
from boards import Board, board, result

from exercises.checks.registry import ROOT, exercise_of
from exercises.checks.result import State
from exercises.classroom import posting
from exercises.classroom.errors import ClassroomError
from exercises.classroom.membership import CLASSROOM_FOLDER, Membership, join, leave, membership
from exercises.classroom.posting import MOST_WAITING, _settle, deliver, post_result, put, waiting
from labserver.running.process import free_port

LESSON = 6
AWAY_SECONDS = 60.0
"""Seconds that waiting for a board would cost here. A post is three small files and a thread: milliseconds."""


@contextmanager
def stubborn(behaviour: str) -> Iterator[tuple[str, list[bytes]]]:
    """An address at which nothing listens, nothing answers, or a byte comes now and then. And what it was sent."""
    heard: list[bytes] = []
    over = threading.Event()

    def dribble(connection: socket.socket) -> None:
        with connection:
            while not b"".join(heard).endswith(b"]}") and (received := connection.recv(65536)):
                heard.append(received)
            while not over.wait(0.2):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if behaviour == "refuses":
            listener.close()
            yield url, heard
            return
        listener.listen()
        if behaviour == "dribbles":
            thread = threading.Thread(target=lambda: dribble(listener.accept()[0]), daemon=True)
            thread.start()
        yield url, heard
        over.set()


def has_joined(work: Path, url: str) -> None:
    (work / CLASSROOM_FOLDER).mkdir(mode=0o700)
    (work / CLASSROOM_FOLDER / "joined.json").write_text(
        json.dumps(vars(Membership(url, "calm heron", secrets.token_hex(16))))
    )


def test_nothing_happens_unless_joined(work: Path) -> None:
    post_result(work, result(LESSON, State.SOLVED))
    assert list(work.iterdir()) == []


def test_exactly_this_is_sent(running_board: Board, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "POST_SECONDS", 1.0)
    mine = join(work, running_board.code, running_board.url, None)
    with stubborn("dribbles") as (url, heard):
        (work / CLASSROOM_FOLDER / "joined.json").write_text(json.dumps(vars(mine) | {"board": url}))
        put(work, result(LESSON, State.NOT_YET, "A changed byte is refused.", "only-size-checked"))
        with pytest.raises(ClassroomError):
            deliver(work)
        until(lambda: b"".join(heard).endswith(b"]}"))
    sent = b"".join(heard)
    head, body = sent.split(b"\r\n\r\n")
    [post] = json.loads(body)["posts"]
    del post["id"]
    assert post == {
        "lesson": LESSON,
        "state": "not yet",
        "attempts": 1,
        "failing": "A changed byte is refused (only-size-checked)",
    }
    assert sorted(line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]) == sorted(
        (b"host", b"accept-encoding", b"content-length", b"content-type", b"authorization")
    )
    assert b"SECRET" not in sent
    assert str(work).encode() not in sent


@pytest.mark.parametrize("behaviour", ["refuses", "hangs", "dribbles"])
def test_a_board_that_is_away_costs_a_check_nothing(
    work: Path, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "POST_SECONDS", AWAY_SECONDS)
    with stubborn(behaviour) as (url, _):
        has_joined(work, url)
        began = time.perf_counter()
        post_result(work, result(LESSON, State.NOT_YET, "It is fast."))
        took = time.perf_counter() - began
        began = time.perf_counter()
        _settle()
        ended = time.perf_counter() - began
        print(f"\na board that {behaviour}: post {took * 1e3:.1f} ms, at the end {ended * 1e3:.0f} ms")
        assert took + ended < AWAY_SECONDS / 2
        assert waiting(work) == 1
        monkeypatch.setattr(posting, "POST_SECONDS", 1.0)
        began = time.perf_counter()
        with pytest.raises(ClassroomError, match="No board answers"):
            deliver(work)  # in the foreground: over within its time, whatever the board does
        assert time.perf_counter() - began < AWAY_SECONDS / 2


def test_what_was_not_delivered_goes_with_the_next_post_once_and_in_order(tmp_path: Path, work: Path) -> None:
    file = tmp_path / "class.db"
    port = free_port()
    with board(file, port=port) as first:
        join(work, first.code, first.url, None)
    post_result(work, result(LESSON, State.NOT_YET, "It is fast."))
    post_result(work, result(LESSON, State.NOT_YET, "It is right."))
    until(lambda: waiting(work) == 2)
    with board(file, port=port) as again:
        post_result(work, result(LESSON, State.SOLVED))
        until(lambda: waiting(work) == 0)
        lines = again.get("/results.csv").text.splitlines()[1:]
        assert [line.split(",", 2)[2] for line in lines] == [
            f"{LESSON},not yet,1,It is fast.",
            f"{LESSON},not yet,2,It is right.",
            f"{LESSON},solved,3,",
        ]


def test_what_waits_is_bounded(work: Path) -> None:
    with stubborn("refuses") as (url, _):
        has_joined(work, url)
        for _ in range(MOST_WAITING + 10):
            put(work, result(LESSON, State.NOT_YET, "It is fast."))
        with pytest.raises(ClassroomError):
            deliver(work)
    kept = [
        json.loads(file.read_bytes())["attempts"]
        for file in sorted((work / CLASSROOM_FOLDER / "waiting").glob("[0-9]*"))
    ]
    assert kept == list(range(11, MOST_WAITING + 11))


def test_what_is_broken_in_the_folder_breaks_no_check(work: Path) -> None:
    has_joined(work, "http://127.0.0.1:9")
    (work / CLASSROOM_FOLDER / "attempts.json").write_text("{")
    post_result(work, result(LESSON, State.SOLVED))
    (work / CLASSROOM_FOLDER / "joined.json").write_text('{"board": 3}')
    post_result(work, result(LESSON, State.SOLVED))
    assert membership(work) is None


def test_only_the_learner_reads_the_folder(running_board: Board, work: Path) -> None:
    mine = join(work, running_board.code, running_board.url, "Grace")
    put(work, result(LESSON, State.SOLVED))
    modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (work / CLASSROOM_FOLDER).rglob("*.json")}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((work / CLASSROOM_FOLDER).stat().st_mode) == 0o700
    assert running_board.code not in json.dumps(vars(mine))
    assert leave(work)
    assert not (work / CLASSROOM_FOLDER).exists()


Lab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lab(home: Path, work: Path) -> Lab:
    environment = os.environ | {"LABSERVER_HOME": str(home), "LAB_WORK": str(work), "COLUMNS": "300"}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "exercises.lab.cli", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def test_who_joins_wrongly_reads_what_to_do(running_board: Board, work: Path) -> None:
    url, code = running_board.url, running_board.code
    wrong = {
        "the right one": ("ABCD-EFGH", url, None),
        "Is the address right": (code, "http://127.0.0.1:9", None),
        "looks like http://": (code, "127.0.0.1", None),
        "begins with a letter": (code, url, "<b>"),
    }
    for advice, (given, address, name) in wrong.items():
        with pytest.raises(ClassroomError, match=advice):
            join(work, given, address, name)
    assert membership(work) is None


def test_from_joining_to_a_check_as_a_learner_types_it(running_board: Board, lab: Lab, work: Path) -> None:
    url, code = running_board.url, running_board.code
    refused = lab("join", "ABCD-EFGH", "--board", url)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    promise = lab("join", code, "--board", url, "--name", "Katherine").stdout
    for said in ("Katherine", "lesson", "result", "how many checks", "first check that failed", "Never your code"):
        assert said in promise
    (work / exercise_of(LESSON).file).write_text("SECRET = 1\ndef loader(path):\n    raise ValueError('SECRET')\n")
    assert "SECRET" in lab("check", LESSON).stdout
    assert "Nothing waits" in lab("join").stdout
    rows = [
        line.split(",", 1)[1] for line in running_board.get("/results.csv").text.splitlines() if "Katherine" in line
    ]
    assert len(rows) == 1
    assert rows[0].startswith(f"Katherine,{LESSON},not yet,1,")
    assert len(rows[0]) > 30
    assert "SECRET" not in rows[0]


def test_the_titles_of_checks_hold_nothing_of_a_learners() -> None:
    """A title is made of the course's own words and numbers. If you write a new check, look here first."""
    own = {
        *(
            "FEATURE_NAME",
            "DAYS_TO_FIND",
            "number",
            "len(BUGS)",
            "bug.kind",
            "clean.what",
            "name",
            "value",
            "request.feature",
            "one.value",
        ),
        *("unit", "len(reference.matrix)", "table", "BUILD_SECONDS", "base", "engine.name", "reason", "kind"),
    }
    for file in [*(ROOT / "exercises/checks").glob("*.py"), ROOT / "exercises/lab/judging.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "CheckFinding" and node.args:
                parts = [p for p in ast.walk(node.args[0]) if isinstance(p, ast.FormattedValue)]
                assert {ast.unparse(part.value) for part in parts} <= own, (file, node.lineno)
