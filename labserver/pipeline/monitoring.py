"""What monitoring compares with, for the bundle: training's distributions, the alarm thresholds, and what each feature
decides.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from labserver.features.catalogue import Catalogue
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import Reference, reference_statistics
from labserver.monitor.served import AnswerCounter, Served
from labserver.pipeline.alarms import alarm_thresholds
from labserver.pipeline.fit import Fitted
from labserver.pipeline.hourly import Hourly
from labserver.pipeline.join import FLIGHTS, stale
from labserver.pipeline.table import TrainingTable
from labserver.service.ports import Predictor
from labserver.service.selection import by_name

EVERY = 10
"""Every Nth training row is asked what each feature decides: 22,000 rows say it to a quarter of a point."""


def monitoring_statistics(
    db: duckdb.DuckDBPyConnection, table: TrainingTable, fitted: Fitted, threshold: float
) -> dict[str, Any]:
    """The content of ``reference.json``.

    Args:
        db: the warehouse with its history, for the ages of values.
        table: the features. Only rows before September are read.
        fitted: the model.
        threshold: of the decision.
    """
    catalogue, train, raw = table.catalogue, table.train, table.joined.raw
    flights = table.flights[train]
    used = table.features.to_numpy()[train]
    day = flights["asked_on"].to_numpy()
    statistics = reference_statistics(raw[train], used, fitted.train_probability, day, catalogue)
    for name, share in decides(by_name(OnnxPredictor(fitted.onnx), catalogue), used[::EVERY], threshold, catalogue):
        statistics["features"][name]["decides"] = share
    reference = Reference.read(statistics, catalogue.names)
    origins = [str(code) for code in flights["origin"]]
    served = Served(
        (),
        flights["asked"].to_numpy(),
        raw[train],
        used,
        fitted.train_probability,
        warned=0,
        places=origins,
        stale=stale(db, FLIGHTS, catalogue)[train],
    )
    hours = AnswerCounter(catalogue, reference, sorted(set(origins))).count(served).hours
    limits = alarm_thresholds(Hourly.from_tallies(hours, reference), catalogue, reference)
    return {**statistics, "alarms": limits.written(catalogue.names)}


def decides(
    predictor: Predictor, used: NDArray[np.float32], threshold: float, catalogue: Catalogue
) -> list[tuple[str, float]]:
    """Of each feature, the share of decisions that change if it has its typical value, for vectors as the model sees
    them, shape (rows, features).
    """
    warned = predictor.probabilities(used) > threshold
    shares = []
    for column, name in enumerate(catalogue.names):
        typical = used.copy()
        typical[:, column] = catalogue.typical[column]
        changed = (predictor.probabilities(typical) > threshold) != warned
        shares.append((name, round(float(changed.mean()), 4)))
    return shares
