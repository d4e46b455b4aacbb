"""The model's recent quality: predictions joined with the outcomes of their flights."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from labserver.model.calibration import expected_calibration_error
from labserver.moments import microseconds
from labserver.monitor import thresholds
from labserver.monitor.named_file import NamedFile

LATE_MINUTES = 15.0
"""A flight is late if it arrives more minutes than this after schedule; the model's question."""

LOG_TAIL = "SELECT n, id, score, scheduled_departure FROM log.predictions ORDER BY n DESC LIMIT :search"
# Each returns one row, so that SQLite does all the work in one step, without the interpreter's lock.
LABELLED_SCORES = f"""
    SELECT json_group_array(score), json_group_array(arrival_delay_minutes) FROM (
        SELECT score, arrival_delay_minutes FROM ({LOG_TAIL}) CROSS JOIN outcomes USING (id) LIMIT :window)"""
DUE_OUTCOMES = f"""
    SELECT count(*), count(received_at) FROM (
        SELECT id FROM ({LOG_TAIL}) WHERE scheduled_departure <= :landed LIMIT :window) LEFT JOIN outcomes USING (id)"""


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over the newest predictions that have an outcome; None where there are too few.

    Attributes:
        outcomes: on disk, for any prediction.
        joined: outcomes that the figures rest on, at most ``thresholds.QUALITY_WINDOW``. A flight that never arrived is
            one of them, but neither late nor on time.
        due: predictions whose flight must have landed by now, at most the same number.
        join_ratio: the share of those that has an outcome.
        auc, brier, calibration_error: as in the bundle's metrics.
    """

    outcomes: int = 0
    joined: int = 0
    due: int = 0
    join_ratio: float | None = None
    auc: float | None = None
    brier: float | None = None
    calibration_error: float | None = None


class QualityReader:
    """Reads both files, which all workers share. So it does not matter which worker predicted, which one received the
    outcome, which came first, or whether the service was restarted in between.
    """

    def __init__(self, predictions: Path, outcomes: Path) -> None:
        self._predictions, self._outcomes = predictions, outcomes
        self._db: sqlite3.Connection | None = None
        self._files: list[NamedFile] = []
        self._seen: tuple[int, ...] = ()
        self._last = Quality()

    def read(self, clock: datetime) -> Quality:
        """The figures as of now; cheap if nothing was written since.

        Raises:
            sqlite3.Error: if a file cannot be read.
        """
        if not self._predictions.exists() or not self._outcomes.exists():
            return self._last
        try:
            return self._read(clock)
        except sqlite3.Error:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        if self._db is not None:
            self._db.close()
            self._db = None
            self._seen = ()

    def _read(self, clock: datetime) -> Quality:
        if any(file.replaced() for file in self._files):
            self.close()
        db = self._db = self._db or self._open()
        # Both change whenever someone else commits.
        seen = tuple(db.execute(f"PRAGMA {name}.data_version").fetchone()[0] for name in ("main", "log"))
        if seen == self._seen:
            return self._last
        self._seen = seen
        [outcomes] = db.execute("SELECT count(*) FROM outcomes").fetchone()
        if not outcomes:
            return self._last
        bounds = {"search": thresholds.QUALITY_SEARCH, "window": thresholds.QUALITY_WINDOW}
        scores, delays = (orjson.loads(text) for text in db.execute(LABELLED_SCORES, bounds).fetchone())
        landed = microseconds(clock - thresholds.LANDED_AFTER)
        due, joined = db.execute(DUE_OUTCOMES, {**bounds, "landed": landed}).fetchone()
        self._last = Quality(
            outcomes,
            len(scores),
            due,
            round(joined / due, 4) if due >= thresholds.JOIN_LEAST else None,
            **figures(np.array(scores, np.float64), np.array(delays, np.float64)),
        )
        return self._last

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"file:{self._outcomes}?mode=ro", uri=True, isolation_level=None, timeout=1.0, check_same_thread=False
        )
        try:
            db.execute("ATTACH ? AS log", (f"file:{self._predictions}?mode=ro",))
        except sqlite3.Error:
            db.close()
            raise
        self._files = [NamedFile(path) for path in (self._outcomes, self._predictions)]
        return db


def figures(scores: NDArray[np.float64], delays: NDArray[np.float64]) -> dict[str, Any]:
    """AUC, Brier score and calibration error, for arrays of shape (flights,); a delay of NaN is a flight that never
    arrived. Empty below ``thresholds.QUALITY_LEAST``.
    """
    arrived = ~np.isnan(delays)
    score, late = scores[arrived], delays[arrived] > LATE_MINUTES
    if len(score) < thresholds.QUALITY_LEAST or late.all() or not late.any():
        return {}
    return {
        "auc": round(area_under_curve(late, score), 5),
        "brier": round(float(np.mean((score - late) ** 2)), 5),
        "calibration_error": round(expected_calibration_error(late, score), 5),
    }


def area_under_curve(late: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """The chance that a late flight has a higher score than one on time, ties counting half; shapes (flights,).

    From the sum of ranks: Mann and Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger
    than the Other", Ann. Math. Statist. 18, 1947.
    """
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positive = int(late.sum())
    negative = len(late) - positive
    return float((ranks[late].sum() - positive * (positive + 1) / 2) / (positive * negative))
