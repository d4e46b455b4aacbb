"""The board over real sockets: nobody without a secret, nothing beyond its bounds, everything once."""

from __future__ import annotations

import ast
import csv
import io
import secrets
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from awaiting import PATIENCE
from boards import Board, board

import exercises.classroom
from exercises.classroom.keys import ALPHABET, CODE_LENGTH
from exercises.classroom.messages import BODY_BYTES
from exercises.classroom.store import connect


def token() -> str:
    return secrets.token_hex(16)


def a_post(**other: Any) -> dict[str, Any]:
    return {"id": token(), "lesson": 3, "state": "not yet", "attempts": 1, "failing": "It is fast."} | other


@pytest.fixture
def learner(running_board: Board) -> str:
    known = token()
    assert running_board.join(known).status_code == 201
    return known


def test_nobody_reads_without_the_key(running_board: Board, learner: str) -> None:
    for path in ("/board", "/results.csv"):
        for wrong in ("", learner, running_board.code, running_board.key[:-1], running_board.key + "x"):
            refused = running_board.get(path, key=wrong)
            assert refused.status_code == 401
            assert set(refused.json()) == {"detail"}
        assert running_board.get(path).status_code == 200
        assert requests.get(f"{running_board.url}{path}?key={running_board.key}", timeout=PATIENCE).status_code == 401


def test_nobody_writes_without_the_code(running_board: Board, learner: str) -> None:
    assert running_board.join(token(), code="AAAA-AAAA").status_code == 401
    for wrong in (token(), "", running_board.code, running_board.key):
        assert running_board.post(wrong, a_post()).status_code == 401
    assert running_board.post(learner, a_post()).json() == {"new": 1}


def test_a_code_may_be_typed_in_any_way(running_board: Board) -> None:
    code = running_board.code
    for typed in (code.lower(), code.replace("-", ""), code.replace("-", " ")):
        assert running_board.join(token(), code=typed).status_code == 201


def test_the_right_code_passes_whatever_others_tried(running_board: Board) -> None:
    """In a lecture hall one address may be everybody's."""
    wrong = [running_board.join(token(), code="AAAAA-AAAAA").status_code for _ in range(200)]
    assert set(wrong) == {401}
    assert running_board.join(token()).status_code == 201
    # The arithmetic of the module: less than one in a million for who tries all day.
    assert 1_500 * 86_400 / len(ALPHABET) ** CODE_LENGTH < 1e-6


def test_a_post_that_comes_again_is_counted_once(running_board: Board, learner: str) -> None:
    post = a_post()
    assert [running_board.post(learner, post, post).json(), running_board.post(learner, post).json()] == [
        {"new": 1},
        {"new": 0},
    ]


def test_a_late_post_does_not_undo_a_newer_one(running_board: Board) -> None:
    known = token()
    name = running_board.join(known).json()["name"]
    running_board.post(known, a_post(state="solved", attempts=4, failing=""))
    running_board.post(known, a_post(attempts=3))
    [mine] = [one for one in running_board.get("/board").json()["learners"] if one["name"] == name]
    assert mine["results"][3] == ["solved", 4]


@pytest.mark.parametrize(
    "spoilt",
    [
        *({"lesson": 10}, {"lesson": -1}, {"lesson": "3"}, {"state": "perhaps"}, {"attempts": -1}, {"attempts": 1e9}),
        *(
            {"failing": "x" * 201},
            {"failing": "two\nlines"},
            {"failing": "\u202egnp"},
            {"id": "x"},
            {"code": "print()"},
        ),
    ],
)
def test_what_a_post_may_not_be(running_board: Board, learner: str, spoilt: dict[str, Any]) -> None:
    refused = running_board.post(learner, a_post(**spoilt))
    assert refused.status_code == 422
    assert next(iter(spoilt)) in refused.json()["detail"]


@pytest.mark.parametrize("name", ["x", "y" * 31, "<b>me</b>", "=1+1", "-2", "a\u202eb", "a\nb", " "])
def test_what_a_pseudonym_may_not_be(running_board: Board, name: str) -> None:
    assert running_board.join(token(), name).status_code == 422


def test_a_pseudonym_belongs_to_one_and_may_be_changed(running_board: Board) -> None:
    first, second = token(), token()
    assert running_board.join(first, "Zoë K.").json() == {"name": "Zoë K."}
    taken = running_board.join(second, "ZOË K.")
    assert taken.status_code == 409
    assert "--name" in taken.json()["detail"]
    assert running_board.join(first, "Zoë L.").json() == running_board.join(first).json() == {"name": "Zoë L."}
    assert running_board.join(second, "zoë k.").status_code == 201


def test_a_name_that_looks_like_anothers_is_refused(running_board: Board) -> None:
    assert running_board.join(token(), "Mona Lisa 10").status_code == 201
    for alike in ("mona-lisa 10", "M0na Lisa 1o", "Mona.Lisa 10", "Mona L1sa 10", "\uff2dona Lisa 10"):
        answer = running_board.join(token(), alike)
        assert answer.status_code == 409, alike
        assert "looks so" in answer.json()["detail"]


def test_bodies_are_bounded_however_they_come(running_board: Board, learner: str) -> None:
    url, bearer = f"{running_board.url}/results", {"Authorization": f"Bearer {learner}"}
    large = b"x" * (BODY_BYTES + 1)
    assert requests.post(url, data=large, headers=bearer, timeout=PATIENCE).status_code == 413
    assert requests.post(url, data=iter([large]), headers=bearer, timeout=PATIENCE).status_code == 413
    assert requests.post(url, data=b"[" * 60_000, headers=bearer, timeout=PATIENCE).status_code == 422
    assert running_board.post(learner, *[a_post() for _ in range(51)]).status_code == 422
    assert running_board.post(learner).status_code == 422


def test_every_answer_carries_the_policy_and_no_secret_reaches_the_files(running_board: Board) -> None:
    for path in ("/", "/page/board.js", "/page/board.css", "/board", "/nothing", "/results"):
        answer = requests.get(running_board.url + path, timeout=PATIENCE)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert running_board.code not in answer.text
        assert running_board.key not in answer.text


def test_the_board_answers_304_until_something_is_written(running_board: Board, learner: str) -> None:
    first = running_board.get("/board")
    same = {"If-None-Match": first.headers["ETag"]}
    assert running_board.get("/board", **same).status_code == 304
    running_board.post(learner, a_post())
    assert running_board.get("/board", **same).status_code == 200


def test_csv_holds_no_formula_and_is_the_same_offline(tmp_path: Path) -> None:
    file, out = tmp_path / "class.db", tmp_path / "results.csv"
    with board(file) as own:
        known = token()
        own.join(known, "Ada")
        for failing in ("=HYPERLINK(1)", "+1", "@x", " -1", 'with "quotes", and commas'):
            own.post(known, a_post(failing=failing))
        live = own.get("/results.csv").text
        assert [entry.stat().st_mode & 0o077 for entry in tmp_path.glob("class.db*")] == [0] * 3
    command = [sys.executable, "-m", "exercises.lab.cli", "classroom", "--file", str(file), "--csv", str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    assert out.read_bytes().decode() == live
    rows = list(csv.DictReader(io.StringIO(live)))
    assert [row["first_failing_check"] for row in rows] == [
        *("'=HYPERLINK(1)", "'+1", "'@x", "' -1"),
        'with "quotes", and commas',
    ]
    assert {(row["learner"], row["lesson"], row["result"], row["attempts"]) for row in rows} == {
        ("Ada", "3", "not yet", "1")
    }


def test_the_file_is_durable_and_for_its_owner(tmp_path: Path) -> None:
    with board(tmp_path / "class.db") as own:
        known = token()
        own.join(known)
        own.post(known, a_post())
        db = connect(tmp_path / "class.db", only_read=True)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        kept = "".join(map(str, db.execute("SELECT * FROM learners").fetchall()))
        db.close()
        assert known not in kept
        assert stat.S_IMODE((tmp_path / "class.db").stat().st_mode) == 0o600


def test_a_taken_port_and_a_file_of_something_else_are_sentences(tmp_path: Path) -> None:
    def said(*arguments: object) -> str:
        command = [sys.executable, "-m", "exercises.lab.cli", "classroom", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        return done.stderr

    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one" * 20)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in said("--port", taken.getsockname()[1])
    assert "Name another" in said("--port", 0, "--file", "text.db")
    assert "not an IP address" in said("--host", "example.org")
    assert "--file" in said("--csv", "out.csv", "--file", "missing.db")


def test_it_stands_alone() -> None:
    """No module of the classroom imports the service, and none of the service knows it."""
    folder = Path(exercises.classroom.__file__).parent
    for file in folder.glob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        imported = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        imported += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        assert not [name for name in imported if name.split(".")[0] == "labserver"], file
    command = (
        "import sys, exercises.classroom.board_server; print([m for m in sys.modules if m.startswith('labserver')])"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.strip() == "[]"
