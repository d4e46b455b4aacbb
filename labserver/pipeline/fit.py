"""The model of a bundle: fitted, compared with simpler ones, exported; or kept from the bundle before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from labserver.errors import LabError
from labserver.features.signature import Signature
from labserver.model.bundle import Bundle
from labserver.model.panel import GoldenPanel
from labserver.model.predictor import OnnxPredictor
from labserver.pipeline.experiment import held_out
from labserver.pipeline.export import check_export, export
from labserver.pipeline.panel import golden_panel
from labserver.pipeline.scores import Scores, calibration_table, scores
from labserver.pipeline.table import TrainingTable
from labserver.pipeline.training import TRAINED_UNTIL, BaseRate, new_logistic_regression, new_model

Trainer = Callable[[pd.DataFrame, NDArray[np.bool_]], HistGradientBoostingClassifier]
"""Fits a model on features, one column each, and on whether each flight was late."""

FACTS = (
    *("model_version", "signature", "training_window", "held_out_window", "rows", "metrics"),
    "largest_difference_from_scikit_learn",
)
"""What a manifest says of its model, and keeps with it."""


@dataclass(frozen=True)
class Fitted:
    """A model and what is known of it.

    Attributes:
        onnx: the exported model, signed.
        facts: what the manifest says of it; see :data:`FACTS`.
        panel: rows with the trained model's own answers.
        train_probability: of a late arrival, for each training row, shape (rows,), float32.
        experiment: what the notebook has in hand, to be saved as it is; None if that was saved before.
    """

    onnx: bytes
    facts: Mapping[str, Any]
    panel: GoldenPanel
    train_probability: NDArray[np.float32]
    experiment: Mapping[str, Any] | None = None


def train_model(used: pd.DataFrame, late: NDArray[np.bool_]) -> HistGradientBoostingClassifier:
    """The model that is shipped, fitted."""
    return new_model().fit(used, late)


def fit(table: TrainingTable, threshold: float, trainer: Trainer = train_model) -> Fitted:
    """Fit model and baselines on the training rows with an outcome, score them on the held-out ones.

    Args:
        table: the features.
        threshold: of the decision, at which the export must agree with scikit-learn.
        trainer: fits the model. It wants the columns that it was fitted on, by name.

    Raises:
        LabError: if the export differs from scikit-learn, or the model wants what the catalogue does not have.
    """
    flights, late, test = table.flights, table.late, table.judged_on
    model = trainer(table.features[table.fitted_on], late[table.fitted_on])
    signature = Signature.of(table.catalogue, list(model.feature_names_in_))
    features = table.features[list(signature.names)]
    line = new_logistic_regression().fit(features[table.fitted_on], late[table.fitted_on])
    rate = BaseRate.fit(flights[table.fitted_on], late[table.fitted_on])
    expected = model.predict_proba(features[test])[:, 1]
    metrics = {
        "model": scores(late[test], expected),
        "logistic_regression": scores(late[test], line.predict_proba(features[test])[:, 1]),
        "base_rate": scores(late[test], rate.predict(flights[test])),
    }
    onnx = export(model, signature)
    predictor = OnnxPredictor(onnx)
    largest = check_export(model, predictor, features[~table.train], threshold)
    matrix = features.to_numpy()
    facts = {
        "model_version": hashlib.sha256(onnx).hexdigest()[:12],
        "signature": signature_facts(signature),
        "training_window": ["2013-01-01", f"{TRAINED_UNTIL.date() - timedelta(days=1)}"],
        "held_out_window": [f"{TRAINED_UNTIL.date()}", "2013-12-31"],
        "rows": {
            "training": int(table.fitted_on.sum()),
            "held_out": int(test.sum()),
            "without_arrival": int((~table.arrived).sum()),
        },
        "metrics": {**metrics, "calibration": calibration_table(late[test], expected)},
        "largest_difference_from_scikit_learn": largest,
    }
    experiment = {
        "model": model,
        "baselines": {"logistic_regression": line, "base_rate": rate},
        "scores": metrics,
        "held_out": held_out(model, table),
    }
    panel = golden_panel(model, features[table.train])
    return Fitted(onnx, facts, panel, predictor.probabilities(matrix[table.train]), experiment)


def keep(bundle: Bundle, table: TrainingTable) -> Fitted:
    """The model of a bundle, unchanged, on features that were computed anew.

    Raises:
        LabError: if it wants a feature that the catalogue lacks or defines in another way.
    """
    places = bundle.signature.places(table.catalogue)
    matrix = table.features.to_numpy().take(places, axis=1)[table.train]
    facts = {name: bundle.manifest[name] for name in FACTS}
    return Fitted(bundle.model, facts, bundle.golden, OnnxPredictor(bundle.model).probabilities(matrix))


def signature_facts(signature: Signature) -> dict[str, Any]:
    """What goes in and what comes out, as the manifest has it."""
    return {
        "input": {"name": "features", "dtype": "float32", "features": signature.shown()},
        "output": {"name": "probabilities", "dtype": "float32", "meaning": "arrives more than 15 minutes late"},
    }


def check_baselines(metrics: Mapping[str, Scores]) -> None:
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
