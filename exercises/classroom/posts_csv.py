"""Every post as CSV, a few hundred rows at a time."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from exercises.classroom.errors import ClassroomError
from exercises.classroom.store import connect

COLUMNS = ("received", "learner", "lesson", "result", "attempts", "first_failing_check")
ROWS_A_PIECE = 500


def csv_of(path: Path) -> Iterator[str]:
    """The posts in the order in which they came, in pieces.

    Raises:
        sqlite3.Error: if the file is none of a class.
    """
    yield _written([COLUMNS])
    with closing(connect(path, only_read=True)) as db:
        rows = db.execute(
            "SELECT received, name, lesson, state, attempts, failing FROM posts JOIN learners USING (learner) "
            "ORDER BY number"
        )
        while some := rows.fetchmany(ROWS_A_PIECE):
            yield _written([(_time(row[0]), no_formula(row[1]), *row[2:5], no_formula(row[5])) for row in some])


def write_csv(path: Path, out: Path) -> None:
    """Write the CSV of a class whose board may run or not.

    Raises:
        ClassroomError: if there is no such class, or the file cannot be written.
    """
    if not path.exists():
        raise ClassroomError(f"There is no class in {path}. Name its file with --file.")
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            file.writelines(csv_of(path))
    except sqlite3.Error as error:
        raise ClassroomError(f"{path} is not the file of a class ({error}).") from None
    except OSError as error:
        raise ClassroomError(f"{out} cannot be written ({error.strerror}).") from None


def _written(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def no_formula(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: learners choose names of their own and of their folders."""
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@")) or cell[:1] in {"\t", "\r"} else cell
