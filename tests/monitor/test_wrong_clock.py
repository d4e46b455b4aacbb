"""Rows whose age counts, under a system's clock that jumps: in outcomes, in predictions, and in a running process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from needed import needed
from test_outcomes import DAY, aged, stored, tell
from test_predictions import count, log_at, served

from labserver.monitor.age import Now
from labserver.monitor.outcomes import OutcomeStore


@pytest.mark.parametrize("jump", [40, -40, 4_000])
@pytest.mark.parametrize("while_it_runs", [False, True])
def test_a_clock_that_jumps_deletes_no_young_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float, while_it_runs: bool
) -> None:
    path = tmp_path / "log.db"
    log = log_at(path)
    log.add(served(range(10)))
    log.flush()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE predictions SET made_at = made_at - (10 - n) * 3 * 86400000000")  # up to 27 days ago
    if not while_it_runs:
        log.close()
        log = log_at(path)
    system = time.time
    monkeypatch.setattr(time, "time", lambda: system() + jump * 86_400)
    log.add(served(range(10, 12)))
    for _ in range(2):
        log.flush()
        log.prune()
    log.close()
    assert count(path) == 12
    monkeypatch.setattr(time, "time", system)  # it is set right again
    log = log_at(path)
    log.prune()
    log.close()
    assert count(path) == 12


@pytest.mark.parametrize(
    ("days", "left"),
    [
        ([50, -40, 45, 3, 0], [3, 0]),  # after a jump forward that was undone long ago
        ([50, 45, -40, 3, 0], [-40, 3, 0]),  # it was perhaps undone a moment ago
        ([-40, 3, 0], [-40, 3, 0]),
        ([50, 3, 43, 0], [3, 43, 0]),  # after a jump back
        ([-4_000, 45, 44], []),
        ([50, 45], []),
    ],
)
def test_rows_that_a_wrong_clock_has_dated_keep_no_old_row_and_cost_no_young_one(
    tmp_path: Path, days: list[int], left: list[int]
) -> None:
    path = tmp_path / "log.db"
    log = log_at(path)
    log.add(served(range(len(days) + 1)))
    log.flush()
    made = [round((time.time() - ago * 86_400) * 1e6) for ago in days] + [round(time.time() * 1e6)]
    if not left:
        made[-1] = made[-2]
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany("UPDATE predictions SET made_at = ? WHERE n = ?", [(m, n) for n, m in enumerate(made, start=1)])
    log._now = Now(time.time())  # of a row that came since
    log.prune()
    log.close()
    assert count(path) == (len(left) + 1 if left else 0)


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY, 4_000 * DAY])
def test_a_clock_that_jumps_deletes_no_young_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    path = tmp_path / "outcomes.db"
    aged(path, {1: 29, 2: 1, 3: 0})
    system = time.time
    monkeypatch.setattr(time, "time", lambda: system() + jump)
    monkeypatch.setattr(OutcomeStore, "PRUNE_SECONDS", 0.0)
    store = OutcomeStore(path, max_days=30)
    tell(store, 4, 5)
    store.close()
    assert stored(path) == [1, 2, 3, 4, 5]


def days_of(path: Path) -> dict[int, float]:
    """How many days ago the outcomes arrived, as far as their dates say."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT id, julianday('now') - julianday(received_at) FROM outcomes").fetchall()
    return {int(identifier, 16): round(days) for identifier, days in rows}


def test_outcomes_that_arrive_while_the_clock_is_wrong_stay_and_old_ones_go_once_it_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, system, jump = tmp_path / "outcomes.db", time.time, 0.0
    aged(path, {1: 29, 2: 1})
    monkeypatch.setattr(time, "time", lambda: system() + jump)
    monkeypatch.setattr(OutcomeStore, "PRUNE_SECONDS", 0.0)
    store = OutcomeStore(path, max_days=30)
    for number, jump in enumerate((0, 40 * DAY, 0, -40 * DAY, 0, -400 * DAY, 40 * DAY, 0), start=3):  # noqa: B007
        tell(store, number)
    tell(store, 11)
    store.close()
    assert stored(path) == list(range(1, 12))
    assert days_of(path) == {1: 29, 2: 1, 3: 0, 4: -40, 5: 0, 6: 0, 7: 0, 8: 0, 9: -40, 10: 0, 11: 0}
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE outcomes SET received_at = datetime(received_at, '-31 days') WHERE id <= ?", (f"{3:032x}",))
    store = OutcomeStore(path, max_days=30)
    tell(store, 12)
    store.close()
    assert stored(path) == list(range(4, 13))


JUMPING = """
import select, sys
from pathlib import Path
from labserver.monitor.outcomes import Outcome, OutcomeStore
OutcomeStore.PRUNE_SECONDS = 0.0
store = OutcomeStore(Path(sys.argv[1]), max_days=30)
for number, line in enumerate(sys.stdin):
    store.record(Outcome(f"{number:032x}", float(number))).result()
    select.select([], [], [], 0.1)
    print(store.count(), flush=True)
"""
"""An outcome for each line that comes in; the number of those that are kept after it."""


@pytest.mark.slow
def test_in_a_process_whose_clock_is_moved_nothing_young_goes(tmp_path: Path) -> None:
    needed("faketime", "faketime")
    [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    moved = tmp_path / "moved"
    moved.write_text("+0")
    environment = os.environ | {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(moved),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", JUMPING, str(tmp_path / "outcomes.db")]
    kept = []
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for jump in ("+0", "+40d", "+0", "-40d", "+0", "+4000d", "-40d", "+0", "+0"):
            moved.write_text(jump)
            child.stdin.write("\n")
            kept.append(int(child.stdout.readline()))
        child.stdin.close()
    assert kept == list(range(1, 10))
