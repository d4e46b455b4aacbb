"""Builds that meet one another, or what a killed one left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import duckdb

from labserver.build import one_at_a_time
from labserver.sources import build_warehouse

KILLED = (
    "import duckdb, os, sys; db = duckdb.connect(sys.argv[1]); db.execute('CREATE TABLE half AS SELECT 1'); os._exit(9)"
)


def test_what_a_killed_build_left_beside_the_warehouse_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
    assert (tmp_path / "warehouse.duckdb.wal").stat().st_size > 0
    build_warehouse(path)
    with duckdb.connect(str(path)) as db:  # for writing: a build writes the features' history next
        assert db.execute("SELECT count(*) FROM flights").fetchall() == [(336_776,)]
        assert ("half",) not in db.execute("SHOW TABLES").fetchall()


def test_a_second_build_in_a_folder_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    waiting, done = threading.Event(), threading.Event()

    def second() -> None:
        with one_at_a_time(tmp_path, lambda line: (said.append(line), waiting.set())[0]):
            done.set()

    with one_at_a_time(tmp_path, said.append):
        assert said == []
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        assert not done.wait(0.2)
    assert done.wait(10)
    thread.join()
    assert said == ["waiting: another build is at work in this folder"]
