from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
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
store = OutcomeStore(Path(sys.argv[1]), max_days=90)
for number in range(100_000):
    store.record(Outcome(f"{number:032x}", float(number))).result()
    print(number, flush=True)
"""

READER = """
import sqlite3, sys
for (identifier,) in sqlite3.connect(sys.argv[1]).execute("SELECT id FROM outcomes ORDER BY id"):
    print(int(identifier, 16))
"""
"""In a process of its own: one that opens and closes a file drops the locks that it has on it."""


def test_many_at_once_are_each_stored_once(tmp_path: Path) -> None:
    store = OutcomeStore(tmp_path / "outcomes.db", max_days=90)
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
    with pytest.raises(Damaged, match="move it away"):
        OutcomeStore(path, max_days=90)
    assert path.read_bytes() == b"garbage" * 1000


def stored(path: Path) -> list[int]:
    """What a restart would find."""
    with closing(sqlite3.connect(path)) as db:
        return [int(identifier, 16) for (identifier,) in db.execute("SELECT id FROM outcomes ORDER BY id")]


def tell(store: OutcomeStore, *numbers: int) -> None:
    for number in numbers:
        store.record(Outcome(f"{number:032x}", float(number))).result(timeout=PATIENCE)


def delete(path: Path) -> None:
    for file in path.parent.glob(path.name + "*"):
        file.unlink()


def delete_with_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def delete_write_ahead_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replace(path: Path) -> None:
    delete(path)
    other = OutcomeStore(path.with_name("other.db"), max_days=90)
    tell(other, 70)
    other.close()
    path.with_name("other.db").rename(path)


@pytest.mark.parametrize(
    ("harm", "before"),
    [(delete, []), (delete_with_folder, []), (delete_write_ahead_log, [1, 2]), (move_away, []), (replace, [70])],
)
def test_what_is_acknowledged_after_the_file_is_gone_is_in_the_file_of_that_name(
    tmp_path: Path, harm: Callable[[Path], None], before: list[int]
) -> None:
    path = tmp_path / "state/outcomes.db"
    store = OutcomeStore(path, max_days=90)
    tell(store, 1, 2)
    assert store.errors == 0
    harm(path)
    tell(store, 3, 4)
    with subprocess.Popen([sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.communicate(timeout=PATIENCE)[0].split() == [str(number) for number in sorted([*before, 3, 4])]
    assert store.errors == 1
    store.close()
    assert stored(path) == sorted([*before, 3, 4])


def test_a_file_that_cannot_be_made_again_acknowledges_nothing_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "state/outcomes.db"
    store = OutcomeStore(path, max_days=90)
    tell(store, 1)
    shutil.rmtree(path.parent)
    path.parent.write_text("no folder")
    for number in (2, 3):
        with pytest.raises(sqlite3.Error):
            tell(store, number)
    path.parent.unlink()
    tell(store, 4)
    store.close()
    assert stored(path) == [4]


def test_a_folder_that_was_away_for_a_while_is_written_to_again(tmp_path: Path) -> None:
    path = tmp_path / "state/outcomes.db"
    store = OutcomeStore(path, max_days=90)
    tell(store, 1)
    path.parent.rename(tmp_path / "away")
    path.parent.write_text("no folder")
    with pytest.raises(sqlite3.Error):
        tell(store, 2)
    path.parent.unlink()
    (tmp_path / "away").rename(path.parent)
    tell(store, 3)
    store.close()
    assert stored(path) == [1, 3]


DAY = 86_400


def aged(path: Path, days: dict[int, float]) -> None:
    """Outcomes that arrived as many days ago."""
    store = OutcomeStore(path, max_days=90)
    tell(store, *days)
    store.close()
    with closing(sqlite3.connect(path)) as db, db:
        for number, ago in days.items():
            db.execute(
                "UPDATE outcomes SET received_at = datetime('now', ?) WHERE id = ?", (f"-{ago} days", f"{number:032x}")
            )


def test_outcomes_go_when_they_are_too_old_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutcomeStore, "PRUNE_ROWS", 2)
    path = tmp_path / "outcomes.db"
    aged(path, {1: 91, 2: 92, 3: 93, 4: 89, 5: 0})
    for number, left in ((6, 4), (7, 4)):
        store = OutcomeStore(path, max_days=90)
        tell(store, number)
        store.close()  # what is too old goes after the acknowledgement
        assert len(stored(path)) == left
    assert stored(path) == [4, 5, 6, 7]
