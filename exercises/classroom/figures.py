"""The page's figures: each learner's progress, lessons where learners are stuck, and the most common mistakes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

STUCK_ATTEMPTS = 5
"""Number of checks after which a learner is stuck on a lesson that is not solved."""
STUCK_LEARNERS = 3
"""Number of stuck learners from which on a lesson is stuck, if they are at least half of those who work on it."""

Row = tuple[int, int, str, int, float | None, float]


def figures(db: sqlite3.Connection, titles: Sequence[str]) -> dict[str, Any]:
    """Everything on the page, as JSON.

    Args:
        db: a connection that reads.
        titles: of the lessons, in order.
    """
    rows: list[Row] = db.execute("SELECT learner, lesson, state, attempts, first, last FROM latest").fetchall()
    return {
        "now": time.time(),
        "stuck_attempts": STUCK_ATTEMPTS,
        "learners": _learners(db, rows, len(titles)),
        "lessons": [
            {"title": title, **_lesson([row for row in rows if row[1] == number]), "wrong": _wrong(db, number)}
            for number, title in enumerate(titles)
        ],
    }


def _learners(db: sqlite3.Connection, rows: Sequence[Row], lessons: int) -> list[dict[str, Any]]:
    """By name: the results in the order of the lessons (None where there is none), and the lesson of the last post."""
    known: dict[int, dict[str, Any]] = {
        learner: {"name": name, "at": None, "seen": None, "results": [None] * lessons}
        for learner, name in db.execute("SELECT learner, name FROM learners ORDER BY folded")
    }
    for learner, lesson, state, attempts, _, last in rows:
        mine = known[learner]
        mine["results"][lesson] = [state, attempts]
        if state != "not attempted" and last >= (mine["seen"] or 0):
            mine["at"], mine["seen"] = lesson, last
    return list(known.values())


def _lesson(rows: Sequence[Row]) -> dict[str, Any]:
    """Counts of learners; medians of those who are at it and have not solved it. ``begun`` is a moment."""
    trying = [(attempts, first) for _, _, state, attempts, first, _ in rows if state == "not yet"]
    stuck = sum(attempts >= STUCK_ATTEMPTS for attempts, _ in trying)
    return {
        "solved": sum(row[2] == "solved" for row in rows),
        "trying": len(trying),
        "stuck": stuck,
        "is_stuck": stuck >= STUCK_LEARNERS and 2 * stuck >= len(trying),
        "attempts": median(attempts for attempts, _ in trying) if trying else None,
        "begun": median(first for _, first in trying if first is not None) if trying else None,
    }


def _wrong(db: sqlite3.Connection, lesson: int) -> dict[str, Any] | None:
    """The check that failed first for the most learners, at any time."""
    row = db.execute(
        "SELECT failing, count(*) AS met FROM stumbles WHERE lesson = ? "
        "GROUP BY failing ORDER BY met DESC, failing LIMIT 1",
        (lesson,),
    ).fetchone()
    return {"failing": row[0], "learners": row[1]} if row else None
