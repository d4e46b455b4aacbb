"""The prediction log: what it holds, what a kill costs, and what happens when the disk is full."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from awaiting import PATIENCE

from labserver.features.flight import Flight
from labserver.features.ranges import Adjustment
from labserver.moments import NEW_YORK, from_microseconds, microseconds
from labserver.monitor.predictions import PredictionLog, read_vectors
from labserver.monitor.served import Served
from labserver.service.answer import Answer, Vector

DEPARTURE = datetime(2013, 9, 1, 17, 30, tzinfo=NEW_YORK)
AS_OF = DEPARTURE - timedelta(hours=2)


def pair(number: int) -> tuple[Flight, Answer]:
    row = np.arange(17, dtype=np.float32)[None] + number
    known_at = (microseconds(AS_OF - timedelta(hours=1)), None)
    vector = Vector(AS_OF, microseconds(AS_OF), AS_OF, row, row[0], known_at, frozenset())
    adjusted = (Adjustment("pressure", "imputed", None, 1017.0),) if number % 2 else ()
    answer = Answer(f"{number:032x}", vector, 0.25, "warn", adjusted, ("humidity", "visibility") if number % 2 else ())
    return Flight("UA", 1545, "EWR", "ORD", None, DEPARTURE), answer


def served(numbers: Sequence[int]) -> Served:
    return Served.from_answers([pair(number) for number in numbers])


def log_at(path: Path, *, max_bytes: int = 10**9, max_days: float = 30) -> PredictionLog:
    return PredictionLog(path, "model", max_bytes=max_bytes, max_days=max_days)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        [number] = db.execute("SELECT count(*) FROM predictions").fetchone()
    return int(number)


def test_a_row_is_the_whole_answer(tmp_path: Path) -> None:
    log = log_at(tmp_path / "log.db")
    log.add(served(range(200)))
    log.close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT * FROM predictions ORDER BY n").fetchall()
    assert [row["id"] for row in rows] == [f"{number:032x}" for number in range(200)]
    first, second = rows[:2]
    assert (second["carrier"], second["flight"], second["origin"], second["dest"]) == ("UA", 1545, "EWR", "ORD")
    assert (second["tailnum"], second["score"], second["decision"]) == (None, 0.25, "warn")
    assert from_microseconds(second["as_of"]) == AS_OF
    assert from_microseconds(second["scheduled_departure"]) == DEPARTURE
    assert abs(second["made_at"] / 1e6 - time.time()) < 60
    assert (first["adjusted"], second["adjusted"]) == (None, "pressure:imputed")
    assert (first["stale"], second["stale"]) == (None, "humidity visibility")
    assert second["model_version"] == "model"
    vectors = read_vectors([row["vector"] for row in rows])
    assert np.array_equal(vectors, np.arange(17, dtype=np.float32) + np.arange(200, dtype=np.float32)[:, None])
    assert np.array_equal(np.frombuffer(second["ages"], "<f4"), np.array([1, np.nan], np.float32), equal_nan=True)


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from monitor.test_predictions import log_at, served
log = log_at(Path(sys.argv[1]))
for number in range(100_000):
    log.add(served([number]))
    log.flush()
    print(number, flush=True)
    time.sleep(0.001)
"""


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    """The monitor flushes four times a second, so a kill costs less than the last second."""
    path = tmp_path / "log.db"
    arguments = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parents[1])]
    flushed = -1
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            flushed = int(line)
            if flushed == 200:
                os.kill(child.pid, signal.SIGKILL)
    assert flushed >= 200
    assert count(path) >= flushed + 1


def test_old_rows_go(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = log_at(path, max_days=1)
    log.add(served(range(10)))
    log.flush()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE predictions SET made_at = made_at - 2 * 86400000000 WHERE n <= 7")
        db.commit()
    log.prune()
    assert count(path) == 3
    log.close()
    time.sleep(0.01)
    log = log_at(path, max_days=0.001 / 86_400)
    log.prune()
    time.sleep(0.01)  # the newest row is as old as the time that has passed since
    log.prune()
    assert count(path) == 0
    log.close()


def remove(path: Path) -> None:
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


@pytest.mark.parametrize(
    "harm",
    [
        remove,
        lambda path: path.with_name(path.name + "-wal").unlink(),
        lambda path: path.rename(path.with_name("elsewhere.db")),
    ],
    ids=["deleted", "without-its-write-ahead-log", "moved"],
)
def test_a_log_that_is_gone_is_begun_anew_and_that_is_counted(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = tmp_path / "log.db"
    log = log_at(path)
    log.add(served(range(3)))
    log.flush()
    assert (log.errors, log.written) == (0, 3)
    harm(path)
    log.add(served(range(3, 5)))
    log.flush()
    assert (log.errors, log.written) == (1, 5)
    log.close()
    with closing(sqlite3.connect(path)) as db:
        ids = [int(identifier, 16) for (identifier,) in db.execute("SELECT id FROM predictions ORDER BY n")]
    assert ids[-2:] == [3, 4]


def test_a_log_that_is_too_large_loses_its_oldest_rows_and_the_file_stops_growing(tmp_path: Path) -> None:
    path, limit = tmp_path / "log.db", 400_000
    log = log_at(path, max_bytes=limit)
    for start in range(0, 10_000, 500):
        log.add(served(range(start, start + 500)))
        log.flush()
        log.prune()
        assert log.size < 1.5 * limit
    log.close()
    assert 200_000 < path.stat().st_size < 1.5 * limit
    with closing(sqlite3.connect(path)) as db:
        [(newest, oldest)] = db.execute("SELECT max(id), min(id) FROM predictions").fetchall()
    assert int(newest, 16) == 9_999
    assert int(oldest, 16) > 5_000


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from monitor.test_predictions import count, log_at, served
path = Path(sys.argv[1])
log = log_at(path)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))  # the kernel refuses more, as on a full disk
for start in range(0, 14_000, 500):
    log.add(served(range(start, start + 500)))
    log.flush()
print(log.errors > 0, log.problem is not None, log.dropped)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.flush()
print(log.problem, log.written + log.dropped)
log.close()
print(count(path) == log.written)
"""


def test_a_full_disk_is_noticed_and_what_waits_is_written_once_there_is_room(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", FULL, str(tmp_path / "log.db"), str(Path(__file__).parents[1])]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE, check=True)
    full, after, complete = done.stdout.splitlines()
    noticed, problem, dropped = full.split()
    assert (noticed, problem) == ("True", "True"), done.stdout
    assert 0 < int(dropped) < 5_000  # what was on disk already, and 10,000 that wait, are not lost
    assert after == "None 14000"
    assert complete == "True"


@pytest.mark.parametrize("content", [b"garbage" * 2000, b""])
def test_a_file_that_is_no_log_stops_nobody(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    log = log_at(path)
    log.add(served(range(5)))
    log.flush()
    log.prune()
    assert bool(log.problem) == bool(content)
    assert log.written == (0 if content else 5)
    log.close()


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = log_at(tmp_path / "file" / "log.db")
    log.add(served([1]))
    log.flush()
    assert log.problem
    assert log.errors == 1


def test_another_writer_is_waited_for_and_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = log_at(path)
    log.add(served([1]))
    log.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.add(served([2]))
        log.flush()
        assert (log.errors, log.problem, log.written) == (0, None, 1)
        other.execute("COMMIT")
    log.flush()
    assert log.written == 2
    log.close()


def test_a_log_that_is_deleted_under_way_begins_anew_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = log_at(path)
    log.add(served([1]))
    log.flush()
    for file in tmp_path.iterdir():
        file.unlink()
    log.add(served([2]))
    log.flush()
    log.close()
    log = log_at(path)
    log.add(served([3]))
    log.close()
    assert count(path) >= 1


def shadow_ids(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [int(identifier, 16) for (identifier,) in db.execute("SELECT id FROM shadow ORDER BY n")]


def test_a_second_models_answers_go_with_the_predictions_that_they_belong_to(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = log_at(path, max_days=1)
    for numbers in (range(3), range(3, 6)):
        log.add(served(numbers))
        log.add_shadow("second", [(f"{number:032x}", 0.5) for number in numbers])
        log.flush()
    with closing(sqlite3.connect(path)) as db, db:
        for table in ("predictions", "shadow"):
            db.execute(f"UPDATE {table} SET made_at = made_at - 2 * 86400 * 1000000 WHERE n <= 3")
    log.prune()
    assert shadow_ids(path) == [3, 4, 5]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM predictions")
    log.prune()
    log.close()
    assert shadow_ids(path) == []
