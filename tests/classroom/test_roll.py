"""The instructor removes learners and changes the code, beside a running board."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from awaiting import PATIENCE
from boards import Board, board
from test_app import a_post, token

from exercises.classroom.errors import ClassroomError
from exercises.classroom.roll import change_code, remove
from exercises.classroom.store import Store


def lab(file: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "exercises.lab.cli", "classroom", "--file", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def names(running: Board) -> list[str]:
    return sorted(learner["name"] for learner in running.get("/board").json()["learners"])


def test_a_removed_learner_is_gone_with_all_results_and_needs_the_new_code(tmp_path: Path) -> None:
    file = tmp_path / "class.db"
    with board(file) as running:
        spam, ada, silent = token(), token(), token()
        for known, name in ((spam, "Spam Spam"), (ada, "Ada"), (silent, "Silent")):
            assert running.join(known, name).status_code == 201
        assert running.post(spam, a_post(failing="Spam."), a_post()).json() == {"new": 2}
        assert running.post(ada, a_post(failing="It is fast.")).json() == {"new": 1}
        assert lab(file, "--remove", "spam-spam") == (0, "Removed 1: Spam Spam.\n")
        assert names(running) == ["Ada", "Silent"]
        assert "Spam" not in running.get("/results.csv").text
        assert running.post(spam, a_post()).status_code == 401
        code, said = lab(file, "--remove-silent", "--new-code")
        assert (code, said.startswith("Removed 1: Silent.\nThe code is ")) == (0, True)
        assert names(running) == ["Ada"]
        assert running.join(spam, "Spam Spam").status_code == 401
        new = running.get("/board").json()["code"]
        assert new in said
        assert running.join(token(), "Grace", code=new).status_code == 201
        assert running.post(ada, a_post()).json() == {"new": 1}
    with closing(sqlite3.connect(file)) as db:
        for table in ("posts", "latest", "stumbles"):
            [(orphans,)] = db.execute(
                f"SELECT count(*) FROM {table} WHERE learner NOT IN (SELECT learner FROM learners)"
            )
            assert orphans == 0, table


def test_nobody_is_removed_if_one_name_is_nobodys(tmp_path: Path) -> None:
    file = tmp_path / "class.db"
    with closing(Store(file)) as store:
        assert store.join(token(), "Ada").result(PATIENCE) == "Ada"
        with pytest.raises(ClassroomError, match=r"Nobody in .* is called Bob. The board's page"):
            remove(file, ["Ada", "Bob"])
        assert remove(file, ["ADA", "Ada"]) == ["Ada"]
        assert remove(file, [], silent=True) == []


def test_a_file_that_is_no_class_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 500)
    for file, says in (
        (tmp_path / "none.db", "There is no class"),
        (tmp_path / "text.db", "is not the file of a class"),
    ):
        with pytest.raises(ClassroomError, match=says):
            remove(file, ["Ada"])
        with pytest.raises(ClassroomError, match=says):
            change_code(file)
        assert not (tmp_path / "none.db").exists()


def test_a_class_of_an_earlier_version_learns_what_names_look_like(tmp_path: Path) -> None:
    file = tmp_path / "class.db"
    Store(file).close()
    with closing(sqlite3.connect(file)) as db, db:
        db.executemany(
            "INSERT INTO learners (token, name, folded) VALUES (?, ?, ?)",
            [("a", "Calm Heron", "calm heron"), ("b", "ca1m heron", "ca1m heron"), ("c", "Zoë", "zoë")],
        )
    with closing(Store(file)) as store, pytest.raises(Exception, match="looks so"):
        store.join(token(), "calm-heron").result(PATIENCE)
    assert remove(file, ["Zoë"]) == ["Zoë"]
