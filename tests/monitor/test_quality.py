"""Rolling figures: equal to scikit-learn's, and the same whichever of prediction and outcome comes first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from awaiting import PATIENCE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from labserver.model.calibration import expected_calibration_error
from labserver.moments import NEW_YORK, microseconds
from labserver.monitor import thresholds
from labserver.monitor.outcomes import Outcome, OutcomeConflict, OutcomeStore
from labserver.monitor.predictions import COLUMNS
from labserver.monitor.quality import QualityReader, area_under_curve, figures

CLOCK = datetime(2013, 10, 1, tzinfo=NEW_YORK)
YESTERDAY = CLOCK - timedelta(days=1)


class Log:
    """A prediction log that a test writes to: only what the figures are made of differs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"CREATE TABLE predictions (n INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")

    def add(self, id: str, score: float, departure: datetime = YESTERDAY) -> None:
        self._db.execute(
            "INSERT INTO predictions (id, score, scheduled_departure) VALUES (?, ?, ?)",
            (id, score, microseconds(departure)),
        )

    def close(self) -> None:
        self._db.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Log, OutcomeStore, QualityReader]]:
    log, outcomes = Log(tmp_path / "predictions.db"), OutcomeStore(tmp_path / "outcomes.db", max_days=90)
    reader = QualityReader(log.path, tmp_path / "outcomes.db")
    yield log, outcomes, reader
    reader.close()
    outcomes.close()
    log.close()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "QUALITY_LEAST", 2)
    monkeypatch.setattr(thresholds, "JOIN_LEAST", 2)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=100).filter(
        lambda rows: len({late for _, late in rows}) == 2
    )
)
def test_figures_are_those_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    score, late = np.array([s for s, _ in rows]), np.array([late for _, late in rows])
    assert area_under_curve(late, score) == pytest.approx(roc_auc_score(late, score))
    many = np.tile(score, 1000), np.tile(np.where(late, 16.0, 15.0), 1000)
    made = figures(*many)
    assert made["auc"] == pytest.approx(roc_auc_score(late, score), abs=1e-5)
    assert made["brier"] == pytest.approx(brier_score_loss(late, score), abs=1e-5)
    assert made["calibration_error"] == pytest.approx(expected_calibration_error(many[1] > 15, many[0]), abs=1e-5)


def test_flights_that_never_arrived_are_neither_late_nor_on_time() -> None:
    score = np.tile([0.1, 0.9, 0.8], 1000)
    delay = np.tile([0.0, 60.0, np.nan], 1000)
    assert figures(score, delay) == figures(np.tile([0.1, 0.9], 1000), np.tile([0.0, 60.0], 1000))


def test_there_are_no_figures_of_a_handful_or_of_one_kind() -> None:
    assert figures(np.array([0.1, 0.9]), np.array([0.0, 60.0])) == {}
    assert figures(np.full(5000, 0.5), np.full(5000, 60.0)) == {}


EVENTS = st.permutations([(kind, number) for kind in ("predict", "tell", "tell again") for number in range(6)])
NAMES = count()


@given(EVENTS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_predictions_and_outcomes_does_not_matter(
    tmp_path: Path, few: None, events: list[tuple[str, int]]
) -> None:
    """Before its prediction, after it, twice: the end is the same."""
    folder = tmp_path / str(next(NAMES))
    folder.mkdir()
    with closing(Log(folder / "predictions.db")) as log:
        outcomes = OutcomeStore(folder / "outcomes.db", max_days=90)
        reader = QualityReader(log.path, folder / "outcomes.db")
        for kind, number in events:
            if kind == "predict":
                log.add(f"{number:032x}", number / 10)
            else:
                outcomes.record(Outcome(f"{number:032x}", 60.0 if number % 2 else 0.0)).result(timeout=PATIENCE)
            reader.read(CLOCK)
        quality = reader.read(CLOCK)
        reader.close()
        outcomes.close()
    assert (quality.outcomes, quality.joined, quality.due, quality.join_ratio) == (6, 6, 6, 1.0)
    assert quality.auc == pytest.approx(roc_auc_score([0, 1, 0, 1, 0, 1], [0, 0.1, 0.2, 0.3, 0.4, 0.5]), abs=1e-5)


def test_outcomes_of_unknown_predictions_are_kept_and_change_nothing(
    files: tuple[Log, OutcomeStore, QualityReader], few: None
) -> None:
    log, outcomes, reader = files
    for number in range(4):
        log.add(f"{number:032x}", number / 4)
        outcomes.record(Outcome(f"{number:032x}", 60.0 if number > 1 else 0.0)).result(timeout=PATIENCE)
    before = reader.read(CLOCK)
    for number in range(100, 200):
        outcomes.record(Outcome(f"{number:032x}", 99.0)).result(timeout=PATIENCE)
    after = reader.read(CLOCK)
    assert (before.auc, before.brier, before.joined) == (after.auc, after.brier, after.joined) == (1.0, after.brier, 4)
    assert (before.outcomes, after.outcomes) == (4, 104)


def test_an_outcome_that_contradicts_the_first_is_refused_and_the_first_stays(
    files: tuple[Log, OutcomeStore, QualityReader],
) -> None:
    _, outcomes, _ = files
    outcomes.record(Outcome("a" * 32, 1.0)).result(timeout=PATIENCE)
    with pytest.raises(OutcomeConflict):
        outcomes.record(Outcome("a" * 32, 2.0)).result(timeout=PATIENCE)
    assert outcomes.count() == 1


def test_only_flights_that_must_have_landed_are_due(files: tuple[Log, OutcomeStore, QualityReader], few: None) -> None:
    log, outcomes, reader = files
    for number in range(10):
        log.add(f"{number:032x}", 0.5, YESTERDAY if number < 4 else CLOCK)
    outcomes.record(Outcome(f"{0:032x}", 3.0)).result(timeout=PATIENCE)
    quality = reader.read(CLOCK)
    assert (quality.due, quality.join_ratio) == (4, 0.25)


def test_the_window_is_of_the_newest(
    files: tuple[Log, OutcomeStore, QualityReader], few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old predictions do not hide the model's present quality."""
    log, outcomes, reader = files
    monkeypatch.setattr(thresholds, "QUALITY_WINDOW", 10)
    waiting = []
    for number in range(40):
        late = bool(number % 2)
        good = number < 30
        log.add(f"{number:032x}", 0.9 if late == good else 0.1)
        waiting.append(outcomes.record(Outcome(f"{number:032x}", 60.0 if late else 0.0)))
    for future in waiting:
        future.result(timeout=PATIENCE)
    quality = reader.read(CLOCK)
    assert (quality.joined, quality.auc) == (10, 0.0)
    assert quality.brier == pytest.approx(0.81)


def test_files_that_are_not_there_yet_are_no_error(tmp_path: Path) -> None:
    assert QualityReader(tmp_path / "a.db", tmp_path / "b.db").read(CLOCK).outcomes == 0


def test_nothing_is_read_again_if_nothing_was_written(files: tuple[Log, OutcomeStore, QualityReader]) -> None:
    log, outcomes, reader = files
    log.add("a" * 32, 0.5)
    outcomes.record(Outcome("a" * 32, 1.0)).result(timeout=PATIENCE)
    first = reader.read(CLOCK)
    assert reader.read(CLOCK) is first
    outcomes.record(Outcome("b" * 32, 1.0)).result(timeout=PATIENCE)
    assert reader.read(CLOCK) is not first
