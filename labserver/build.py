"""From the sources to a bundle in one command: warehouse, features, training, export, snapshot."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import LabError
from labserver.features.catalogue import Catalogue
from labserver.features.frames import check_frame
from labserver.features.history import write_history
from labserver.features.join import FLIGHTS, point_in_time
from labserver.features.materialise import write_snapshot
from labserver.features.ranges import CatalogueRanges, TypicalValues
from labserver.features.store import copy_snapshot
from labserver.model.bundle import load_bundle, to_json, write_bundle
from labserver.model.experiment import frames, write_experiment
from labserver.model.export import check_export, export
from labserver.model.metrics import Scores, calibration_table, scores
from labserver.model.predictor import OnnxPredictor
from labserver.model.reference import reference_statistics, what_training_saw
from labserver.model.training import TRAINED_UNTIL, BaseRate, new_logistic_regression, new_model
from labserver.service.decision import ExpectedCost
from labserver.settings import Settings
from labserver.sources.warehouse import ZONE, build_warehouse

Report = Callable[[str], None]
Trainer = Callable[[pd.DataFrame, NDArray[np.bool_]], HistGradientBoostingClassifier]
"""Fits a model on features, one column each, and on whether each flight was late."""


@dataclass(frozen=True)
class Built:
    """What a build tells the person who ran it."""

    bundle_hash: str
    metrics: dict[str, Scores]
    largest_difference: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """A model, the simpler ones it was compared with, and what is known of it."""

    model: HistGradientBoostingClassifier
    baselines: dict[str, Any]
    onnx: bytes
    metrics: dict[str, Scores]
    calibration: list[dict[str, float]]
    largest_difference: float
    train_probability: NDArray[np.float32]


@dataclass(frozen=True)
class Steps:
    """Takes the time of each step of a build, and reports it."""

    report: Report
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)
        self.report(f"{name} ({self.seconds[name]:.1f} s)")


@contextmanager
def one_at_a_time(home: Path, report: Report) -> Iterator[None]:
    """Hold a home folder for one build; another one waits. The kernel lets go of it when the process ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting: another build is at work in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(settings: Settings, catalogue: Catalogue, report: Report) -> Built:
    """Make the warehouse, the teaching experiment, the bundle and a fresh online store, each replaced as a whole.

    Raises:
        LabError: if a contract, a schema, a baseline or the equality of the export fails. The old bundle stays.
    """
    step = Steps(report)
    with step("sources: warehouse with contracts checked"):
        build_warehouse(settings.warehouse)
    return build_bundle(settings, catalogue, step)


def train_model(used: pd.DataFrame, late: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
    """The model that is shipped, fitted."""
    return new_model().fit(used, late)


def build_bundle(
    settings: Settings, catalogue: Catalogue, step: Steps, trainer: Trainer = train_model, *, gate: bool = True
) -> Built:
    """Everything after the warehouse: features, model, experiment, bundle and a fresh online store.

    Args:
        settings: of the home folder, which has a warehouse. The features' history is written into it.
        catalogue: the features.
        step: takes the time.
        trainer: fits another model than the shipped one.
        gate: whether a baseline that beats the model stops the build.

    Raises:
        LabError: see :func:`build`.
    """
    with duckdb.connect(str(settings.warehouse)) as db:
        db.execute(f"SET TimeZone = '{ZONE}'")
        with step("features: history of every precomputed value"):
            write_history(db, catalogue)
        with step("features: point-in-time join of all flights"):
            raw = point_in_time(db, FLIGHTS, catalogue)
            flights = db.execute(
                "SELECT origin, dest, carrier, late, scheduled_departure < $cut AS train, "
                "date_diff('day', DATE '2013-01-01', predicted_at::DATE) AS asked_on FROM flights ORDER BY flight_id",
                {"cut": TRAINED_UNTIL},
            ).df()
        train = flights["train"].to_numpy(bool)
        with step("features: ranges, completion, schema"):
            catalogue = catalogue.trained_on(what_training_saw(raw[train], catalogue))
            matrix = raw.copy()
            CatalogueRanges(catalogue).apply(matrix)
            TypicalValues(catalogue).apply(matrix)
            used = check_frame(matrix, len(flights), catalogue)
        with step("model: training, baselines, export, equality on every held-out flight and at every threshold"):
            fitted = fit(flights, used, train, ExpectedCost.from_settings(settings).threshold, trainer)
            if gate:
                check_baselines(fitted.metrics)
        with step("bundle: snapshot, manifest, hashes"):
            bundle_hash = _write(settings, db, catalogue, fitted, raw, used, flights, train)
    return Built(bundle_hash, fitted.metrics, fitted.largest_difference, step.seconds)


def fit(
    flights: pd.DataFrame,
    used: pd.DataFrame,
    train: NDArray[np.bool_],
    threshold: float,
    trainer: Trainer = train_model,
) -> Fitted:
    """Fit model and baselines on the training rows with an outcome, score them on the held-out ones.

    Raises:
        LabError: if the export differs from scikit-learn.
    """
    arrived = flights["late"].notna().to_numpy()
    late = flights["late"].fillna(False).to_numpy(bool)
    fit_rows, test_rows = train & arrived, ~train & arrived
    model = trainer(used[fit_rows], late[fit_rows])
    line = new_logistic_regression().fit(used[fit_rows], late[fit_rows])
    rate = BaseRate.fit(flights[fit_rows], late[fit_rows])
    held_out = model.predict_proba(used[test_rows])[:, 1]
    metrics = {
        "model": scores(late[test_rows], held_out),
        "logistic_regression": scores(late[test_rows], line.predict_proba(used[test_rows])[:, 1]),
        "base_rate": scores(late[test_rows], rate.predict(flights[test_rows])),
    }
    onnx = export(model, used.shape[1])
    predictor = OnnxPredictor(onnx, threads=2)
    matrix = used.to_numpy()
    largest = check_export(model, predictor, used[~train], threshold)
    calibration = calibration_table(late[test_rows], held_out)
    baselines = {"logistic_regression": line, "base_rate": rate}
    return Fitted(model, baselines, onnx, metrics, calibration, largest, predictor.probabilities(matrix[train]))


def check_baselines(metrics: dict[str, Scores]) -> None:
    """A model that a simpler one beats is not shipped.

    Raises:
        LabError: names the baseline and the measure.
    """
    ours = metrics["model"]
    for name in ("logistic_regression", "base_rate"):
        theirs = metrics[name]
        for measure in ("auc", "log_loss", "brier", "calibration_error"):
            better = ours[measure] > theirs[measure] if measure == "auc" else ours[measure] < theirs[measure]
            if not better:
                raise LabError(f"The model's {measure} ({ours[measure]}) does not beat {name}'s ({theirs[measure]}).")


def _write(
    settings: Settings,
    db: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    fitted: Fitted,
    raw: NDArray[np.float32],
    used: pd.DataFrame,
    flights: pd.DataFrame,
    train: NDArray[np.bool_],
) -> str:
    matrix = used.to_numpy()
    golden = matrix[~train][:1]
    probability = OnnxPredictor(fitted.onnx).probabilities(golden)
    manifest = {
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_version": hashlib.sha256(fitted.onnx).hexdigest()[:12],
        "features_version": catalogue.version,
        "signature": {
            "input": {"name": "features", "dtype": "float32", "features": list(catalogue.names)},
            "output": {
                "name": "probabilities",
                "dtype": "float32",
                "meaning": "arrives more than 15 minutes late",
            },
        },
        "training_window": ["2013-01-01", "2013-08-31"],
        "held_out_window": ["2013-09-01", "2013-12-31"],
        "clock": TRAINED_UNTIL.astimezone(UTC).isoformat(),
        "rows": {
            "training": int((train & flights["late"].notna()).sum()),
            "held_out": int((~train & flights["late"].notna()).sum()),
            "without_arrival": int(flights["late"].isna().sum()),
        },
        "metrics": {**fitted.metrics, "calibration": fitted.calibration},
        "largest_difference_from_scikit_learn": fitted.largest_difference,
        "golden": {"vector": golden[0].tolist(), "probability": float(probability[0])},
    }

    def fill(folder: Path) -> None:
        (folder / "model.onnx").write_bytes(fitted.onnx)
        (folder / "catalogue.json").write_bytes(to_json(catalogue.described()))
        day = flights["asked_on"].to_numpy()[train]
        statistics = reference_statistics(raw[train], matrix[train], fitted.train_probability, day, catalogue)
        (folder / "reference.json").write_bytes(to_json(statistics))
        (folder / "vocabulary.json").write_bytes(to_json(vocabulary(db)))
        write_snapshot(db, folder / "online.db", catalogue, TRAINED_UNTIL)

    bundle_hash = write_bundle(settings.bundle, manifest, fill)
    models = {"model": fitted.model, "baselines": fitted.baselines, "scores": fitted.metrics}
    experiment = {**models, **frames(fitted.model, flights, raw, used, train)}
    write_experiment(settings.experiment, experiment, bundle_hash)
    copy_snapshot(load_bundle(settings.bundle).snapshot, settings.online_store)
    return bundle_hash


def vocabulary(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The codes a request may use, from the published schedule: carriers, origins, and each origin's destinations."""
    carriers = [row[0] for row in db.execute("SELECT carrier FROM airlines ORDER BY carrier").fetchall()]
    routes: dict[str, list[str]] = {}
    for origin, dest in db.execute("SELECT DISTINCT origin, dest FROM flights ORDER BY origin, dest").fetchall():
        routes.setdefault(origin, []).append(dest)
    [[last]] = db.execute("SELECT epoch_us(max(scheduled_departure)) FROM flights").fetchall()
    return {"carrier": carriers, "routes": routes, "last_departure_microseconds": last}
