from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from awaiting import PATIENCE

from labserver.errors import Damaged
from labserver.monitor.outcomes import Outcome, OutcomeConflict, OutcomeStore

CHILD = """
import sys
from pathlib import Path
from labserver.monitor.outcomes import Outcome, OutcomeStore
store = OutcomeStore(Path(sys.argv[1]))
for number in range(100_000):
    store.record(Outcome(f"{number:032x}", float(number))).result()
    print(number, flush=True)
"""


def test_many_at_once_are_each_stored_once(tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path / "outcomes.db")
    with ThreadPoolExecutor(8) as pool:
        outcomes = [Outcome(f"{number % 700:032x}", float(number % 700)) for number in range(1400)]
        for future in list(pool.map(store.record, outcomes)):
            assert future.result(timeout=PATIENCE) is None
    assert store.count() == 700
    with pytest.raises(OutcomeConflict):
        store.record(Outcome(f"{1:032x}", None)).result(timeout=PATIENCE)
    store.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.db"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == 300:
                os.kill(child.pid, signal.SIGKILL)
                break
        acknowledged = 300 + len(child.stdout.read().split())
    with closing(sqlite3.connect(path)) as db:
        [(stored,)] = db.execute("SELECT count(*) FROM outcomes").fetchall()
    assert stored >= acknowledged


def test_a_file_that_is_no_database_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.db"
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(Damaged, match="Move the file away"):
        OutcomeStore(path)
    assert path.read_bytes() == b"garbage" * 1000
